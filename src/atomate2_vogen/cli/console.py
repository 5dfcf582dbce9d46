"""How the command line speaks: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

WIDTH = 100
"""Columns of what is not shown on a terminal."""

LOG_SECONDS = 60.0
"""Between two lines about a stage where there is no terminal to show a bar."""


@contextmanager
def native_output_to(path: Path) -> Iterator[None]:
    """Send what compiled libraries write to stderr into a file; Python's own stays visible.

    TensorFlow tells at every start which GPUs and instructions it does not find.
    """
    python = sys.stderr
    python.flush()
    saved = os.dup(2)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    own = None
    try:
        if _descriptor(python) == 2:
            own = os.fdopen(os.dup(saved), "w", buffering=1, encoding=python.encoding)
            sys.stderr = own
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(saved, 2)
        sys.stderr = python
        if own is not None:
            own.close()
        os.close(saved)
        os.close(target)


def _descriptor(stream: object) -> int | None:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None


class Voice:
    """The two consoles of one command.

    Parameters
    ----------
    quiet
        Keep progress and remarks back, e.g. where the caller wants JSON only.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = Console(highlight=False)
        if not self.out.is_terminal:
            # a file or a pipe has no width; tables must not be cut to that of a default
            self.out.width = max(self.out.width, WIDTH)
        self.err = Console(stderr=True, highlight=False, quiet=quiet)

    def say(self, text: str) -> None:
        """Print a remark."""
        self.err.print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a remark that should not be missed."""
        self.say(f"[yellow]{text}[/yellow]")

    @contextmanager
    def stage(self, title: str, *, bar: bool = True) -> Iterator[Stage]:
        """Announce a stage; its end tells what came of it and how long it took."""
        stage = Stage(self, title, bar=bar)
        with stage:
            yield stage


class Stage:
    """One line per stage of a run, with a progress bar while it lasts."""

    def __init__(self, voice: Voice, title: str, *, bar: bool) -> None:
        self.voice = voice
        self.title = title
        self.result = ""
        self._begin = self._said = time.perf_counter()
        self._bar = bar
        self._progress = Progress(
            TextColumn("  {task.description:<11}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[remark]}"),
            console=voice.err,
            transient=True,
            disable=not (bar and voice.err.is_terminal),
        )
        self._task = self._progress.add_task(title, total=None, remark="")

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._progress.disable:
            self.voice.say(f"  {self.title:<11} …")
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Replace the bar by the result."""
        self._progress.stop()
        if kind is None:
            seconds = time.perf_counter() - self._begin
            self.voice.say(f"[green]✓[/green] {self.title:<11} {self.result} [dim]{seconds:.1f} s")

    def advance(self, done: float, total: float, remark: str = "") -> None:
        """Move the bar; without a terminal, a line now and then."""
        self._progress.update(self._task, completed=done, total=total, remark=remark)
        now = time.perf_counter()
        if self._bar and self._progress.disable and now - self._said >= LOG_SECONDS:
            self._said = now
            minutes = (now - self._begin) / 60
            self.voice.say(
                f"  {self.title:<11} {done:g} of {total:g} after {minutes:.0f} min  {remark}"
            )
