"""POSCAR and CONTCAR files, as VASP reads them; nothing is guessed.

pymatgen's reader applies a negative scale to Cartesian coordinates as a factor, knows neither
three scale factors nor ``T T T`` without selective dynamics, and invents elements for VASP 4
files; ASE takes the elements of these from the comment. So the lines are read here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from pymatgen.core import Element, Structure

from atomate2_vogen.errors import NonFiniteError, StructureFileError
from atomate2_vogen.structures.reading.limits import check_read_size

_FLAT = 1e-12


def parse_poscar(text: str, max_atoms: int, elements: Sequence[str] | None = None) -> Structure:
    """The crystal of a POSCAR file.

    Parameters
    ----------
    text
        Content, with newline characters as line ends. The scale is one factor, three factors of
        the Cartesian axes, or a negative volume in Å³; velocities are passed over.
    max_atoms
        Limit per cell, checked before anything is built.
    elements
        Symbols of the groups of atoms of a VASP 4 file, which has none; a file that has symbols
        keeps its own.

    Raises
    ------
    StructureFileError
        If it does not parse, lacks element symbols and none are given, or has another number of
        groups than there are symbols.
    NonFiniteError
        If a number is NaN or infinite.
    """
    lines = _Lines(text)
    lines.next("comment")
    scale_line = lines.next("scale")
    vectors = np.array([_numbers(lines.next("cell vector"), 3) for _ in range(3)])
    scale = _scale(scale_line, vectors)
    symbols, counts = _species(lines, max_atoms)
    if symbols is None and elements is not None:
        symbols = _given(elements, counts)
    mode = lines.next("line with Direct or Cartesian")
    selective = mode[:1] in "sS"
    if selective:
        mode = lines.next("line with Direct or Cartesian")
    is_cartesian = mode[:1] in "cCkK"
    if not is_cartesian and mode[:1] not in "dD":
        raise _unparsed(f"{mode[:40]!r} stands where Direct or Cartesian should")
    rows = [lines.next("site").split() for _ in range(sum(counts))]
    coords = np.array([_numbers(" ".join(row), 3) for row in rows])
    listed = [_trailing_symbol(row, selective=selective) for row in rows]
    per_site = _per_site(symbols, counts, listed)
    return Structure(
        vectors * scale,
        per_site,
        coords * scale if is_cartesian else coords,
        coords_are_cartesian=is_cartesian,
    )


class _Lines:
    """Lines of the file without comments, one after the other."""

    def __init__(self, text: str) -> None:
        self._lines = iter(text.split("\n"))

    def next(self, what: str) -> str:
        line = next(self._lines, None)
        if line is None or (what == "site" and not line.strip()):
            raise _unparsed(f"it ends too early (no {what})")
        # what stands behind these marks are remarks, in VASP and in pymatgen
        return re.split(r"[!#]", line, maxsplit=1)[0].strip() if what != "comment" else line


def _unparsed(reason: str) -> StructureFileError:
    return StructureFileError(f"the POSCAR file does not parse: {reason}")


def _numbers(line: str, count: int) -> list[float]:
    """The first numbers of a line."""
    tokens = line.split()[:count]
    try:
        values = [float(re.sub("[dD]", "e", token)) for token in tokens]
    except ValueError:
        values = []
    if len(values) != count:
        raise _unparsed(f"{line[:60]!r} should begin with {count} numbers")
    if not np.isfinite(values).all():
        raise NonFiniteError(f"the POSCAR file holds {' '.join(tokens)}")
    return values


def _scale(line: str, vectors: np.ndarray) -> np.ndarray:
    """Factors of the Cartesian axes, for the cell and for Cartesian coordinates."""
    tokens = line.split()
    factors = np.array(_numbers(line, 3 if _is_number(tokens[1:2]) else 1))
    volume = abs(float(np.linalg.det(vectors)))
    if volume <= _FLAT or not factors.all():
        raise _unparsed("the cell has no volume")
    if len(factors) == 3 and (factors < 0).any():
        raise _unparsed("three scale factors must be positive")
    if factors[0] < 0:
        return np.full(3, (-factors[0] / volume) ** (1 / 3))
    return np.broadcast_to(factors, 3)


def _is_number(tokens: list[str]) -> bool:
    try:
        return bool([float(token) for token in tokens])
    except ValueError:
        return False


def _species(lines: _Lines, max_atoms: int) -> tuple[list[str] | None, list[int]]:
    """Symbols, None in a VASP 4 file, and numbers of atoms.

    VASP breaks both into several lines where there are many groups.
    """
    symbols: list[str] = []
    line = lines.next("line with the numbers of atoms")
    while line and not line.split()[0].isdecimal():
        symbols += [re.split(r"[/_]", token)[0] for token in line.split()]
        line = lines.next("line with the numbers of atoms")
    counts: list[int] = []
    while True:
        tokens = line.split()
        if not tokens or not all(token.isdecimal() and len(token) < 12 for token in tokens):
            raise _unparsed(f"{line[:60]!r} should be the numbers of atoms")
        counts += [int(token) for token in tokens]
        # before the sites are read: a forged count would fill the memory
        check_read_size(sum(counts), max_atoms)
        if len(counts) >= len(symbols):
            break
        line = lines.next("line with the numbers of atoms")
    if symbols and len(symbols) != len(counts):
        raise _unparsed(f"{len(symbols)} element symbols, but {len(counts)} numbers of atoms")
    if not sum(counts):
        raise _unparsed("it has no atoms")
    return symbols or None, counts


def _given(elements: Sequence[str], counts: list[int]) -> list[str]:
    """The symbols given for a file without, one for each group of atoms."""
    if len(elements) != len(counts):
        raise StructureFileError(
            f"a VASP 4 file with {len(counts)} groups of atoms ({' '.join(map(str, counts))}), but "
            f"{len(elements)} elements are given ({','.join(elements)})"
        )
    return list(elements)


def _trailing_symbol(row: list[str], *, selective: bool) -> str | None:
    """Element at the end of a site's line, behind the flags of selective dynamics."""
    rest = row[3:]
    flags = [token.strip(".").upper()[:1] for token in rest[:3]]
    # T and F without "Selective dynamics" are flags all the same, not tritium and fluorine
    has_flags = len(flags) == 3 and all(flag in {"T", "F"} for flag in flags)
    if selective and not has_flags:
        raise _unparsed(f"{' '.join(row)[:60]!r} lacks its three flags T or F")
    rest = rest[3:] if has_flags else rest
    return rest[0] if rest and Element.is_valid_symbol(rest[0]) else None


def _per_site(symbols: list[str] | None, counts: list[int], listed: list[str | None]) -> list[str]:
    """One element per site; the line of symbols and those behind the sites must agree."""
    if symbols is None:
        if None in listed:
            raise StructureFileError(
                "a VASP 4 file without element symbols; give them in its order (--elements), or "
                "add a line with the symbols above the line with the numbers of atoms"
            )
        return [symbol for symbol in listed if symbol is not None]
    if unknown := [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]:
        raise _unparsed(f"{unknown[0]!r} is no element")
    elements = list(np.repeat(symbols, counts))
    for number, (symbol, other) in enumerate(zip(elements, listed, strict=True), 1):
        if other is not None and other != symbol:
            raise _unparsed(
                f"site {number} is {symbol} by the line of symbols, but {other} stands behind it"
            )
    return elements
