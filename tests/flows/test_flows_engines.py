"""What is given as an engine is looked at where it is given."""

from __future__ import annotations

import json
from dataclasses import fields
from types import SimpleNamespace

import cheap_engine
import pytest
import toy_engines
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from jobflow import Maker
from monty.json import MontyDecoder, MontyEncoder

from atomate2_vogen import flows
from atomate2_vogen.engines import Engine, chgnet
from atomate2_vogen.engines.forcefields import SharedRelaxMaker
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows import DiscoveryFlowMaker

MAKERS = [
    kind
    for name in flows.__all__
    if isinstance(kind := getattr(flows, name), type)
    and issubclass(kind, Maker)
    and "engine" in {field.name for field in fields(kind)}
]
"""All of the package's flows that take an engine, those that come later included."""


def test_the_flows_are_found():
    assert len(MAKERS) >= 7


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("chgnet", r"'chgnet', not an Engine.*load_engine\('chgnet'\)"),
        ("SevenNet", r"Engine\.from_force_field\('SevenNet'\)"),
        (ForceFieldRelaxMaker(), r"ForceFieldRelaxMaker, not an Engine.*Engine\.from_maker\("),
        (chgnet, r"not an Engine.*call it: chgnet\(\)"),
        (Engine, "not an Engine"),
        (None, "None, not an Engine"),
        (SimpleNamespace(name="x", scheme="y"), "SimpleNamespace, not an Engine"),
    ],
    ids=["name", "force-field", "maker", "function", "class", "none", "lookalike"],
)
def test_what_is_no_engine_is_refused_at_once(maker, given, advice):
    with pytest.raises(InputError, match=rf"engine of {maker.__name__} is .*{advice}"):
        maker(engine=given)


@pytest.mark.parametrize("maker", MAKERS)
def test_an_engine_is_taken_also_from_json(maker):
    made, kind = maker(engine=toy_engines.toy_dft()), SharedRelaxMaker
    restored = MontyDecoder().decode(json.dumps(made, cls=MontyEncoder))
    assert restored.engine.scheme == made.engine.scheme
    assert made.update_kwargs({"steps": 7}, class_filter=kind).engine.relax_maker.steps == 7


@pytest.mark.parametrize("stage", ["electronic", "phonons"])
def test_stages_of_a_discovery_are_makers_and_not_engines(stage):
    wanted = {"electronic": "ElectronicFlowMaker", "phonons": "PhononFlowMaker"}[stage]
    for given in ("chgnet", toy_engines.toy_dft()):
        with pytest.raises(InputError, match=rf"{stage}.*give {wanted}\(engine="):
            DiscoveryFlowMaker(engine=cheap_engine.engine(), **{stage: given})
