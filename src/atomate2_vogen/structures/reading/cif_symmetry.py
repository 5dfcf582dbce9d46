"""The symmetry operations of a CIF: those that it lists, or those that its symbols stand for.

1. Operations in the file are used. They must form a group and leave the cell's lengths and
   angles as they are. The space-group number, the Hermann-Mauguin symbol and the Hall symbol
   must not contradict them. The symbol of the reference setting passes with operations of any
   setting of its space-group type: many programs use it as the name of the type.
2. Without operations, a Hall symbol gives them.
3. Without both, a Hermann-Mauguin symbol, a number and a setting code give *all* settings that
   they stand for and that fit the cell (`Symmetry.choices`). The caller, which builds the crystal, finds
   out whether only one of them agrees with the rest of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import gemmi
import numpy as np

from atomate2_vogen.errors import StructureFileError
from atomate2_vogen.structures.reading.cif_blocks import CifBlock
from atomate2_vogen.structures.reading.cif_settings import (
    Operations,
    Setting,
    coded,
    group_number,
    matrices,
    numbered,
    operations_of,
    settings_named,
    split_symbol,
    table,
)

OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
HALL_TAGS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
SYMBOL_TAGS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m",
)
NUMBER_TAGS = ("_space_group_it_number", "_symmetry_int_tables_number")
CODE_TAGS = ("_space_group_it_coordinate_system_code",)
OTHER_SYMMETRY = (
    "_space_group_magn",
    "_space_group_symop_magn",
    "_atom_site_moment",
    "_space_group_ssg",
    "_space_group_symop_ssg",
    "_cell_modulation",
    "_cell_wave_vector",
)
"""Beginnings of tags of magnetic and modulated structures."""

CELL_LENGTH_TOLERANCE = 1e-3
"""Relative difference of edges that count as equal."""

CELL_ANGLE_TOLERANCE = 0.1
"""Difference of angles that count as equal, in degrees."""

MAX_OPERATIONS = 384
"""Twice the 192 operations of a face-centred cubic cell."""


@dataclass(frozen=True)
class Symmetry:
    """Statements of a data block about its symmetry.

    Parameters
    ----------
    choices
        Different sets of operations that it can mean; at least one.
    source
        Tag and text that say so, for messages; None if the block says nothing.
    """

    choices: tuple[Operations, ...]
    source: str | None


class _Scope(Enum):
    """Kind of a statement by how it can contradict operations."""

    TYPE = "only the space-group type"
    SETTING = "type and setting"
    CODE = "the setting, if it is a tabulated one"


@dataclass(frozen=True)
class _Statement:
    """One tag on the space group: where it stands, and which settings it allows."""

    source: str
    settings: tuple[Setting, ...]
    scope: _Scope
    is_symbol: bool


def read_symmetry(block: CifBlock, lattice: np.ndarray) -> Symmetry:
    """Operations that a block lists or stands for.

    Parameters
    ----------
    block
        Data block with a cell.
    lattice
        Its cell vectors in Å as rows, shape (3, 3).

    Raises
    ------
    StructureFileError
        If its statements are unknown or contradict each other or the cell, or if it describes
        a magnetic or modulated structure.
    """
    _refuse_other_kinds(block)
    statements = list(_statements(block))
    if listed := _listed(block):
        source, operations = listed
        _check_listed(source, operations, statements)
        _check_hall(block, source, operations)
        _check_cell(source, operations, lattice)
        return Symmetry((operations,), source)
    if hall := _hall(block):
        source, operations = hall
        _check_listed(source, operations, statements)
        _check_cell(source, operations, lattice)
        return Symmetry((operations,), source)
    if not statements:
        return Symmetry((table()[0].operations,), None)
    return _from_statements(statements, lattice)


def fits_cell(operations: Operations, lattice: np.ndarray) -> bool:
    """Whether every operation leaves the cell's edges and angles as they are."""
    rotations, _ = matrices(operations)
    metric = lattice @ lattice.T
    turned = np.einsum("nji,jk,nkl->nil", rotations, metric, rotations)
    (lengths, angles), (edges, corners) = _cells(turned), _cells(metric[None])
    return bool(
        (np.abs(lengths / edges - 1) < CELL_LENGTH_TOLERANCE).all()
        and (np.abs(angles - corners) < CELL_ANGLE_TOLERANCE).all()
    )


