from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import standin_gpaw
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine
from pymatgen.electronic_structure.core import Orbital, OrbitalType, Spin
from pymatgen.electronic_structure.dos import CompleteDos

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines import Engine, gpaw
from atomate2_vogen.engines.gpaw_makers import (
    GpawBandStructureMaker,
    GpawNonSCFMaker,
    GpawRelaxMaker,
    GpawStaticMaker,
    prepared,
)
from atomate2_vogen.engines.gpaw_schema import GpawTaskDoc
from atomate2_vogen.engines.gpaw_settings import GpawSettings, mesh
from atomate2_vogen.errors import (
    ElementError,
    EngineOutputError,
    InputError,
    MissingDependencyError,
    OverlapError,
)
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import GuardedMaker
from atomate2_vogen.jobs.screening import candidate_flow
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
METAL = Structure(Lattice.cubic(3.0), "VV", [[0, 0, 0], [0.5, 0.5, 0.5]]).get_primitive_structure()
SMALL = GpawSettings(line_density=4, uniform_kspacing=1.0, dos_step=0.1)


def standin(temper=""):
    """Command of the stand-in."""
    return shlex.join([sys.executable, standin_gpaw.__file__, "--temper", temper])


def run(maker, *arguments, **keywords):
    """What a Maker's job does, without the job."""
    return maker.make.original(maker, *arguments, **keywords)


def static(**keywords):
    return GpawStaticMaker(settings=SMALL, command=standin(), **keywords)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store():
    return JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})


# --- settings


def test_mesh_is_that_of_vasps_kspacing():
    # N_i = max(1, ceil(|b_i| / KSPACING)); |b| = 2 pi / a for right angles
    assert (
        mesh(RUTILE, 0.5)
        == (3, 3, 5)
        == tuple(int(np.ceil(2 * np.pi / a / 0.5)) for a in (4.55, 4.55, 2.85))
    )
    # exactly whole numbers do not jump
    cube = Structure(Lattice.cubic(2 * np.pi), ["V"], [[0, 0, 0]])
    assert mesh(cube, 0.5) == (2, 2, 2)
    assert mesh(cube, 5.0) == (1, 1, 1)


def test_the_metal_alone_gets_a_denser_mesh():
    assert GpawSettings().scf_mesh(METAL) == (9, 9, 9)
    assert GpawSettings().scf_mesh(RUTILE) == (3, 3, 5)
    oxygen = Structure(Lattice.cubic(13), "OO", [[0, 0, 0], [0.1, 0, 0]])
    assert GpawSettings().scf_mesh(oxygen) == (1, 1, 1)


@pytest.mark.parametrize(
    ("settings", "setup", "word"),
    [
        (GpawSettings(), {"V": ":d,3.25"}, "V=3.25,normalised"),
        (GpawSettings(normalised_u=False), {"V": ":d,3.25,0"}, "V=3.25,unnormalised"),
        (GpawSettings(use_hubbard_u=False), {}, "GPAW-PBE-"),
    ],
)
def test_form_of_u_is_in_setups_and_scheme(settings, setup, word):
    assert settings.setups() == setup
    assert word in settings.scheme()
    assert settings.parameters(RUTILE)["setups"] == setup


def test_oxygen_alone_has_no_u():
    oxygen = Structure(Lattice.cubic(8), "OO", [[0, 0, 0], [0.15, 0, 0]])
    assert GpawSettings().parameters(oxygen)["setups"] == {}


def test_what_moves_an_energy_moves_the_scheme():
    changed = {
        "xc": "PBEsol",
        "cutoff": 600.0,
        "smearing": 0.1,
        "kspacing": 0.4,
        "metal_kspacing": 0.4,
        "normalised_u": False,
        "use_hubbard_u": False,
    }
    names = {GpawSettings(**{name: value}).scheme() for name, value in changed.items()}
    assert len(names | {GpawSettings().scheme()}) == len(changed) + 1
    for name, value in {"line_density": 5, "k_path": "hinuma", "dos_step": 0.1}.items():
        assert GpawSettings(**{name: value}).scheme() == GpawSettings().scheme()


@pytest.mark.parametrize(
    "wrong", [{"cutoff": 0}, {"smearing": float("nan")}, {"kspacing": -1}, {"k_path": "spaghetti"}]
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong)) if "k_path" not in wrong else "k-path"):
        GpawSettings(**wrong)


# --- what is sent


def test_skewed_cells_are_reduced_and_stay_the_same_crystal():
    skew = Structure(
        Lattice([[1, 0, 0], [3, 1, 0], [-2, 4, 1]] @ RUTILE.lattice.matrix),
        RUTILE.species,
        RUTILE.cart_coords,
        coords_are_cartesian=True,
        to_unit_cell=True,
    )
    ready = prepared(skew, VANADIUM)
    assert sorted(ready.lattice.abc) == pytest.approx([2.85, 4.55, 4.55])
    assert ready.volume == pytest.approx(RUTILE.volume)
    assert [site.specie for site in ready] == [site.specie for site in RUTILE]
    for one, other in ((0, 1), (0, 2), (3, 4)):
        assert ready.get_distance(one, other) == pytest.approx(RUTILE.get_distance(one, other))


