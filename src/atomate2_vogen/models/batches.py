"""Crystals for training: which ones, in which form, and as grids made on the fly.

Only lattices and fractional coordinates are kept in memory; every batch is voxelised when it
is asked for. Crystals are made canonical first and shaken afterwards, so that the origin
stays where training, testing and generation expect it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.errors import GridError, NonFiniteError, TrainingError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.presets import Preset, VAEPreset
from atomate2_vogen.voxels.codec import VoxelCodec
from atomate2_vogen.voxels.sites import write_sites

_IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)

_TURNS = np.array(
    [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
)
"""The 48 signed permutations of three axes."""


def physical(crystals: CrystalSet) -> np.ndarray:
    """Whether no two atoms are closer than the system's minimum distances, shape (n,).

    The 27 nearest images are enough: the cells are Niggli-reduced.
    """
    system = crystals.system
    metal, anion = system.elements
    limits = np.empty((2, 2))
    limits[0, 0] = system.minimum_distance(metal, metal)
    limits[1, 1] = system.minimum_distance(anion, anion)
    limits[0, 1] = limits[1, 0] = system.minimum_distance(metal, anion)
    channels = (crystals.numbers == system.atomic_numbers[1]).astype(int)
    sane = np.empty(len(crystals), dtype=bool)
    for i in range(len(crystals)):
        sites = slice(crystals.offsets[i], crystals.offsets[i + 1])
        coords, kind, lattice = crystals.frac_coords[sites], channels[sites], crystals.lattices[i]
        apart = coords[:, None] - coords[None]
        apart -= np.round(apart)
        vectors = apart[:, :, None] @ lattice + _IMAGES @ lattice
        squared = np.einsum("ijkl,ijkl->ijk", vectors, vectors)
        squared[squared < 1e-8] = np.inf
        sane[i] = (squared.min(axis=2) >= limits[kind[:, None], kind[None]] ** 2).all()
    return sane


@dataclass(frozen=True, eq=False)
class Pool:
    """Canonical crystals of one split as padded arrays.

    Parameters
    ----------
    system
        The oxide system.
    lattices
        (n, 3, 3) in Å, standard setting.
    coords
        (n, A, 3) fractional; A is the system's largest cell.
    channels
        (n, A): 0 metal, 1 anion, -1 no atom.
    counts
        (n, 2) atoms of metal and anion.
    energies
        (n,) eV/atom as it stands, not-a-number where unlabelled.
    relaxed
        (n,) eV/atom as it relaxes, not-a-number where unlabelled.
    groups
        (n,) prototype group.
    """

    system: OxideSystem
    lattices: np.ndarray
    coords: np.ndarray
    channels: np.ndarray
    counts: np.ndarray
    energies: np.ndarray
    relaxed: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.lattices)

    def __add__(self, other: Pool) -> Pool:
        """The crystals of both, of one system."""
        arrays = {
            field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
            if field.name != "system"
        }
        return Pool(self.system, **arrays)

    def take(self, indices: np.ndarray) -> Pool:
        """The crystals of an index array or mask."""
        return Pool(
            self.system,
            self.lattices[indices],
            self.coords[indices],
            self.channels[indices],
            self.counts[indices],
            self.energies[indices],
            self.relaxed[indices],
            self.groups[indices],
        )


def make_pool(
    crystals: CrystalSet,
    split: str,
    preset: Preset,
    codec: VoxelCodec,
    seed: int = 0,
    *,
    relaxed: np.ndarray | None = None,
) -> Pool:
    """Canonical, physically sane crystals of a split, the big families thinned out.

    Most crystals of the substitution are near copies (thousands of rock salts): per prototype
    group and counts at most ``preset.per_group`` are kept, drawn at random; distinct ones
    come first. `relaxed` are the energies (n,) that the crystals of the data set relax to.

    Raises
    ------
    TrainingError
        If nothing is left.
    """
    chosen = np.flatnonzero(crystals.splits == split)
    chosen = chosen[physical(crystals.select(chosen))]
    rng = np.random.default_rng([seed, 1])
    order = np.lexsort((rng.random(len(chosen)), ~crystals.is_distinct[chosen]))
    chosen, kept = chosen[order], []
    seen: dict[tuple[int, ...], int] = {}
    every = crystals.counts
    for i in chosen:
        key = (int(crystals.groups[i]), *every[i].tolist())
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= preset.per_group:
            kept.append(int(i))
    some = np.sort(np.array(kept, dtype=int))
    labels = None if relaxed is None else relaxed[some]
    return pool_of(crystals.select(some), codec, split, labels)


def pool_of(
    crystals: CrystalSet,
    codec: VoxelCodec,
    name: str = "data set",
    relaxed: np.ndarray | None = None,
) -> Pool:
    """All crystals that the grids can hold, canonical; `relaxed` are energies at their ends.

    Raises
    ------
    TrainingError
        If none can be held.
    """
    system, largest = crystals.system, crystals.system.max_atoms
    lattices, coords, channels, kept = [], [], [], []
    for i in range(len(crystals)):
        sites = slice(crystals.offsets[i], crystals.offsets[i + 1])
        if sites.stop - sites.start > largest:
            continue
        try:
            cell, atoms, numbers = codec.canonical_arrays(
                crystals.lattices[i], crystals.frac_coords[sites], crystals.numbers[sites]
            )
            codec.encode_lattice(cell)
        except (GridError, NonFiniteError):
            continue
        kept.append(i)
        lattices.append(cell)
        padded = np.zeros((largest, 3))
        padded[: len(atoms)] = atoms
        coords.append(padded)
        kind = np.full(largest, -1)
        kind[: len(atoms)] = numbers == system.atomic_numbers[1]
        channels.append(kind)
    if not kept:
        raise TrainingError(f"the {name} holds no crystal that can be voxelised")
    return Pool(
        system,
        np.array(lattices),
        np.array(coords),
        np.array(channels),
        crystals.counts[kept],
        crystals.energies[kept],
        np.full(len(kept), np.nan) if relaxed is None else relaxed[kept],
        crystals.groups[kept],
    )


def sites_grids(pool: Pool, n: int, sigma: float) -> np.ndarray:
    """Sites grids (len(pool), n, n, n, 2) of a pool as it is."""
    grids = np.empty((len(pool), n, n, n, 2), dtype=np.float32)
    for i in range(len(pool)):
        atoms = pool.channels[i] >= 0
        write_sites(pool.coords[i][atoms], pool.channels[i][atoms], n, sigma, grids[i])
    return grids


def lattice_grids(pool: Pool, codec: VoxelCodec) -> np.ndarray:
    """Lattice grids (len(pool), M, M, M, 1) of a pool as it is."""
    grids = np.empty((len(pool), *codec.lattice_shape), dtype=np.float32)
    for i in range(len(pool)):
        codec.encode_lattice(pool.lattices[i], grids[i])
    return grids


class Batches(keras.utils.PyDataset):
    """Batches of grids, drawn by seed, epoch and number, so that any of them can be redone.

    Parameters
    ----------
    pool
        Crystals.
    preset
        Batch size and steps per epoch.
    seed
        Of everything that is drawn.
    """

    def __init__(self, pool: Pool, preset: VAEPreset, seed: int) -> None:
        super().__init__(workers=1)
        self.pool, self.preset, self.seed, self.epoch = pool, preset, seed, 0

    def __len__(self) -> int:
        return self.preset.steps

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        chosen = rng.choice(len(self.pool), self.preset.batch)
        return (self.grids(self.pool.take(chosen), rng),)

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Grids of the crystals that were drawn."""
        raise NotImplementedError


