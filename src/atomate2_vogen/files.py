"""Files that a user names and gets: paths checked, names that stay in their folder, whole files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from atomate2_vogen.errors import InputError

MAX_NAME_BYTES = 200
"""Longest id that files are named by; file systems take 255, and suffixes are added."""

SUFFIX_BYTES = 20


def user_path(text: str | Path, error_class: Callable[[str], Exception] = InputError) -> Path:
    """The path that a user wrote, with ``~`` replaced.

    Parameters
    ----------
    text
        As given on the command line, in a file or in a call.
    error_class
        Of what is raised if no file can have this path: NUL or half a character in it, too long
        a name, or ``~`` of an unknown user.
    """
    reason = None
    try:
        path = Path(text).expanduser()
        raw = os.fsencode(path)
    except RuntimeError:
        reason = "there is no such user, whose home this would be"
    except ValueError:
        reason = "no path of a file (it holds characters that no path can)"
    else:
        if b"\0" in raw:
            reason = "no path of a file (it holds a NUL character)"
        elif len(raw) >= 4096 or any(len(part) > 255 for part in raw.split(b"/")):
            reason = "no path of a file (too long)"
    if reason is not None:
        shown = ascii(str(text)[:60])[1:-1] + ("…" if len(str(text)) > 60 else "")
        raise error_class(f"{shown}: {reason}")
    return path


def check_name(name: str, *, most: int = MAX_NAME_BYTES) -> str:
    """The same name, if it can be that of a file in any folder and of nothing else.

    Raises
    ------
    InputError
        If it is empty, ``.`` or ``..``, too long, or holds a separator or what is no character to
        be seen.
    """
    reason = None
    if not name or name in {".", ".."}:
        reason = "is no name of a file"
    elif any(character in "/\\" for character in name):
        reason = "holds a separator of folders"
    elif any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        reason = "holds a control character"
    elif len(name.encode()) > most:
        reason = f"has more than {most} bytes"
    if reason is not None:
        shown = ascii(name[:60]) + ("…" if len(name) > 60 else "")
        raise InputError(f"{shown} {reason}; a file could not be called so in its folder")
    return name


def as_name(text: str) -> str:
    """A name of a file made of any text: other characters than these become underscores."""
    name = re.sub(r"[^\w.+()=-]", "_", text).lstrip(".") or "_"
    # a long one is distinguished from others by its hash; a character may have four bytes
    if len(name.encode()) > MAX_NAME_BYTES:
        name = f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return name


def path_inside(folder: Path, name: str) -> Path:
    """The path of a file or folder whose name comes from data, in the folder and nowhere else.

    Raises
    ------
    InputError
        As `check_name`.
    """
    return folder / check_name(name, most=MAX_NAME_BYTES + SUFFIX_BYTES)


def write_atomically(
    path: str | os.PathLike[str], content: str | bytes, *, durably: bool = False
) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one.

    A symbolic link stays one, and what it leads to is replaced. What is no regular file (a device,
    a pipe, standard output) is written to as it is.

    Parameters
    ----------
    path
        The target; its folder must exist.
    content
        All of it.
    durably
        Wait until the disk has it, so that it survives a loss of power.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    raw = content.encode() if isinstance(content, str) else content
    target = Path(path)
    status = _status(target)
    if status is not None and (stream := _standard_stream(status)) is not None:
        with os.fdopen(os.dup(stream), "wb") as file:
            file.write(raw)
        return
    if status is not None and not stat.S_ISREG(status.st_mode):
        with target.open("wb") as file:
            file.write(raw)
        return
    _replace(Path(os.path.realpath(target)), raw, status, durably=durably)


def _replace(target: Path, raw: bytes, status: os.stat_result | None, *, durably: bool) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(_permissions() if status is None else stat.S_IMODE(status.st_mode))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _status(path: Path) -> os.stat_result | None:
    """Of what a path leads to; None if there is nothing yet."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat()
    return None


def _standard_stream(status: os.stat_result) -> int | None:
    """Number of the standard stream that this is: a shell may have put it into a regular file."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(status, os.fstat(stream)):
                return stream
    return None


def _permissions() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
