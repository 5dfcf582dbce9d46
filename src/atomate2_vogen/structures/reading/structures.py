"""Structure files of a user: found, read and checked before anything is computed with them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError, StructureFileError
from atomate2_vogen.files import user_path
from atomate2_vogen.structures.geometry import check_structure
from atomate2_vogen.structures.reading.folders import crystal_folder
from atomate2_vogen.structures.reading.limits import MAX_READ_ATOMS, check_read_size
from atomate2_vogen.structures.reading.parsers import (
    PATTERNS,
    is_structure_dict,
    is_structure_name,
    parse_structures,
    with_clear_errors,
)
from atomate2_vogen.structures.reading.texts import plain_name, read_text, reason_of

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True)
class ReadStructure:
    """A crystal from a file: ordered, inside the system, atoms apart from each other.

    Parameters
    ----------
    path
        The file.
    structure
        The crystal as written there, without oxidation states and site properties.
    block
        Which data block of a CIF with several structures, from 1; None where there is one.

    Examples
    --------
    >>> from atomate2_vogen.structures import read_structures
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> _ = crystal.to("POSCAR")
    >>> ((one,), _) = read_structures(["POSCAR"])
    >>> one.structure.reduced_formula, one.block is None
    ('VO', True)
    """

    path: Path
    structure: Structure
    block: int | None = None

    @property
    def label(self) -> str:
        """The path, and the block where the file has several."""
        return _label(self.path, self.block)


@dataclass(frozen=True)
class BadFile:
    """A file, or one block of it, that cannot be used; `error` names it and says why.

    Examples
    --------
    >>> from pathlib import Path
    >>> from atomate2_vogen.structures import read_structures
    >>> _ = Path("broken.cif").write_text("data_broken")
    >>> (_, (bad,)) = read_structures(["broken.cif"])
    >>> bad.path.name, type(bad.error).__name__
    ('broken.cif', 'StructureFileError')
    """

    path: Path
    error: InputError


def read_structures(
    paths: Iterable[str | Path],
    system: OxideSystem = VANADIUM,
    max_atoms: int = MAX_READ_ATOMS,
    elements: Sequence[str] | None = None,
) -> tuple[list[ReadStructure], list[BadFile]]:
    """Read every structure file that is named or lies in a named folder.

    Parameters
    ----------
    paths
        Files and folders. Folders are searched for `parsers.PATTERNS`, without sub-folders; a JSON
        file in a folder that holds something other than a structure is passed over. Of the output
        folder of a run its ``cifs`` are read.
    system
        Elements and minimum distances to check against.
    max_atoms
        Largest number of atoms per cell.
    elements
        Symbols of the groups of atoms of POSCAR files of VASP 4, which have none, in their order,
        such as ``("V", "O")``. Nothing is guessed from a file's comment or name.

    Returns
    -------
    tuple of lists
        What can be used, and what cannot with the reason; each in the order of `paths`, then
        by name. One bad file never hides the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> from atomate2_vogen.structures import read_structures
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> _ = crystal.to("VO.cif"), Path("broken.cif").write_text("data_broken")
    >>> read, bad = read_structures(["VO.cif", "broken.cif"])
    >>> read[0].label, read[0].structure.reduced_formula, len(bad)
    ('VO.cif', 'VO', 1)
    """
    good: list[ReadStructure] = []
    bad: list[BadFile] = []
    seen: set[str] = set()
    for path in map(Path, paths):
        try:
            files = _expand(crystal_folder(user_path(path, StructureFileError)))
        except StructureFileError as error:
            bad.append(BadFile(path, error))
            continue
        for file in files:
            real = os.path.realpath(file)  # Path.resolve raises on a loop of links
            if real in seen:
                continue
            seen.add(real)
            for block, result in _read_file(file, system, max_atoms, elements):
                if isinstance(result, InputError):
                    bad.append(BadFile(file, result))
                else:
                    good.append(ReadStructure(file, result, block))
    return good, bad


def _label(path: Path, block: int | None) -> str:
    return str(path) if block is None else f"{path} (block {block})"


def _expand(path: Path) -> list[Path]:
    """Files under one argument; an argument that leads to none is an error."""
    try:
        if not path.is_dir():
            return [path]
        names = sorted(path.iterdir())
    except OSError as error:
        raise StructureFileError(f"{path}: cannot be opened ({reason_of(error)})") from error
    found = [
        file
        for file in names
        if is_structure_name(file.name) and not file.is_dir() and not _is_other_json(file)
    ]
    if not found:
        hint = "; its sub-folders are not searched" if any(f.is_dir() for f in names) else ""
        raise StructureFileError(
            f"{path}: no structure files in this folder (looked for {', '.join(PATTERNS)}){hint}"
        )
    return found


def _is_other_json(path: Path) -> bool:
    """Whether this is well-formed JSON about something else, e.g. a table of results."""
    if not plain_name(path.name).lower().endswith(".json"):
        return False
    with contextlib.suppress(InputError, ValueError, RecursionError):
        return not is_structure_dict(json.loads(read_text(path)))
    return False


def _read_file(
    path: Path, system: OxideSystem, max_atoms: int, elements: Sequence[str] | None
) -> Iterator[tuple[int | None, Structure | InputError]]:
    """Every structure of one file, or why it cannot be used."""
    try:
        blocks = with_clear_errors(
            "file", lambda: parse_structures(path.name, read_text(path), max_atoms, elements)
        )
    except InputError as error:
        yield None, _named(error, path, None)
        return
    for number, found in enumerate(blocks, 1):
        block = number if len(blocks) > 1 else None
        if isinstance(found, InputError):
            yield block, _named(found, path, block)
            continue
        try:
            yield block, with_clear_errors("structure", partial(_checked, found, system, max_atoms))
        except InputError as error:
            yield block, _named(error, path, block)


def _named(error: InputError, path: Path, block: int | None) -> InputError:
    """The same error on one line that begins with the file's name."""
    return type(error)(f"{_label(path, block)}: {' '.join(str(error).split())}")


def _checked(structure: Structure, system: OxideSystem, max_atoms: int) -> Structure:
    """The bare crystal, or the typed error of the first check that it fails."""
    from pymatgen.core import Structure

    check_read_size(len(structure), max_atoms)
    check_structure(structure, system)
    symbols = [site.specie.symbol for site in structure]
    return Structure(structure.lattice, symbols, structure.frac_coords)
