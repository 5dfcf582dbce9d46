"""Relaxation: the minimum that ASE finds on the same potential, and the symmetry that is kept."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import UnitCellFilter
from ase.optimize import BFGS
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from toy_potential import evaluated, random_cell, toy_potential

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.potential import relaxation as module
from atomate2_vogen.potential.exploration import as_structure, explore, shaken
from atomate2_vogen.potential.potential import as_cell
from atomate2_vogen.potential.relaxation import RelaxationBatch, relax_cells
from atomate2_vogen.potential.shipped import load_potential
from atomate2_vogen.structures.wyckoff import draw_crystal

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


class PotentialCalculator(Calculator):
    """The learned potential for ASE."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, potential):
        super().__init__()
        self.potential = potential

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        crystal = AseAtomsAdaptor.get_structure(atoms)
        energy, forces, stress = evaluated(self.potential, crystal)
        stress = full_3x3_to_voigt_6_stress(stress)
        self.results = {"energy": energy, "forces": forces, "stress": stress}


@pytest.fixture(scope="module")
def potential():
    return load_potential()


@pytest.fixture(scope="module")
def shaken_rutile():
    return shaken(RUTILE, np.random.default_rng(1), 0.08)


def test_the_minimum_of_ase(potential, shaken_rutile):
    atoms = AseAtomsAdaptor.get_atoms(shaken_rutile, msonable=False)
    atoms.calc = PotentialCalculator(potential)
    optimiser = BFGS(UnitCellFilter(atoms), logfile=None)
    assert optimiser.run(fmax=0.01, steps=300)
    cell = as_cell(shaken_rutile, VANADIUM)
    (found,) = relax_cells(potential.network, [cell], steps=300, max_force=0.005)
    assert found.max_force <= 0.005
    assert found.energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=5e-4)
    assert found.cell.volume == pytest.approx(atoms.get_volume(), rel=3e-3)
    relaxed = as_structure(found.cell, shaken_rutile)
    other = AseAtomsAdaptor.get_structure(atoms)
    np.testing.assert_allclose(
        np.sort(relaxed.distance_matrix, axis=None),
        np.sort(other.distance_matrix, axis=None),
        atol=0.02,
    )
    start = evaluated(potential, shaken_rutile)[0] / len(atoms)
    assert found.energy < start - 0.02


def test_what_is_reported_is_of_the_end(potential, shaken_rutile):
    """Also with a list of neighbours from some steps before."""
    cell = as_cell(shaken_rutile, VANADIUM)
    (found,) = relax_cells(potential.network, [cell], steps=7)
    assert found.steps == 7
    energy, forces, stress = evaluated(potential, as_structure(found.cell, shaken_rutile))
    assert energy / 6 == pytest.approx(found.energy, abs=1e-4)
    largest = max(np.abs(forces).max(), np.abs(stress).max() * found.cell.volume / 6)
    assert largest == pytest.approx(found.max_force, abs=1e-3)


def test_no_steps_evaluate_alone(potential):
    cell = as_cell(RUTILE, VANADIUM)
    (found,) = relax_cells(potential.network, [cell], steps=0)
    assert found.steps == 0
    np.testing.assert_array_equal(found.cell.positions, cell.positions)
    assert found.energy == pytest.approx(potential.energies([RUTILE])[0], abs=1e-5)
    assert relax_cells(potential.network, []) == []


def test_crystals_side_by_side_end_as_alone(potential, shaken_rutile):
    others = [random_cell(seed, 2, 4) for seed in (1, 2)]
    cells = [as_cell(one, VANADIUM) for one in (shaken_rutile, *others)]
    together = relax_cells(potential.network, cells, steps=10)
    for cell, one in zip(cells, together, strict=True):
        (alone,) = relax_cells(potential.network, [cell], steps=10)
        assert one.energy == pytest.approx(alone.energy, abs=1e-3)
        assert one.steps == alone.steps


