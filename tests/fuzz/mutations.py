"""Malformed values and texts from a seeded generator."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

DEEP = 3000
LONG = 5000
BOMB = 24  # levels of nine aliases each: 9 ** 24 values

NAMES = ("../../escaped", "../" * 12 + "escaped", "a/b", "a\\b", ".", "..", "", " ", "nul\0nul")
TEXTS = (
    *NAMES,
    "line\nbreak",
    "\x1b[31mred",
    "\ufeffbom",
    "日本語",
    "\u202eright to left",
    "e\u0301",
    "x" * LONG,
    "~nobody/x",
    "~",
    "$HOME",
    "[bold]markup[/bold]",
    "[/]",
    "{0.__class__}",
    "%s%n",
    "<script>",
    "NaN",
    "1e999",
    "9" * LONG,
    "-1",
    "null",
    "2020-99-99",
    "VO2",
    "V" + "9" * 400,
    "V1e400O",
    "((((V",
    "\ud800",
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 1e308, 1e-320, -0.0, 0.5)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


def hostile_value(rng: random.Random, outside: str = "/nowhere/escaped") -> Any:
    """A value that has no business where it will stand."""
    makers: list[Callable[[], Any]] = [
        lambda: rng.choice(TEXTS),
        lambda: rng.choice(NAMES),
        lambda: outside,
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(NOT_FINITE),
        lambda: rng.choice((None, True, False)),
        lambda: rng.choice(([], {}, [[]], [None], {"": None})),
        lambda: [rng.choice(TEXTS) for _ in range(3)],
        lambda: {rng.choice(TEXTS): rng.choice(NUMBERS)},
        lambda: {"$gt": ""},
        lambda: {"@module": "os", "@class": "system", "@version": None},
        lambda: {"@module": "builtins", "@callable": "exec"},
        lambda: [0] * 10_000,
        lambda: nested(rng.choice((60, 400))),
    ]
    return rng.choice(makers)()


def nested(depth: int) -> Any:
    """Lists within lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def mutate(rng: random.Random, content: Any, outside: str = "/nowhere/escaped") -> Any:
    """A copy of JSON-like content with one to three places changed."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = _mutate_once(rng, content, outside)
    return content


def _mutate_once(rng: random.Random, content: Any, outside: str) -> Any:
    parent, key, value = None, None, content
    while isinstance(value, dict | list) and value and (parent is None or rng.random() < 0.75):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        parent, key = value, rng.choice(keys)
        value = value[key]
    if parent is None or rng.random() < 0.02:
        return hostile_value(rng, outside)
    kind = rng.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(TEXTS)] = parent.pop(key)
    elif kind == 2 and isinstance(parent, list):
        parent += [value] * rng.choice((1, 3))
    elif kind == 3 and isinstance(value, int | float) and not isinstance(value, bool):
        parent[key] = rng.choice((-value, value * 1e6, str(value), [value], value + 0.5))
    elif kind == 4 and isinstance(value, str):
        parent[key] = rng.choice((value[::-1], value * 50, value.upper(), [value], {value: value}))
    else:
        parent[key] = hostile_value(rng, outside)
    return content


def mutate_text(rng: random.Random, text: str) -> bytes:
    """The bytes of a text file with one to three places changed."""
    raw = text.encode("utf-8", "surrogatepass")
    for _ in range(rng.choice((1, 1, 2, 3))):
        raw = _mutate_bytes(rng, raw)
    return raw


def _mutate_bytes(rng: random.Random, raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    at = rng.randrange(len(lines))
    words = lines[at].split(b" ")
    word = rng.randrange(len(words))
    position = rng.randrange(len(raw) + 1)
    token = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    kind = rng.randrange(12)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif kind in {2, 3, 4}:
        words[word] = token
        lines[at] = b" ".join(words)
    elif kind in {5, 6}:
        words[word] = str(rng.choice(NUMBERS + NOT_FINITE)).encode()
        lines[at] = b" ".join(words)
    elif kind == 7:
        return raw[:position]
    elif kind == 8:
        junk = rng.choice((b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\r", rng.randbytes(8)))
        return raw[:position] + junk + raw[position:]
    elif kind == 9:
        return rng.choice((b"", b"\n", b"\0" * 100, rng.randbytes(200), raw * 3, token))
    elif kind == 10:
        return raw.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32")))
    else:
        del words[word]
        lines[at] = b" ".join(words)
    return b"\n".join(lines)


def as_json(content: Any) -> bytes:
    """JSON in which numbers may be no JSON, and text no Unicode."""
    return json.dumps(content, ensure_ascii=True).encode()


def structured_file(rng: random.Random, content: Any, outside: str = "/nowhere/escaped") -> bytes:
    """A YAML or JSON file about something like `content`."""
    kind = rng.randrange(10)
    if kind < 6:
        return as_json(mutate(rng, content, outside))
    if kind == 6:
        return mutate_text(rng, json.dumps(content, indent=1))
    if kind == 7:
        return mutate_text(rng, block_yaml(content))
    return rng.choice(BOMBS)(rng, content)


def block_yaml(content: Any) -> str:
    """YAML of a mapping, one field a line."""
    if not isinstance(content, dict):
        return json.dumps(content)
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in content.items())


def _aliases(rng: random.Random, content: Any) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels = rng.choice((4, 7, BOMB))
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    name = rng.choice(list(content)) if isinstance(content, dict) and content else "x"
    lines.append(f"{name}: *a{levels - 1}")
    return ("\n".join(lines) + "\n").encode()


def _loop(rng: random.Random, content: Any) -> bytes:
    name = rng.choice(list(content)) if isinstance(content, dict) and content else "x"
    return f"&a\n{name}: *a\n".encode()


def _merges(rng: random.Random, content: Any) -> bytes:
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], k{i}: 1}}" for i in range(1, 8)
    ]
    return ("\n".join(lines) + "\n<<: *m7\n").encode()


def _nesting(rng: random.Random, content: Any) -> bytes:
    depth = rng.choice((200, DEEP, 100_000))
    return rng.choice((b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth, b"- " * depth))


def _digits(rng: random.Random, content: Any) -> bytes:
    name = rng.choice(list(content)) if isinstance(content, dict) and content else "x"
    number = rng.choice(("9" * LONG, "0x" + "f" * LONG, "1:" * 2000 + "1", "1e" + "9" * LONG))
    return f"{name}: {number}\n".encode()


def _keys(rng: random.Random, content: Any) -> bytes:
    key = rng.choice(("1", "null", "? [a, b]\n", "? {a: b}\n", "1.5", "2020-01-01", ".nan", "true"))
    return (block_yaml(content) + f"{key}: 1\n").encode()


def _tags(rng: random.Random, content: Any) -> bytes:
    name = rng.choice(list(content)) if isinstance(content, dict) and content else "x"
    tag = rng.choice(
        (
            "!!python/object/apply:os.system ['true']",
            "!!binary '////'",
            "!!binary 'x'",
            "!!int x",
            "!!float x",
            "!!timestamp 2020-99-99",
            "!!set {a, b}",
            "!!omap [a: 1]",
            "!!pairs [a]",
            "!!null x",
            "!unknown x",
            "2020-99-99",
            "2020-01-01",
            "0o9",
            "*nowhere",
        )
    )
    return f"{name}: {tag}\n".encode()


def _large(rng: random.Random, content: Any) -> bytes:
    return rng.choice((b"a: b\n" * 300_000, b'"' + b"x" * 3_000_000 + b'"', b"- x\n" * 400_000))


BOMBS: tuple[Callable[[random.Random, Any], bytes], ...] = (
    _aliases,
    _loop,
    _merges,
    _nesting,
    _digits,
    _keys,
    _tags,
    _tags,
    _large,
)
