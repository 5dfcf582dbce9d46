"""Tables of energies, and which structure file each of their rows is about.

Files of one name lie in many folders (a CONTCAR each), so a row is matched by its path and never by
the last part of it alone where two files have that.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from atomate2_vogen.errors import InputError
from atomate2_vogen.files import user_path

ENERGY_COLUMNS = ("file", "energy_per_atom")
"""Columns of a table of energies; others are passed over."""

FileKey = tuple[str, int | None]
"""Path of a file with its links resolved, and the block of a CIF with several structures."""

BLOCK = re.compile(r"(?P<file>.+) \(block (?P<block>\d+)\)")


class EnergyTable(dict[str, float]):
    """Energies in eV/atom by the path as written in the table.

    Parameters
    ----------
    energies
        By path.
    folder
        Folder of the table, to which its paths are relative.

    Examples
    --------
    >>> from atomate2_vogen.data import EnergyTable
    >>> table = EnergyTable({"VO2.cif": -8.5, "V2O3.cif": -8.7})
    >>> min(table.values())
    -8.7
    """

    def __init__(self, energies: Mapping[str, float], folder: Path | None = None) -> None:
        super().__init__(energies)
        self.folder = folder


def read_energies(path: str | Path) -> EnergyTable:
    r"""Energies of structure files from a table.

    Parameters
    ----------
    path
        CSV with the columns of `ENERGY_COLUMNS`: the structure file and eV/atom. A file is named
        by its path: absolute; relative to the folder of the table, to the working directory or to a
        folder of structure files; or by as many of its last parts as make it unique, such as
        ``rutile/CONTCAR``.

    Returns
    -------
    EnergyTable
        Energy in eV/atom by file as written; what is no number becomes not-a-number, which
        `crystals_from_files` refuses for its file alone.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or names a file twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> from atomate2_vogen.data import read_energies
    >>> _ = Path("energies.csv").write_text("file,energy_per_atom\nVO2.cif,-8.5\n")
    >>> read_energies("energies.csv")["VO2.cif"]
    -8.5
    """
    energies: dict[str, float] = {}
    path = user_path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if missing := [name for name in ENERGY_COLUMNS if name not in (table.fieldnames or ())]:
                raise InputError(
                    f"{path} has no column {', '.join(missing)}; its first line names columns, "
                    f"and {', '.join(ENERGY_COLUMNS)} are needed"
                )
            for row in table:
                name = row["file"] or ""
                if name in energies:
                    raise InputError(f"{path} names {name} twice, last in line {table.line_num}")
                energies[name] = _number(row["energy_per_atom"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of energies: {error}") from error
    return EnergyTable(energies, path.absolute().parent)


def energies_by_file(
    energies: Mapping[str, float], files: Iterable[Path], folders: Iterable[Path]
) -> dict[FileKey, float]:
    """Energies by structure file.

    A path that leads from the table's folder to one of the files means this file. Otherwise a
    row is about the one file that its path leads to from the working directory or from one of
    the folders, or that ends with its path.

    Parameters
    ----------
    energies
        By path, as of `read_energies`; of a CIF with several structures by ``"path (block 2)"``.
    files
        All structure files.
    folders
        Folders that files were looked for in.

    Returns
    -------
    dict
        Energy in eV/atom by file; rows that are about none of the files are left out.

    Raises
    ------
    InputError
        If a row is about several files, or several rows are about one.
    """
    known = {os.path.realpath(file): file for file in files}
    table = getattr(energies, "folder", None)
    bases = [Path.cwd(), *folders]
    rows: dict[FileKey, str] = {}
    found: dict[FileKey, float] = {}
    for row, energy in energies.items():
        name, block = _split(str(row))
        matches = _matches(name, known, table, bases)
        if len(matches) > 1:
            candidates = ", ".join(sorted(str(known[match]) for match in matches))
            raise InputError(
                f"the energy of {row!r} could be that of {len(matches)} files: {candidates}; name "
                "each with its folder"
            )
        for match in matches:
            key = (match, block)
            if key in rows:
                raise InputError(f"two rows, {rows[key]!r} and {row!r}, are about {known[match]}")
            rows[key], found[key] = row, energy
    return found


def _matches(
    name: str, known: Mapping[str, Path], table: Path | None, bases: Iterable[Path]
) -> set[str]:
    """Files, by their resolved paths, that a row may be about."""
    if not name or "\0" in name:  # no path, and the system's functions refuse it
        return set()
    # an absolute path stays the same when it is joined to a folder
    if table is not None and (exact := os.path.realpath(table / name)) in known:
        return {exact}
    matches = {path for base in bases if (path := os.path.realpath(base / name)) in known}
    parts = PurePath(name).parts
    if parts and not PurePath(name).is_absolute():
        matches |= {
            path
            for path, file in known.items()
            if file.absolute().parts[-len(parts) :] == parts
            or PurePath(path).parts[-len(parts) :] == parts
        }
    return matches


def _split(row: str) -> tuple[str, int | None]:
    """Path and block of a row."""
    found = BLOCK.fullmatch(row)
    return (found["file"], int(found["block"])) if found else (row, None)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
