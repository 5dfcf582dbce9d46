"""Files that a user gives and gets: read with errors that quote nothing, written whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_yaml(path: Path, error_class: Callable[[str], Exception]) -> Any:
    """Content of a YAML file.

    Parameters
    ----------
    path
        The file.
    error_class
        Of what is raised if it cannot be read. Neither its text nor its cause quotes the file,
        which may hold a password.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    content = reason = None
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
    except MarkedYAMLError as error:  # whose text quotes the line
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        reason = f"no YAML{line}: {error.problem}"
    except YAMLError as error:
        reason = f"no YAML ({type(error).__name__})"
    if reason is not None:
        raise error_class(f"{path}: {reason}")
    return content


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    raw = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
