"""One malformed input: where it lies, how it is given to the package, what must not happen."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SECRET = "hunter2Pa55w0rd"  # stands in every place of a password


@dataclass
class Place:
    """Folders of one input.

    Parameters
    ----------
    root
        Everything; nothing in it but `inputs` and `out` may change.
    """

    root: Path
    inputs: Path = field(init=False)
    out: Path = field(init=False)
    outside: Path = field(init=False)

    def __post_init__(self) -> None:
        deep = self.root / "deep" / "er"
        self.inputs, self.out = deep / "inputs", deep / "out"
        self.outside = self.root / "outside"
        for folder in (self.inputs, self.outside):
            folder.mkdir(parents=True)
        (self.root / "canary").write_text("sings")
        (self.outside / "canary").write_text("sings")
        os.mkfifo(self.outside / "fifo")
        (self.outside / "link").symlink_to(self.outside / "canary")

    def write(self, name: str, content: bytes) -> Path:
        """An input file."""
        path = self.inputs / name
        path.write_bytes(content)
        return path

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Kind and size of all that must not change."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            folders[:] = [n for n in folders if here / n not in {self.out, self.inputs}]
            for name in (*folders, *(n for n in files if here / n != self.out)):
                status = (here / name).lstat()
                size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
                found[str((here / name).relative_to(self.root))] = (
                    stat.S_IFMT(status.st_mode),
                    size,
                )
        found |= {str(path): (0, 0) for path in Path("/").glob("escaped*")}
        return found


@dataclass(frozen=True)
class Attack:
    """An input and the call that it is given to; `note` tells a reader what it was."""

    note: str
    run: Callable[[], Any]
    writes: bool = False


class Entrance(Protocol):
    """A way into the package."""

    name: str
    share: int
    """Inputs of a full run."""

    def prepare(self, root: Path) -> None:
        """Make what every input of this entrance needs; called once."""

    def attack(self, rng: random.Random, place: Place) -> Attack:
        """The input that this state of the generator gives."""


def vogen(*arguments: object) -> None:
    """Run the command line in this process; what is not a clean end raises."""
    from click.testing import CliRunner

    from atomate2_vogen.cli.main import cli

    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    print(result.output)  # noqa: T201 - it is searched for secrets
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if "Traceback" in result.output:
        raise AssertionError("a traceback is printed")


@contextmanager
def environment(**variables: str | None):
    """Environment variables for a while, and settings that see them."""
    from atomate2_vogen.settings import settings

    before = dict(os.environ)
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