def test_some_go_on_where_they_stopped(potential, shaken_rutile):
    """With what they remember: as if nothing had come between."""
    cells = [as_cell(one, VANADIUM) for one in (shaken_rutile, random_cell(1, 2, 4), RUTILE)]
    relaxation = RelaxationBatch(potential.network, cells)
    first = relaxation.run(4)
    assert [one.steps for one in first] == [4, 4, relax_cells(potential.network, cells)[2].steps]
    (last,) = relaxation.run(11, [1])
    (at_once,) = relax_cells(potential.network, cells[1:2], steps=11)
    assert last.steps == at_once.steps == 11
    assert last.energy == pytest.approx(at_once.energy, abs=1e-4)
    np.testing.assert_allclose(last.cell.positions, at_once.cell.positions, atol=1e-3)
    # fewer steps than were taken change nothing, and the others stand where they were
    assert [one.steps for one in relaxation.run(6)] == [6, 11, first[2].steps]


def test_many_crystals_take_turns(potential, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 3)
    cells = [as_cell(random_cell(seed, 2, 4), VANADIUM) for seed in range(1, 8)]
    taken = relax_cells(potential.network, cells, steps=6)
    for cell, one in zip(cells, taken, strict=True):
        (alone,) = relax_cells(potential.network, [cell], steps=6)
        assert (one.energy, one.steps) == (pytest.approx(alone.energy, abs=1e-3), alone.steps)


@pytest.mark.parametrize("scale", [0.2, 5.0, np.nan])
def test_what_falls_apart_has_no_energy_and_stops_nothing(scale):
    potential = toy_potential()
    sound, bad = as_cell(RUTILE, VANADIUM), as_cell(RUTILE, VANADIUM)
    bad.lattice[:] *= scale
    bad.positions[:] *= scale
    found = relax_cells(potential.network, [bad, sound], steps=3)
    assert np.isnan(found[0].energy)
    assert np.isfinite(found[1].energy)


def test_the_symmetry_of_draws_is_kept(potential):
    """Without averaging, rounding grows at saddle points until the symmetry is lost."""
    rng = np.random.default_rng(11)
    draws = [draw_crystal("VO2", VANADIUM, rng)[1] for _ in range(40)]
    draws = [one for one in draws if one is not None]
    cells = [as_cell(one, VANADIUM, symmetric=True) for one in draws]
    ends = relax_cells(potential.network, cells, steps=60)
    groups, kept = set(), 0
    for draw, end in zip(draws, ends, strict=True):
        if not np.isfinite(end.energy):
            continue
        before = SpacegroupAnalyzer(draw, symprec=1e-3)
        after = SpacegroupAnalyzer(as_structure(end.cell, draw), symprec=1e-3)
        number, operations = before.get_space_group_number(), before.get_symmetry_operations()
        groups.add(number)
        # some relax into a minimum of higher symmetry; none may lose an operation
        assert len(after.get_symmetry_operations()) % len(operations) == 0
        kept += after.get_space_group_number() == number
    assert len(groups) > 15
    assert kept > 25


def test_shaken_crystals_are_near():
    moved = shaken(RUTILE, np.random.default_rng(0), 0.05)
    assert moved.species == RUTILE.species
    shifts = (moved.frac_coords - RUTILE.frac_coords) @ RUTILE.lattice.matrix
    assert 0.01 < np.sqrt((shifts**2).mean()) < 0.1
    assert 0.7 < moved.volume / RUTILE.volume < 1.4


def test_exploration_gives_kinds_of_crystals_and_repeats_itself():
    potential = toy_potential()
    found = explore(potential, {"VO2": 8, "V2O3": 4}, seed=3)
    again = explore(potential, {"VO2": 8, "V2O3": 4}, seed=3)
    assert {source for source, _ in found} <= {"relaxed", "passed", "shaken"}
    assert {one.composition.reduced_formula for _, one in found} <= {"VO2", "V2O3"}
    assert found
    assert [source for source, _ in found] == [source for source, _ in again]
    assert all(one == other for (_, one), (_, other) in zip(found, again, strict=True))
