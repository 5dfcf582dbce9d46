"""How large a file and a cell may be."""

from __future__ import annotations

from atomate2_vogen.errors import StructureFileError

MAX_READ_ATOMS = 200
"""Largest cell that is read: beyond it one relaxation takes hours on one core."""

MAX_BYTES = 10_000_000
"""Largest file that is opened, and largest content that is decompressed."""


def check_read_size(count: int, max_atoms: int) -> None:
    """Refuse a cell that is too large.

    Raises
    ------
    StructureFileError
        If it is.
    """
    if count > max_atoms:
        raise StructureFileError(f"{count} atoms; at most {max_atoms} per cell are read")
