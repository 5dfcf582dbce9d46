"""Measure samplers: new crystals against the CPU-hours of all that they cost.

    python benchmarks/discovery/run.py --arms random,wgan --seeds 1,2 --cpu-hours 3 \
        --workers 2 --out results/discovery/raw

Arms are named in ``arms.json``. Each arm and seed is a run in one process with one thread; raw rows
lie in ``OUT/ARM/seed-N``. Stop it at any time, by any means: the same command goes on, and with more
``--cpu-hours`` it adds to what is there. ``report.py`` makes the figure and the table.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli.options import parse_counts
from atomate2_vogen.errors import InputError, VogenError
from atomate2_vogen.managers.workers import THREAD_VARIABLES
from discovery.arms import TABLE, Arm, read_arms
from discovery.measuring import Progress, measure_run

BATCH = "VO2=24,V2O3=20,V2O5=16"
TELL_SECONDS = 30.0
"""Between two lines of progress where the output is no terminal."""


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--arms", default="random,wgan", show_default=True, metavar="NAME[,…]")
@click.option("--seeds", default="1,2", show_default=True, metavar="NUMBER[,…]")
@click.option(
    "--cpu-hours",
    type=click.FloatRange(0, min_open=True),
    default=3.0,
    show_default=True,
    help="Of each run, everything but loading and training of shipped weights counted.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--counts", default=BATCH, show_default=True, help="Crystals of a round.")
@click.option(
    "--arms-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=TABLE,
    help="Another table of arms.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of raw rows.")
def main(
    *,
    arms: str,
    seeds: str,
    cpu_hours: float,
    workers: int,
    counts: str,
    arms_file: Path,
    out: Path,
) -> None:
    """Measure what is left to measure."""
    try:
        chosen = read_arms([name.strip() for name in arms.split(",")], arms_file)
        numbers = parse_seeds(seeds)
        requested = parse_counts((counts,), VANADIUM)
        for arm in chosen:
            arm.check()  # an unknown sampler fails here, not after hours of another arm
    except VogenError as error:
        raise click.ClickException(str(error)) from error
    tasks = [(arm, seed) for seed in numbers for arm in chosen]
    failed = run_all(tasks, requested, cpu_hours, workers, out)
    for label, reason in failed.items():
        click.echo(f"{label}: {reason}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def parse_seeds(text: str) -> list[int]:
    """Seeds, each once.

    Raises
    ------
    InputError
        If one is no whole number from 0 on, or comes twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--seeds {text!r}: give whole numbers, for example 1,2")
    seeds = [int(part) for part in parts]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {text}: one comes twice")
    return seeds


def run_all(
    tasks: Sequence[tuple[Arm, int]],
    counts: dict[str, int],
    cpu_hours: float,
    workers: int,
    out: Path,
) -> dict[str, str]:
    """Run each task in a separate process, some at a time.

    Returns
    -------
    dict
        Reasons of those that failed.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    context = multiprocessing.get_context("spawn")
    waiting, failed = list(tasks), {}
    running: dict[Connection, tuple[str, Any]] = {}
    overview = Overview(len(tasks), cpu_hours * 3600)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                arm, seed = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                folder = out / arm.name / f"seed-{seed}"
                process = context.Process(
                    target=work,
                    args=(theirs, arm, seed, folder),
                    kwargs={"counts": counts, "cpu_hours": cpu_hours},
                )
                process.start()
                theirs.close()
                running[ours] = f"{arm.name}, seed {seed}", process
            for pipe in wait(list(running)):
                label, process = running[pipe]
                try:
                    message = pipe.recv()
                except EOFError:
                    process.join()
                    del running[pipe]
                    if process.exitcode and label not in failed:
                        failed[label] = f"its process ended with exit code {process.exitcode}"
                    overview.end(label)
                    continue
                if isinstance(message, Progress):
                    overview.tell(label, message)
                else:
                    failed[label] = message
    except BaseException:
        for _, process in running.values():
            process.terminate()
        raise
    overview.close()
    return failed


def work(pipe: Connection, arm: Arm, seed: int, folder: Path, **request: Any) -> None:
    """Run one task in a separate process, and report its progress.

    Where nobody listens any more, sending raises, and the process ends.
    """
    try:
        measure_run(arm, seed, folder, load_judge=load_judge, progress=pipe.send, **request)
    except VogenError as error:
        pipe.send(str(error))


def load_judge() -> Any:
    """CHGNet with the shipped references."""
    from atomate2_vogen.engines import chgnet, load_references
    from discovery.judging import Judge

    engine = chgnet()
    return Judge(engine, load_references(engine))


class Overview:
    """One line with the state of all tasks and the time left."""

    def __init__(self, n_tasks: int, cpu_seconds: float) -> None:
        self.n_tasks, self.cpu_seconds = n_tasks, cpu_seconds
        self.begin = self.printed_at = time.monotonic()
        self.first: dict[str, float] = {}
        self.last: dict[str, Progress] = {}
        self.ended: set[str] = set()

    def tell(self, label: str, progress: Progress) -> None:
        """Take in what a task says."""
        self.first.setdefault(label, progress.cpu_seconds)
        self.last[label] = progress
        now = time.monotonic()
        if sys.stderr.isatty() or now - self.printed_at > TELL_SECONDS:
            self.printed_at = now
            self._print()

    def end(self, label: str) -> None:
        """Note that a task has ended."""
        self.ended.add(label)
        self._print()

    def close(self) -> None:
        """End the line."""
        if sys.stderr.isatty():
            click.echo(err=True)

    def line(self) -> str:
        """Text of the line."""
        parts = [
            f"{label} {one.cpu_seconds / 3600:.2f} h, {one.n_crystals} crystals, {one.n_new} new"
            for label, one in self.last.items()
            if label not in self.ended
        ]
        return "; ".join([f"{len(self.ended)}/{self.n_tasks} runs done", *parts, self._left()])

    def _left(self) -> str:
        done = sum(one.cpu_seconds - self.first[label] for label, one in self.last.items())
        wall = time.monotonic() - self.begin
        left = sum(
            max(0.0, self.cpu_seconds - one.cpu_seconds)
            for label, one in self.last.items()
            if label not in self.ended
        )
        left += self.cpu_seconds * (self.n_tasks - len(self.last.keys() | self.ended))
        if not left:
            return "0 min left"
        if done <= 0:
            return "time left unknown"
        return f"about {wall * left / done / 60:.0f} min left"

    def _print(self) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{self.line()}", nl=False, err=True)
        else:
            click.echo(f"{time.strftime('%H:%M:%S')} {self.line()}", err=True)


if __name__ == "__main__":
    main()
