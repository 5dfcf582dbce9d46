"""Distances against closed forms and against brute force over many images."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import (
    DisorderError,
    ElementError,
    InputError,
    NonFiniteError,
    OverlapError,
)
from atomate2_vogen.structures.geometry import (
    OVERLAP_FRACTION,
    check_structure,
    distance_matrix,
    minimum_distances,
    shortest_distance,
    too_close,
)


def rutile(a=4.55, c=2.85, u=0.3):
    lattice = Lattice.tetragonal(a, c)
    return Structure.from_spacegroup("P4_2/mnm", lattice, ["V", "O"], [[0, 0, 0], [u, u, 0]])


def rocksalt(a=4.1):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def brute_force(structure, reach=4):
    """Distances over (2 reach + 1)^3 images, one at a time, without any reduction."""
    matrix, coords = structure.lattice.matrix, structure.cart_coords
    n = len(coords)
    shortest = np.full((n, n), np.inf)
    for image in itertools.product(range(-reach, reach + 1), repeat=3):
        shift = np.array(image) @ matrix
        for i, j in itertools.product(range(n), repeat=2):
            if i == j and image == (0, 0, 0):
                continue
            shortest[i, j] = min(shortest[i, j], np.linalg.norm(coords[j] + shift - coords[i]))
    return shortest


def test_rutile_closed_form():
    a, c, u = 4.55, 2.85, 0.3
    distances = minimum_distances(rutile(a, c, u))
    axial, equatorial = np.sqrt(2) * u * a, np.hypot(np.sqrt(2) * (0.5 - u) * a, c / 2)
    assert distances["O-V"] == pytest.approx(min(axial, equatorial), abs=1e-9)
    assert distances["V-V"] == pytest.approx(c, abs=1e-9)
    assert distances["O-O"] == pytest.approx(np.sqrt(2) * (1 - 2 * u) * a, abs=1e-9)


def test_rocksalt_closed_form():
    distances = minimum_distances(rocksalt(4.1))
    assert distances == pytest.approx(
        {"O-V": 2.05, "V-V": 4.1 / np.sqrt(2), "O-O": 4.1 / np.sqrt(2)}, abs=1e-9
    )


def test_corundum_closed_form():
    a, c, z = 4.95, 14.0, 0.346
    crystal = Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(a, c), ["V", "O"], [[0, 0, z], [0.31, 0, 0.25]]
    )
    # V pairs share a face: the two atoms at z and 1/2 - z on the threefold axis
    assert minimum_distances(crystal)["V-V"] == pytest.approx(c * 2 * (z - 0.25), abs=1e-9)


def test_lone_atom_sees_its_own_images():
    crystal = Structure(Lattice.hexagonal(2.7, 5.0), ["V"], [[0.2, 0.9, 0.4]])
    assert minimum_distances(crystal) == pytest.approx({"V-V": 2.7})
    assert shortest_distance(crystal) == pytest.approx(2.7)


def test_keys_are_of_elements_whatever_the_oxidation_state():
    crystal = rutile()
    crystal.add_oxidation_state_by_element({"V": 4, "O": -2})
    assert set(minimum_distances(crystal)) == {"V-V", "O-V", "O-O"}


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-6, 6), min_size=9, max_size=9),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_agrees_with_brute_force(entries, n_atoms, seed):
    matrix = np.reshape(entries, (3, 3))
    lengths = np.linalg.norm(matrix, axis=1)
    # brute force over 4 images is complete only if no cell is too skewed
    if lengths.min() < 1.5 or abs(np.linalg.det(matrix)) < 0.35 * np.prod(lengths):
        return
    fractions = np.random.default_rng(seed).uniform(-2, 2, (n_atoms, 3))
    crystal = Structure(Lattice(matrix), ["O"] * n_atoms, fractions, to_unit_cell=True)
    assert distance_matrix(crystal) == pytest.approx(brute_force(crystal), abs=1e-8)


def test_invariant_under_another_cell_of_the_same_crystal():
    crystal = rutile()
    skewed = crystal.copy()
    skewed.make_supercell([[1, 0, 0], [3, 1, 0], [-2, 4, 1]])
    assert minimum_distances(skewed) == pytest.approx(minimum_distances(crystal), abs=1e-8)


def test_too_close_names_pair_distance_and_limit():
    crystal = rutile(u=0.45)  # O-O 0.64 Å
    message = too_close(crystal, VANADIUM)
    assert message.startswith("O (site ")
    assert "0.64 Å apart" in message
    assert "2.00 Å" in message
    assert too_close(rutile(), VANADIUM) is None


def test_too_close_reports_the_worst_pair_relative_to_its_limit():
    crystal = Structure(
        Lattice.cubic(9), ["V", "O", "O"], [[0, 0, 0], [1.4 / 9, 0, 0], [0, 1.0 / 9, 0]]
    )
    assert "1.00 Å" in too_close(crystal, VANADIUM)


def test_too_close_to_own_image():
    crystal = Structure(Lattice.orthorhombic(1.8, 6, 6), ["V", "O"], [[0, 0, 0], [0, 0.5, 0.5]])
    assert "own image" in too_close(crystal, VANADIUM)


def test_a_pair_exactly_at_its_limit_is_allowed():
    crystal = Structure(Lattice.cubic(2.0), ["V"], [[0, 0, 0]])
    assert too_close(crystal, VANADIUM) is None


def test_check_accepts_oxide_and_oxygen_molecule():
    check_structure(rutile(), VANADIUM)
    molecule = Structure(Lattice.cubic(12), ["O", "O"], [[0, 0, 0], [1.21 / 12, 0, 0]])
    check_structure(molecule, VANADIUM)


@pytest.mark.parametrize(
    ("crystal", "error", "words"),
    [
        (Structure(Lattice.cubic(4), ["V", "Fe"], [[0] * 3, [0.5] * 3]), ElementError, "Fe"),
        (Structure(Lattice.cubic(4), [], []), ElementError, "no atoms"),
        (Structure(Lattice.cubic(4), [{"V": 0.5}], [[0] * 3]), DisorderError, "site 0"),
        (Structure(Lattice.cubic(4), ["V"], [[np.nan, 0, 0]]), NonFiniteError, "site 0"),
        (Structure(Lattice.cubic(np.inf), ["V"], [[0] * 3]), NonFiniteError, "lattice"),
        (Structure(Lattice.cubic(4), ["V", "O"], [[0] * 3, [0.1, 0, 0]]), OverlapError, "0.40 Å"),
        (
            Structure(Lattice([[3, 0, 0], [0, 3, 0], [3, 3, 0]]), ["V"], [[0] * 3]),
            OverlapError,
            "no volume",
        ),
    ],
)
def test_check_refuses(crystal, error, words):
    with pytest.raises(error, match=words):
        check_structure(crystal, VANADIUM)


def test_overlap_limit_is_a_share_of_the_minimum_distance():
    limit = OVERLAP_FRACTION * VANADIUM.minimum_distance("O", "V")
    for factor, fine in ((0.999, False), (1.001, True)):
        shift = factor * limit / 5
        crystal = Structure(Lattice.cubic(5), ["V", "O"], [[0, 0, 0], [shift, 0, 0]])
        if fine:
            check_structure(crystal, VANADIUM)
        else:
            with pytest.raises(OverlapError):
                check_structure(crystal, VANADIUM)


def test_foreign_pair_has_no_limit():
    with pytest.raises(InputError, match="lacks the pair"):
        too_close(Structure(Lattice.cubic(4), ["Fe"], [[0] * 3]), VANADIUM)
