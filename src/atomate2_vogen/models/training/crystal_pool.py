"""Training crystals in canonical form as padded arrays, and their grids."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.errors import GridError, NonFiniteError, TrainingError
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.voxels.codec import VoxelCodec
from atomate2_vogen.voxels.sites import write_sites

_IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)


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
        Oxide system.
    lattices
        Cells in the standard setting, rows a, b, c in Å, shape (n, 3, 3).
    coords
        Fractional coordinates, shape (n, A, 3); A is the size of the system's largest cell.
    channels
        Channels of the atoms, shape (n, A): 0 metal, 1 anion, -1 no atom.
    counts
        Numbers of metal and anion atoms, shape (n, 2).
    energies
        Energies without relaxation in eV/atom, shape (n,); not-a-number where unlabelled.
    relaxed
        Energies after relaxation in eV/atom, shape (n,); not-a-number where unlabelled.
    groups
        Numbers of the prototype groups, shape (n,).
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
        """Crystals of both pools, which must have one system."""
        arrays = {
            field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
            if field.name != "system"
        }
        return Pool(self.system, **arrays)

    def take(self, indices: np.ndarray) -> Pool:
        """Crystals of an index array or mask."""
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
    """Make a pool of the canonical crystals of a split, at most some of each family.

    Most crystals of the substitution are near copies (thousands of rock salts): per prototype
    group and counts at most ``preset.per_group`` are kept, drawn at random; distinct ones
    come first. `relaxed` are the energies (n,) that the crystals of the data set relax to.

    Raises
    ------
    TrainingError
        If no crystal is left.
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
    """Make a pool of all crystals that fit the grids.

    Parameters
    ----------
    crystals, codec
        Data set, and the codec of its grids.
    name
        Name of the data set for error messages.
    relaxed
        Energies after relaxation in eV/atom, shape (n,).

    Raises
    ------
    TrainingError
        If no crystal fits the grids.
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
    """Sites grids (len(pool), n, n, n, 2) of a pool, without augmentation."""
    grids = np.empty((len(pool), n, n, n, 2), dtype=np.float32)
    for i in range(len(pool)):
        atoms = pool.channels[i] >= 0
        write_sites(pool.coords[i][atoms], pool.channels[i][atoms], n, sigma, grids[i])
    return grids


def lattice_grids(pool: Pool, codec: VoxelCodec) -> np.ndarray:
    """Lattice grids (len(pool), M, M, M, 1) of a pool, without augmentation."""
    grids = np.empty((len(pool), *codec.lattice_shape), dtype=np.float32)
    for i in range(len(pool)):
        codec.encode_lattice(pool.lattices[i], grids[i])
    return grids


def pool_structure(pool: Pool, index: int) -> Structure:
    """Crystal of a pool as a pymatgen structure."""
    atoms = pool.channels[index] >= 0
    symbols = [pool.system.elements[channel] for channel in pool.channels[index][atoms]]
    return Structure(Lattice(pool.lattices[index]), symbols, pool.coords[index][atoms])