def test_structures_that_no_energy_can_be_trusted_for_are_refused(folder):
    close = RUTILE.copy()
    close.translate_sites([2], [-0.28, -0.28, 0])
    with pytest.raises(OverlapError):
        run(static(), close)
    foreign = RUTILE.copy()
    foreign.replace(0, "Ti")
    with pytest.raises(ElementError, match="Ti"):
        run(static(), foreign)
    assert list(folder.iterdir()) == []


def test_request_has_the_papers_parameters(folder):
    document = run(static(), RUTILE)
    request = json.loads((Path(document.dir_name) / "request.json").read_text())
    assert request["parameters"] == {
        "cutoff": 500.0,
        "xc": "PBE",
        "smearing": 0.05,
        "mesh": list(mesh(document.structure, 0.5)),
        "setups": {"V": ":d,3.25"},
        "max_iterations": 200,
        "convergence": {"energy": 1e-5, "density": 1e-4, "eigenstates": 1e-5},
    }
    assert request["structure"]["magmoms"] == [5.0, 5.0, 0.6, 0.6, 0.6, 0.6]


# --- what comes back


def test_static_document_answers_as_other_engines_do(folder):
    document = run(static(), RUTILE)
    assert results.energy_per_atom(document) == standin_gpaw.ENERGY
    assert results.max_force(document) == 0
    assert results.is_converged(document)
    assert results.cpu_time(document) == 0.5
    assert results.elapsed_time(document) > 0
    assert document.output.total_moment == pytest.approx((2 * 5.0 + 4 * 0.6) / 2)
    assert document.structure.site_properties["magmom"] == document.output.site_moments
    # 0.001 eV/Å³ = 1.602 kbar; VASP's stress has the opposite sign
    assert document.output.stress[0][0] == pytest.approx(-1.602, abs=1e-3)
    assert document.engine_versions["gpaw"] == "0.standin"
    assert document.formula_pretty == "VO2"
    assert "normalised" in document.input.scheme


def test_two_jobs_in_one_folder_do_not_meet(folder):
    first, second = run(static(), RUTILE), run(static(), METAL)
    assert first.dir_name != second.dir_name
    assert {Path(done.dir_name).parent for done in (first, second)} == {folder}


def test_relaxation_document(folder):
    maker = GpawRelaxMaker(command=standin())
    document = run(maker, RUTILE)
    assert document.structure.volume == pytest.approx(1.1**3 * RUTILE.volume)
    assert results.n_steps(document) == 3
    assert results.is_converged(document)
    unfinished = run(GpawRelaxMaker(command=standin(), steps=1), RUTILE)
    assert not results.is_converged(unfinished)


@pytest.mark.parametrize("temper", ["task", "field", "crystal", "atoms", "shape"])
def test_wrong_answers_are_refused(temper, folder):
    with pytest.raises(EngineOutputError):
        run(GpawStaticMaker(command=standin(temper)), RUTILE)


def bands(folder, mode, **settings):
    ground = run(static(), RUTILE)
    maker = GpawNonSCFMaker(settings=SMALL, command=standin())
    return ground, run(maker, ground.structure, ground.dir_name, mode)


def test_line_bands(folder):
    ground, document = bands(folder, "line")
    found = document.gpaw_objects["bandstructure"]
    assert isinstance(found, BandStructureSymmLine)
    assert found.efermi == standin_gpaw.EFERMI
    points = np.array([kpoint.frac_coords for kpoint in found.kpoints])
    expected = standin_gpaw.bands(points)
    for spin, energies in ((Spin.up, expected[0]), (Spin.down, expected[1])):
        assert found.bands[spin] == pytest.approx(energies.T)
    lengths = [branch["end_index"] - branch["start_index"] + 1 for branch in found.branches]
    assert sum(lengths) == len(points)
    assert min(lengths) >= 3
    assert all(
        found.kpoints[branch["start_index"]].label and found.kpoints[branch["end_index"]].label
        for branch in found.branches
    )
    assert found.lattice_rec.matrix == pytest.approx(
        ground.structure.lattice.reciprocal_lattice.matrix
    )


def test_uniform_bands_and_densities(folder):
    _, document = bands(folder, "uniform")
    found, dos = (document.gpaw_objects[name] for name in ("bandstructure", "dos"))
    assert type(found) is BandStructure
    assert len(found.kpoints) == len(document.output.kpoint_weights)
    assert document.output.efermi_mesh == standin_gpaw.EFERMI + 0.01
    assert isinstance(dos, CompleteDos)
    assert dos.efermi == standin_gpaw.EFERMI
    assert (dos.densities[Spin.up] == 2).all()
    assert (dos.densities[Spin.down] == 1).all()
    site = dos.structure[0]
    # orbitals in the order xy yz z2 xz x2, spin up and down
    assert dos.pdos[site][Orbital(4)][Spin.up] == pytest.approx(0.1)
    assert dos.pdos[site][Orbital(8)][Spin.down] == pytest.approx(0.25)
    by_shell = dos.get_element_spd_dos("V")[OrbitalType.d]
    assert by_shell.densities[Spin.up] == pytest.approx(sum(range(1, 6)) * 2 / 20)