def _cells(metrics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges and angles in degrees of metric tensors, each (n, 3)."""
    lengths = np.sqrt(np.einsum("nii->ni", metrics))
    first, second = [1, 0, 0], [2, 2, 1]
    cosines = metrics[:, first, second] / (lengths[:, first] * lengths[:, second])
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def _refuse_other_kinds(block: CifBlock) -> None:
    for tag, spelled in block.spelled.items():
        if tag.startswith(OTHER_SYMMETRY):
            raise StructureFileError(
                f"{spelled} belongs to a magnetic or modulated structure, which is not read; "
                "give the average crystal with ordinary symmetry operations"
            )


def _listed(block: CifBlock) -> tuple[str, Operations] | None:
    """Operations in the file, if there are any."""
    found: tuple[str, Operations] | None = None
    for tag in OPERATION_TAGS:
        texts = [text for text in block.columns.get(tag, []) if text is not None]
        if not texts:
            continue
        source = block.spelled[tag]
        operations = _parsed(source, texts)
        if found and found[1] != operations:
            raise StructureFileError(f"{found[0]} and {source} list different operations")
        found = (source, operations)
    return found


def _parsed(source: str, texts: list[str]) -> Operations:
    if len(texts) > MAX_OPERATIONS:
        raise StructureFileError(f"{source} lists {len(texts)} symmetry operations")
    parsed = []
    for text in texts:
        try:
            parsed.append(gemmi.Op(text.replace(" ", "").lower()))
        except (ValueError, RuntimeError) as error:
            raise StructureFileError(
                f"{source}: {text!r} is no symmetry operation with translations in "
                "multiples of 1/24"
            ) from error
    return operations_of(parsed)


def _hall(block: CifBlock) -> tuple[str, Operations] | None:
    for tag in HALL_TAGS:
        if (text := block.value(tag)) is not None:
            source = f"{block.spelled[tag]} {text!r}"
            try:
                return source, operations_of(gemmi.symops_from_hall(text))
            except (ValueError, RuntimeError) as error:
                raise StructureFileError(f"{source} is no Hall symbol: {error}") from error
    return None


def _statements(block: CifBlock) -> Iterator[_Statement]:
    """Settings that symbols, number and setting code allow; none where they are unknown."""
    for tags, read in ((SYMBOL_TAGS, _of_symbol), (NUMBER_TAGS, _of_number), (CODE_TAGS, _of_code)):
        for tag in tags:
            if (text := block.value(tag)) is not None:
                source = f"{block.spelled[tag]} {text!r}"
                yield _Statement(source, *read(text), is_symbol=tags is SYMBOL_TAGS)


def _of_symbol(text: str) -> tuple[tuple[Setting, ...], _Scope]:
    settings = settings_named(text)
    _, code = split_symbol(text)
    is_name_of_type = code is None and any(setting.is_reference for setting in settings)
    return settings, _Scope.TYPE if is_name_of_type else _Scope.SETTING


def _of_number(text: str) -> tuple[tuple[Setting, ...], _Scope]:
    return numbered(text), _Scope.TYPE


def _of_code(text: str) -> tuple[tuple[Setting, ...], _Scope]:
    return coded(text), _Scope.CODE


def _check_listed(source: str, operations: Operations, statements: Iterable[_Statement]) -> None:
    """Refuse operations that form no group or contradict symbol or number."""
    number = group_number(operations)
    if number is None:
        raise StructureFileError(
            f"the symmetry operations of {source} form no group; some are missing or wrong"
        )
    for statement in statements:
        # a symbol that no table knows says nothing that operations could contradict
        if statement.settings and not _agrees(statement, operations, number):
            raise StructureFileError(
                f"{statement.source} and {source} contradict each other: the latter has a setting "
                f"of space group {number}; correct or remove one of them"
            )


def _agrees(statement: _Statement, operations: Operations, number: int) -> bool:
    of_type = [setting for setting in statement.settings if setting.number == number]
    if statement.scope is _Scope.TYPE:
        return bool(of_type)
    if any(setting.operations == operations for setting in of_type):
        return True
    tabulated = any(s.operations == operations for s in table() if s.number == number)
    return statement.scope is _Scope.CODE and not tabulated


def _check_hall(block: CifBlock, source: str, operations: Operations) -> None:
    """Refuse listed operations that are not those of the Hall symbol, where it is legible."""
    try:
        hall = _hall(block)
    except StructureFileError:
        return
    if hall and hall[1] != operations:
        raise StructureFileError(
            f"{hall[0]} stands for other operations than {source} lists; correct or remove one"
        )


def _check_cell(source: str, operations: Operations, lattice: np.ndarray) -> None:
    if not fits_cell(operations, lattice):
        raise StructureFileError(
            f"the cell does not have the symmetry of {source}: its edges or angles would have "
            "to be equal or right angles; check the setting"
        )


def _from_statements(statements: list[_Statement], lattice: np.ndarray) -> Symmetry:
    """Every setting that symbols, number and code allow together and that fits the cell."""
    source = " with ".join(statement.source for statement in statements)
    for statement in statements:
        if not statement.settings:
            raise StructureFileError(
                f"{statement.source} is no space group or setting that is known, and the file lists "
                f"no symmetry operations; add them as {OPERATION_TAGS[0]}"
            )
    is_named = any(statement.is_symbol for statement in statements)
    common = [
        setting
        for setting in statements[0].settings
        if all(setting in other.settings for other in statements[1:])
        # programs' own settings with larger cells count only where a symbol names them
        and (is_named or setting.is_tabulated)
    ]
    if not common:
        raise StructureFileError(
            f"{source} contradict each other, and the file lists no symmetry operations"
        )
    choices = tuple(dict.fromkeys(s.operations for s in common if fits_cell(s.operations, lattice)))
    if not choices:
        raise StructureFileError(
            f"the cell does not fit any setting of {source}: its edges or angles would have to "
            "be equal or right angles"
        )
    return Symmetry(choices, source)
