"""Documents as two blobs of BSON: a small head, and a body with all large values.

Nine tenths of a document are crystals, bands and the like, of which most queries want nothing,
and decoding them is what a query costs. In the head a large value is replaced by its number in
the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import bson
from bson.binary import USER_DEFINED_SUBTYPE, Binary

LARGE = 200
"""Bytes of BSON beyond which a value goes to the body."""

DEPTH = 2
"""Levels of a document at which values are looked at one by one."""


def head_and_body(document: Mapping[str, Any]) -> tuple[bytes, bytes | None]:
    """Head and body of a document; no body where nothing is large."""
    parts: list[Any] = []
    head = _head(document, parts, 1)
    body = {str(number): part for number, part in enumerate(parts)}
    return bson.encode(head), bson.encode(body) if parts else None


def _head(document: Mapping[str, Any], parts: list[Any], level: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and level < DEPTH:
            made[name] = _head(value, parts, level + 1)
        # a value that looks like a number in the body must not be taken for one
        elif is_placeholder(value) or _is_large(value):
            made[name] = Binary(str(len(parts)).encode(), USER_DEFINED_SUBTYPE)
            parts.append(value)
        else:
            made[name] = value
    return made


def _is_large(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return len(value) > LARGE
    return isinstance(value, dict | list | tuple) and len(bson.encode({"": value})) > LARGE


def is_placeholder(value: Any) -> bool:
    """Whether a value of a head stands for one of the body."""
    return isinstance(value, Binary) and value.subtype == USER_DEFINED_SUBTYPE


def join(head: dict[str, Any], body: bytes | None, level: int = 1) -> dict[str, Any]:
    """The document of a decoded head and its body; the head is changed in place."""
    return head if body is None else _filled(head, bson.decode(body), level)


def _filled(head: dict[str, Any], parts: Mapping[str, Any], level: int) -> dict[str, Any]:
    for name, value in head.items():
        if is_placeholder(value):
            head[name] = parts[value.decode()]
        elif isinstance(value, dict) and level < DEPTH:
            _filled(value, parts, level + 1)
    return head


def needs_body(head: Mapping[str, Any], paths: Iterable[tuple[str, ...]] | None) -> bool:
    """Whether a field at one of the paths, or any field for None, lies in the body."""
    if paths is None:
        return _has_placeholder(head)
    for path in paths:
        value: Any = head.get(path[0])
        for step in path[1:]:
            if not isinstance(value, dict):
                break
            value = value.get(step)
        if is_placeholder(value) or (isinstance(value, dict) and _has_placeholder(value)):
            return True
    return False


def _has_placeholder(value: Mapping[str, Any]) -> bool:
    return any(
        is_placeholder(item) or (isinstance(item, dict) and _has_placeholder(item))
        for item in value.values()
        if isinstance(item, dict | Binary)
    )
