"""The VASP path through the stand-in, custodian and atomate2's parsers, or through real VASP."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import toy_crystal
import vasp_stand_in
from emmet.core.tasks import TaskDoc
from jobflow import Flow, run_locally
from monty.json import MontyDecoder
from pymatgen.core import SETTINGS, Structure
from pymatgen.electronic_structure.bandstructure import BandStructureSymmLine
from pymatgen.electronic_structure.core import Spin

from atomate2_vogen.engines.cells import orthogonality
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import GuardedMaker, JobFailure
from atomate2_vogen.jobs.screening import fan_out
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc
from atomate2_vogen.stores import VogenStores

pytestmark = pytest.mark.slow

toy = pytest.mark.skipif(bool(vasp_stand_in.REAL), reason="trouble on demand is the stand-in's")
GAP_WITH_U = 2.0 + 0.3 * 3.25  # eV by which the stand-in splits the d states of the two spins
MP_VO2 = -1.0247  # eV/atom


@pytest.fixture(scope="module")
def potcars(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if not vasp_stand_in.REAL:
            folder = vasp_stand_in.write_potcars(tmp_path_factory.mktemp("vasp") / "potcars")
            patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
        yield


@pytest.fixture
def engine(potcars):
    return vasp_stand_in.engine("vasp")


def run(flow, folder):
    """Outputs of the jobs that ended well, by name, in their order, large objects loaded."""
    with VogenStores.memory() as stores:
        done = run_locally(
            flow, store=stores.job_store, root_dir=folder, create_folders=True, log=False
        )
        jobs = [job for job, _ in flow.iterflow()] if isinstance(flow, Flow) else [flow]
        names = {job.uuid: job.name for job in jobs}
        decode = MontyDecoder().process_decoded
        return {
            names.get(uuid, uuid): decode(stores.job_store.get_output(uuid, load=True))
            for uuid in done
        }


def energy_of(structure: Structure) -> float:
    symbols = [site.specie.symbol for site in structure]
    return toy_crystal.evaluate(structure.lattice.matrix, structure.frac_coords, symbols)[0]


def candidate(structure: Structure, index: int = 0) -> CandidateDoc:
    formula = structure.composition.reduced_formula
    return CandidateDoc.make(
        structure, sampler="test", model_id="toy", formula=formula, seed=0, index=index
    )


def symbols_of(task: TaskDoc) -> list[str]:
    return [site.specie.symbol for site in task.structure]


def with_incar(maker, **tags):
    generator = replace(maker.input_set_generator, user_incar_settings=tags)
    return replace(maker, input_set_generator=generator)


def test_relaxation_static_and_bands(engine, tmp_path):
    """From a candidate to spin-resolved bands and density of states."""
    bands = engine.band_structure_maker
    coarse = replace(bands.bs_maker.input_set_generator, dense_k_spacing=0.6)
    bands = replace(bands, bs_maker=replace(bands.bs_maker, input_set_generator=coarse))
    relax = engine.relax_maker.make(vasp_stand_in.triclinic())
    static = engine.static_maker.make(relax.output.structure)
    electronic = bands.make(static.output.structure)
    documents = run(Flow([relax, static, electronic]), tmp_path)
    names = ["VASP relax", "VASP static", "VASP static +U"]
    assert list(documents) == [*names, "VASP non-scf +U uniform", "VASP non-scf +U line"]

    relaxed = documents["VASP relax"]
    assert results.is_converged(relaxed)
    assert results.max_force(relaxed) <= 0.05
    assert results.n_steps(relaxed) > 1
    assert results.elapsed_time(relaxed) > 0
    hull, plus_u = documents["VASP static"], documents["VASP static +U"]
    assert (str(hull.run_type), str(plus_u.run_type)) == ("PBE", "PBE+U")
    assert plus_u.input.hubbards["V"] == 3.25

    line = documents["VASP non-scf +U line"].vasp_objects["bandstructure"]
    assert isinstance(line, BandStructureSymmLine)
    assert set(line.bands) == {Spin.up, Spin.down}
    assert len(line.branches) >= 3
    uniform = documents["VASP non-scf +U uniform"]
    dos = uniform.vasp_objects["dos"]
    assert set(dos.densities) == {Spin.up, Spin.down}
    assert len(dos.pdos) == 3
    if vasp_stand_in.REAL:
        return
    assert results.energy_per_atom(hull) == pytest.approx(energy_of(hull.structure) / 3, abs=1e-6)
    assert hull.structure.site_properties["magmom"] == pytest.approx([1, 0, 0])
    # the stand-in's half metal: spin up crosses the Fermi level, spin down has its gap there
    assert any(((b < line.efermi).any() and (b > line.efermi).any()) for b in line.bands[Spin.up])
    down = line.bands[Spin.down]
    assert not any(((b < line.efermi).any() and (b > line.efermi).any()) for b in down)
    # 0.8 eV is half the width of its d bands, whose bottom lies on the path
    assert down[down > line.efermi].min() + 0.8 == pytest.approx(GAP_WITH_U, abs=0.05)
    below = dos.energies <= dos.efermi
    electrons = sum(
        np.trapezoid(density[below], dos.energies[below]) for density in dos.densities.values()
    )
    assert electrons == pytest.approx(11 + 2 * 6, abs=0.6)


def test_candidates_become_calculations(engine, tmp_path):
    """A skewed cell is reduced first; the outcome is that of the same crystal unskewed."""
    plain = vasp_stand_in.triclinic()
    skewed = plain.copy()
    skewed.make_supercell([[1, 0, 0], [4, 1, 0], [3, 2, 1]])
    candidates = [candidate(plain), candidate(skewed, 1)]
    done = run(fan_out(engine, candidates), tmp_path)
    for stage in ("initial", "relax", "static"):
        calculated = done[f"{stage} {candidates[1].candidate_id}"].input.structure
        assert orthogonality(calculated) > 0.7
    calculations: list[CalculationDoc] = list(done.values())[-1]
    assert [c.state for c in calculations] == [CalculationState.COMPLETED] * 2
    first, second = (c.energy_per_atom for c in calculations)
    assert first == pytest.approx(second, abs=0.01)
    assert calculations[0].scheme == "VASP-PBE-V_pv"
    assert calculations[0].initial_energy_per_atom > first
    assert calculations[0].wall_time > 0
    if not vasp_stand_in.REAL:
        assert calculations[0].initial_energy_per_atom == pytest.approx(energy_of(plain) / 3)


def test_mp_energies_reach_the_hull_corrected(potcars, tmp_path):
    engine = vasp_stand_in.engine("vasp-mp")
    done = run(fan_out(engine, [candidate(vasp_stand_in.triclinic())]), tmp_path)
    (calculation,) = list(done.values())[-1]
    assert calculation.error is None
    assert calculation.state is CalculationState.COMPLETED
    assert calculation.scheme == "VASP-MP2020-PBE+U(V=3.25)-V_pv"
    if not vasp_stand_in.REAL:
        raw = energy_of(calculation.structure) / 3
        assert calculation.energy_per_atom == pytest.approx(raw + MP_VO2, abs=1e-3)


def test_phonons_are_those_of_phonopy_by_hand(engine, tmp_path):
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    maker = replace(engine.phonon_maker, min_length=5.5, create_thermal_displacements=False)
    flow = maker.make(vasp_stand_in.rutile(0.01))
    done = run(flow, tmp_path)
    document = list(done.values())[-1]
    bands = document.phonon_bandstructure
    if vasp_stand_in.REAL:
        assert bands is not None
        return
    structure = document.structure
    symbols = [site.specie.symbol for site in structure]
    phonon = Phonopy(
        PhonopyAtoms(
            symbols, cell=structure.lattice.matrix, scaled_positions=structure.frac_coords
        ),
        document.supercell_matrix,
        primitive_matrix="auto",
        symprec=1e-3,
    )
    phonon.generate_displacements(distance=0.01)
    phonon.forces = [
        toy_crystal.evaluate(cell.cell, cell.scaled_positions, cell.symbols)[1]
        for cell in phonon.supercells_with_displacements
    ]
    phonon.produce_force_constants()
    lowest = np.inf
    for index, point in enumerate(bands.qpoints):
        expected = phonon.get_frequencies(point.frac_coords)
        lowest = min(lowest, expected.min())
        found, acoustic = bands.bands[:, index], np.abs(expected) < 0.1
        assert found[~acoustic] == pytest.approx(expected[~acoustic], abs=1e-3)
        # 1e-8 eV/Å, to which VASP writes forces, are 0.004 THz where a frequency should be zero
        assert found[acoustic] == pytest.approx(expected[acoustic], abs=0.01)
    assert document.has_imaginary_modes == (lowest < -0.05)
    # the supercells carried the moments of the unit cell, not the system's initial ones
    tasks = [d for d in done.values() if "displacement" in (getattr(d, "task_label", None) or "")]
    assert len(tasks) >= 3
    for task in tasks:
        started = task.calcs_reversed[0].input.incar["MAGMOM"]
        moments = dict(zip(symbols_of(task), started, strict=True))
        assert moments == pytest.approx({"V": 1.0, "O": 0.0})


@toy
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("unconverged", "NonRecoverableError|MaxCorrections"),
        ("killed", "ReturnCodeError|ValidationError"),
        ("garbage", "ValidationError|Error"),
        ("positive", "NonRecoverableError.*Positive|PositiveEnergy"),
    ],
)
def test_trouble_becomes_a_failure_with_a_reason(engine, tmp_path, monkeypatch, mode, reason):
    monkeypatch.setenv("FAKE_VASP", mode)
    job = GuardedMaker(engine.static_maker).make(vasp_stand_in.rutile())
    (failure,) = run(job, tmp_path).values()
    assert isinstance(failure, JobFailure)
    assert re.search(reason, failure.error), failure.error


@toy
@pytest.mark.parametrize(
    ("mode", "error", "tag"),
    [
        ("stubborn", "Unconverged", ("ALGO", "All")),
        ("symmetry", "inv_rot_mat", ("SYMPREC", None)),
        ("steep", "POTIM", ("POTIM", 0.25)),
    ],
)
def test_trouble_that_can_be_mended_is(engine, tmp_path, monkeypatch, mode, error, tag):
    monkeypatch.setenv("FAKE_VASP", mode)
    maker = engine.relax_maker if mode == "steep" else engine.static_maker
    (document,) = run(GuardedMaker(maker).make(vasp_stand_in.rutile(0.01)), tmp_path).values()
    assert results.is_converged(document)
    corrections = [c for run in document.custodian for c in run.corrections]
    assert {e for c in corrections for e in c["errors"]} == {error}
    name, value = tag
    found = document.calcs_reversed[0].input.incar[name]
    assert value is None or found == value


@toy
def test_a_relaxation_goes_on_where_its_steps_ended(engine, tmp_path):
    job = with_incar(engine.relax_maker, NSW=30).make(vasp_stand_in.triclinic())
    (document,) = run(job, tmp_path).values()
    assert results.is_converged(document)
    assert document.calcs_reversed[0].input.incar["IBRION"] == 1


@toy
def test_bands_need_the_charge_density_of_their_static(engine, tmp_path):
    """The stand-in checks what VASP would: CHGCAR is there, of this cell and this U."""
    bands = engine.band_structure_maker
    wrong = replace(
        bands,
        static_maker=replace(
            engine.static_maker, name="without U", k_path=bands.static_maker.k_path
        ),
    )
    done = run(wrong.make(vasp_stand_in.triclinic()), tmp_path)
    assert list(done) == ["without U"]
