"""Finds and known phases with the same settings: an engine whose energies are known in closed form."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

import cheap_engine
import pytest
import standin_gpaw
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

from atomate2_vogen import VogenStores
from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.base import CATEGORY, DFT
from atomate2_vogen.errors import EngineCapabilityError, InputError, MissingReferenceError
from atomate2_vogen.flows import DftFlowMaker
from atomate2_vogen.schemas import (
    CharacterisationState,
    ConsensusDoc,
    DftDoc,
    EnergyModel,
    Opinion,
    ReferenceDoc,
)

ENGINE = replace(cheap_engine.engine(scheme="dft-1"), manager_config={CATEGORY: DFT})
FIRST = EnergyModel(engine="first", scheme="model-1", functional="PBE(+U)")
SECOND = EnergyModel(engine="second", scheme="model-2", functional="r2SCAN")


def crystal(volume: float, order: str = "VOO") -> Structure:
    """Atoms on the grid of the engine, with a volume per atom in Å³."""
    edge = (3 * volume / (1.05 * 1.1)) ** (1 / 3)
    lattice = Lattice.orthorhombic(edge, 1.05 * edge, 1.1 * edge)
    return Structure(lattice, list(order), [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])


def energy(volume: float) -> float:
    """What the engine says, eV/atom."""
    strain = volume / cheap_engine.VOLUME - 1
    return cheap_engine.GROUND + cheap_engine.BULK * strain**2 / 2


def find(name: str, volumes, **changes) -> ConsensusDoc:
    """A find that models relaxed to these volumes."""
    opinions = [
        Opinion(
            model=model,
            state="ranked",
            energy_above_hull=0.02,
            energy_per_atom=-8 + 0.01 * (number + 1),
            left_basin=False,
            structure=crystal(volume),
        )
        for number, (model, volume) in enumerate(zip((FIRST, SECOND), volumes, strict=True))
    ]
    content = {
        "consensus_id": f"{name}|model-1",
        "candidate_id": name,
        "scheme": "model-1",
        "formula": "VO2",
        "chemsys": "O-V",
        "sampler": "test",
        "model_id": "none",
        "structure": crystal(volumes[0]),
        "opinions": opinions,
    }
    return ConsensusDoc(**content | changes)


def reference(name: str, volume: float, scheme: str, height: float) -> ReferenceDoc:
    return ReferenceDoc(
        reference_id=f"{name}|{scheme}",
        name=name,
        scheme=scheme,
        formula="VO2",
        structure=crystal(volume, "OVO"),
        energy_per_atom=-8 + height,
        source=f"source of {name}",
    )


REFERENCES = {
    "model-1": [reference("low", 12.6, "model-1", 0.0), reference("high", 13.0, "model-1", 0.05)],
    "model-2": [reference("low", 12.4, "model-2", 0.0), reference("high", 12.9, "model-2", 0.04)],
}


def maker(**changes) -> DftFlowMaker:
    return DftFlowMaker(**{"engine": ENGINE, "references": REFERENCES} | changes)


def run(flow, folder, stores):
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
    found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [DftDoc.model_validate(one) for one in found]


def test_differences_are_those_of_the_lowest_geometries(tmp_path):
    with VogenStores.memory() as stores:
        documents = run(maker().make([find("VO2-1", (12.8, 12.7))]), tmp_path, stores)
        low, high, one = documents
        assert [document.crystal for document in documents] == ["low", "high", "VO2-1"]
        assert [document.is_known for document in documents] == [True, True, False]
        # of two geometries the lower counts: the second model's is nearer to the minimum
        assert one.geometry == low.geometry == "model-2"
        assert one.energy_per_atom == pytest.approx(energy(12.7), abs=1e-6)
        assert [e.energy_per_atom for e in one.energies] == [
            pytest.approx(energy(volume), abs=1e-6) for volume in (12.8, 12.7)
        ]
        expected = energy(12.7) - energy(12.4)
        assert one.above_known_phase == pytest.approx(expected, abs=1e-6)
        assert one.lowest_known_phase == high.lowest_known_phase == "low"
        assert (low.above_known_phase, high.above_known_phase) == (
            0,
            pytest.approx(energy(12.9) - energy(12.4), abs=1e-6),
        )
        assert {m.engine: m.above_known_phase for m in one.by_models} == {
            "first": pytest.approx(0.01),
            "second": pytest.approx(0.02),
        }
        assert {m.engine: pytest.approx(m.above_known_phase) for m in high.by_models} == {
            "first": 0.05,
            "second": 0.04,
        }
        assert stores.ingest_jobs()["dft"] == 3
        (stored,) = stores.iterate(DftDoc, {"is_known": False})
        assert stored.above_known_phase == pytest.approx(expected, abs=1e-6)


def test_models_are_compared_at_the_phases_that_are_calculated():
    """A known phase too large for the DFT code is left out of the models' differences, too."""
    large = crystal(12.0) * (2, 2, 2)
    large[0], large[8] = "O", "V"  # no smaller cell repeats
    references = {
        scheme: [
            *REFERENCES[scheme],
            reference("large", 12.0, scheme, -0.5).model_copy(update={"structure": large}),
        ]
        for scheme in REFERENCES
    }
    flow = maker(references=references, max_atoms=6).make([find("VO2-1", (12.8, 12.7))])
    names = [job.name for job, _ in flow.iterflow() if job.name.startswith("dft ")]
    assert sorted(names) == ["dft VO2-1", "dft high", "dft low"]
    (document,) = [job for job, _ in flow.iterflow() if job.name == "dft VO2-1"]
    described = document.function_args[0]
    assert [m.above_known_phase for m in described.by_models] == pytest.approx([0.01, 0.02])


