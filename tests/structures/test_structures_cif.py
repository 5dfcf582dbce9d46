"""A crystal as its CIF tells it: the same crystal, and the same bits once more."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from atomate2_vogen.structures.cif import annotated_cif, as_in_cif
from atomate2_vogen.structures.reading.parsers import parse_structures


def crystal(seed):
    rng = np.random.default_rng(seed)
    # any orientation, V and O mixed up, coordinates beyond the cell
    lattice = Lattice(4 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3)))
    coords = np.array([[0, 0, 0], [1 / 3, 0.5, 0.99999999999], [0.5, -0.5, 0.4]])
    return Structure(lattice, ["O", "V", "O"], coords + rng.uniform(-0.05, 0.05, (3, 3)))


def distances(structure):
    """From the one vanadium, and of the oxygens."""
    metal = [site.specie.symbol for site in structure].index("V")
    oxygen = [index for index in range(3) if index != metal]
    matrix = structure.distance_matrix
    return [*sorted(matrix[metal]), matrix[oxygen[0], oxygen[1]]]


def same_bits(first, second):
    return (
        np.array_equal(first.lattice.matrix, second.lattice.matrix)
        and np.array_equal(first.frac_coords, second.frac_coords)
        and first.species == second.species
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 100_000))
def test_the_same_crystal_and_the_same_bits_from_the_file(seed):
    before = crystal(seed)
    after = as_in_cif(before)
    assert np.allclose(distances(after), distances(before), atol=2e-3)
    assert after.composition == before.composition
    assert same_bits(as_in_cif(after), after)
    (read,) = parse_structures("x.cif", annotated_cif(after, "x", ["a comment"]), 10)
    assert same_bits(read, after)


def test_orientation_is_that_of_a_cif():
    before = Structure(Lattice(np.diag([3.0, 4.0, 5.0])[[1, 2, 0]]), ["V"], [[0, 0, 0]])
    assert not same_bits(as_in_cif(before), before)
