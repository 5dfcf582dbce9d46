"""Peaks against the Gaussians that they were made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomate2_vogen.voxels.peaks import fit_overlapping, local_maxima, parabola


def gaussians(n, sigma, *centres, height=1.0):
    """Periodic Gaussians at centres in voxels, one channel, written with no shared code."""
    axes = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).astype(float)
    grid = np.zeros((n, n, n))
    for centre in centres:
        apart = (axes - np.asarray(centre) + n / 2) % n - n / 2
        grid += height * np.exp(-(apart**2).sum(-1) / (2 * sigma**2))
    return grid[..., None].astype(np.float32)


def distance(first, second, n):
    apart = (np.asarray(first) - second + n / 2) % n - n / 2
    return np.linalg.norm(apart, axis=-1)


coordinate = st.floats(0, 15.999)


@settings(max_examples=60, deadline=None)
@given(
    centre=st.tuples(coordinate, coordinate, coordinate),
    sigma=st.floats(0.6, 2.0),
    height=st.floats(0.3, 1.2),
)
def test_parabola_is_exact_for_an_isolated_gaussian(centre, sigma, height):
    grid = gaussians(16, sigma, centre, height=height)
    voxels = local_maxima(grid, 0.5 * height * np.exp(-0.375 / sigma**2))
    positions, heights = parabola(grid, voxels, sigma)
    assert len(positions) == 1
    # the nearest image of a wide Gaussian leaves a kink on the far side of the box
    assert distance(positions[0], centre, 16) < 1e-3
    assert heights[0] == pytest.approx(height, rel=1e-3)


@pytest.mark.parametrize("centre", [(3.5, 3.5, 3.5), (0, 15.5, 7.5), (15.5, 15.5, 15.5), (0, 0, 0)])
def test_gaussian_midway_between_voxels_is_one_peak(centre):
    grid = gaussians(16, 1.0, centre)
    voxels = local_maxima(grid, 0.3)
    positions, heights = parabola(grid, voxels, 1.0)
    assert len(voxels) == 1
    assert distance(positions[0], centre, 16) < 1e-5
    assert heights[0] == pytest.approx(1.0, rel=1e-5)


def test_plateau_is_one_peak_and_channels_are_apart():
    flat = np.ones((16, 16, 16, 2), dtype=np.float32)
    assert local_maxima(flat, 0.5).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert len(local_maxima(flat, 1.0)) == 0


@settings(max_examples=60, deadline=None)
@given(
    centre=st.tuples(coordinate, coordinate, coordinate),
    direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.1),
    # along a diagonal 3.5 is 2 in each direction: nearer ones can have neighbouring voxels, of which
    # only the higher is a maximum; atoms of a crystal are ten voxels apart
    separation=st.floats(3.5, 6.0),
)
def test_overlapping_gaussians_are_separated(centre, direction, separation):
    direction = np.array(direction) / np.linalg.norm(direction)
    other = (np.array(centre) + separation * direction) % 16
    grid = gaussians(16, 1.0, centre, other)
    voxels = local_maxima(grid, 0.3)
    assert len(voxels) == 2
    positions, _ = parabola(grid, voxels, 1.0)
    freed = fit_overlapping(grid, voxels, positions, 1.0, periodic=True)
    for wanted in (centre, other):
        assert distance(freed, wanted, 16).min() < 1e-4


def test_fit_leaves_alone_what_it_does_not_explain():
    centres = [(4.2, 8.0, 8.0), (8.1, 8.0, 8.0)]
    blurred = gaussians(16, 1.7, *centres, height=0.5)
    voxels = local_maxima(blurred, 0.2)
    positions, _ = parabola(blurred, voxels, 1.0)
    assert np.array_equal(
        fit_overlapping(blurred, voxels, positions, 1.0, periodic=True), positions
    )


def test_any_noise_leaves_shifts_and_heights_bounded():
    grid = np.random.default_rng(0).random((24, 24, 24, 2)).astype(np.float32) ** 8
    grid[::5] = 0.0
    voxels = local_maxima(grid, 0.05)
    positions, heights = parabola(grid, voxels, 1.0)
    assert len(voxels) > 300
    assert np.abs(positions - voxels[:, :3]).max() <= 0.5
    raw = grid[tuple(voxels.T)]
    assert (heights >= raw * (1 - 1e-6)).all()
    assert (heights <= raw * np.exp(0.375) * (1 + 1e-6)).all()


def test_maxima_are_scipys():
    from scipy.ndimage import maximum_filter

    grid = np.random.default_rng(1).random((20, 20, 20, 1)).astype(np.float32)
    expected = np.argwhere(
        (maximum_filter(grid, size=(3, 3, 3, 1), mode="wrap") == grid) & (grid > 0.4)
    )
    assert np.array_equal(local_maxima(grid, 0.4), expected)
