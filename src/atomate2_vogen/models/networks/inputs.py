"""Inputs of the networks: the grids of a preset, and condition vectors of compositions."""

from __future__ import annotations

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.voxels.codec import VoxelCodec


def make_codec(preset: Preset, system: OxideSystem) -> VoxelCodec:
    """Codec between crystals and grids of a preset's sizes."""
    return VoxelCodec(
        system,
        n_sites=preset.sites.grid,
        n_lattice=preset.lattice.grid,
        sigma_sites=preset.sites.sigma,
    )


def conditions(counts: np.ndarray, system: OxideSystem) -> np.ndarray:
    """Condition vectors: both counts as one-hot, and as fractions of the largest cell.

    Parameters
    ----------
    counts
        Numbers of metal and anion atoms, shape (n, 2).
    system
        Oxide system, whose largest cell has A atoms.

    Returns
    -------
    np.ndarray
        Shape (n, 2A + 3), float32: one-hot vector of each count, each count divided by A, and
        the metal's fraction of the atoms.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.chemistry import VANADIUM
    >>> vectors = conditions(np.array([[2, 4]]), VANADIUM)  # V2O4, in cells of up to 20 atoms
    >>> vectors.shape, vectors[0, -3:].astype(float).round(2).tolist()
    ((1, 43), [0.1, 0.2, 0.33])
    """
    largest = system.max_atoms
    counts = np.asarray(counts, dtype=int)
    hot = np.eye(largest + 1, dtype=np.float32)[:, 1:]
    shares = counts / largest
    metal = counts[:, :1] / counts.sum(axis=1, keepdims=True)
    return np.concatenate([hot[counts[:, 0]], hot[counts[:, 1]], shares, metal], axis=1).astype(
        np.float32
    )


def condition_length(system: OxideSystem) -> int:
    """Length of a condition vector."""
    return 2 * system.max_atoms + 3
