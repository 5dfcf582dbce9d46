"""Magnetic order on its way through the stages of VASP and of GPAW, with their stand-ins."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import standin_gpaw
import vasp_stand_in
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import SETTINGS, Lattice, Species, Structure
from pymatgen.io.vasp import Incar, Poscar

from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.errors import MagneticMomentError
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, ElectronicDoc, PhononDoc
from atomate2_vogen.stores import VogenStores

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)

toy = pytest.mark.skipif(bool(vasp_stand_in.REAL), reason="the files of the stand-in are read")

AFM = [1.5, -1.5, 0.0, 0.0, 0.0, 0.0]


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


@pytest.fixture
def potcars(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        folder = vasp_stand_in.write_potcars(tmp_path / "potcars")
        patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
        yield


def candidate(structure):
    return CandidateDoc.make(
        structure, sampler="test", model_id="toy", formula="VO2", seed=0, index=0
    )


def run(flow, kind, stores, folder):
    run_locally(flow, store=stores.job_store, root_dir=folder, create_folders=True, log=False)
    found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [kind.model_validate(document) for document in found]


def started(folder):
    """Moments of the metal atoms in each INCAR below a folder, by time of writing."""
    inputs = sorted(folder.rglob("INCAR*"), key=lambda path: path.stat().st_mtime_ns)
    found = []
    for path in inputs:
        if ".orig" in path.name:
            continue
        poscar = next(path.parent.glob("POSCAR*"))
        structure = Poscar.from_file(poscar).structure
        moments = Incar.from_file(path)["MAGMOM"]
        pairs = zip(structure, moments, strict=True)
        found.append([moment for site, moment in pairs if site.specie.symbol == "V"])
    return found


@toy
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "k_path"), [("vasp", "latimer_munro"), ("vasp-mp", "setyawan_curtarolo")]
)
def test_signs_reach_every_stage_of_vasp(kind, k_path, potcars, stores, tmp_path):
    engine = vasp_stand_in.engine(kind, k_path=k_path)
    if kind == "vasp":
        engine = vasp_stand_in.coarse(engine)
    given = vasp_stand_in.rutile(0.01).copy(site_properties={"magmom": AFM})
    (calculation,) = run(
        ScreeningFlowMaker(engine=engine).make([candidate(given)]),
        CalculationDoc,
        stores,
        tmp_path / "screening",
    )
    assert calculation.error is None
    screening = started(tmp_path / "screening")
    assert len(screening) == 3  # as generated, relaxed, static
    for moments in screening:
        assert np.sign(moments).tolist() in ([1, -1], [-1, 1])
    (document,) = run(
        ElectronicFlowMaker(engine=engine, magnetic_starts=("given",)).make([calculation]),
        ElectronicDoc,
        stores,
        tmp_path / "bands",
    )
    assert document.error is None
    bands = started(tmp_path / "bands")
    assert len(bands) == 3  # static, uniform and line
    for moments in bands:
        assert sorted(np.sign(moments)) == [-1, 1]
    if kind == "vasp":  # with U a cycle starts from high spin again
        assert sorted(bands[0]) == [-5, 5]
    for found in (calculation.magnetism, document.magnetism):
        assert found.initial_order == found.order == "AFM"
        assert found.total_moment == 0
        assert sorted(found.moments) == [-1, 0, 0, 0, 0, 1]


@toy
@pytest.mark.slow
def test_displaced_supercells_of_vasp_start_from_the_pattern(potcars, stores, tmp_path):
    """atomate2 displaces the atoms of a crystal without moments."""
    engine = vasp_stand_in.engine("vasp")
    given = vasp_stand_in.rutile(0.01).copy(site_properties={"magmom": AFM})
    flow = PhononFlowMaker(engine=engine, supercell=(2, 1, 1), max_atoms=20).make([given])
    (document,) = run(flow, PhononDoc, stores, tmp_path)
    assert document.error is None
    relaxed, *displaced = started(tmp_path)
    assert sorted(np.sign(relaxed)) == [-1, 1]
    assert len(displaced) >= 3
    for moments in displaced:
        assert sorted(moments) == [-1, -1, 1, 1]  # those that the relaxation ended with
    assert sorted(document.structure.site_properties["magmom"]) == [-1, 0, 0, 0, 0, 1]


@toy
@pytest.mark.slow
def test_vasp_keeps_the_lower_of_two_starts(potcars, stores, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_VASP_EXCHANGE", "0.06")  # eV per μB: parallel is 0.02 eV/atom higher
    engine = vasp_stand_in.coarse(vasp_stand_in.engine("vasp"))
    flow = ElectronicFlowMaker(engine=engine).make([vasp_stand_in.rutile(0.01)])
    (document,) = run(flow, ElectronicDoc, stores, tmp_path)
    assert document.error is None
    energies = {start.name: start.energy_per_atom for start in document.magnetic_starts}
    assert energies["FM"] - energies["AFM"] == pytest.approx(0.02, abs=1e-5)
    assert document.magnetic_start == "AFM"
    assert document.magnetism.order == document.magnetism.initial_order == "AFM"
    assert document.energy_per_atom == energies["AFM"]
    assert sorted(document.magnetism.initial_moments) == [-5, 0, 0, 0, 0, 5]
    assert document.electrons.total_moment == 0
    # two static calculations, and both kinds of bands from the antiparallel one
    inputs = started(tmp_path)
    assert len(inputs) == 4
    for moments in inputs[-2:]:
        assert sorted(moments) == [-1, 1]


def gpaw_engine(exchange=0.0):
    words = [sys.executable, standin_gpaw.__file__, "--temper", "", "--exchange", str(exchange)]
    small = GpawSettings(line_density=4, uniform_kspacing=1.0, dos_step=0.1)
    return load_engine("gpaw", settings=small, command=shlex.join(words))


def requests(folder):
    """What the driver of GPAW was asked, by time."""
    files = sorted(folder.rglob("request.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) for path in files]


def test_signs_reach_every_stage_of_gpaw(stores, tmp_path):
    engine = gpaw_engine()
    # oxygen first, and a metal atom at each end: moments must follow their atoms
    plain = RUTILE.copy(site_properties={"magmom": AFM})
    given = Structure.from_sites([plain[i] for i in (1, 2, 3, 4, 5, 0)])
    given.make_supercell([[1, 0, 0], [2, 1, 0], [0, 1, 1]])
    (calculation,) = run(
        ScreeningFlowMaker(engine=engine).make([candidate(given)]),
        CalculationDoc,
        stores,
        tmp_path / "screening",
    )
    assert calculation.error is None
    screened = requests(tmp_path / "screening")
    assert [request["task"] for request in screened] in (
        ["static", "relax", "static"],
        ["relax", "static", "static"],
    )
    for request in screened:
        assert request["structure"]["magmoms"] == [-5, 0, 0, 0, 0, 5]
    state = calculation.magnetism
    assert state.initial_moments == [-5, 0, 0, 0, 0, 5]
    assert state.moments == [-2.5, 0, 0, 0, 0, 2.5]
    assert state.initial_order == state.order == "AFM"
    assert state.total_moment == 0
    (document,) = run(
        ElectronicFlowMaker(engine=engine, magnetic_starts=("given",)).make([calculation]),
        ElectronicDoc,
        stores,
        tmp_path / "bands",
    )
    assert document.error is None
    static, *bands = requests(tmp_path / "bands")
    assert static["structure"]["magmoms"] == [-5, 0, 0, 0, 0, 5]
    assert len(bands) == 2
    assert document.magnetism.order == "AFM"
    assert document.magnetism.initial_moments == [-5, 0, 0, 0, 0, 5]
    assert document.magnetic_starts == []


@pytest.mark.parametrize(("exchange", "lowest"), [(0.1, "AFM"), (-0.1, "FM")])
def test_gpaw_keeps_the_lower_of_two_starts(exchange, lowest, stores, tmp_path):
    flow = ElectronicFlowMaker(engine=gpaw_engine(exchange)).make([RUTILE])
    (document,) = run(flow, ElectronicDoc, stores, tmp_path)
    assert document.error is None
    assert document.magnetic_start == lowest == document.magnetism.order
    assert {start.name for start in document.magnetic_starts} == {"FM", "AFM"}
    assert document.energy_per_atom == min(s.energy_per_atom for s in document.magnetic_starts)
    tasks = requests(tmp_path)
    assert sorted(request["task"] for request in tasks) == ["line", "static", "static", "uniform"]
    # bands are those of the density of the lower one
    chosen = next(
        path.parent
        for path in tmp_path.rglob("request.json")
        if (content := json.loads(path.read_text()))["task"] == "static"
        and (min(content["structure"]["magmoms"]) < 0) == (lowest == "AFM")
    )
    for request in tasks:
        if request["task"] != "static":
            assert Path(request["density"]).parent == chosen
    assert stores.ingest_jobs()["electronic"] == 1


def test_a_cell_with_one_metal_atom_says_what_was_not_tried(stores, tmp_path):
    single = vasp_stand_in.triclinic()
    flow = ElectronicFlowMaker(engine=gpaw_engine()).make([single])
    (document,) = run(flow, ElectronicDoc, stores, tmp_path)
    assert document.error is None
    assert document.magnetic_starts == []
    assert document.magnetism.order == "FM"
    assert "one V atom" in document.magnetic_note


def test_spins_of_species_are_moments_too(stores, tmp_path):
    spins = RUTILE.copy()
    spins.replace(0, Species("V", spin=5))
    spins.replace(1, Species("V", spin=-5))
    maker = ElectronicFlowMaker(engine=gpaw_engine(), magnetic_starts=("given",))
    (document,) = run(maker.make([spins]), ElectronicDoc, stores, tmp_path)
    assert document.error is None
    assert document.magnetism.initial_moments == [5, -5, 0, 0, 0, 0]
    assert document.structure.species == RUTILE.species


def test_moments_without_sense_are_refused_at_once(stores):
    broken = RUTILE.copy(site_properties={"magmom": [1.0, float("nan"), 0, 0, 0, 0]})
    for maker in (ScreeningFlowMaker, ElectronicFlowMaker):
        with pytest.raises(MagneticMomentError, match="site 1 of VO2"):
            maker(engine=gpaw_engine()).make([broken])


def test_starts_travel_through_json():
    maker = ElectronicFlowMaker(engine=gpaw_engine(), magnetic_starts=("AFM",))
    restored = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
    names = [job.name for job, _ in restored.make([RUTILE]).iterflow()]
    assert names[0] == "GPAW static"
    names = [
        job.name
        for job, _ in replace(restored, magnetic_starts=("FM", "AFM")).make([RUTILE]).iterflow()
    ]
    assert names[:3] == ["GPAW static FM", "GPAW static AFM", "choose_start"]
