"""FireWorks' LaunchPad: opened with short patience, shown without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import PyMongoError

from atomate2_vogen.errors import LaunchPadConnectionError, LaunchPadError
from atomate2_vogen.files import user_path
from atomate2_vogen.masking import mask, secrets_in
from atomate2_vogen.stores.mongo import MOST_SECONDS, ping
from atomate2_vogen.structured import read_structured

if TYPE_CHECKING:
    from fireworks import LaunchPad

OPEN_MS = 8_000
"""How long a server may take to answer, unless the file says serverSelectionTimeoutMS."""


LAUNCHPAD_FIELDS: dict[str, type] = {
    "host": str,
    "port": int,
    "name": str,
    "username": str,
    "password": str,
    "authsource": str,
    "uri_mode": bool,
    "strm_lvl": str,
    "user_indices": list,
    "wf_user_indices": list,
    "mongoclient_kwargs": dict,
}
"""What of FireWorks' file is used here; the others, such as ``logdir``, are for its workers."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def open_launchpad(file: str | Path | None = None) -> LaunchPad:
    """Open a LaunchPad and prove that it can be used.

    Parameters
    ----------
    file
        FireWorks' ``my_launchpad.yaml`` (or ``.json``); None for the one that FireWorks finds
        itself: in this folder, in ``~/.fireworks``, or named by its configuration.

    Raises
    ------
    LaunchPadError
        If the file is missing or is no such file, or the LaunchPad has never been reset.
    LaunchPadConnectionError
        If the database does not answer or refuses.
    """
    from fireworks.fw_config import LAUNCHPAD_LOC

    found = file or LAUNCHPAD_LOC
    path = user_path(found, LaunchPadError) if found else None
    content: dict[str, Any] = {"host": "localhost"} if path is None else _read(path)
    client = dict(content.get("mongoclient_kwargs") or {})
    content["mongoclient_kwargs"] = {"serverSelectionTimeoutMS": OPEN_MS, **client}
    content["strm_lvl"] = content.get("strm_lvl") or "WARNING"
    origin = "the LaunchPad" if path is None else str(path)
    launchpad = _made(content, origin)
    if not _is_ready(launchpad, content):
        option = "" if path is None else f" -l {path}"
        raise LaunchPadError(
            f"{location(launchpad)}: this LaunchPad has never been set up; once, and never again, for "
            f"it deletes what is there: lpad{option} reset"
        )
    return launchpad


def _made(content: dict[str, Any], origin: str) -> LaunchPad:
    from fireworks import LaunchPad

    reason = None
    try:
        return LaunchPad.from_dict(content)
    except Exception as error:  # noqa: BLE001 - pymongo checks options in many ways
        reason = _hidden(str(error), content)
    # outside of the handler: no chain may hold what was read
    raise LaunchPadError(f"{origin}: describes no LaunchPad ({reason})")


def _is_ready(launchpad: LaunchPad, content: dict[str, Any]) -> bool:
    """Whether the database, which must answer, has been set up."""
    reason = None
    try:
        server = launchpad.connection
        ping(server.admin, server.options.server_selection_timeout)
        with pymongo.timeout(MOST_SECONDS):
            return launchpad.fw_id_assigner.find_one({}) is not None
    except Exception as error:  # noqa: BLE001 - also a host or option that only fails in use
        reason = _reason(error, content)
    # outside of the handler: no chain may hold what was read
    raise _unusable(launchpad, reason)


def location(launchpad: LaunchPad) -> str:
    """Server and database, without user and password."""
    scheme, separator, rest = str(launchpad.host).rpartition("://")
    hosts = rest.rpartition("@")[2].partition("/")[0]
    port = "" if separator else f":{launchpad.port}"
    return f"{scheme or 'mongodb'}://{hosts}{port}/{launchpad.name}"


@contextmanager
def reaching(launchpad: LaunchPad) -> Iterator[None]:
    """Turn what the database raises into a typed error without any password.

    Raises
    ------
    LaunchPadConnectionError
        If it does not answer or refuses. The driver's error is not chained: it may quote an
        address.
    """
    reason = None
    try:
        yield
    except PyMongoError as error:
        reason = _reason(error, launchpad.to_dict())
    if reason is not None:
        raise _unusable(launchpad, reason) from None


def _reason(error: Exception, content: dict[str, Any]) -> str:
    text = str(error).partition(", Topology Description:")[0] or type(error).__name__
    return _hidden(text, content)


def _unusable(launchpad: LaunchPad, reason: str) -> LaunchPadConnectionError:
    return LaunchPadConnectionError(
        f"{location(launchpad)}: the LaunchPad's database cannot be used ({reason}); is the address "
        "right, and does the server run?"
    )


def _hidden(text: str, content: dict[str, Any]) -> str:
    """Text without the values of a LaunchPad's description that may be secret."""
    return mask(text, secrets_in(content))


def _read(path: Path) -> dict[str, Any]:
    content = read_structured(path, LaunchPadError)
    if not (isinstance(content, dict) and content.get("host")):
        raise LaunchPadError(f"{path}: names no host; see examples/fireworks/my_launchpad.yaml")
    used = {name: content[name] for name in LAUNCHPAD_FIELDS if content.get(name) is not None}
    for name, value in used.items():
        kind = LAUNCHPAD_FIELDS[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise LaunchPadError(f"{path}: {name} must be {_KINDS[kind]}")
    if used.get("strm_lvl", LEVELS[0]) not in LEVELS:
        raise LaunchPadError(f"{path}: strm_lvl must be one of {', '.join(LEVELS)}")
    return used


_KINDS = {
    str: "text; put it in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping of names to values",
}
