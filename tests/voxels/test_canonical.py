"""The canonical form: the same for every description of a crystal."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import GridError, NonFiniteError
from atomate2_vogen.voxels import VoxelCodec
from atomate2_vogen.voxels.canonical import canonical_arrays, equivalent_bases, niggli

# spglib 2.8 announces how it will report errors; both ways are handled
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")

METAL, ANION = VANADIUM.elements

PHASES = {
    "rutile": ("P4_2/mnm", (4.55, 4.55, 2.85, 90, 90, 90), [[0, 0, 0], [0.3, 0.3, 0]]),
    "cadmium iodide": ("P-3m1", (3.1, 3.1, 5.0, 90, 90, 120), [[0, 0, 0], [1 / 3, 2 / 3, 0.2]]),
    "fluorite": ("Fm-3m", (4.9, 4.9, 4.9, 90, 90, 90), [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "quartz": ("P3_221", (4.9, 4.9, 5.4, 90, 90, 120), [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]]),
    "baddeleyite": (
        "P2_1/c",
        (5.15, 5.2, 5.3, 90, 99, 90),
        [[0.28, 0.04, 0.21], [0.07, 0.33, 0.34], [0.45, 0.76, 0.48]],
    ),
}


@lru_cache
def phase(name):
    group, cell, coords = PHASES[name]
    symbols = [METAL, *[ANION] * (len(coords) - 1)]
    structure = Structure.from_spacegroup(group, Lattice.from_parameters(*cell), symbols, coords)
    return structure.get_primitive_structure()


def arrays(structure):
    channels = (np.array(structure.atomic_numbers) == VANADIUM.atomic_numbers[1]).astype(int)
    return structure.lattice.matrix, structure.frac_coords, channels


def displacement(first, second):
    """Largest distance in Å between assigned atoms of two descriptions, same origin."""
    worst = np.abs(first[0] - second[0]).max()
    for channel in (0, 1):
        apart = first[1][first[2] == channel][:, None] - second[1][second[2] == channel][None]
        apart -= np.round(apart)
        lengths = np.linalg.norm(apart @ first[0], axis=-1)
        worst = max(worst, lengths[linear_sum_assignment(lengths)].max())
    return worst


@st.composite
def descriptions(draw):
    """A change of basis, a rotation, a shift and a permutation."""
    change = np.eye(3, dtype=int)
    for _ in range(draw(st.integers(0, 4))):
        row, column = draw(st.permutations(range(3)))[:2]
        shear = np.eye(3, dtype=int)
        shear[row, column] = draw(st.sampled_from([-1, 1]))
        change = shear @ change
    if draw(st.booleans()):
        change = change[[1, 0, 2]]
    seed = draw(st.integers(0, 2**31))
    return change, Rotation.random(rng=np.random.default_rng(seed)).as_matrix(), seed


@settings(max_examples=60, deadline=None)
@given(description=descriptions(), name=st.sampled_from(sorted(PHASES)))
def test_every_description_gives_the_same_form(description, name):
    lattice, coords, channels = arrays(phase(name))
    change, turn, seed = description
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(coords))
    coords2 = (coords @ np.linalg.inv(change) + rng.uniform(-3, 3, 3))[order]
    first = canonical_arrays(lattice, coords, channels)
    second = canonical_arrays(change @ lattice @ turn.T, coords2, channels[order])
    assert displacement(first, second) < 1e-3


@pytest.mark.parametrize("name", PHASES)
def test_form_is_as_described(name):
    structure = phase(name)
    lattice, coords, channels = canonical_arrays(*arrays(structure))
    reduced = structure.lattice.get_niggli_reduced_lattice()
    assert np.allclose(Lattice(lattice).abc, reduced.abc, rtol=1e-3)
    assert np.allclose(sorted(Lattice(lattice).angles), sorted(reduced.angles), atol=0.05)
    assert np.abs(np.triu(lattice, 1)).max() == 0
    assert (np.diag(lattice) > 0).all()
    assert (coords >= 0).all()
    assert (coords < 1).all()
    assert sorted(channels) == list(channels)
    # an atom of the metal is the origin
    assert np.abs(coords[channels == 0]).sum(axis=1).min() < 1e-9
    again = canonical_arrays(lattice, coords, channels)
    assert displacement((lattice, coords, channels), again) < 1e-6


@pytest.mark.parametrize("name", PHASES)
def test_nothing_but_the_description_changes(name):
    structure = phase(name)
    canonical = VoxelCodec().canonical(structure)
    for symbol in (METAL, ANION):
        before, after = (
            np.sort([[n.nn_distance for n in s.get_neighbors(site, 6.0)] for s, site in chosen])
            for chosen in (
                [(s, site) for site in s if site.specie.symbol == symbol]
                for s in (structure, canonical)
            )
        )
        assert np.allclose(before[np.lexsort(before.T)], after[np.lexsort(after.T)], atol=2e-3)


def test_mirror_images_stay_different():
    lattice, coords, channels = arrays(phase("quartz"))
    first = canonical_arrays(lattice, coords, channels)
    mirrored = canonical_arrays(lattice @ np.diag([1, 1, -1]), coords, channels)
    assert displacement(first, mirrored) > 0.1
    # two mirrors make a rotation
    twice = canonical_arrays(mirrored[0] @ np.diag([-1, 1, 1]), mirrored[1], mirrored[2])
    assert displacement(first, twice) < 1e-3
    # a crystal with a mirror of its own is its own image
    lattice, coords, channels = arrays(phase("baddeleyite"))
    same = canonical_arrays(lattice @ np.diag([1, 1, -1]), coords, channels)
    assert displacement(canonical_arrays(lattice, coords, channels), same) < 1e-3


@pytest.mark.parametrize(
    ("cell", "order"),
    [
        ((4, 4, 4, 90, 90, 90), 24),
        ((4, 4, 4, 60, 60, 60), 24),
        ((3, 3, 5, 90, 90, 120), 12),
        ((3, 3, 5, 90, 90, 90), 8),
        ((4, 4, 4, 75, 75, 75), 6),
        ((3, 4, 5, 90, 90, 90), 4),
        ((3, 4, 5, 90, 100, 90), 2),
        ((3, 4, 5, 80, 75, 70), 1),
    ],
)
def test_rotations_of_a_lattice_are_those_of_its_system(cell, order):
    lattice = niggli(Lattice.from_parameters(*cell).matrix)
    changes, inverses = equivalent_bases(lattice)
    assert len(changes) == order
    assert np.allclose(changes @ inverses, np.eye(3))


def test_small_displacements_seldom_change_the_form():
    rng = np.random.default_rng(0)
    changed = 0
    for name in PHASES:
        lattice, coords, channels = arrays(phase(name))
        first = canonical_arrays(lattice, coords, channels)
        for _ in range(20):
            noise = rng.normal(0, 1e-3 / np.sqrt(3), coords.shape)
            second = canonical_arrays(lattice, coords + noise, channels)
            changed += displacement(first, second) > 0.05
    assert changed <= 5


@pytest.mark.parametrize("name", PHASES)
def test_numerical_noise_in_the_cell_does_not_change_the_form(name):
    rng = np.random.default_rng(0)
    lattice, coords, channels = arrays(phase(name))
    first = canonical_arrays(lattice, coords, channels)
    for _ in range(20):
        strained = lattice @ (np.eye(3) + rng.normal(0, 1e-6, (3, 3)))
        assert displacement(first, canonical_arrays(strained, coords, channels)) < 1e-3


def test_an_oxygen_is_the_origin_where_there_is_no_metal():
    _, coords, channels = canonical_arrays(np.diag([3.0, 4, 5]), [[0.1, 0.2, 0.3]], np.array([1]))
    assert coords.tolist() == [[0, 0, 0]]
    assert channels.tolist() == [1]


@pytest.mark.parametrize(
    ("lattice", "error"),
    [
        (np.diag([3.0, 4, np.nan]), NonFiniteError),
        (np.diag([3.0, 4, 0]), GridError),
        (np.ones((3, 3)), GridError),
    ],
)
def test_bad_lattices_are_refused(lattice, error):
    with pytest.raises(error):
        canonical_arrays(lattice, np.zeros((1, 3)), np.array([0]))