def test_all_models_are_compared_also_where_one_geometry_is_calculated(tmp_path):
    with VogenStores.memory() as stores:
        flow = maker(geometries=1).make([find("VO2-1", (12.8, 12.7))])
        for document in run(flow, tmp_path, stores):
            assert [e.geometry for e in document.energies] == ["model-1"]
            assert [m.engine for m in document.by_models] == ["first", "second"]


def test_known_phases_of_a_formula_are_calculated_once():
    flow = maker().make([find("VO2-1", (12.8, 12.7)), find("VO2-2", (13.0, 13.0))])
    names = [job.name for job, _ in flow.iterflow() if job.name.startswith("dft ")]
    assert sorted(names) == ["dft VO2-1", "dft VO2-2", "dft high", "dft low"]


def test_magnetic_starts_are_all_recorded_and_the_lowest_counts(tmp_path):
    """GPAW's stand-in: 0.1 eV for each μB of the net moment, so AFM is lowest."""
    command = shlex.join([sys.executable, standin_gpaw.__file__, "--exchange", "0.1"])
    engine = load_engine("gpaw", command=command)
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    found = find("VO2-1", (12.0, 12.0))
    found.opinions = [found.opinions[0].model_copy(update={"structure": rutile})]
    phase = REFERENCES["model-1"][0].model_copy(update={"structure": rutile})
    flow = maker(engine=engine, references={"model-1": [phase]}).make([found])
    with VogenStores.memory() as stores:
        known, one = run(flow, tmp_path, stores)
        assert one.energies[0].error is None
        assert one.energies[0].magnetic_start == "AFM"
        assert [start.name for start in one.energies[0].magnetic_starts] == ["FM", "AFM"]
        assert one.above_known_phase == pytest.approx(0)
        assert known.scheme == engine.scheme
        assert set(one.energies[0].jobs) == {"static"}


def test_what_cannot_be_calculated_is_recorded(tmp_path):
    """The engine raises on V2O3."""
    broken = find("V2O3-1", (12.0, 12.0), formula="V2O3")
    for opinion in broken.opinions:
        opinion.structure = cheap_engine.crystal("V2O3")
    phases = [
        one.model_copy(update={"formula": "V2O3", "structure": cheap_engine.crystal("V2O3")})
        for one in REFERENCES["model-1"]
    ]
    references = {scheme: [*REFERENCES[scheme], *phases] for scheme in REFERENCES}
    flow = maker(references=references).make([broken, find("VO2-1", (12.8, 12.7))])
    with VogenStores.memory() as stores:
        documents = {one.crystal: one for one in run(flow, tmp_path, stores)}
    assert documents["V2O3-1"].state is CharacterisationState.FAILED
    assert "cursed" in documents["V2O3-1"].energies[0].error
    assert documents["V2O3-1"].above_known_phase is None
    assert documents["VO2-1"].above_known_phase is not None


def test_what_does_not_fit_is_refused():
    with pytest.raises(EngineCapabilityError, match="no DFT code"):
        maker(engine=cheap_engine.engine()).make([find("VO2-1", (12.8, 12.7))])
    with pytest.raises(InputError, match="geometries is 0"):
        maker(geometries=0)
    with pytest.raises(InputError, match="magnetic starts"):
        maker(magnetic_starts=("up",))
    one = find("VO2-1", (12.8, 12.7))
    with pytest.raises(InputError, match="no finds"):
        maker().make([])
    with pytest.raises(InputError, match="given twice"):
        maker().make([one, one])
    with pytest.raises(InputError, match="more than max_atoms=2"):
        maker(max_atoms=2).make([one])
    with pytest.raises(InputError, match="is of O-Ti"):
        maker().make([one.model_copy(update={"chemsys": "O-Ti"})])
    with pytest.raises(InputError, match="no relaxed structure"):
        maker().make([one.model_copy(update={"opinions": []})])
    with pytest.raises(MissingReferenceError, match="no known phase of VO2"):
        maker(references={scheme: [] for scheme in REFERENCES}).make([one])
