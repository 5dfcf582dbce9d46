"""Augmented batches of grids for the training of the autoencoders.

Only lattices and fractional coordinates are kept in memory; each batch is voxelised when it is
used. Crystals are made canonical first and displaced afterwards, so that the origin stays where
training, testing and generation expect it.
"""

from __future__ import annotations

import itertools

import numpy as np

from atomate2_vogen.errors import GridError
from atomate2_vogen.models.networks.hyperparameters import Preset, VAEPreset
from atomate2_vogen.models.training.crystal_pool import Pool
from atomate2_vogen.models.training.random_batches import RandomBatches
from atomate2_vogen.voxels.codec import VoxelCodec
from atomate2_vogen.voxels.sites import write_sites

_TURNS = np.array(
    [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
)
"""The 48 signed permutations of three axes."""


class GridBatches(RandomBatches):
    """Random batches of grids of training crystals.

    Parameters
    ----------
    pool
        Training crystals.
    preset
        Batch size and steps per epoch.
    seed
        Random seed for crystals and augmentation.
    """

    def __init__(self, pool: Pool, preset: VAEPreset, seed: int) -> None:
        super().__init__(preset, seed)
        self.pool = pool

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray]:
        """Grids of crystals that are drawn with replacement."""
        chosen = rng.choice(len(self.pool), self.preset.batch)
        return (self.grids(self.pool.take(chosen), rng),)

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Grids of the crystals of one batch."""
        raise NotImplementedError


class SitesBatches(GridBatches):
    """Batches of sites grids of rattled crystals, some in other settings, some of random points.

    Parameters
    ----------
    sigma
        Width of the Gaussians in voxels.
    augment
        Preset with the size of the displacements and the fractions of the other kinds.
    """

    def __init__(
        self, pool: Pool, preset: VAEPreset, seed: int, sigma: float, augment: Preset
    ) -> None:
        super().__init__(pool, preset, seed)
        self.grid, self.sigma, self.augment = preset.grid, sigma, augment

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Displace, change setting or replace by random points, then voxelise."""
        coords = pool.coords + rattle(pool, self.augment.rattle, rng)
        kind = rng.random(len(pool))
        moved = kind < self.augment.p_moved
        coords[moved] = move(coords[moved], pool.counts[moved], rng)
        loose = kind > 1 - self.augment.p_random
        coords[loose] = random_points(coords[loose].shape, rng)
        n = self.grid
        grids = np.empty((len(pool), n, n, n, 2), dtype=np.float32)
        for i in range(len(pool)):
            atoms = pool.channels[i] >= 0
            write_sites(coords[i][atoms], pool.channels[i][atoms], n, self.sigma, grids[i])
        # melted pairs would stand above the nominal height
        return np.minimum(grids, 1.0, out=grids)


class LatticeBatches(GridBatches):
    """Batches of lattice grids of strained cells.

    Parameters
    ----------
    codec
        Codec of the grids.
    strain
        Standard deviation of each component of the symmetric strain.
    """

    def __init__(
        self, pool: Pool, preset: VAEPreset, seed: int, codec: VoxelCodec, strain: float
    ) -> None:
        super().__init__(pool, preset, seed)
        self.codec, self.strain = codec, strain

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Strain, then voxelise; a cell that no longer fits the grid is left unstrained."""
        strain = rng.normal(0, self.strain, (len(pool), 3, 3))
        cells = pool.lattices @ (np.eye(3) + (strain + strain.transpose(0, 2, 1)) / 2)
        grids = np.empty((len(pool), *self.codec.lattice_shape), dtype=np.float32)
        for i in range(len(pool)):
            try:
                self.codec.encode_lattice(cells[i], grids[i])
            except GridError:
                self.codec.encode_lattice(pool.lattices[i], grids[i])
        return grids


def rattle(pool: Pool, size: float, rng: np.random.Generator) -> np.ndarray:
    """Displacements (n, A, 3) in fractional coordinates, normal with `size` in Å.

    The first metal atom stays: it is the origin.
    """
    moves = rng.normal(0, size, pool.coords.shape)
    moves[:, 0] = 0
    return np.matmul(moves, np.linalg.inv(pool.lattices))


def move(coords: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change the origin to another metal atom and permute and mirror the axes.

    Parameters
    ----------
    coords
        Fractional coordinates, shape (n, A, 3), metal first.
    counts
        Numbers of metal and anion atoms, shape (n, 2).
    """
    origin = rng.integers(0, np.maximum(counts[:, 0], 1))
    coords = coords - coords[np.arange(len(coords)), origin][:, None]
    return coords @ _TURNS[rng.integers(0, len(_TURNS), len(coords))]


def random_points(
    shape: tuple[int, ...], rng: np.random.Generator, apart: float = 0.16, tries: int = 40
) -> np.ndarray:
    """Random fractional coordinates (n, A, 3), the first atom at the origin.

    Points are at least `apart` from each other (fractional) if `tries` draws find such a point.
    """
    n, largest, _ = shape
    points = np.zeros(shape)
    for atom in range(1, largest):
        draws = rng.random((tries, n, 3))
        gaps = draws[:, :, None] - points[None, :, :atom]
        gaps -= np.round(gaps)
        nearest = np.einsum("tnai,tnai->tna", gaps, gaps).min(axis=2)
        # the first draw that is far enough, else the farthest
        good = nearest >= apart**2
        pick = np.where(good.any(axis=0), good.argmax(axis=0), nearest.argmax(axis=0))
        points[:, atom] = draws[pick, np.arange(n)]
    return points
