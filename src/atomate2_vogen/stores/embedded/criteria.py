"""MongoDB criteria: as SQL on indexed columns, and as a test of one document.

The SQL never leaves out a document that meets the criteria, and says whether it finds these
alone. Where it does not, `matches` decides; it is mongomock's filter, the one that maggma's
`MemoryStore` uses, so that both kinds of store give the same answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import bson
from mongomock_ng.filtering import filter_applies

from atomate2_vogen.stores.embedded.values import (
    AFTER_BOOLEAN,
    AFTER_DATE,
    AFTER_OPAQUE,
    BOOLEAN,
    DATE,
    OPAQUE,
    Entry,
    entry,
    is_opaque,
)

Criteria = dict[str, Any]
FieldPath = tuple[str, ...]

MANY = 200
"""Values of one ``$in`` beyond which SQL is given them as one JSON text."""

MOST = 5000
"""Values of one ``$in`` that SQL is given one by one; it takes 32,766 in all."""


@dataclass(frozen=True)
class Column:
    """Column of an indexed field.

    Parameters
    ----------
    name
        In SQL.
    has_opaque
        Whether a document has, or had, a value there that columns cannot compare.
    """

    name: str
    has_opaque: bool


@dataclass(frozen=True)
class Condition:
    """A condition in SQL.

    Parameters
    ----------
    sql
        An expression, in parentheses where it needs them; empty for no condition.
    values
        For its question marks.
    is_exact
        Whether it holds for documents that meet the criteria alone.
    """

    sql: str = ""
    values: tuple[Entry, ...] = ()
    is_exact: bool = True


UNKNOWN = Condition(is_exact=False)
"""Condition that SQL cannot decide: documents are compared in Python."""


def normalised(criteria: Mapping[str, Any] | None) -> Criteria:
    """Criteria with values as documents hold them: dates in UTC to the millisecond, lists.

    Raises
    ------
    pymongo.errors.OperationFailure
        If they are no criteria.
    bson.errors.InvalidDocument
        If a value cannot be in a document.
    """
    if not criteria:
        return {}
    made: Criteria = bson.decode(bson.encode(criteria))
    matches(made, {})  # complains of unknown operators even where no document is looked at
    return made


def matches(criteria: Criteria, document: Mapping[str, Any]) -> bool:
    """Whether a document meets the criteria."""
    return bool(filter_applies(criteria, document))


def paths(criteria: Criteria) -> tuple[FieldPath, ...] | None:
    """Fields that criteria look at; None for all."""
    found = tuple(_paths(criteria))
    return None if None in found else found  # type: ignore[return-value]


def _paths(criteria: Any) -> Iterator[FieldPath | None]:
    for name, value in criteria.items():
        if name in {"$and", "$or", "$nor"}:
            for branch in value:
                yield from _paths(branch)
        elif name.startswith("$"):
            yield None
        else:
            yield tuple(name.split("."))


def to_sql(criteria: Criteria, columns: Mapping[str, Column]) -> tuple[Condition, Criteria]:
    """Criteria as SQL on the columns of indexed fields, and those that SQL leaves undecided."""
    parts = {name: _top(name, value, columns) for name, value in criteria.items()}
    undecided = {name: criteria[name] for name, part in parts.items() if not part.is_exact}
    return _all([*parts.values()]), undecided


def _condition(criteria: Criteria, columns: Mapping[str, Column]) -> Condition:
    return to_sql(criteria, columns)[0]


def _top(name: str, value: Any, columns: Mapping[str, Column]) -> Condition:
    if name == "$comment":
        return Condition()
    if name == "$and":
        return _all([_condition(branch, columns) for branch in value])
    if name == "$or":
        return _any([_condition(branch, columns) for branch in value])
    if name.startswith("$") or name not in columns:
        return UNKNOWN
    return _field(name, value, columns[name])


def _all(parts: Sequence[Condition]) -> Condition:
    """All of them hold."""
    said = [part for part in parts if part.sql]
    return Condition(
        " AND ".join(part.sql for part in said),
        tuple(value for part in said for value in part.values),
        all(part.is_exact for part in parts),
    )


def _any(parts: Sequence[Condition]) -> Condition:
    """One of them holds; unknown if one of them says nothing."""
    if not all(part.sql for part in parts):
        return Condition() if any(p.is_exact and not p.sql for p in parts) else UNKNOWN
    return Condition(
        "(" + " OR ".join(f"({part.sql})" for part in parts) + ")",
        tuple(value for part in parts for value in part.values),
        all(part.is_exact for part in parts),
    )


def _field(name: str, value: Any, column: Column) -> Condition:
    operators = value if _has_operators(value) else {"$eq": value}
    parts = [_operator(op, operand, name, column.name) for op, operand in operators.items()]
    made = _all(parts)
    if not column.has_opaque or not made.sql:
        return made
    sql = f"(({made.sql}) OR ({column.name} >= ? AND {column.name} < ?))"
    return Condition(sql, (*made.values, OPAQUE, AFTER_OPAQUE), is_exact=False)


def _has_operators(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(key[:1] == "$" for key in value)


def _operator(operator: str, operand: Any, name: str, column: str) -> Condition:
    # a field below one that is no document is neither null nor missing for mongomock
    nested = "." in name
    if operator in {"$eq", "$in"}:
        operands = operand if operator == "$in" else [operand]
        return _one_of(operands, column, exact_null=not nested)
    if operator in {"$ne", "$nin"}:
        operands = operand if operator == "$nin" else [operand]
        if nested and isinstance(operands, list) and None in operands:
            return UNKNOWN
        found = _one_of(operands, column, exact_null=True)
        # IS NOT TRUE: null is unequal to everything else
        return Condition(f"({found.sql}) IS NOT TRUE", found.values) if found.sql else found
    if operator in _RANGES:
        return _range(_RANGES[operator], operand, column)
    if operator == "$exists" and not operand:
        return Condition(f"{column} IS NULL", is_exact=False)  # null exists
    return UNKNOWN


def _one_of(operands: Any, column: str, *, exact_null: bool) -> Condition:
    if not isinstance(operands, list):
        return UNKNOWN
    values: dict[tuple[type, Entry], Entry] = {}
    for operand in operands:
        if isinstance(operand, Mapping | list | bson.Regex) or is_opaque(made := entry(operand)):
            return UNKNOWN
        values[type(made), made] = made
        # in Python, and so for mongomock, True is 1
        if isinstance(operand, bool):
            values[int, int(operand)] = int(operand)
        elif isinstance(operand, int | float) and operand in {0, 1}:
            values[bytes, int(operand)] = BOOLEAN + bytes([int(operand)])
    with_null = values.pop((type(None), None), 0) is None
    sql, listed = _among(column, [*values.values()])
    if len(listed) > MOST:
        return UNKNOWN
    if with_null:
        return Condition(f"({sql} OR {column} IS NULL)", listed, exact_null)
    return Condition(sql, listed)


def _is_simple(value: Entry) -> bool:
    # SQLite's JSON neither keeps every digit of a number nor text behind a zero byte
    return isinstance(value, int) or (isinstance(value, str) and "\0" not in value)


def _among(column: str, values: list[Entry]) -> tuple[str, tuple[Entry, ...]]:
    """SQL for a column that has one of the values."""
    simple = [value for value in values if _is_simple(value)]
    if len(simple) <= MANY:
        return f"{column} IN ({', '.join('?' * len(values))})", tuple(values)
    others = tuple(value for value in values if not _is_simple(value))
    sql = f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608
    if others:
        sql = f"({sql} OR {column} IN ({', '.join('?' * len(others))}))"
    return sql, (json.dumps(simple), *others)


_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def _range(comparison: str, operand: Any, column: str) -> Condition:
    """Values of the operand's type alone, as MongoDB compares."""
    if isinstance(operand, bool):
        bounds: tuple[Entry, Entry] = (BOOLEAN, AFTER_BOOLEAN)
    elif isinstance(operand, int | float) and not math.isnan(operand):
        bounds = (None, "")  # all text is above all numbers
    elif isinstance(operand, str):
        bounds = ("", b"")
    elif isinstance(operand, datetime):
        bounds = (DATE, AFTER_DATE)
    else:
        return UNKNOWN
    low, high = bounds
    if comparison.startswith(">"):
        return Condition(f"{column} {comparison} ? AND {column} < ?", (entry(operand), high))
    if low is None:
        return Condition(f"{column} {comparison} ?", (entry(operand),))
    return Condition(f"{column} >= ? AND {column} {comparison} ?", (low, entry(operand)))
