"""Jobs whose output is one document say which: jobflow checks it, and references to its fields."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from pathlib import Path
from typing import get_type_hints

import cheap_engine
import pytest
import toy_engines
from jobflow import Flow, Job, run_locally
from monty.json import MontyDecoder, MontyEncoder
from pydantic import BaseModel
from sampler_job import GridSampleMaker

from atomate2_vogen import jobs
from atomate2_vogen.engines.references import ReferencePhase
from atomate2_vogen.flows import (
    DiscoveryFlowMaker,
    ElectronicFlowMaker,
    PhononFlowMaker,
    ReferencesFlowMaker,
    ScreeningFlowMaker,
)
from atomate2_vogen.jobs.screening import record
from atomate2_vogen.schemas import (
    CalculationDoc,
    DiscoveryDoc,
    ElectronicDoc,
    PhononDoc,
    ReferenceDoc,
)
from atomate2_vogen.stores import VogenStores

MODULES = sorted(Path(jobs.__file__).parent.glob("*.py"))


def decorated(tree):
    """Functions and methods that are jobs, with the keywords of the decorator."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                name = call.func if call else decorator
                if isinstance(name, ast.Name) and name.id == "job":
                    yield node, {k.arg: ast.unparse(k.value) for k in call.keywords} if call else {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_jobs_that_give_one_document_declare_it(path):
    module = importlib.import_module(f"atomate2_vogen.jobs.{path.stem}")
    for node, keywords in decorated(ast.parse(path.read_text(encoding="utf-8"))):
        returned = ast.unparse(node.returns)
        kind = getattr(module, returned, None)
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            assert keywords.get("output_schema") == returned, f"{path.stem}.{node.name}"


def test_the_search_finds_jobs():
    text = (
        "@job\ndef f() -> A: ...\n@job(data=True, output_schema=B)\ndef g() -> B: ...\ndef h(): ..."
    )
    found = {node.name: keywords for node, keywords in decorated(ast.parse(text))}
    assert found == {"f": {}, "g": {"data": "True", "output_schema": "B"}}
    assert get_type_hints(record.original)["return"] is CalculationDoc


def schemas(flow, tmp_path, monkeypatch):
    """Output schema of every job that ran, by its name; outputs by name."""
    declared, outputs = {}, {}
    genuine = Job.run

    def spied(self, *arguments, **options):
        declared.setdefault(self.name.split(" ")[0], set()).add(self.output_schema)
        return genuine(self, *arguments, **options)

    monkeypatch.setattr(Job, "run", spied)
    flow = MontyDecoder().decode(json.dumps(flow, cls=MontyEncoder))
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        for found in stores.job_store.query({}, properties=["name", "uuid"]):
            output = stores.job_store.get_output(found["uuid"], load=True)
            outputs.setdefault(found["name"].split(" ")[0], []).append(output)
    return declared, outputs


def test_calculations_with_good_bad_and_cursed_crystals(tmp_path, monkeypatch):
    """A failure in front of it leaves the record what it is: a document with the reason."""
    candidates = [cheap_engine.candidate(formula) for formula in ("VO2", "V2O3", "V2O5")]
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make(candidates)
    declared, outputs = schemas(flow, tmp_path, monkeypatch)
    assert declared["record"] == {CalculationDoc}
    states = [CalculationDoc.model_validate(found).state.value for found in outputs["record"]]
    assert sorted(states) == ["completed", "failed", "failed"]
    # what may be a failure instead of a task document declares none
    assert declared["relax"] == declared["static"] == {None}


def test_a_discovery_with_all_its_stages(tmp_path, monkeypatch):
    maker = DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
        electronic=ElectronicFlowMaker(engine=toy_engines.toy_dft()),
        phonons=PhononFlowMaker(engine=toy_engines.lj(relax=False), supercell=(1, 1, 1)),
        threshold=99.0,
    )
    declared, outputs = schemas(maker.make({"VO2": 1}), tmp_path, monkeypatch)
    assert declared["summarise"] == declared["add_stages"] == {DiscoveryDoc}
    # jobflow gives the schema of a job to the one that hands on the reference of its replacement
    assert declared["characterise_best"] == {None}
    assert declared["electronic"] == {ElectronicDoc}
    assert declared["phonons"] >= {PhononDoc}
    found = [DiscoveryDoc.model_validate(output) for output in outputs["characterise_best"]]
    assert [len(found[-1].electronic), len(found[-1].phonons)] == [1, 1]


def test_references(tmp_path, monkeypatch):
    phases = [ReferencePhase(f, cheap_engine.crystal(f), 0.0) for f in ("V", "O2", "VO")]
    flow = ReferencesFlowMaker(engine=cheap_engine.engine()).make(phases)
    declared, _ = schemas(flow, tmp_path, monkeypatch)
    assert declared["make_reference"] == {ReferenceDoc}


def test_a_reference_to_no_field_of_a_document_is_refused_when_a_flow_is_made():
    flow: Flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()])
    (document,) = [made for made, _ in flow.iterflow() if made.name.startswith("record")]
    assert document.output.energy_per_atom is not None
    with pytest.raises(AttributeError, match="colour"):
        document.output.colour  # noqa: B018
