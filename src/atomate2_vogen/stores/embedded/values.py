"""Values of document fields as entries of SQLite columns, in MongoDB's order.

SQLite sorts NULL, numbers, text, bytes; MongoDB sorts null, numbers, text, ObjectIds, booleans,
dates. So the last three become bytes that start with the rank of their type. Whatever one column
cannot order or compare as MongoDB does (arrays, objects, NaN, binary data) is *opaque*: bytes
that start with zero, unequal for unequal values. Criteria on opaque entries are left to Python.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson

Entry = int | float | str | bytes | None

OPAQUE, OBJECT_ID, BOOLEAN, DATE = b"\x00", b"\x23", b"\x28", b"\x2d"
AFTER_OPAQUE, AFTER_BOOLEAN, AFTER_DATE = b"\x01", b"\x29", b"\x2e"

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - BSON dates have no zone
_MILLISECOND = timedelta(milliseconds=1)
_OFFSET = 2**63


def entry(value: Any) -> Entry:
    """Entry of a column for a value of a document."""
    if value is None:
        return None
    if isinstance(value, bool):
        return BOOLEAN + bytes([value])
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # SQLite would store NaN as NULL
        return _opaque(value) if math.isnan(value) else float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return DATE + ((value - _EPOCH) // _MILLISECOND + _OFFSET).to_bytes(8, "big")
    if isinstance(value, bson.ObjectId):
        return OBJECT_ID + value.binary
    return _opaque(value)


def value_of(stored: Entry) -> Any:
    """The value that became an entry; it must not be opaque."""
    if not isinstance(stored, bytes):
        return stored
    kind, content = stored[:1], stored[1:]
    if kind == BOOLEAN:
        return bool(content[0])
    if kind == OBJECT_ID:
        return bson.ObjectId(content)
    return _EPOCH + (int.from_bytes(content, "big") - _OFFSET) * _MILLISECOND


def is_opaque(stored: Entry) -> bool:
    """Whether an entry stands for a value that columns cannot compare."""
    return isinstance(stored, bytes) and stored[:1] == OPAQUE


def entry_at(document: Mapping[str, Any], path: Sequence[str]) -> Entry:
    """Entry for the field at a path; NULL where it is missing."""
    value: Any = document
    for step in path:
        if isinstance(value, list):
            return _opaque(value)  # any of its members may be meant
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return entry(value)


def _opaque(value: Any) -> bytes:
    content = bson.encode({"": value})
    return OPAQUE + hashlib.blake2b(content, digest_size=16).digest()
