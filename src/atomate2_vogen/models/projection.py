"""Whole batches of generated boxes: what they hold, and one step towards crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atomate2_vogen.errors import GridError, VogenError
from atomate2_vogen.structures.geometry import too_close

if TYPE_CHECKING:
    from atomate2_vogen.models.trained_model import TrainedModel
    from atomate2_vogen.voxels.codec import VoxelCodec


def counts_read(codec: VoxelCodec, sites: np.ndarray) -> tuple[int, int] | None:
    """Atoms of metal and anion that a sites grid holds by itself; None if it cannot be read."""
    try:
        _, numbers, _ = codec.decode_sites(sites)
    except GridError:
        return None
    return atoms_of(codec, numbers)


def atoms_of(codec: VoxelCodec, numbers: np.ndarray) -> tuple[int, int]:
    """Atoms of metal and anion among atomic numbers."""
    metal, anion = codec.system.atomic_numbers
    return int((numbers == metal).sum()), int((numbers == anion).sum())


def is_sound(
    codec: VoxelCodec, sites: np.ndarray, lattice: np.ndarray, atoms: tuple[int, int]
) -> bool:
    """Whether two grids, nothing told, are a crystal of the atoms asked for, and these apart."""
    try:
        structure = codec.decode(sites, lattice)
        return atoms_of(codec, np.array(structure.atomic_numbers)) == atoms and not too_close(
            structure, codec.system
        )
    except VogenError:
        return False


def project_boxes(
    model: TrainedModel,
    latents: np.ndarray,
    sites: np.ndarray,
    counts: np.ndarray,
    *,
    times: int = 1,
    miscount: int = 2,
    stop_when_read: bool = False,
) -> tuple[np.ndarray, list[tuple[int, int] | None]]:
    """Project boxes in place (`TrainedModel.project`), those that are worth it.

    Parameters
    ----------
    model
        Trained networks.
    latents
        (n, L) standardised; those that are projected are replaced.
    sites
        (n, N, N, N, 2) grids that they decode to; replaced likewise.
    counts
        (n, 2) atoms of metal and anion asked for.
    times
        How often.
    miscount
        Most atoms by which a box, read by itself, may differ from what was asked for.
    stop_when_read
        Whether a box that by itself reads as asked for is projected no further.

    Returns
    -------
    times : np.ndarray
        (n,) how often each was projected.
    read : list
        Atoms of metal and anion that each was last read as, before the last projection if it
        was projected; None where it could not be read, or was not.
    """
    done = np.zeros(len(latents), dtype=int)
    todo = np.ones(len(latents), dtype=bool)
    read: list[tuple[int, int] | None] = [None] * len(latents)
    for turn in range(times):
        if turn == 0 or stop_when_read:
            read = [counts_read(model.codec, box) for box in sites]
            missed = [
                _miscount(got, wanted) for got, wanted in zip(read, counts.tolist(), strict=True)
            ]
            todo &= np.less_equal(missed, miscount if turn == 0 else np.inf)
            todo &= np.greater(missed, 0) | (not stop_when_read)
        if not todo.any():
            break
        latents[todo], moved = model.project(latents[todo], sites[todo], counts[todo])
        rows = np.flatnonzero(todo)[moved]
        if len(rows):
            sites[rows] = model.decode_sites(latents[rows])
        done[rows] += 1
    return done, read


def _miscount(read: tuple[int, int] | None, wanted: list[int]) -> float:
    """Atoms by which a reading differs from what was asked for; infinity if there is none."""
    if read is None:
        return np.inf
    return float(abs(read[0] - wanted[0]) + abs(read[1] - wanted[1]))
