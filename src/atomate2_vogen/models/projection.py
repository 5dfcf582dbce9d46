"""Composition of decoded grids, and their projection towards grids of crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atomate2_vogen.errors import GridError, VogenError
from atomate2_vogen.structures.geometry import too_close

if TYPE_CHECKING:
    from atomate2_vogen.models.trained_model import TrainedModel
    from atomate2_vogen.voxels.codec import VoxelCodec


def counts_read(codec: VoxelCodec, sites: np.ndarray) -> tuple[int, int] | None:
    """Numbers of metal and anion atoms read from a sites grid; None if it is unreadable."""
    try:
        _, numbers, _ = codec.decode_sites(sites)
    except GridError:
        return None
    return atoms_of(codec, numbers)


def atoms_of(codec: VoxelCodec, numbers: np.ndarray) -> tuple[int, int]:
    """Numbers of metal and anion atoms among atomic numbers."""
    metal, anion = codec.system.atomic_numbers
    return int((numbers == metal).sum()), int((numbers == anion).sum())


def is_sound(
    codec: VoxelCodec, sites: np.ndarray, lattice: np.ndarray, atoms: tuple[int, int]
) -> bool:
    """Whether two grids decode to the requested atoms at physical distances.

    The composition is not given to the decoder.

    Parameters
    ----------
    codec
        Codec of the grids.
    sites, lattice
        Sites grid (N, N, N, 2) and lattice grid (M, M, M, 1).
    atoms
        Requested numbers of metal and anion atoms.
    """
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
    """Project grids in place (`TrainedModel.project`) if their composition is nearly right.

    Parameters
    ----------
    model
        Trained networks.
    latents
        Standardised joint latents, shape (n, L); projected ones are overwritten.
    sites
        Sites grids that they decode to, shape (n, N, N, N, 2); overwritten likewise.
    counts
        Requested numbers of metal and anion atoms, shape (n, 2).
    times
        Largest number of projections of each grid.
    miscount
        Largest difference in atoms between the composition read from a grid and the request.
    stop_when_read
        Whether a grid with the requested composition is projected no further.

    Returns
    -------
    times : np.ndarray
        Number of projections of each grid, shape (n,).
    read : list
        Numbers of metal and anion atoms last read from each grid, before its last projection;
        None where it was unreadable or was not read.
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
    """Difference in atoms between a composition that was read and the request, or infinity."""
    if read is None:
        return np.inf
    return float(abs(read[0] - wanted[0]) + abs(read[1] - wanted[1]))
