"""The 564 tabulated settings of the space groups, and the names that files give them.

gemmi's table holds the 530 settings of the International Tables (those of spglib, with the
same operations) and some with larger or centred cells. A symbol in a file can stand for
several of them: ``P 21/c`` for two unique axes, ``P m m n`` for two origins, ``R -3 c`` for two
sets of axes. `named` returns all of them, so that nobody picks one silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
import spglib

Operations = frozenset[tuple[tuple[int, ...], tuple[int, ...]]]
"""Rotation (nine integers, row by row) and translation (in 24ths, 0 to 23) of each operation."""

_MONOCLINIC = range(3, 16)
_CUBIC = range(195, 231)
_E_GLIDE = (39, 41, 64, 67, 68)
_LETTERS = {"s": "1", "z": "2"}  # ICSD's marks of the two origins
_SUFFIX = re.compile(
    r"(?:\s*:\s*(?P<colon>[-\w]+)|\s+(?P<icsd>[SZHR])"
    r"|\s*[(\[]?\s*origin\s*(?:choice)?\s*(?P<origin>[12])\s*[)\]]?)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Setting:
    """One setting of a space group.

    Parameters
    ----------
    number
        Of the space-group type in the International Tables.
    symbol
        Extended Hermann-Mauguin symbol, e.g. ``P m m n:2``.
    names
        Symbols that files use for it, without blanks and in lower case.
    codes
        Marks of the setting among those of one symbol: ``2``, ``h``, ``b1``, ``cab``, ``2cab``.
    is_reference
        Whether programs name the space-group type by its symbol.
    is_tabulated
        Whether the International Tables list it, not only computer programs.
    operations
        All of them, centring included.
    """

    number: int
    symbol: str
    names: frozenset[str]
    codes: frozenset[str]
    is_reference: bool
    is_tabulated: bool
    operations: Operations


def operations_of(operations: Iterable[gemmi.Op]) -> Operations:
    """Hashable form of operations."""
    return frozenset(
        (
            tuple(value // gemmi.Op.DEN for row in operation.rot for value in row),
            tuple(value % gemmi.Op.DEN for value in operation.tran),
        )
        for operation in operations
    )


@lru_cache(maxsize=1024)
def matrices(operations: Operations) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (n, 3, 3) and translations (n, 3) in fractions of the cell, identity first."""
    ordered = sorted(operations, key=lambda op: (op != _IDENTITY, op))
    rotations = np.array([rotation for rotation, _ in ordered], dtype=float).reshape(-1, 3, 3)
    shifts = np.array([shift for _, shift in ordered], dtype=float) / gemmi.Op.DEN
    for array in (rotations, shifts):
        array.flags.writeable = False  # every caller has the same
    return rotations, shifts


_IDENTITY = ((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0))


def split_symbol(text: str) -> tuple[str, str | None]:
    """A symbol as files write it, without blanks and marks, and its setting's code.

    ``P2(1)/c``, ``P 21/c`` and ``P2_1/c`` are the same; a code follows a colon
    (``R -3 c :H``), as ICSD's letter (``F d -3 m S``) or in words (``origin choice 2``).
    """
    code = None
    if match := _SUFFIX.search(text):
        found = next(value for value in match.groupdict().values() if value)
        code = _LETTERS.get(found.lower(), found.lower())
        text = text[: match.start()]
    return _compact(text), code


@lru_cache(maxsize=512)
def settings_named(text: str) -> tuple[Setting, ...]:
    """Every setting that a Hermann-Mauguin symbol can stand for; none if it is unknown."""
    name, code = split_symbol(text)
    return tuple(
        setting for setting in _by_name().get(name, ()) if code is None or code in setting.codes
    )


@lru_cache(maxsize=256)
def numbered(text: str) -> tuple[Setting, ...]:
    """Every setting of a space-group type, given by its number; none if there is no such."""
    return tuple(setting for setting in table() if str(setting.number) == text)


@lru_cache(maxsize=256)
def coded(text: str) -> tuple[Setting, ...]:
    """Every setting that a coordinate system code can stand for; none if it is unknown."""
    return tuple(setting for setting in table() if text.lower() in setting.codes)


@lru_cache(maxsize=512)
def group_number(operations: Operations) -> int | None:
    """Number of the space-group type of operations; None if they form no group."""
    try:
        group = gemmi.GroupOps([_gemmi_op(rotation, shift) for rotation, shift in operations])
        group.add_missing_elements()
    except (RuntimeError, ValueError):  # gemmi: they generate an endless group, or none at all
        return None
    if operations_of(group) != operations:
        return None
    if found := gemmi.find_spacegroup_by_ops(group):
        return int(found.number)
    rotations, translations = matrices(operations)
    kind = spglib.get_spacegroup_type_from_symmetry(rotations.astype(int), translations)
    return None if kind is None else int(kind.number)


def _gemmi_op(rotation: tuple[int, ...], shift: tuple[int, ...]) -> gemmi.Op:
    operation = gemmi.Op("x,y,z")
    operation.rot = [[v * gemmi.Op.DEN for v in rotation[i : i + 3]] for i in (0, 3, 6)]
    operation.tran = list(shift)
    return operation


@lru_cache(maxsize=1)
def table() -> tuple[Setting, ...]:
    """All settings in gemmi's order."""
    last = len(list(gemmi.spacegroup_table_itb()))
    # the first ones are those of the International Tables, in spglib's order of Hall numbers
    return tuple(
        _setting(group, number if number <= last else None)
        for number, group in enumerate(gemmi.spacegroup_table(), 1)
    )


@lru_cache(maxsize=1)
def _by_name() -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {}
    for setting in table():
        for name in setting.names:
            found.setdefault(name, []).append(setting)
    return found


def _setting(group: gemmi.SpaceGroup, hall_number: int | None) -> Setting:
    names = {group.hm, group.short_name(), *_older_names(group)}
    if hall_number is not None and (kind := spglib.get_spacegroup_type(hall_number)):
        names.add(kind.international_full)
    extension = group.ext.strip().strip("\0")
    axes = group.qualifier or ("abc" if 16 <= group.number <= 74 else "")
    codes = {extension, axes, group.qualifier, extension + axes, extension + group.qualifier}
    return Setting(
        number=group.number,
        symbol=group.xhm(),
        names=frozenset(map(_compact, names)),
        codes=frozenset(code.lower() for code in codes if code),
        is_reference=group.hm == gemmi.get_spacegroup_reference_setting(group.number).hm,
        is_tabulated=hall_number is not None,
        operations=operations_of(group.operations()),
    )


def _older_names(group: gemmi.SpaceGroup) -> set[str]:
    """Short monoclinic symbols, cubic ones without the bar, and those with an e glide."""
    centring, *parts = group.hm.split()
    if group.number in _MONOCLINIC:
        return {"".join([centring, *(part for part in parts if part != "1")])}
    if group.number in _CUBIC and "-3" in parts and parts[0] != "-4":
        return {group.hm.replace("-3", "3")}
    if group.number in _E_GLIDE:
        return {
            "".join([centring, *parts[:i], "e", *parts[i + 1 :]])
            for i, part in enumerate(parts)
            if part in {"a", "b", "c"}
        }
    return set()


def _compact(symbol: str) -> str:
    return re.sub(r"[\s_~]", "", re.sub(r"\((\d)\)", r"\1", symbol)).lower()
