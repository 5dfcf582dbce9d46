"""From the text of a structure file to structures, strictly.

pymatgen's parsers are lenient: a CIF site with an unreadable symbol is dropped, a repeated
block replaces the first one, a POSCAR without symbols becomes hydrogen and helium. Each of
these gives a crystal that is not the one in the file, so here each is an error. Messages do
not name the file: the caller knows its name.
"""

from __future__ import annotations

import json
import re
import warnings
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from atomate2_vogen.analysis.cif import read_block
from atomate2_vogen.errors import ElementError, InputError, NonFiniteError, StructureFileError

if TYPE_CHECKING:
    from pymatgen.core import Structure

PATTERNS = ("*.cif", "*.vasp", "*.poscar", "*.json", "POSCAR*", "CONTCAR*")
"""Names of structure files; upper and lower case are the same."""

_BLOCK = re.compile(r"^[ \t]*data_", re.MULTILINE | re.IGNORECASE)


def is_structure_name(name: str) -> bool:
    """Whether a file of this name is taken for a structure file."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in PATTERNS)


def is_structure_dict(content: object) -> bool:
    """Whether decoded JSON looks like a pymatgen structure."""
    return isinstance(content, dict) and "lattice" in content and "sites" in content


def parse(name: str, text: str, max_atoms: int) -> list[Structure | InputError]:
    """Read the structures of one file.

    Parameters
    ----------
    name
        File name without folders; it tells the format.
    text
        Content.
    max_atoms
        Limit per cell, checked before anything is built where the text already tells.

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
    lowered = name.lower()
    if lowered.endswith(".cif"):
        return _parse_cif(text, max_atoms)
    if lowered.endswith(".json"):
        return [_parse_json(text)]
    if is_structure_name(name):
        return [_parse_poscar(text, max_atoms)]
    raise StructureFileError(
        f"unknown kind of file; the name must match one of {', '.join(PATTERNS)}"
    )


def check_size(count: int, max_atoms: int) -> None:
    """Refuse a cell that is too large.

    Raises
    ------
    StructureFileError
        If it is.
    """
    if count > max_atoms:
        raise StructureFileError(f"{count} atoms; at most {max_atoms} per cell are read")


def _parse_cif(text: str, max_atoms: int) -> list[Structure | InputError]:
    starts = [match.start() for match in _BLOCK.finditer(text)]
    if not starts:
        raise StructureFileError("not a CIF file (no data_ block)")
    chunks = [text[i:j] for i, j in zip(starts, [*starts[1:], len(text)], strict=True)]
    # blocks without atoms (journal data, powder patterns) are part of many good files
    with_atoms = [chunk for chunk in chunks if "_atom_site_fract_x" in chunk.lower()]
    if not with_atoms:
        raise StructureFileError("the CIF file lists no atoms (no _atom_site_fract_x)")
    results: list[Structure | InputError] = []
    for chunk in with_atoms:
        try:
            results.append(_parse_cif_block(chunk, max_atoms))
        except InputError as error:
            results.append(error)
    return results


def _parse_cif_block(chunk: str, max_atoms: int) -> Structure:
    """One data block; raises where pymatgen would only warn that atoms are lost."""
    from pymatgen.io.cif import CifFile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (block,) = CifFile.from_str(chunk).data.values()
            _check_cif_values(block.data, max_atoms)
            structure, parser = read_block(chunk)
            mismatch = parser.check(structure)
    except InputError:
        raise
    except Exception as error:
        if "exceeded tolerance" in str(error):
            raise StructureFileError("several atoms lie on one site") from error
        if _is_torn_loop(error):
            raise StructureFileError(
                "the CIF file does not parse: the values of a loop_ do not fill its columns; "
                "the file may be cut off"
            ) from error
        raise _unparsed("CIF file", error) from error
    if "implicit_hydrogens" in structure.site_properties:
        raise ElementError("hydrogen without coordinates")
    # a disordered cell is refused as such by whoever checks the structure
    if mismatch and structure.is_ordered and mismatch.startswith(("Missing", "Incorrect")):
        raise StructureFileError(
            f"the sites give {structure.composition.formula}, which is not what the file's own "
            "formula says; check its symbols and its symmetry"
        )
    return structure


def _is_torn_loop(error: Exception) -> bool:
    """Whether pymatgen or the standard library stumbled over a loop_ that ends too early."""
    return isinstance(error, ZeroDivisionError) or (
        isinstance(error, ValueError)
        and ("is not a multiple of" in str(error) or "zip() argument" in str(error))
    )


def _check_cif_values(values: dict[str, Any], max_atoms: int) -> None:
    """Refuse what pymatgen replaces by a guess, and what would keep it busy for hours."""
    cell = [f"_cell_length_{axis}" for axis in "abc"]
    cell += [f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")]
    if missing := [key for key in cell if key not in values]:
        raise StructureFileError(f"the CIF file lacks {', '.join(missing)}")
    columns = [values.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    check_size(len(columns[0]), max_atoms)
    for value in (value.strip().lower() for column in columns for value in column):
        if value in {".", "?"}:
            raise StructureFileError(f"an atom has no coordinates ({value!r})")
        if value.lstrip("+-")[:3] in {"nan", "inf"}:
            raise NonFiniteError(f"an atom lies at {value}")


def _parse_poscar(text: str, max_atoms: int) -> Structure:
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    for line in text.splitlines()[5:7]:
        # before parsing: a forged count would fill the memory
        check_size(sum(int(token) for token in line.split() if token.isdecimal()), max_atoms)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", BadPoscarWarning)
            return Poscar.from_str(text).structure
    except BadPoscarWarning as error:
        if "cannot be determined" not in str(error):
            raise _unparsed("POSCAR file", error) from error
        raise StructureFileError(
            "a VASP 4 file without element symbols; add a line with the symbols above the line "
            "with the numbers of atoms"
        ) from error
    except Exception as error:
        raise _unparsed("POSCAR file", error) from error


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
    try:
        return Structure.from_dict(content)
    except Exception as error:
        raise _unparsed("JSON structure", error) from error


def _unparsed(kind: str, error: Exception) -> StructureFileError:
    """One line out of whatever a parser raised."""
    if isinstance(error, IndexError):
        reason = "it ends too early"
    elif isinstance(error, KeyError):
        reason = f"it lacks {error}"
    else:
        reason = " ".join(str(error).split()) or type(error).__name__
    return StructureFileError(f"the {kind} does not parse: {reason}")
