"""YAML and JSON that somebody else may have written: read within limits, errors quote nothing.

A file of a few lines can name itself a million times, nest until an interpreter gives up, or hold
a number of which the digits alone take minutes. What is read here has none of that: mappings with
text as keys, lists, text that can be printed and written, numbers of ordinary size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

MAX_DEPTH = 64
"""Most levels of mappings and lists within each other; a stability document has nine."""

MAX_ALIASES = 20
"""Most references to anchors in a YAML file."""

MAX_YAML_BYTES = 100_000
"""Largest YAML file: a hundred times the largest one that is of use here."""

MAX_JSON_BYTES = 500_000_000
"""Largest JSON file: the documents of 20,000 crystals have 200 MB."""

MAX_NODES = 100_000
"""Most values of a YAML file after its references are replaced by what they refer to."""

MAX_BITS = 64
"""Of a whole number."""

MakeError = Callable[[str], Exception]


def read_structured(path: Path, error_class: MakeError) -> Any:
    """Content of a JSON file (by its suffix ``.json``) or of a YAML file.

    Parameters
    ----------
    path
        The file.
    error_class
        Of what is raised if it cannot be read. Neither its text nor its cause quotes the file,
        which may hold a password.

    Returns
    -------
    Any
        Mappings with text as keys, lists, text, numbers, booleans and None.
    """
    content = reason = None
    is_json = path.suffix.lower() == ".json"
    try:
        raw = _read(path, MAX_JSON_BYTES if is_json else MAX_YAML_BYTES)
        content = _json(raw) if is_json else _yaml(raw)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError as error:
        reason = _told(error)
    if reason is not None:  # outside of the handler: no chain may hold what was read
        raise error_class(f"{path}: {reason}")
    return content


def parse_json(raw: bytes | str, name: str, error_class: MakeError) -> Any:
    """Content of JSON text within the same limits; `name` stands in errors, which quote nothing.

    Parameters
    ----------
    raw
        The text, UTF-8 where it is bytes.
    name, error_class
        What the text is called in errors, and the class of what is raised.
    """
    content = reason = None
    try:
        content = _json(raw)
    except ValueError as error:
        reason = _told(error)
    if reason is not None:
        raise error_class(f"{name}: {reason}")
    return content


class _RefusedError(ValueError):
    """A reason that quotes nothing."""


def _told(error: ValueError) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON in line {error.lineno} ({error.msg})"
    return "not a text file" if isinstance(error, UnicodeError) else "holds no usable value"


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)  # a device may have no end
    except ValueError as error:  # NUL in the name, or what no name can hold
        raise _RefusedError("no name of a file") from error
    if len(raw) > limit:
        raise _RefusedError(f"larger than {limit:,} bytes")
    return raw


def _json(raw: bytes | str) -> Any:
    text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
    try:
        content = json.loads(text, object_pairs_hook=_mapping)
    except RecursionError:
        raise _RefusedError(f"JSON nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | _RefusedError):
            raise
        raise _RefusedError("no JSON (a number has too many digits)") from None
    for value in _values(content, len(text)):
        _check(value)
    return content


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RefusedError("a key stands twice in one mapping")
    return found


def _yaml(raw: bytes) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.parser import ParserError
    from ruamel.yaml.scanner import ScannerError

    text = raw.decode("utf-8-sig")
    try:
        _check_events(YAML(typ="safe", pure=True).parse(text))
        content = YAML(typ="safe", pure=True).load(text)
    except _RefusedError:
        raise
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        # only these describe the syntax; others quote the values that they complain of
        problem = error.problem if isinstance(error, ScannerError | ParserError) else None
        raise _RefusedError(f"no YAML{line}: {problem or type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001 - making values of text raises almost anything
        raise _RefusedError(f"no YAML ({type(error).__name__})") from None
    for value in _values(content, MAX_NODES):
        _check(value)
    return content


def _check_events(events: Iterable[Any]) -> None:
    """Refuse before values are made: that is what costs minutes."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = aliases = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        aliases += isinstance(event, AliasEvent)
        if depth > MAX_DEPTH:
            raise _too_deep()
        if aliases > MAX_ALIASES:
            raise _RefusedError(f"more than {MAX_ALIASES} references (*name)")


def _too_deep() -> _RefusedError:
    return _RefusedError(f"nested more than {MAX_DEPTH} deep")


def _values(content: Any, most: int) -> Iterator[Any]:
    """Keys and values of a content at any depth, containers left out."""
    stack = [(content, 1)]
    count = 0
    while stack:
        value, depth = stack.pop()
        count += 1
        if count > most + 1:
            raise _RefusedError(f"more than {most:,} values")
        if isinstance(value, dict):
            inner = [*value.values()]
            for key in value:
                if not isinstance(key, str):
                    raise _RefusedError(f"a key is no text but {_kind(key)}; put it in quotes")
                yield key
        elif isinstance(value, list):
            inner = value
        else:
            yield value
            continue
        if depth > MAX_DEPTH:
            raise _too_deep()
        stack += [(entry, depth + 1) for entry in inner]


def _check(value: Any) -> None:
    """Refuse a value that is not plain, or that nothing can hold or show."""
    if isinstance(value, str):
        if "\0" in value:
            raise _RefusedError("a text holds a NUL character")
        try:
            value.isascii() or value.encode()
        except UnicodeEncodeError:
            raise _RefusedError("a text holds half a character (a lone surrogate)") from None
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise _RefusedError(f"a whole number has more than {MAX_BITS} bits")
    elif not (value is None or isinstance(value, float)):
        raise _RefusedError(f"a value is {_kind(value)}; put it in quotes")


def _kind(value: Any) -> str:
    return f"of the kind {type(value).__name__}"
