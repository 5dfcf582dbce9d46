"""Random crystals of a space group, against PyXtal's operations and spglib."""

from __future__ import annotations

import math

import numpy as np
import pytest
import spglib
from pyxtal import symmetry

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import CountsError, UnknownFormulaError
from atomate2_vogen.structures.wyckoff import (
    N_SPACE_GROUPS,
    draw_crystal,
    groups_that_hold,
    random_crystal,
    space_group_by_number,
)

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")

CONTENTS = [(4, 8), (2, 4), (4, 6), (2, 5), (8, 8), (6, 10), (3, 6), (6, 12), (12, 12), (24, 24)]
CLOSEST = 0.6  # share of the minimum distances


def operations(number):
    """Rotations and translations of the conventional cell, as PyXtal has them."""
    general = symmetry.Group(number)[0].ops
    return [(one.rotation_matrix, one.translation_vector) for one in general]


def crystal_of(number, rng):
    """A crystal of a group, with the numbers of atoms that were asked for."""
    for counts in CONTENTS:
        if number in groups_that_hold(*counts):
            for _ in range(5):
                crystal = random_crystal(space_group_by_number(number), counts, VANADIUM, rng)
                if crystal is not None:
                    return crystal, counts
    raise AssertionError(f"no crystal of space group {number}")


def misfit(crystal, number):
    """Largest distance in Å between an atom moved by an operation and the atom that is there."""
    primitive = space_group_by_number(number).primitive
    lattice, coords = crystal.lattice.matrix, crystal.frac_coords
    numbers = np.array(crystal.atomic_numbers)
    worst = 0.0
    for rotation, translation in operations(number):
        # from the primitive cell to the conventional one and back
        moved = (coords @ primitive @ rotation.T + translation) @ np.linalg.inv(primitive)
        apart = moved[:, None] - coords[None]
        apart -= np.round(apart)
        distances = np.linalg.norm(apart @ lattice, axis=-1)
        distances[numbers[:, None] != numbers[None]] = np.inf
        worst = max(worst, distances.min(axis=1).max())
        turn = np.linalg.inv(primitive) @ lattice
        cartesian = turn.T @ rotation @ np.linalg.inv(turn.T)
        worst = max(worst, np.abs(cartesian @ cartesian.T - np.eye(3)).max())
    return worst


@pytest.mark.parametrize("numbers", np.array_split(np.arange(1, N_SPACE_GROUPS + 1), 10))
def test_crystals_of_all_groups(numbers):
    """Right numbers of atoms, every operation of the group, and no atoms on top of each other."""
    rng = np.random.default_rng(int(numbers[0]))
    for number in numbers.tolist():
        crystal, counts = crystal_of(number, rng)
        assert (crystal.composition["V"], crystal.composition["O"]) == counts, number
        assert misfit(crystal, number) < 1e-5, number
        cell = (crystal.lattice.matrix, crystal.frac_coords, crystal.atomic_numbers)
        found = spglib.get_symmetry_dataset(cell, symprec=1e-3)
        order = len(operations(number)) // space_group_by_number(number).n_lattice_points
        # some crystals have more symmetry than was asked for, none has less
        assert len(found.rotations) % order == 0, number
        for site, near in zip(crystal, crystal.get_all_neighbors(2.0), strict=True):
            for other in near:
                limit = VANADIUM.minimum_distance(site.specie.symbol, other.specie.symbol)
                assert other.nn_distance > CLOSEST * limit - 1e-6, number


def test_primitive_cells_are_those_of_the_centrings():
    for number in range(1, N_SPACE_GROUPS + 1):
        group = space_group_by_number(number)
        centrings = np.array([t for r, t in operations(number) if np.allclose(r, np.eye(3))])
        assert len(centrings) == group.n_lattice_points
        assert np.linalg.det(group.primitive) == pytest.approx(1 / len(centrings))
        multiples = centrings @ np.linalg.inv(group.primitive)
        np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-6)


def test_wyckoff_positions_hold_as_many_sites_as_they_say():
    for number in (1, 14, 62, 136, 166, 194, 225, 230):
        group = space_group_by_number(number)
        for position in group.positions:
            sites = position.sites(np.array([0.137, 0.291, 0.413]))
            apart = sites[:, None] - sites[None]
            same = np.abs(apart - np.round(apart)).max(axis=-1) < 1e-6
            assert same.sum() == position.multiplicity == len(sites)


@pytest.mark.parametrize("formula", ["VO2", "V2O3", "V2O5", "V6O13"])
def test_draws_have_their_formula_and_size(formula):
    rng = np.random.default_rng(2)
    draws = [draw_crystal(formula, VANADIUM, rng, min_atoms=7) for _ in range(20)]
    found = [(number, one) for number, one in draws if one is not None]
    assert len(found) > 15
    for number, crystal in found:
        assert crystal.composition.reduced_formula == formula
        assert 7 <= len(crystal) <= VANADIUM.max_atoms
        assert misfit(crystal, number) < 1e-5
        volume = sum(VANADIUM.atomic_volumes[one.specie.symbol] for one in crystal)
        assert 0.84 < crystal.volume / volume < 1.21
    assert len({number for number, _ in found}) > 5


def test_a_formula_of_smaller_cells_gets_its_largest():
    rng = np.random.default_rng(0)
    _, crystal = draw_crystal("VO2", VANADIUM, rng, min_atoms=10**6)
    assert len(crystal) == VANADIUM.max_formula_units("VO2") * 3


def test_the_same_seed_gives_the_same_crystal():
    one, other = (draw_crystal("VO2", VANADIUM, np.random.default_rng(5)) for _ in "ab")
    assert one[0] == other[0]
    assert one[1] == other[1]
    assert draw_crystal("VO2", VANADIUM, np.random.default_rng(6))[1] != one[1]


def test_other_systems_are_drawn_too():
    _, crystal = draw_crystal("TiO2", TITANIUM, np.random.default_rng(1))
    assert crystal.composition.reduced_formula == "TiO2"


def test_formulas_that_cannot_be_drawn():
    rng = np.random.default_rng(0)
    with pytest.raises(CountsError, match="more than 20 atoms"):
        draw_crystal("V10O19", VANADIUM, rng)
    with pytest.raises(UnknownFormulaError):
        draw_crystal("TiO2", VANADIUM, rng)


def test_groups_hold_what_their_positions_add_up_to():
    """P-1 has positions of one and two sites, 227 none below 8 of 4 lattice points."""
    assert 2 in groups_that_hold(1, 2)
    assert 227 not in groups_that_hold(1, 2)
    assert math.isclose(len(groups_that_hold(4, 8)), 180, rel_tol=0.2)
