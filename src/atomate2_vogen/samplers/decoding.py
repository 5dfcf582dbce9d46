"""Reading a generated box: from two grids to a crystal, or to the reason why there is none."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import GridError, VogenError, shortened
from atomate2_vogen.models.projection import atoms_of
from atomate2_vogen.samplers.base import RefusedError
from atomate2_vogen.schemas import RejectionReason
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.voxels.codec import VoxelCodec


def read_box(
    codec: VoxelCodec,
    sites: np.ndarray,
    lattice: np.ndarray,
    atoms: tuple[int, int],
    *,
    composition_given: bool,
) -> Structure:
    """Crystal of two grids, if it has the requested composition and is physical.

    Atoms are read before the cell, so that the composition of every box is checked, for any
    lattice.

    Parameters
    ----------
    codec
        Codec of the grids.
    sites, lattice
        Grids of one box.
    atoms
        Atoms of metal and anion asked for.
    composition_given
        Whether the composition `atoms` is given, so that the reader takes as many of the highest
        peaks, or must read the composition from the grid.

    Raises
    ------
    RefusedError
        With the reason.
    """
    try:
        coords, numbers, _ = codec.decode_sites(sites, atoms if composition_given else None)
    except GridError as error:
        # with the counts given, only missing peaks can be in the way
        reason = (
            RejectionReason.WRONG_COMPOSITION
            if composition_given
            else RejectionReason.UNREADABLE_GRID
        )
        raise RefusedError(reason, shortened(str(error))) from error
    system = codec.system
    got = atoms_of(codec, numbers)
    if got != atoms:
        raise wrong_composition(system, got, atoms)
    try:
        cell = codec.decode_lattice(lattice)
    except GridError as error:
        raise RefusedError(RejectionReason.IMPOSSIBLE_LATTICE, shortened(str(error))) from error
    symbols = [system.elements[int(z == system.atomic_numbers[1])] for z in numbers]
    structure = Structure(cell, symbols, coords)
    try:
        message = too_close(structure, system)
    except VogenError as error:
        raise RefusedError(RejectionReason.IMPOSSIBLE_LATTICE, shortened(str(error))) from error
    if message:
        raise RefusedError(RejectionReason.ATOMS_TOO_CLOSE, message)
    return structure


def wrong_composition(
    system: OxideSystem, got: tuple[int, int], atoms: tuple[int, int]
) -> RefusedError:
    """That a box holds other atoms of metal and anion than were asked for."""
    return RefusedError(
        RejectionReason.WRONG_COMPOSITION,
        f"holds {got[0]} {system.metal} and {got[1]} {system.anion}, asked for "
        f"{atoms[0]} and {atoms[1]}",
    )
