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

_WORD = re.compile(r"[^\s'\"]+")

# MongoDB's own address may come with what none may hold, blanks and quotes, before its @
_MONGODB = re.compile(r"(mongodb(?:\+srv)?://)(?:(?!://)[^\n]){0,500}@", re.IGNORECASE)

# options of an address that hold secrets; bounded, so that a long run of letters costs no more
_OPTION = re.compile(rf"((?:{_SECRET_NAMES.pattern})\w{{0,60}}=)[^&\s'\"]+", re.IGNORECASE)


def _without_credentials(match: re.Match[str]) -> str:
    """A word without what stands before its last @, as in ``scheme://user:password@host``."""
    credentials, at, host = match[0].rpartition("@")
    scheme, separator, _ = credentials.partition("://")
    if at and separator:
        return f"{scheme}://{HIDDEN}@{host}"
    user, colon, _ = credentials.partition(":")
    if at and colon:
        folder, slash, _ = user.rpartition("/")  # an address that was taken for a path
        return f"{folder}{slash}{HIDDEN}@{host}"
    return match[0]


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
    # every step takes a time that grows with the length alone: texts may have millions of letters
    text = _WORD.sub(_without_credentials, text)
    text = _MONGODB.sub(rf"\1{HIDDEN}@", text)
    return _OPTION.sub(rf"\1{HIDDEN}", text)


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
