from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import cheap_engine
import numpy as np
import pytest
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from atomate2_vogen import engines
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.known_models import KNOWN_MODELS
from atomate2_vogen.errors import InputError, MissingReferenceError

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


@pytest.fixture(scope="module")
def engine():
    return engines.chgnet()


def test_importing_engines_is_light():
    code = (
        "import sys, atomate2_vogen.engines\n"
        "print(sorted({'torch', 'atomate2', 'chgnet', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_scheme_is_that_of_the_weights_at_work(engine):
    calculator = engine.static_maker.calculator
    assert engine.scheme == f"CHGNet-{calculator.version}"
    assert engine.engine_versions["chgnet-model"] == calculator.version


def test_one_gradient_gives_the_numbers_of_two(engine):
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet

    ours = engine.static_maker.calculator
    plain = CHGNetCalculator(CHGNet.load(verbose=False, use_device="cpu"), use_device="cpu")
    assert type(ours.model) is not type(plain.model)
    for seed in range(3):
        crystal = RUTILE.copy()
        crystal.perturb(0.2, min_distance=None, seed=seed)
        found = []
        for calculator in (ours, plain):
            atoms = AseAtomsAdaptor.get_atoms(crystal)
            calculator.calculate(atoms)
            found.append(dict(calculator.results))
        mine, theirs = found
        assert mine["energy"] == theirs["energy"]
        assert np.abs(theirs["forces"]).max() > 1
        assert mine["forces"] == pytest.approx(theirs["forces"], abs=1e-4)
        assert mine["stress"] == pytest.approx(theirs["stress"], abs=1e-5)
        assert np.abs(theirs["stress"]).max() > 0.01
        assert mine["magmoms"] == pytest.approx(theirs["magmoms"], abs=1e-6)


def test_another_model_version_is_another_scheme(monkeypatch):
    first, *rest = KNOWN_MODELS["CHGNet"]
    changed = (replace(first, weights=lambda: "9.9.9"), *rest)
    monkeypatch.setitem(KNOWN_MODELS, "CHGNet", changed)
    other = engines.chgnet()
    assert other.scheme == "CHGNet-9.9.9"
    with pytest.raises(MissingReferenceError, match=r"9\.9\.9"):
        engines.load_references(other)


def test_survives_serialisation(engine):
    restored = MontyDecoder().decode(json.dumps(engine, cls=MontyEncoder))
    assert isinstance(restored, Engine)
    assert restored.scheme == engine.scheme
    assert restored.relax_maker.relax_kwargs == engine.relax_maker.relax_kwargs
    assert restored.relax_maker.relax_kwargs["fmax"] == 0.05
    assert restored.phonon_maker.born_maker is None
    assert restored.phonon_maker.bulk_relax_maker.relax_kwargs["fmax"] == 0.01


def test_any_maker_can_be_replaced(engine):
    cheap = cheap_engine.engine()
    mixed = replace(engine, relax_maker=cheap.relax_maker, scheme="mixed")
    assert mixed.relax_maker is cheap.relax_maker
    assert mixed.static_maker is engine.static_maker


@pytest.mark.parametrize(
    "changes", [{"scheme": ""}, {"name": ""}, {"relax_maker": None}, {"phonon_maker": "phonopy"}]
)
def test_engines_without_sense_are_refused(changes):
    with pytest.raises(InputError):
        replace(cheap_engine.engine(), **changes)


def test_rutile_relaxes_quietly_to_the_shipped_energy(engine, capfd):
    result = engine.relax_maker.run_ase(RUTILE)
    assert result.converged
    assert result.is_force_converged
    energy = result.trajectory.frame_properties[-1]["energy"] / len(RUTILE)
    shipped = {r.name: r.energy_per_atom for r in engines.load_references(engine)}
    assert energy == pytest.approx(shipped["VO2 P4_2/mnm"], abs=0.002)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_isolated_atoms_raise_instead_of_giving_a_number(engine):
    lonely = Structure(Lattice.cubic(20), ["V"], [[0, 0, 0]])
    with pytest.raises(ValueError, match="isolated"):
        engine.static_maker.run_ase(lonely)


def test_true_forces_meet_the_criterion_in_cells_that_change_much():
    """ASE's filter alone stops early: here the cell shrinks by half."""
    maker = replace(cheap_engine.engine().relax_maker, optimizer_kwargs={"optimizer": "FIRE"})
    start = cheap_engine.crystal("VO2", a=4.2)
    start.translate_sites([0], [0.08, 0.05, 0.03])
    start.translate_sites([2], [-0.06, 0.05, -0.07])
    early = ForceFieldRelaxMaker.run_ase(maker, start.copy())
    assert early.converged
    assert not early.is_force_converged
    relaxed = maker.run_ase(start.copy())
    assert relaxed.converged
    frames = relaxed.trajectory.frame_properties
    assert np.linalg.norm(frames[-1]["forces"], axis=1).max() < 0.05
    assert len(early.trajectory) < len(relaxed.trajectory) == len(frames) <= maker.steps + 1
    assert frames[0]["energy"] == early.trajectory.frame_properties[0]["energy"]
    atoms = AseAtomsAdaptor.get_atoms(relaxed.final_mol_or_struct)
    atoms.calc = cheap_engine.tempered()
    assert atoms.get_potential_energy() == pytest.approx(frames[-1]["energy"])


@pytest.mark.parametrize(("asked_for", "threads"), [(None, 1), ("2", 2)])
def test_one_torch_thread_unless_told_otherwise(monkeypatch, asked_for, threads):
    import torch

    from atomate2_vogen.engines import forcefields

    monkeypatch.setattr(forcefields, "_calculators", {})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked_for:
        monkeypatch.setenv("OMP_NUM_THREADS", asked_for)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        forcefields.shared_calculator("cheap_engine.tempered", {})
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_documents_tell_cpu_seconds_of_the_calculation_alone(tmp_path, monkeypatch):
    """Waiting is no work; what a busy machine does meanwhile is not counted."""
    from jobflow import run_locally

    from atomate2_vogen.engines import forcefields
    from atomate2_vogen.stores import VogenStores

    class Waiting(cheap_engine.Tempered):
        def calculate(self, *args, **kwargs):
            time.sleep(0.2)
            begin = time.process_time()
            while time.process_time() - begin < 0.1:
                pass
            super().calculate(*args, **kwargs)

    monkeypatch.setattr(forcefields, "shared_calculator", lambda *_: Waiting())
    job = cheap_engine.engine().static_maker.make(cheap_engine.crystal())
    with VogenStores.memory() as stores:
        run_locally(job, store=stores.job_store, root_dir=tmp_path, log=False)
        document = stores.job_store.get_output(job.uuid)
    assert document["cpu_time"] == pytest.approx(0.1, abs=0.08)
    assert document["output"]["elapsed_time"] > 0.29
