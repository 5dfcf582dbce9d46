"""Antiferromagnetic patterns against known orders and exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from atomate2_vogen.structures import magnetic_patterns
from atomate2_vogen.structures.magnetic_patterns import (
    antiferromagnetic_signs,
    is_same_pattern,
    lowers_symmetry,
)
from atomate2_vogen.structures.magnetism import with_moments

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
CORUNDUM = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.347], [0.31, 0, 0.25]]
).get_primitive_structure()
BCC = Structure(Lattice.cubic(3.0), ["V", "V"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CUBE = Structure(Lattice.cubic(3.0), ["V"], [[0, 0, 0]])


def test_rutile_and_bcc_have_one_pattern():
    assert antiferromagnetic_signs(RUTILE, "V") == [1, -1, 0, 0, 0, 0]
    assert antiferromagnetic_signs(BCC, "V") == [1, -1]


def test_a_simple_cube_is_a_checkerboard():
    cell = CUBE * (2, 2, 2)
    signs = antiferromagnetic_signs(cell, "V")
    expected = [(-1) ** round(2 * site.frac_coords.sum()) for site in cell]
    assert signs == expected


def test_shortest_pairs_of_corundum_are_antiparallel():
    signs = antiferromagnetic_signs(CORUNDUM, "V")
    metals = [i for i, sign in enumerate(signs) if sign]
    assert sum(signs) == 0
    assert len(metals) == 4
    pairs = {(i, j): CORUNDUM.get_distance(i, j) for i, j in itertools.combinations(metals, 2)}
    first, second = min(pairs, key=pairs.get)
    assert signs[first] == -signs[second]


def test_one_metal_atom_has_no_pattern_and_an_odd_number_is_not_balanced():
    assert antiferromagnetic_signs(CUBE, "V") is None
    assert antiferromagnetic_signs(RUTILE, "Ti") is None
    chain = CUBE * (3, 1, 1)
    assert abs(sum(antiferromagnetic_signs(chain, "V"))) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n_atoms=st.integers(2, 7))
@example(seed=51237, n_atoms=3)
def test_pattern_has_the_same_energy_for_any_order_of_atoms(seed, n_atoms):
    rng = np.random.default_rng(seed)
    lattice = Lattice(np.diag(rng.uniform(4, 8, 3)) + rng.uniform(-1, 1, (3, 3)))
    crystal = Structure(lattice, ["V"] * n_atoms, rng.uniform(size=(n_atoms, 3)))
    signs = np.array(antiferromagnetic_signs(crystal, "V"))
    order = rng.permutation(n_atoms)
    other = Structure.from_sites([crystal[i] for i in order])
    found = np.array(antiferromagnetic_signs(other, "V"))
    coupling = magnetic_patterns._coupling(other, range(n_atoms))
    # the same pattern, or another of the same energy
    assert found @ coupling @ found == pytest.approx(
        signs[order] @ coupling @ signs[order], abs=1e-8
    )
    assert abs(signs.sum()) == abs(found.sum()) == n_atoms % 2


@pytest.mark.parametrize("seed", range(8))
def test_descent_comes_close_to_the_exhaustive_search(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    coupling = np.triu(rng.uniform(size=(10, 10)) ** 6, 1)
    coupling += coupling.T
    exact = magnetic_patterns._lowest(coupling)
    near = magnetic_patterns._descended(coupling)
    assert near.sum() == 0
    energy = near @ coupling @ near
    assert energy >= exact @ coupling @ exact - 1e-9
    # no exchange of two atoms helps
    for i, j in itertools.combinations(range(10), 2):
        swapped = near.copy()
        swapped[[i, j]] = swapped[[j, i]]
        assert swapped @ coupling @ swapped >= energy - 1e-6


def test_large_cells_are_done_too():
    cell = CUBE * (4, 2, 3)
    signs = antiferromagnetic_signs(cell, "V")
    assert sum(signs) == 0
    assert len(signs) == 24


def test_patterns_that_symmetry_relates_are_the_same():
    assert is_same_pattern(RUTILE, [1, -1, 0, 0, 0, 0], [-1, 1, 0, 0, 0, 0])
    assert is_same_pattern(RUTILE, [1, 1, 0, 0, 0, 0], [-5, -5, 0, 0, 0, 0])
    assert not is_same_pattern(RUTILE, [1, 1, 0, 0, 0, 0], [1, -1, 0, 0, 0, 0])
    pair = BCC * (2, 1, 1)
    # planes along x, and the same planes moved on by half a cell
    planes = [1 if site.frac_coords[0] < 0.49 else -1 for site in pair]
    moved = [1 if 0.24 < site.frac_coords[0] < 0.74 else -1 for site in pair]
    assert planes != moved
    assert is_same_pattern(pair, planes, moved)
    checkered = antiferromagnetic_signs(pair, "V")
    assert not is_same_pattern(pair, planes, checkered)


def test_what_moments_do_to_the_symmetry():
    assert not lowers_symmetry(RUTILE)
    assert not lowers_symmetry(with_moments(RUTILE, [1.02, 0.98, 0.01, 0, 0, 0]))
    # every operation of rutile keeps the two metal atoms or exchanges them
    assert not lowers_symmetry(with_moments(RUTILE, [1, -1, 0, 0, 0, 0]))
    assert lowers_symmetry(with_moments(RUTILE, [2, -1, 0, 0, 0, 0]))
    double = CUBE * (2, 1, 1)
    assert not lowers_symmetry(with_moments(double, [1, -1]), translations_only=True)
    assert lowers_symmetry(with_moments(double, [1, 0]), translations_only=True)
    assert not lowers_symmetry(with_moments(RUTILE, [2, -1, 0, 0, 0, 0]), translations_only=True)
