"""FireWorks' LaunchPad: opened with short patience, shown without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from atomate2_vogen.errors import LaunchPadConnectionError, LaunchPadError
from atomate2_vogen.files import read_yaml
from atomate2_vogen.stores.address import redact

if TYPE_CHECKING:
    from fireworks import LaunchPad

OPEN_MS = 8_000
"""How long a server may take to answer, unless the file says serverSelectionTimeoutMS."""


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
    from fireworks import LaunchPad
    from fireworks.fw_config import LAUNCHPAD_LOC

    path = Path(file or LAUNCHPAD_LOC).expanduser() if file or LAUNCHPAD_LOC else None
    content: dict[str, Any] = {"host": "localhost"} if path is None else _read(path)
    client = dict(content.get("mongoclient_kwargs") or {})
    content["mongoclient_kwargs"] = {"serverSelectionTimeoutMS": OPEN_MS, **client}
    content["strm_lvl"] = content.get("strm_lvl") or "WARNING"
    origin = "the LaunchPad" if path is None else str(path)
    reason = None
    try:
        launchpad = LaunchPad.from_dict(content)
    except (PyMongoError, ValueError, TypeError, KeyError) as error:
        reason = _hidden(str(error), content)
    if reason is not None:  # outside of the handler: no chain may hold what was read
        raise LaunchPadError(f"{origin}: describes no LaunchPad ({reason})")
    with reaching(launchpad):
        ready = launchpad.fw_id_assigner.find_one({}) is not None
    if not ready:
        option = "" if path is None else f" -l {path}"
        raise LaunchPadError(
            f"{place(launchpad)}: this LaunchPad has never been set up; once, and never again, for "
            f"it deletes what is there: lpad{option} reset"
        )
    return launchpad


def place(launchpad: LaunchPad) -> str:
    """Server and database, without user and password."""
    if launchpad.uri_mode:
        scheme, _, rest = str(launchpad.host).partition("://")
        hosts = rest.partition("/")[0].rpartition("@")[2]
        return f"{scheme}://{hosts}/{launchpad.name}"
    return f"mongodb://{launchpad.host}:{launchpad.port}/{launchpad.name}"


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
        text = str(error).partition(", Topology Description:")[0] or type(error).__name__
        reason = _hidden(text, launchpad.to_dict())
    if reason is not None:
        raise LaunchPadConnectionError(
            f"{place(launchpad)}: the LaunchPad's database cannot be used ({reason}); is the address "
            "right, and does the server run?"
        ) from None


def _hidden(text: str, content: dict[str, Any]) -> str:
    """Text without the values of a LaunchPad's description that may be secret."""
    client = content.get("mongoclient_kwargs") or {}
    secrets = [content.get("password"), *(v for k, v in client.items() if "assword" in k)]
    host = str(content.get("host") or "")
    if "@" in host:
        secrets.append(host.rpartition("@")[0].rpartition(":")[2])
    return redact(text, [str(secret) for secret in secrets if secret])


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path, LaunchPadError)
    if not (isinstance(content, dict) and content.get("host")):
        raise LaunchPadError(f"{path}: names no host; see examples/fireworks/my_launchpad.yaml")
    return dict(content)
