"""From the text of a structure file to structures, strictly.

The common parsers are lenient: a CIF site with an unreadable symbol is dropped, a symbol that
is not known becomes P1, a POSCAR without symbols becomes hydrogen and helium. Each of these
gives a crystal that is not the one in the file, so here each is an error. Messages do not name
the file: the caller knows its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from atomate2_vogen.errors import InputError, StructureFileError
from atomate2_vogen.structures.reading.texts import plain_name

if TYPE_CHECKING:
    from pymatgen.core import Structure

T = TypeVar("T")

PATTERNS = ("*.cif", "*.vasp", "*.poscar", "*.json", "POSCAR*", "CONTCAR*")
"""Names of structure files; upper and lower case are the same, and ``.gz`` or ``.bz2`` may follow."""


def is_structure_name(name: str) -> bool:
    """Whether the name of a file is that of a structure file."""
    lowered = plain_name(name).lower()
    return any(fnmatchcase(lowered, pattern.lower()) for pattern in PATTERNS)


def is_structure_dict(content: object) -> bool:
    """Whether decoded JSON looks like a pymatgen structure."""
    return isinstance(content, dict) and "lattice" in content and "sites" in content


def parse_structures(
    name: str, text: str, max_atoms: int, elements: Sequence[str] | None = None
) -> list[Structure | InputError]:
    """Read the structures of one file.

    Parameters
    ----------
    name
        File name without folders; it gives the format.
    text
        Content.
    max_atoms
        Limit per cell, checked before a structure is built where the text states the number.
    elements
        Of the groups of atoms of a POSCAR file without symbols, as of `parse_poscar`.

    Returns
    -------
    list
        One entry per structure in the order of the file; a block of a CIF that cannot be
        used stands as its error, so that it does not hide the others.

    Raises
    ------
    InputError
        If nothing in the file can be used.
    """
    lowered = plain_name(name).lower()
    if lowered.endswith(".cif"):
        return _parse_cif(text, max_atoms)
    if lowered.endswith(".json"):
        return [with_clear_errors("JSON structure", lambda: _parse_json(text))]
    if is_structure_name(name):
        from atomate2_vogen.structures.reading.poscar import parse_poscar

        return [with_clear_errors("POSCAR file", lambda: parse_poscar(text, max_atoms, elements))]
    raise StructureFileError(
        f"unknown kind of file; the name must match one of {', '.join(PATTERNS)}, or one of "
        "these with .gz or .bz2"
    )


def with_clear_errors(what: str, read: Callable[[], T]) -> T:
    """Read one file or crystal; an error concerns this one only.

    Parameters
    ----------
    what
        Kind of file, for the message.
    read
        Reads and checks it.

    Raises
    ------
    InputError
        Any exception of any library. Only a lack of memory is passed on: it
        concerns everything.
    """
    try:
        return read()
    except (InputError, MemoryError):
        raise
    except Exception as error:
        # on purpose every exception: libraries raise what their authors did not foresee
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"it lacks {error}"
        raise StructureFileError(f"the {what} does not parse: {reason}") from error


def _parse_cif(text: str, max_atoms: int) -> list[Structure | InputError]:
    from atomate2_vogen.structures.reading.cif_blocks import CifBlock, read_blocks
    from atomate2_vogen.structures.reading.cif_crystal import crystal_of

    def crystal(block: CifBlock) -> Structure:
        return with_clear_errors("CIF file", lambda: crystal_of(block, max_atoms))

    results: list[Structure | InputError] = []
    for block in read_blocks(text):
        try:
            results.append(crystal(block) if isinstance(block, CifBlock) else block)
        except InputError as error:
            results.append(error)
    return results


def _parse_json(text: str) -> Structure:
    from pymatgen.core import Structure

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StructureFileError(f"not valid JSON: {error}") from error
    if not is_structure_dict(content):
        raise StructureFileError(
            "not a pymatgen structure (no lattice and sites); write one with "
            "Structure.to(filename=...)"
        )
    return Structure.from_dict(content)
