"""Neighbour lists against pymatgen's, and the symmetry of displacements against spglib's."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from toy_potential import evaluated, random_cell, toy_potential

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.potential.neighbours import Batch, CellSymmetry, NeighbourList
from atomate2_vogen.potential.potential import as_cell

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def of_pymatgen(structure, cutoff):
    return [
        {(near.index, *map(int, near.image)) for near in of_atom}
        for of_atom in structure.get_all_neighbors(cutoff)
    ]


def of_list(found):
    return [
        {(int(index), *map(int, image)) for index, image, there in zip(*rows, strict=True) if there}
        for rows in zip(found.index, found.image, found.present, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cutoff=st.sampled_from([1.7, 3.0, 5.5]))
def test_the_neighbours_of_pymatgen(seed, cutoff):
    crystal = random_cell(seed)
    found = NeighbourList.of(as_cell(crystal, VANADIUM), cutoff)
    assert of_list(found) == of_pymatgen(crystal, cutoff)
    assert found.index.shape == found.present.shape == found.image.shape[:2]


def test_atoms_outside_the_cell():
    """During a relaxation nothing is wrapped; vectors to the neighbours must stay the same."""
    crystal = random_cell(4)
    away = crystal.frac_coords + np.array([[2, 0, -1], [0, 0, 0], [-3, 1, 0], [0, 5, 0], [1, 1, 1]])
    cells = [
        as_cell(Structure(crystal.lattice, crystal.species, coords), VANADIUM)
        for coords in (crystal.frac_coords, away)
    ]

    def vectors(cell):
        found = NeighbourList.of(cell, 4.0)
        apart = cell.positions[found.index] - cell.positions[:, None] + found.image @ cell.lattice
        return [
            sorted(np.round(of_atom[there > 0], 4).tolist())
            for of_atom, there in zip(apart, found.present, strict=True)
        ]

    np.testing.assert_allclose(
        np.concatenate(vectors(cells[0])), np.concatenate(vectors(cells[1])), atol=2e-4
    )


def test_an_atom_alone_has_no_neighbour():
    crystal = Structure(Lattice.cubic(20), ["V"], [[0, 0, 0]])
    found = NeighbourList.of(as_cell(crystal, VANADIUM), 5.0)
    assert found.present.sum() == 0
    assert found.index.shape == (1, 1)


def test_a_batch_holds_each_crystal_with_its_own_neighbours():
    crystals = [random_cell(1), random_cell(2, 1, 2)]
    cells = [as_cell(one, VANADIUM) for one in crystals]
    lists = [NeighbourList.of(cell, 4.0) for cell in cells]
    batch = Batch.of(cells, lists)
    assert batch.n_atoms.tolist() == [5, 3]
    assert batch.crystal.tolist() == [0] * 5 + [1] * 3
    assert (batch.crystal[batch.index] == batch.crystal[:, None]).all()
    assert batch.present.sum() == sum(one.present.sum() for one in lists)


def test_operations_are_those_of_spglib():
    symmetry = CellSymmetry.of(RUTILE)
    assert len(symmetry.rotations) == 16
    for turn in symmetry.rotations:
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    numbers = np.array(RUTILE.atomic_numbers)
    for permutation in symmetry.permutations:
        assert sorted(permutation.tolist()) == list(range(6))
        assert (numbers[permutation] == numbers).all()


def test_a_crystal_without_symmetry():
    assert CellSymmetry.of(random_cell(1)) is None


def test_forces_and_stress_on_a_symmetric_crystal_are_symmetric():
    """What is averaged is already so, but for rounding: also the atoms must be the right ones."""
    _, forces, stress = evaluated(toy_potential(), RUTILE)
    assert np.abs(forces).max() > 0.01
    moves = np.concatenate([forces, stress])
    averaged = CellSymmetry.of(RUTILE).averaged(moves)
    np.testing.assert_allclose(averaged, moves, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_averaged_displacements_keep_all_operations(seed):
    rng = np.random.default_rng(seed)
    symmetry = CellSymmetry.of(RUTILE)
    moves = symmetry.averaged(rng.normal(0, 0.05, (9, 3)))
    np.testing.assert_allclose(symmetry.averaged(moves), moves, atol=1e-12)
    lattice = Lattice(RUTILE.lattice.matrix @ (np.eye(3) + moves[-3:]))
    shifts = moves[:-3] @ np.linalg.inv(RUTILE.lattice.matrix)
    moved = Structure(lattice, RUTILE.species, RUTILE.frac_coords + shifts)
    cell = (moved.lattice.matrix, moved.frac_coords, moved.atomic_numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-5).number == 136
