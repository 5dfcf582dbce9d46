"""From one data block of a CIF to a crystal, or to a refusal; never to another crystal.

gemmi reads the text and knows the settings of the space groups (`cif_blocks`, `cif_settings`);
the crystal is built here, from explicit elements and operations, with the numbers, the
orientation and the order of sites that pymatgen's parser gives a file without symmetry. What the
package writes is so read to the last bit as it was computed (`structures.cif.as_in_cif`).

Where symbols stand for several settings, all of them are built. A setting is ruled out if it
contradicts the stated formula, number of formula units or density, or puts two atoms on one
place. The file is read if one crystal is left, and refused otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from atomate2_vogen.errors import DisorderError, ElementError, StructureFileError
from atomate2_vogen.structures.reading.cif_blocks import CifBlock
from atomate2_vogen.structures.reading.cif_checks import Content, cif_number, read_content
from atomate2_vogen.structures.reading.cif_labels import element_of
from atomate2_vogen.structures.reading.cif_settings import Operations
from atomate2_vogen.structures.reading.cif_sites import (
    CLASH,
    SAME,
    Expansion,
    distances,
    expand,
    same_atoms,
)
from atomate2_vogen.structures.reading.cif_symmetry import OPERATION_TAGS, Symmetry, read_symmetry
from atomate2_vogen.structures.reading.limits import check_read_size

_THIRDS = (1 / 3, 2 / 3)
_THIRDS_TOLERANCE = 1e-4  # relative, as in pymatgen's parser
_FLAT = 1e-6


@dataclass(frozen=True)
class _Sites:
    """The listed sites: label, element and fractional coordinates of each."""

    labels: list[str]
    elements: np.ndarray
    coords: np.ndarray


def crystal_of(block: CifBlock, max_atoms: int) -> Structure:
    """The crystal of a data block.

    Parameters
    ----------
    block
        Data block that lists atoms.
    max_atoms
        Largest number of atoms in the cell.

    Raises
    ------
    StructureFileError
        If the block is incomplete, contradicts itself, or can mean several crystals.
    ElementError
        If it has hydrogen without coordinates.
    DisorderError
        If a site is not fully occupied.
    NonFiniteError
        If a number is NaN or infinite.
    """
    lattice = _lattice(block)
    sites = _sites(block, max_atoms)
    content = read_content(block, float(lattice.volume))
    symmetry = read_symmetry(block, lattice.matrix)
    if symmetry.source is None and not content.describes_whole_cell(Counter(sites.elements)):
        raise StructureFileError(
            "the CIF file says nothing about its symmetry: no operations "
            f"({OPERATION_TAGS[0]}), no symbol and no number; add the operations, or 'x,y,z' if "
            "all atoms of the cell are listed"
        )
    found = _resolve(sites, content, symmetry, lattice, max_atoms)
    elements = [Element(symbol) for symbol in sites.elements[found.rows]]
    # the order of pymatgen's sorted structures, by electronegativity; images stay together
    order = sorted(range(len(elements)), key=lambda i: (elements[i].X, elements[i].symbol))
    return Structure(lattice, [elements[i] for i in order], found.coords[order])


def _lattice(block: CifBlock) -> Lattice:
    tags = [f"_cell_length_{axis}" for axis in "abc"]
    tags += [f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")]
    texts = {tag: block.value(tag) for tag in tags}
    if missing := [tag for tag, text in texts.items() if text is None]:
        raise StructureFileError(f"the CIF file lacks {', '.join(missing)}")
    lengths_angles = [cif_number(text, tag) for tag, text in texts.items() if text is not None]
    cosines = np.cos(np.radians(lengths_angles[3:]))
    # squared volume of a cell with edges of 1; angles that meet in no corner make it negative
    squared = 1 - cosines @ cosines + 2 * np.prod(cosines)
    if min(lengths_angles) <= 0 or max(lengths_angles[3:]) >= 180 or squared < _FLAT:
        raise StructureFileError(
            "the CIF file does not parse: edges and angles of the cell enclose no volume "
            f"({', '.join(f'{value:g}' for value in lengths_angles)})"
        )
    return Lattice.from_parameters(*lengths_angles)


def _sites(block: CifBlock, max_atoms: int) -> _Sites:
    """The listed sites, each with exactly one element."""
    tags = [f"_atom_site_fract_{axis}" for axis in "xyz"]
    if missing := [tag for tag in tags if tag not in block.columns]:
        raise StructureFileError(f"the CIF file lacks {', '.join(missing)}")
    count = len(block.columns[tags[0]])
    check_read_size(count, max_atoms)
    if not count:
        raise StructureFileError("the CIF file lists no atoms (an empty loop_)")
    columns = {tag: _column(block, tag, count) for tag in (*tags, *_OTHER_COLUMNS)}
    labels, types = columns["_atom_site_label"], columns["_atom_site_type_symbol"]
    names = [label or type_symbol or "?" for label, type_symbol in zip(labels, types, strict=True)]
    for row, name in enumerate(names):
        _check_row({tag: column[row] for tag, column in columns.items()}, name)
    return _Sites(
        labels=names,
        elements=np.array([element_of(*pair) for pair in zip(labels, types, strict=True)]),
        coords=np.array([[_fraction(text, tag) for text in columns[tag]] for tag in tags]).T,
    )


_OTHER_COLUMNS = (
    "_atom_site_label",
    "_atom_site_type_symbol",
    "_atom_site_occupancy",
    "_atom_site_attached_hydrogens",
    "_atom_site_calc_flag",
)


def _column(block: CifBlock, tag: str, count: int) -> list[str | None]:
    """One value per site; None where the file has none."""
    if tag not in block.columns:
        return [None] * count
    column = block.columns[tag]
    if block.loops.get(tag) != block.loops.get("_atom_site_fract_x") or len(column) != count:
        raise StructureFileError(f"{block.spelled[tag]} stands apart from _atom_site_fract_x")
    return column


def _check_row(row: Mapping[str, str | None], name: str) -> None:
    """Refuse a site that is no whole atom; a missing occupancy means 1."""
    if (flag := row["_atom_site_calc_flag"]) and flag.lower() == "dum":
        raise StructureFileError(f"site {name} is a dummy; take it out of the file")
    if (text := row["_atom_site_attached_hydrogens"]) and cif_number(text, "attached hydrogens"):
        raise ElementError(f"hydrogen without coordinates at site {name}")
    if (text := row["_atom_site_occupancy"]) is None:
        return
    if (occupancy := cif_number(text, f"the occupancy of site {name}")) != 1:
        raise DisorderError(f"site {name} has an occupancy of {occupancy:g}; give an ordered cell")


def _fraction(text: str | None, tag: str) -> float:
    if text is None:
        raise StructureFileError(f"an atom has no coordinates ({tag})")
    value = cif_number(text, tag)
    # pymatgen's rule, so that what it wrote and read is read alike
    return next((third for third in _THIRDS if abs(value / third - 1) <= _THIRDS_TOLERANCE), value)


def _resolve(
    sites: _Sites, content: Content, symmetry: Symmetry, lattice: Lattice, max_atoms: int
) -> Expansion:
    """The one crystal that agrees with everything in the block."""
    if len(symmetry.choices) == 1:
        (operations,) = symmetry.choices
        return _single(sites, content, operations, lattice, max_atoms)
    left: list[Expansion] = []
    reasons: list[str] = []
    for operations in symmetry.choices:
        expansion = expand(sites.coords, operations, lattice.matrix)
        if reason := _exclusion(sites, content, expansion, lattice):
            reasons.append(reason)
        elif not any(_is_same(sites, expansion, other, lattice) for other in left):
            left.append(expansion)
    if not left:
        raise StructureFileError(
            f"no setting of {symmetry.source} fits: {reasons[0]}; check the setting, the precision "
            "of the coordinates and the symbols"
        )
    if len(left) > 1 or not left[0].is_certain:
        raise StructureFileError(
            f"{symmetry.source} can mean {len(symmetry.choices)} settings that fit the cell, and "
            "the rest of the file does not single one out; add the operations "
            f"({OPERATION_TAGS[0]}), a Hall symbol, or the full symbol with its setting, and Z"
        )
    check_read_size(len(left[0].coords), max_atoms)
    return left[0]


def _single(
    sites: _Sites, content: Content, operations: Operations, lattice: Lattice, max_atoms: int
) -> Expansion:
    """The crystal of known operations."""
    expansion = expand(sites.coords, operations, lattice.matrix)
    check_read_size(len(expansion.coords), max_atoms)
    _check_one_atom_per_place(sites, expansion, lattice)
    if not expansion.is_certain:
        row = int(np.flatnonzero(expansion.least < expansion.most)[0])
        raise StructureFileError(
            f"site {sites.labels[row]} lies less than {CLASH:g} Å from its own image under the "
            "file's symmetry, but not on it; the setting is wrong, or its coordinates have too "
            "few digits"
        )
    if reason := _disagreement(sites, content, expansion, lattice):
        raise StructureFileError(f"{reason}; check its symbols, its symmetry and its setting")
    return expansion


def _check_one_atom_per_place(sites: _Sites, expansion: Expansion, lattice: Lattice) -> None:
    apart = distances(expansion.coords, lattice.matrix)
    other = expansion.rows[:, None] != expansion.rows[None, :]
    pairs = np.argwhere((apart < SAME) & other)
    if len(pairs):
        first, second = (sites.labels[expansion.rows[i]] for i in pairs[0])
        raise StructureFileError(
            f"several atoms lie on one site: {first} and {second}, listed or by symmetry"
        )


def _exclusion(
    sites: _Sites, content: Content, expansion: Expansion, lattice: Lattice
) -> str | None:
    """Why a setting cannot be the right one; None if it can."""
    if reason := _disagreement(sites, content, expansion, lattice):
        return reason
    apart = distances(expansion.coords, lattice.matrix)
    other = expansion.rows[:, None] != expansion.rows[None, :]
    if ((apart < CLASH) & other).any():
        return f"atoms lie less than {CLASH:g} Å apart"
    return None


def _disagreement(
    sites: _Sites, content: Content, expansion: Expansion, lattice: Lattice
) -> str | None:
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for element, fewest, number_of in zip(
        sites.elements, expansion.least, expansion.most, strict=True
    ):
        least[str(element)] += int(fewest)
        most[str(element)] += int(number_of)
    return content.disagreement(least, most, float(lattice.volume))


def _is_same(sites: _Sites, first: Expansion, second: Expansion, lattice: Lattice) -> bool:
    return same_atoms(
        first.coords,
        sites.elements[first.rows],
        second.coords,
        sites.elements[second.rows],
        lattice.matrix,
    )
