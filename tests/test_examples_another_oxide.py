"""The example of another oxide runs as it is: with shipped references, and with its own."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bare_model import bare_model
from tiny_model import eager
from train_tiny import SHORT

from atomate2_vogen import samplers
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.systems import oxide_system
from atomate2_vogen.engines import has_references
from atomate2_vogen.jobs import dataset, sampling
from atomate2_vogen.models.networks import presets
from atomate2_vogen.models.training import pipeline as training
from atomate2_vogen.models.training.pipeline import TrainingResult
from atomate2_vogen.stores import VogenStores

SCRIPT = Path(__file__).parents[1] / "examples" / "another_oxide.py"
ROW = re.compile(
    r"(?P<id>\S+)  (?P<formula>\S+) +(?P<formation>-?[\d.]+) eV/atom +(?P<above>-?[\d.]+) above hull"
)


def slice_of(system):
    """Small crystals of a system, with made-up energies where none are shipped."""
    every = load_dataset(system)
    small = every.select(every.n_atoms <= 6)
    small = small.select(np.sort(np.random.default_rng(0).permutation(len(small))[:300]))
    unknown = ~np.isfinite(small.energies)
    small.energies[unknown] = np.random.default_rng(1).normal(-6, 0.5, unknown.sum())
    return small


@pytest.mark.slow
@pytest.mark.parametrize(("metal", "shipped"), [("Ti", True), ("Zn", False)])
def test_another_oxide(monkeypatch, capsys, tmp_path: Path, metal, shipped):
    """Here with the smallest networks, for zinc untrained ones; as these make no crystals,
    those that go on are substituted ones."""
    code = [line for line in SCRIPT.read_text().splitlines() if line.strip()]
    assert 20 <= len(code) <= 60
    system = oxide_system(metal)
    assert has_references("CHGNet-0.3.0", system) is shipped
    crystals = slice_of(system)
    labelling = SimpleNamespace(failures={}, n_reused=len(crystals))
    given = []

    def build(of, *_, **__):
        assert of == system
        return crystals, labelling

    def sampler(name, *, system, model, **_):
        given.append((name, model.system))
        small = dataclasses.replace(system, max_atoms=10)
        return samplers.load_sampler("substitution", system=small)

    def train(crystals, *_, **__):
        model = bare_model(SHORT, system=crystals.system)
        model.provenance["dataset_id"] = crystals.dataset_id
        return TrainingResult(model, {}, {}, {}, 0.0)

    if not shipped:
        monkeypatch.setattr(training, "train_wgan", train)
    monkeypatch.setattr(dataset, "build_dataset", build)
    monkeypatch.setattr(sampling, "load_sampler", sampler)
    monkeypatch.setitem(presets.PRESETS, "short", SHORT)
    monkeypatch.chdir(tmp_path)
    with eager():
        runpy.run_path(str(SCRIPT))["main"](metal, str(tmp_path / "store"), "short", "1")
    assert given == [("wgan", system)] * len(system.target_formulas)  # each in its own job

    lines = capsys.readouterr().out.splitlines()
    rows = [match.groupdict() for match in map(ROW.match, lines) if match]
    assert rows
    assert {row["formula"] for row in rows} <= set(system.target_formulas)
    heights = [float(row["above"]) for row in rows]
    assert heights == sorted(heights)
    with VogenStores.open(tmp_path / "store") as stores:
        found = list(stores.job_store.query({"output.@class": "ReferenceDoc"}))
        energies = {
            output["formula"]: output["energy_per_atom"]
            for output in (job["output"] for job in found)
            if not isinstance(output, list)
        }
    assert bool(energies) is not shipped
    if not shipped:  # its own hull: nothing that it lies on comes from the package
        assert {metal, "O2", *system.target_formulas} <= set(energies)
