"""The lattice grid against closed forms, and cells read back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice

from atomate2_vogen.errors import GridError, NonFiniteError
from atomate2_vogen.voxels.canonical import niggli
from atomate2_vogen.voxels.lattice import read_lattice, standard_setting, write_lattice

# spglib 2.8 announces how it will report errors; both ways are handled
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")


def test_the_three_gaussians_stand_where_the_formula_says():
    m, step = 32, 20 / 32
    cell = Lattice.from_parameters(4.1, 5.3, 7.7, 85, 100, 95)
    alpha, beta, gamma = np.radians(cell.angles)
    a, b, c = cell.abc
    cy = c * (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    cx = c * np.cos(beta)
    ends = [
        (a, 0, -3.5),
        (b * np.cos(gamma), b * np.sin(gamma), 0),
        (cx, cy, np.sqrt(c**2 - cx**2 - cy**2) + 3.0),
    ]
    axis = (np.arange(m) + 0.5) * step
    x, y, z = np.meshgrid(axis - 7.5, axis - 8.0, axis - 5.5, indexing="ij")
    expected = sum(
        np.exp(-((x - u) ** 2 + (y - v) ** 2 + (z - w) ** 2) / (2 * step**2)) for u, v, w in ends
    )
    grid = write_lattice(cell.matrix, m, 1.0)
    assert grid.shape == (m, m, m, 1)
    assert grid.dtype == np.float32
    assert np.allclose(grid[..., 0], expected, rtol=1e-4, atol=1e-9)
    assert grid.sum() == pytest.approx(3 * (2 * np.pi) ** 1.5, rel=1e-3)


@st.composite
def reduced_cells(draw):
    edges = [draw(st.floats(1.9, 10)) for _ in range(3)]
    angles = [draw(st.floats(55, 125)) for _ in range(3)]
    cosines = np.cos(np.radians(angles))
    if 1 - (cosines**2).sum() + 2 * cosines.prod() < 0.05:
        angles = [90.0, 90.0, 90.0]
    lattice = niggli(Lattice.from_parameters(*edges, *angles).matrix)
    assume(np.linalg.norm(lattice, axis=1).min() > 1.5)
    return lattice


@settings(max_examples=200, deadline=None)
@given(lattice=reduced_cells(), m=st.sampled_from([16, 17, 24, 32, 48]))
def test_any_reduced_cell_comes_back(lattice, m):
    before = Lattice(lattice)
    after = Lattice(read_lattice(write_lattice(lattice, m, 1.0), 1.0))
    assert np.allclose(after.abc, before.abc, rtol=2e-4)
    assert np.allclose(after.angles, before.angles, atol=0.02)
    assert np.linalg.det(after.matrix) > 0
    assert np.abs(np.triu(after.matrix, 1)).max() == 0


@pytest.mark.parametrize("m", [16, 32])
def test_the_farthest_reach_of_c_fits(m):
    """γ near 68°, c over the far corner of the Voronoi cell of the ab net: y = ∓5.9 Å."""
    for shift in (3.5, 3.7, 4.0):
        height = np.sqrt(100 - shift**2)
        y = (50 - shift**2 + 5 * shift) / height
        for x, sign in ((shift - 5, 1), (5 - shift, -1)):
            z = np.sqrt(100 - x**2 - y**2)
            lattice = np.array([[10, 0, 0], [shift, height, 0], [x, sign * y, z]])
            assert abs(y) > 5.88
            assert np.allclose(
                read_lattice(write_lattice(lattice, m, 1.0), 1.0), lattice, atol=1e-2
            )


def test_orientation_does_not_matter():
    lattice = np.array([[4.0, 0, 0], [-1, 5, 0], [0.3, -0.7, 6]])
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    assert np.allclose(write_lattice(lattice @ turn, 32, 1.0), write_lattice(lattice, 32, 1.0))
    assert np.allclose(standard_setting(lattice @ turn), lattice)


@pytest.mark.parametrize(
    ("lattice", "words"),
    [
        (np.diag([5.0, 6, 14]), "does not fit"),
        (np.diag([13.0, 13.0, 13.0]), "does not fit"),
        (np.array([[11.0, 0, 0], [-7.1, 9, 0], [0, 0, 10.3]]), "does not fit"),
        (np.diag([7.0, 6, 5]), "do not ascend"),
        (np.diag([0.5, 6, 7]), "below 1.0 Å"),
        (np.diag([5.0, 6, -7]), "left-handed"),
        (np.array([[5.0, 0, 0], [5, 5, 0], [10, 5, 0]]), "no volume"),
        (np.array([[5.0, 0, 0], [4.5, 3, 0], [0, 0, 7]]), "an angle"),
        (np.eye(4), "shape"),
    ],
)
def test_cells_that_do_not_fit_are_named(lattice, words):
    with pytest.raises(GridError, match=words):
        write_lattice(lattice, 32, 1.0)


def test_nan_is_named():
    with pytest.raises(NonFiniteError):
        write_lattice(np.full((3, 3), np.nan), 32, 1.0)


@pytest.mark.parametrize(("vector", "shelf"), [("a", slice(0, 6)), ("b", slice(7, 11))])
def test_a_missing_vector_is_named(vector, shelf):
    grid = write_lattice(np.diag([4.0, 5, 6]), 32, 1.0)
    grid[:, :, shelf] = 0
    with pytest.raises(GridError, match=f"vector {vector}"):
        read_lattice(grid, 1.0)


def test_no_cell_is_read_from_blank_or_from_nonsense():
    with pytest.raises(GridError, match="no peak"):
        read_lattice(np.zeros((32, 32, 32, 1), np.float32), 1.0)
    good = write_lattice(np.diag([4.0, 5, 6]), 32, 1.0)
    flipped = good.copy()
    flipped[:, :, 6:12] = np.roll(good[:, :, 6:12], -12, axis=1)
    with pytest.raises(GridError, match="no positive volume"):
        read_lattice(flipped, 1.0)
    sharp = good.copy()
    sharp[:, :, 6:12] = np.roll(good[:, :, 6:12], 7, axis=0)
    with pytest.raises(GridError, match="not reduced, an angle"):
        read_lattice(sharp, 1.0)


def test_blur_and_noise_move_a_cell_little():
    rng = np.random.default_rng(0)
    lattice = np.array([[4.0, 0, 0], [-1, 5, 0], [0.3, -0.7, 6]])
    worst = 0.0
    for _ in range(20):
        grid = 0.7 * write_lattice(lattice, 32, 1.3)
        grid += rng.normal(0, 0.01, grid.shape).astype(np.float32)
        worst = max(worst, np.abs(read_lattice(grid, 1.0) - lattice).max())
    assert worst < 0.1
