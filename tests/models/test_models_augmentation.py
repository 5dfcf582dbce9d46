"""Training crystals and their batches, against pymatgen and the codec."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.networks import inputs
from atomate2_vogen.models.training import augmentation, crystal_pool
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.voxels.codec import VoxelCodec


@pytest.fixture(scope="module")
def codec(tiny):
    return VoxelCodec(VANADIUM, n_sites=tiny.sites.grid, n_lattice=tiny.lattice.grid)


@pytest.fixture(scope="module")
def pool(crystals, tiny, codec):
    return crystal_pool.make_pool(crystals, "train", tiny, codec)


def test_physical_agrees_with_the_distance_check(crystals):
    some = crystals.select(np.arange(80))
    expected = [too_close(s, VANADIUM) is None for s in some.structures()]
    assert any(expected)
    assert not all(expected)
    np.testing.assert_array_equal(crystal_pool.physical(some), expected)


def test_pool_keeps_crystals_and_thins_families(crystals, tiny, codec):
    from dataclasses import replace

    pool = crystal_pool.make_pool(crystals, "train", replace(tiny, per_group=2), codec)
    keys = [(int(g), *c) for g, c in zip(pool.groups, pool.counts.tolist(), strict=True)]
    assert max(keys.count(key) for key in keys) == 2
    full = crystal_pool.pool_of(crystals.select(np.arange(5)), codec)
    matcher = StructureMatcher()
    for i in range(5):
        assert matcher.fit(crystal_pool.pool_structure(full, i), crystals.structure(i))


def test_no_crystal_to_train_on(crystals, tiny, codec):
    with pytest.raises(TrainingError, match="nosuch"):
        crystal_pool.make_pool(crystals, "nosuch", tiny, codec)


def test_grids_are_the_codecs(pool, codec):
    few = pool.take(np.arange(3))
    structures = [crystal_pool.pool_structure(pool, i) for i in range(3)]
    sites = crystal_pool.sites_grids(few, codec.n_sites, codec.sigma_sites)
    lattices = crystal_pool.lattice_grids(few, codec)
    for i, structure in enumerate(structures):
        expected = codec.encode(structure)
        np.testing.assert_allclose(sites[i], expected[0], atol=1e-4)
        np.testing.assert_allclose(lattices[i], expected[1], atol=1e-4)


def test_a_batch_depends_on_seed_epoch_and_number_only(pool, tiny, codec):
    def make(seed):
        return augmentation.SitesBatches(pool, tiny.sites, seed, codec.sigma_sites, tiny)

    first, second, other = make(1), make(1), make(2)
    assert len(first) == tiny.sites.steps
    ahead = first[3][0]
    _ = second[0]
    np.testing.assert_array_equal(ahead, second[3][0])
    assert np.abs(ahead - other[3][0]).max() > 0.5
    second.on_epoch_end()
    assert np.abs(ahead - second[3][0]).max() > 0.5
    assert ahead.shape == (tiny.sites.batch, 16, 16, 16, 2)
    assert ahead.min() >= 0
    assert ahead.max() <= 1


def test_rattle_has_its_size_and_keeps_the_origin(pool):
    moves = augmentation.rattle(pool, 0.1, np.random.default_rng(0))
    assert not moves[:, 0].any()
    cartesian = np.einsum("nai,nij->naj", moves[:, 1:], pool.lattices)
    assert cartesian.std() == pytest.approx(0.1, rel=0.05)


def test_moved_points_keep_their_differences_up_to_axes_and_signs(pool):
    coords, counts = pool.coords[:20], pool.counts[:20]
    moved = augmentation.move(coords, counts, np.random.default_rng(0))
    for old, new in zip(coords, moved, strict=True):
        gaps = [
            np.sort(np.linalg.norm(c[:, None] - c[None], axis=-1), axis=None) for c in (old, new)
        ]
        np.testing.assert_allclose(*gaps, atol=1e-9)
    # some metal atom is at the origin
    for new, count in zip(moved, counts, strict=True):
        assert np.abs(new[: count[0]]).sum(axis=1).min() < 1e-12


def test_random_points_stay_apart():
    points = augmentation.random_points((30, 12, 3), np.random.default_rng(0))
    assert not points[:, 0].any()
    gaps = points[:, :, None] - points[:, None]
    gaps -= np.round(gaps)
    distances = np.linalg.norm(gaps, axis=-1) + np.eye(12)
    assert distances.min() > 0.159


def test_strained_cells_are_read_back(pool, tiny, codec):
    maker = augmentation.LatticeBatches(pool, tiny.lattice, 0, codec, strain=0.02)
    few = pool.take(np.arange(10))
    grids = maker.grids(few, np.random.default_rng(0))
    for grid, cell in zip(grids, few.lattices, strict=True):
        ratio = np.linalg.norm(codec.decode_lattice(grid), axis=1) / np.linalg.norm(cell, axis=1)
        assert np.abs(ratio - 1).max() < 0.1
    changed = maker.grids(few, np.random.default_rng(1))
    assert np.abs(changed - grids).max() > 0.01


def test_conditions_tell_compositions_apart():
    vectors = inputs.conditions(np.array([[2, 4], [4, 8], [2, 5]]), VANADIUM)
    assert vectors.shape == (3, inputs.condition_length(VANADIUM))
    assert vectors[0, :20].argmax() == 1
    assert vectors[0, 20:40].argmax() == 3
    np.testing.assert_allclose(vectors[0, -3:], [0.1, 0.2, 1 / 3], rtol=1e-6)
    assert len(np.unique(vectors, axis=0)) == 3