def test_bands_need_the_right_density(folder):
    ground = run(static(), RUTILE)
    maker = GpawNonSCFMaker(settings=SMALL, command=standin())
    with pytest.raises(EngineOutputError, match=r"no density\.gpw"):
        run(maker, ground.structure, folder)
    with pytest.raises(InputError, match="prev_dir"):
        run(maker, ground.structure, None)
    with pytest.raises(InputError, match="mode"):
        run(maker, ground.structure, ground.dir_name, "circle")
    other = GpawNonSCFMaker(settings=GpawSettings(normalised_u=False), command=standin())
    with pytest.raises(InputError, match="setups"):
        run(other, ground.structure, ground.dir_name)


# --- as jobs


def test_flow_keeps_large_objects_in_the_data_store(folder, store):
    maker = GpawBandStructureMaker(
        static_maker=static(), bs_maker=GpawNonSCFMaker(settings=SMALL, command=standin())
    )
    flow = maker.make(RUTILE)
    run_locally(flow, store=store, ensure_success=True, create_folders=True)
    assert set(flow.output) == {"static", "uniform", "uniform_bs", "uniform_dos", "line", "line_bs"}
    for mode, names in {"line": ["bandstructure"], "uniform": ["bandstructure", "dos"]}.items():
        kept = store.get_output(flow.output[mode].uuid)["gpaw_objects"]
        assert sorted(kept) == names
        assert all(blob["store"] == "data" for blob in kept.values())
    assert isinstance(flow.output["line_bs"].resolve(store), BandStructureSymmLine)
    assert isinstance(flow.output["uniform_bs"].resolve(store), BandStructure)
    assert isinstance(flow.output["uniform_dos"].resolve(store), CompleteDos)
    document = flow.output["uniform"].resolve(store)
    assert isinstance(document, GpawTaskDoc)
    assert isinstance(document.gpaw_objects["dos"], CompleteDos)
    assert flow.output["static"].resolve(store).output.energy == pytest.approx(
        6 * standin_gpaw.ENERGY
    )


@pytest.mark.parametrize(("kind", "keys"), [("line", {"line"}), ("uniform", {"uniform"})])
def test_one_kind_of_bands_alone(kind, keys):
    output = GpawBandStructureMaker(bandstructure_type=kind).make(RUTILE).output
    assert set(output) & {"line", "uniform"} == keys


def test_senseless_band_structures_are_refused():
    with pytest.raises(InputError, match="circle"):
        GpawBandStructureMaker(bandstructure_type="circle").make(RUTILE)
    with pytest.raises(InputError, match="density"):
        GpawBandStructureMaker(static_maker=static(keep_density=False)).make(RUTILE)


def test_guarded_failure_is_an_outcome(folder, store):
    job = GuardedMaker(GpawStaticMaker(command=standin("not converged"))).make(RUTILE)
    run_locally(job, store=store, ensure_success=True)
    assert "ConvergenceError" in store.get_output(job.uuid)["error"]


def test_candidate_is_screened(folder, store):
    engine = gpaw(command=standin())
    candidate = CandidateDoc.make(
        RUTILE, sampler="files", model_id="x", formula="VO2", seed=0, index=0
    )
    flow = candidate_flow(engine, candidate)
    run_locally(flow, store=store, ensure_success=True)
    found = CalculationDoc.model_validate(store.get_output(flow.output.uuid))
    assert found.state is CalculationState.COMPLETED, found.error
    assert found.energy_per_atom == pytest.approx(standin_gpaw.ENERGY)
    assert found.scheme == engine.scheme
    assert found.cpu_time == pytest.approx(1.5)


# --- the engine


def test_engine_tells_versions_and_scheme():
    engine = gpaw(command=standin(), normalised_u=False, k_path="hinuma")
    assert engine.engine_versions == standin_gpaw.VERSIONS
    assert "unnormalised" in engine.scheme
    assert engine.band_structure_maker.bs_maker.settings.k_path == "hinuma"
    assert engine.phonon_maker is None
    restored = MontyDecoder().decode(json.dumps(engine, cls=MontyEncoder))
    assert isinstance(restored, Engine)
    assert restored.static_maker == engine.static_maker
    assert restored.band_structure_maker == engine.band_structure_maker


def test_engine_without_gpaw_prints_install_lines(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GPAW_COMMAND", raising=False)
    with pytest.raises(MissingDependencyError, match="pip install --no-binary gpaw"):
        gpaw()
    assert gpaw(check=False).engine_versions == {}
