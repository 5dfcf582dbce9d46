"""Settings of a machine or an account, in the manner of atomate2's settings.

Read from ``~/.vogen.yaml`` (or the file that ``VOGEN_CONFIG_FILE`` names) and from environment
variables, which come first: the setting ``STORE`` is ``STORE`` in the file and ``VOGEN_STORE``
in the environment. Options of a command and arguments of a call come before both.
"""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from atomate2_vogen.errors import SettingsError
from atomate2_vogen.files import user_path
from atomate2_vogen.structured import read_structured

DEFAULT_FILE = "~/.vogen.yaml"
PREFIX = "VOGEN_"
LIKENESS = 0.75
"""Similarity of a variable's name to a setting's above which it counts as misspelt."""


class VogenSettings(BaseSettings):
    """Settings; every one has a default that works.

    Examples
    --------
    >>> from atomate2_vogen import VogenSettings
    >>> VogenSettings(WORKERS=2).WORKERS
    2
    """

    CONFIG_FILE: str = Field(DEFAULT_FILE, description="file that the others are read from")
    STORE: str | None = Field(
        None,
        repr=False,  # it may hold a password
        description="where documents are kept when a command is given no store: a mongodb:// URI, a YAML "
        "file or a folder; without it what jobflow's own settings name",
    )
    GPAW_COMMAND: str = Field(
        "",
        description="words that start GPAW's Python; the variable GPAW_COMMAND comes before it",
    )
    THREADS: int | None = Field(
        None, ge=1, description="threads of the networks per process; one per core without it"
    )
    WORKERS: int | None = Field(
        None, ge=1, description="processes side by side; one per usable core without it"
    )

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", case_sensitive=True)

    @model_validator(mode="before")
    @classmethod
    def _with_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Settings of the file, overridden by the environment and by arguments."""
        path = user_path(values.get("CONFIG_FILE", DEFAULT_FILE), _unreadable)
        if not path.exists():
            if "CONFIG_FILE" in values:
                raise SettingsError(f"{path}: there is no such file of settings")
            return values
        return {**_read(path), **values}


@lru_cache(maxsize=1)
def settings() -> VogenSettings:
    """The settings, read once per process.

    Raises
    ------
    SettingsError
        If the file cannot be read, a value does not fit, or a name is unknown.
    """
    _check_environment()
    try:
        return VogenSettings()
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # of the file; the input is all that is set, addresses too
            raise first["ctx"]["error"] from None
        name = ".".join(str(part) for part in first["loc"])
        # an address may hold a password
        found = "" if name == "STORE" else f", not {first['input']!r}"
        raise SettingsError(f"setting {name}: {first['msg']}{found}") from None


def _read(path: Path) -> dict[str, Any]:
    """Settings in a YAML file."""
    content = read_structured(path, _unreadable) or {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: not a mapping of settings to values")
    names = set(VogenSettings.model_fields) - {"CONFIG_FILE"}
    for name in content:
        if name not in names:
            raise SettingsError(f"{path}: no setting is called {name!r}{_hint(str(name), names)}")
    return content


def _unreadable(reason: str) -> SettingsError:
    return SettingsError(f"settings cannot be read: {reason}")


def _check_environment() -> None:
    """Refuse variables whose names nearly are a setting's; others may be somebody else's."""
    names = {f"{PREFIX}{name}" for name in VogenSettings.model_fields}
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in names:
            hint = _hint(variable, names)
            if hint.startswith("; did"):
                raise SettingsError(f"environment: no setting is called {variable!r}{hint}")


def _hint(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name.upper(), sorted(names), 1, LIKENESS)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(names))}"
