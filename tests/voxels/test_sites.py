"""The sites grid against closed forms and an analytic sum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from atomate2_vogen.voxels.sites import write_sites


@pytest.mark.parametrize(("n", "sigma"), [(16, 1.0), (32, 1.0), (32, 2.0), (48, 0.5)])
def test_every_voxel_is_the_sum_over_periodic_images(n, sigma):
    rng = np.random.default_rng(3)
    coords, channels = rng.uniform(-1, 2, (5, 3)), np.array([0, 0, 1, 1, 1])
    grid = write_sites(coords, channels, n, sigma)
    points = rng.integers(0, n, (200, 3))
    images = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    for channel in (0, 1):
        apart = (
            points[:, None, None] / n - coords[channels == channel][None, :, None] + images
        ) * n
        expected = np.exp(-(apart**2).sum(-1) / (2 * sigma**2)).sum((1, 2))
        found = grid[*points.T, channel]
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_mass_counts_the_atoms(sigma):
    coords = np.random.default_rng(0).uniform(size=(7, 3))
    grid = write_sites(coords, np.array([0, 0, 0, 1, 1, 1, 1]), 32, sigma)
    mass = grid.astype(float).sum((0, 1, 2)) / ((2 * np.pi) ** 1.5 * sigma**3)
    assert mass == pytest.approx([3, 4], rel=1e-5)
