"""How the command line speaks: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
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

    def say(self, text: RenderableType) -> None:
        """Print a remark, or a table before long work."""
        self.err.print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a remark that should not be missed."""
        self.say(f"[yellow]{text}[/yellow]")

    @contextmanager
    def stage(self, title: str, *, bar: bool = True) -> Iterator[Stage]:
        """Announce a stage; its end says what came out and how long it took."""
        stage, begin = Stage(), time.perf_counter()
        with self.bars() if bar else nullcontext() as bars:
            if bars is None:  # what runs draws its own bar, and rich shows one at a time
                self.say(f"  {title:<11} …")
            else:
                bars.advance(title, 0, None)
            yield stage
        self.ended(title, stage.result, time.perf_counter() - begin)

    def bars(self) -> Bars:
        """Progress bars of stages that run at the same time; a context manager."""
        return Bars(self)

    def ended(self, title: str, result: str, seconds: float) -> None:
        """Print the line of a stage that has ended."""
        self.say(f"[green]✓[/green] {title:<11} {result} [dim]{seconds:.1f} s")


@dataclass
class Stage:
    """A stage that runs in this process.

    Parameters
    ----------
    result
        What came out, for its line.
    """

    result: str = ""


class Bars:
    """A progress bar for each stage while it lasts; without a terminal, a line now and then."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self._begin: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("  {task.description:<11}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[remark]}"),
            console=voice.err,
            transient=True,
            disable=not voice.err.is_terminal,
        )

    def __enter__(self) -> Self:
        """Show the bars."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bars away."""
        self._progress.stop()

    def advance(self, title: str, done: float, total: float | None, remark: str = "") -> None:
        """Move a bar, which is made when it is first moved."""
        now = time.perf_counter()
        if title not in self._begin:
            self._begin[title] = self._said[title] = now
            if self._progress.disable:
                self.voice.say(f"  {title:<11} …")
            self._tasks[title] = self._progress.add_task(title, total=None, remark="")
        self._progress.update(self._tasks[title], completed=done, total=total, remark=remark)
        if self._progress.disable and total and now - self._said[title] >= LOG_SECONDS:
            self._said[title] = now
            minutes = (now - self._begin[title]) / 60
            left = f", {minutes / done * (total - done):.0f} min left" if done else ""
            self.voice.say(
                f"  {title:<11} {done:g} of {total:g} after {minutes:.0f} min{left}  {remark}"
            )
