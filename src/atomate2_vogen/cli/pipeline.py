"""One run of a command: its folder, its stores, and the flows that it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.cli.progress import FlowProgress, StageCount

if TYPE_CHECKING:
    from jobflow import Flow, Job

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.stores import VogenStores


JOBS_FOLDER = "jobs"
"""Folder of a run with the working folders of its jobs and the record of those that ended."""


@dataclass(frozen=True)
class FlowOutput:
    """What a flow gave.

    Parameters
    ----------
    output
        Its output, from the job store.
    stages
        Counts and times by title of the stage.
    """

    output: Any
    stages: dict[str, StageCount]


@dataclass
class Pipeline:
    """A run of a command.

    Parameters
    ----------
    folder
        Output folder, open.
    stores
        Its stores, connected.
    voice
        Consoles.
    system
        Oxide system.
    """

    folder: OutputFolder
    stores: VogenStores
    voice: Voice
    system: OxideSystem
    ingested: Counter[str] = field(default_factory=Counter)
    """Number of documents that `run` has copied into the collections, by collection."""

    @property
    def logs(self) -> Path:
        """Folder for what libraries print."""
        path = self.folder / "logs"
        path.mkdir(exist_ok=True)
        return path

    def run(
        self, flow: Flow | Job, workers: int, expected: Mapping[str, int] | None = None
    ) -> FlowOutput:
        """Run a flow on worker processes, and copy its documents into the collections.

        Jobs that ended in an earlier run into this folder are taken from its store; those that
        failed are run again.

        Parameters
        ----------
        flow
            Any flow.
        workers
            Number of processes.
        expected
            Number of crystals or formulas of a stage, by title, for the progress bars.

        Raises
        ------
        VogenError
            If the flow left no output: the first error that one of its jobs raised.
        RuntimeError
            The same for other errors and for processes that died.
        """
        from jobflow.core.reference import find_and_get_references, find_and_resolve_references

        from atomate2_vogen.managers import run_parallel

        with self.voice.bars() as bars:
            progress = FlowProgress(bars, expected or {})
            result = run_parallel(
                flow,
                self.stores.job_store,
                workers=workers,
                folder=self.folder / JOBS_FOLDER,
                log_dir=self.logs,
                on_event=progress,
            )
        # a document of an earlier run may still be there where a job failed in this one
        needed = {reference.uuid for reference in find_and_get_references(result.output)}
        if not needed <= progress.ended:
            result.raise_for_failures()
        try:
            output = find_and_resolve_references(result.output, self.stores.job_store)
        except ValueError:  # jobflow's error for an output that never came
            result.raise_for_failures()
            raise
        self.ingested.update(self.stores.ingest_jobs())
        return FlowOutput(output, progress.stages)

    def report(self, ran: FlowOutput, title: str, result: str, **notes: Any) -> None:
        """Print and note the result of a stage, if the flow had it."""
        stage = ran.stages.get(title)
        if stage is None:
            return
        notes["reused"] = stage.reused
        self.folder.note_stage(title, stage.seconds, notes)
        self.voice.ended(title, result + reuse(stage.reused, stage.done), stage.seconds)

    def report_states(self, ran: FlowOutput, title: str, states: Iterable[str]) -> None:
        """The same for crystals, by the states of their documents."""
        found = list(states)
        counts = {state: found.count(state) for state in sorted(set(found))}
        listed = ", ".join(f"{count} {state}" for state, count in counts.items())
        result = f"{len(found)} {plural('crystal', len(found))}: {listed}"
        self.report(ran, title, result, candidates=len(found), **{"failed": 0, **counts})


def reuse(reused: int, total: int) -> str:
    """How much of a stage was there already, for its line on the console."""
    if not reused:
        return ""
    return " [cyan](reused)[/cyan]" if reused == total else f" [cyan]({reused} reused)[/cyan]"


def plural(noun: str, count: int) -> str:
    """Noun as it stands after a number."""
    return noun if count == 1 else f"{noun}s"
