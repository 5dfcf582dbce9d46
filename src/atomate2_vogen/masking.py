"""Passwords that must not be seen: the one place where text that is shown loses them.

Every error of the package passes through `mask` (see `atomate2_vogen.errors.VogenError`). Where a
secret is known it is given along; what has the form of one is hidden in any case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"

_SECRET_NAMES = re.compile(r"password|passwd|secret|token|authmechanismproperties", re.IGNORECASE)

_FORMS = (
    # user and password before the host of any address
    (re.compile(r"(\w+://)[^\s'\"]*@"), rf"\1{HIDDEN}@"),
    # the same without a scheme
    (re.compile(r"(?<![\w/])[^\s'\"/@:]+:[^\s'\"]*@"), f"{HIDDEN}@"),
    # MongoDB's own, even with what no address may hold: blanks and quotes
    (
        re.compile(r"(mongodb(?:\+srv)?://)(?:(?!\w+://)[^\n]){0,500}@", re.IGNORECASE),
        rf"\1{HIDDEN}@",
    ),
    # options of an address that hold secrets
    (re.compile(rf"((?:{_SECRET_NAMES.pattern})\w*=)[^&\s'\"]+", re.IGNORECASE), rf"\1{HIDDEN}"),
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Text without passwords.

    Parameters
    ----------
    text
        What is to be shown.
    secrets
        Known ones, which are hidden in every encoding; without them what stands before the @ of
        an address, and secret options of one, are hidden all the same.
    """
    forms = set()
    for secret in secrets:
        plain = unquote_plus(secret)
        forms |= {secret, plain, unquote(secret), quote(plain), quote(plain, safe="")}
        forms |= {quote_plus(plain), repr(plain)[1:-1]}
    for form in sorted(filter(None, forms), key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """Text in which what would command a terminal, or cannot be encoded, stands escaped."""
    return "".join(
        c if unicodedata.category(c) not in {"Cc", "Cs"} else ascii(c)[1:-1] for c in text
    )


def secrets_in(content: Any) -> list[str]:
    """Values of a file's content that may be secret: by their names, and addresses with an @."""
    found: list[str] = []
    stack = [("", content)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            secret = _SECRET_NAMES.search(name) is not None
            stack += [(name if secret else str(key), entry) for key, entry in value.items()]
        elif isinstance(value, list | tuple):
            stack += [(name, entry) for entry in value]
        elif isinstance(value, str) and _SECRET_NAMES.search(name):
            found.append(value)
        elif isinstance(value, str) and "@" in value:
            credentials = value.rpartition("@")[0].rpartition("://")[2]
            found += [value, credentials, credentials.partition(":")[2]]
            found.append(credentials.rpartition(":")[2])
        elif isinstance(value, int | float) and _SECRET_NAMES.search(name):
            found.append(str(value))
    return [secret for secret in found if secret]