class SitesBatches(Batches):
    """Sites grids of rattled crystals, some in other settings, some of random points.

    Parameters
    ----------
    sigma
        Width of the Gaussians in voxels.
    augment
        Sizes of rattle and shares of the other kinds.
    """

    def __init__(
        self, pool: Pool, preset: VAEPreset, seed: int, sigma: float, augment: Preset
    ) -> None:
        super().__init__(pool, preset, seed)
        self.sigma, self.augment = sigma, augment

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Rattle, move, replace by random points, then voxelise."""
        coords = pool.coords + rattle(pool, self.augment.rattle, rng)
        kind = rng.random(len(pool))
        moved = kind < self.augment.p_moved
        coords[moved] = move(coords[moved], pool.counts[moved], rng)
        loose = kind > 1 - self.augment.p_random
        coords[loose] = random_points(coords[loose].shape, rng)
        n = self.preset.grid
        grids = np.empty((len(pool), n, n, n, 2), dtype=np.float32)
        for i in range(len(pool)):
            atoms = pool.channels[i] >= 0
            write_sites(coords[i][atoms], pool.channels[i][atoms], n, self.sigma, grids[i])
        # melted pairs would stand above the nominal height
        return np.minimum(grids, 1.0, out=grids)


class LatticeBatches(Batches):
    """Lattice grids of strained cells.

    Parameters
    ----------
    codec
        Writes the grids.
    strain
        Standard deviation of each component of the symmetric strain.
    """

    def __init__(
        self, pool: Pool, preset: VAEPreset, seed: int, codec: VoxelCodec, strain: float
    ) -> None:
        super().__init__(pool, preset, seed)
        self.codec, self.strain = codec, strain

    def grids(self, pool: Pool, rng: np.random.Generator) -> np.ndarray:
        """Strain, then voxelise; a cell that strain takes out of the format stays as it was."""
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
    """Another metal atom as origin and another signed permutation of the axes.

    Parameters
    ----------
    coords
        (n, A, 3), metal first.
    counts
        (n, 2).
    """
    origin = rng.integers(0, np.maximum(counts[:, 0], 1))
    coords = coords - coords[np.arange(len(coords)), origin][:, None]
    return coords @ _TURNS[rng.integers(0, len(_TURNS), len(coords))]


def random_points(
    shape: tuple[int, ...], rng: np.random.Generator, apart: float = 0.16, tries: int = 40
) -> np.ndarray:
    """Random fractional coordinates (n, A, 3), the first atom at the origin.

    Points are `apart` in fractional coordinates where a place can be found in `tries`.
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


def pool_structure(pool: Pool, index: int) -> Structure:
    """Crystal number `index` of a pool."""
    atoms = pool.channels[index] >= 0
    symbols = [pool.system.elements[channel] for channel in pool.channels[index][atoms]]
    return Structure(Lattice(pool.lattices[index]), symbols, pool.coords[index][atoms])
