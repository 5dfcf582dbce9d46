"""Text of a structure file to structures, strictly.

pymatgen's parsers are lenient: a CIF site with an unreadable symbol is dropped, a repeated
block replaces the first one, a POSCAR without symbols becomes hydrogen and helium. Each of
these gives a crystal that is not the one in the file, so here each is an error that names
the file.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.errors import (
    ElementError,
    InputError,
    NonFiniteError,
    StructureFileError,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

PATTERNS = ("*.cif", "*.vasp", "*.poscar", "*.json", "POSCAR*", "CONTCAR*")
"""Names of structure files; upper and lower case are the same."""

_BLOCK = re.compile(r"^[ \t]*data_", re.MULTILINE | re.IGNORECASE)


def _parse(path: Path, text: str, max_atoms: int) -> list[Structure | InputError]:
    """Structures, in the order of the file's blocks."""
    suffix = path.suffix.lower()
    if suffix == ".cif":
        return _parse_cif(path, text, max_atoms)
    if suffix == ".json":
        return [_parse_json(path, text)]
    if any(_matches(path, pattern) for pattern in PATTERNS):
        return [_parse_poscar(path, text, max_atoms)]
    raise StructureFileError(
        f"{path}: unknown kind of file; the name must match one of {', '.join(PATTERNS)}"
    )


def _parse_cif(path: Path, text: str, max_atoms: int) -> list[Structure | InputError]:
    starts = [match.start() for match in _BLOCK.finditer(text)]
    if not starts:
        raise StructureFileError(f"{path}: not a CIF file (no data_ block)")
    chunks = [text[i:j] for i, j in zip(starts, [*starts[1:], len(text)], strict=True)]
    # blocks without atoms (journal data, powder patterns) are part of many good files
    with_atoms = [chunk for chunk in chunks if "_atom_site_fract_x" in chunk.lower()]
    if not with_atoms:
        raise StructureFileError(f"{path}: the CIF file lists no atoms (no _atom_site_fract_x)")
    results: list[Structure | InputError] = []
    for number, chunk in enumerate(with_atoms, 1):
        label = _label(path, number if len(with_atoms) > 1 else None)
        try:
            results.append(_parse_cif_block(label, chunk, max_atoms))
        except InputError as error:
            results.append(error)
    return results


def _parse_cif_block(label: str, chunk: str, max_atoms: int) -> Structure:
    """One data block; raises where pymatgen would only warn that atoms are lost."""
    from pymatgen.io.cif import CifFile, CifParser

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (block,) = CifFile.from_str(chunk).data.values()
            columns = [block.data.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
            if len(columns[0]) > max_atoms:
                raise StructureFileError(_too_many(label, len(columns[0]), max_atoms))
            for value in (value for column in columns for value in column):
                if value.strip() in {".", "?"}:
                    raise StructureFileError(f"{label}: an atom has no coordinates ({value!r})")
                if value.strip().lower().lstrip("+-")[:3] in {"nan", "inf"}:
                    raise NonFiniteError(f"{label}: an atom lies at {value.strip()}")
            parser = CifParser.from_str(chunk, check_cif=False)
            (structure,) = parser.parse_structures(primitive=False, on_error="raise")
            mismatch = parser.check(structure)
    except InputError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[-1] if str(error) else type(error).__name__
        if "exceeded tolerance" in reason:
            reason = f"several atoms on one site ({reason.rstrip('.')})"
        raise StructureFileError(f"{label}: the CIF file does not parse: {reason}") from error
    if "implicit_hydrogens" in structure.site_properties:
        raise ElementError(f"{label}: holds hydrogen without coordinates")
    if not structure.is_ordered:
        return structure  # to be refused as such
    if mismatch and mismatch.startswith(("Missing elements", "Incorrect stoichiometry")):
        raise StructureFileError(
            f"{label}: the sites give {structure.composition.formula}, which is not what the "
            "file's own formula says; check its symbols and symmetry"
        )
    return structure


def _parse_poscar(path: Path, text: str, max_atoms: int) -> Structure:
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    for line in text.splitlines()[5:7]:
        # before parsing: a forged count would fill the memory
        if (count := sum(int(t) for t in line.split() if t.isdecimal())) > max_atoms:
            raise StructureFileError(_too_many(str(path), count, max_atoms))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", BadPoscarWarning)
            return Poscar.from_str(text).structure
    except BadPoscarWarning as error:
        if "cannot be determined" not in str(error):
            raise StructureFileError(f"{path}: {_one_line(error)}") from error
        raise StructureFileError(
            f"{path}: a VASP 4 file without element symbols; add a line with the symbols above "
            "the line with the numbers of atoms"
        ) from error
    except Exception as error:
        raise StructureFileError(
            f"{path}: the POSCAR file does not parse: {_one_line(error)}"
        ) from error


def _parse_json(path: Path, text: str) -> Structure:
    from pymatgen.core import Structure

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StructureFileError(f"{path}: not valid JSON: {_one_line(error)}") from error
    if not _is_structure_dict(content):
        raise StructureFileError(
            f"{path}: not a pymatgen structure (no lattice and sites); write one with "
            "Structure.to(filename=...)"
        )
    try:
        return Structure.from_dict(content)
    except Exception as error:
        raise StructureFileError(
            f"{path}: the JSON structure does not parse: {_one_line(error)}"
        ) from error


def _too_many(label: str, count: int, max_atoms: int) -> str:
    return f"{label}: {count} atoms; at most {max_atoms} per cell are read"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
