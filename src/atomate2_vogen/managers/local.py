"""Run any jobflow flow on several processes of one machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError, VogenError
from atomate2_vogen.managers.graph import Graph, Node
from atomate2_vogen.managers.journal import Journal
from atomate2_vogen.managers.workers import Answer, Worker

if TYPE_CHECKING:
    from jobflow import Flow, Job, JobStore

MAX_ATTEMPTS = 3
"""How often a job is started whose worker process dies."""


@dataclass(frozen=True)
class Failure:
    """A job that raised, or whose worker process died too often.

    Parameters
    ----------
    name
        Name of the job.
    uuid
        Its identifier in the job store.
    error
        Last line of the traceback, or how the process ended.
    exception
        The exception, if it is one of this package.
    metadata
        Metadata of the job.
    """

    name: str
    uuid: str
    error: str
    exception: VogenError | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """What has just happened to one job.

    Parameters
    ----------
    kind
        ``reused`` (had ended in an earlier run), ``started``, ``finished``, ``failed``, or
        ``restarted`` (its worker process died).
    name
        Name of the job.
    uuid
        Its identifier.
    stage
        ``metadata["stage"]`` of the job, else its name.
    n_ended
        Jobs that have ended, with those that failed or were skipped.
    n_jobs
        Jobs that are known so far; jobs that make jobs raise it.
    metadata
        Metadata of the job.
    """

    kind: str
    name: str
    uuid: str
    stage: str
    n_ended: int
    n_jobs: int
    metadata: dict[str, Any]


@dataclass
class FlowResult:
    """Summary of a run; outputs are in the job store.

    Parameters
    ----------
    flow
        The flow, with the identifiers under which its outputs are stored.
    n_finished
        Jobs that ended in this run.
    n_reused
        Jobs that had ended in an earlier run.
    failures
        Jobs that raised, in the order in which they did.
    skipped
        Names of jobs that did not run because one that they need failed or stopped them.
    """

    flow: Flow
    n_finished: int = 0
    n_reused: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every job ended well."""
        return not self.failures and not self.skipped

    def raise_for_failures(self) -> None:
        """Raise the first failure, if there is one.

        Raises
        ------
        VogenError
            As the job raised it.
        RuntimeError
            With the reason, for other exceptions and processes that died.
        """
        if self.failures:
            first = self.failures[0]
            raise first.exception or RuntimeError(f"{first.name}: {first.error}")


def run_parallel(
    flow: Flow | Job,
    store: JobStore,
    *,
    workers: int = 1,
    folder: str | Path | None = None,
    log_dir: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    attempts: int = MAX_ATTEMPTS,
) -> FlowResult:
    """Run a flow on worker processes, jobs that do not need each other side by side.

    The documents are those of jobflow's `run_locally`: jobs made by jobs (`replace`, `detour`,
    `addition`) run too, a job that raises stops only what needs its output, and ``stop_children``
    and ``stop_jobflow`` do what they say. Ctrl-C, or an exception of `on_event`, ends the workers;
    what has ended stays in the store.

    Parameters
    ----------
    flow
        Any flow or job, of this package or not. Jobs must be importable in another process: none
        from ``__main__`` or a notebook cell.
    store
        Job store that several processes can open at once: on disk or on a server.
    workers
        Number of processes, one thread each.
    folder
        Folder for the folders of jobs and for the record of what has ended: the same flow with
        the same folder goes on after the jobs that had ended, and runs those again that had failed
        or were running. None uses a temporary folder that is removed at the end.
    log_dir
        Folder for what jobs print (``worker-0.log`` and so on); None drops it.
    on_event
        Called in this process with each `Event`, for progress.
    attempts
        How often a job is started if its worker process dies, for example out of memory.

    Returns
    -------
    FlowResult
        Counts and failures, and the flow to look outputs up with.

    Raises
    ------
    InputError
        If the store lives in the memory of this process, a number is not positive, or the folder
        holds another flow.

    Examples
    --------
    >>> from atomate2.forcefields.jobs import ForceFieldRelaxMaker
    >>> from atomate2_vogen import VogenStores
    >>> from jobflow import Flow
    >>> from pymatgen.core import Structure
    >>> cell = Structure.from_spacegroup("Fm-3m", [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]],
    ...     ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> maker = ForceFieldRelaxMaker(force_field_name="CHGNet", steps=1)
    >>> jobs = [maker.make(cell.copy().perturb(0.1)) for _ in range(2)]
    >>> with VogenStores.open("runs", create=True) as stores:  # doctest: +SKIP
    ...     result = run_parallel(Flow(jobs), stores.job_store, workers=2)
    ...     result.n_finished
    2
    """
    from jobflow.core.flow import get_flow
    from monty.json import MontyEncoder

    _check(store, workers, attempts)
    flow = get_flow(flow, allow_external_references=True)
    journal = None
    with ExitStack() as ending:
        if folder is None:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="vogen-"))
        else:
            journal = Journal(Path(folder) / "jobs.jsonl")
            flow = journal.begin(flow)
        store_text = json.dumps(store.as_dict(), cls=MontyEncoder)
        run = _Run(flow, Path(folder).absolute(), journal, on_event, attempts)
        pool = [Worker(number, store_text, log_dir) for number in range(workers)]
        for worker in pool:
            ending.callback(worker.stop)
        run.drive(pool)
    run.result.skipped = [node.job.name for node in run.graph.skipped]
    return run.result


def _check(store: JobStore, workers: int, attempts: int) -> None:
    """Refuse what could only end in lost outputs."""
    from maggma.stores import JSONStore, MemoryStore

    for name, number in (("workers", workers), ("attempts", attempts)):
        if number < 1:
            raise InputError(f"{name} is {number}; give at least 1")
    for one in (store.docs_store, *store.additional_stores.values()):  # type: ignore[has-type]
        if type(one) in {MemoryStore, JSONStore}:
            raise InputError(
                f"the job store keeps documents in a {type(one).__name__}, which other processes "
                "cannot share; give one in a folder (VogenStores.open) or in MongoDB"
            )


class _Run:
    """State of one run."""

    def __init__(
        self,
        flow: Flow,
        folder: Path,
        journal: Journal | None,
        on_event: Callable[[Event], None] | None,
        attempts: int,
    ) -> None:
        self.result = FlowResult(flow)
        self.graph = Graph(flow)
        self.folder = folder
        self.journal = journal
        self.on_event = on_event
        self.attempts = attempts
        self.is_stopped = False

    def drive(self, pool: list[Worker]) -> None:
        """Keep the workers busy until nothing is left to run."""
        from monty.json import MontyEncoder

        idle = list(reversed(pool))
        busy: dict[Worker, Node] = {}
        while True:
            while idle and not self.is_stopped and (node := self._next()) is not None:
                worker = idle.pop()
                node.attempts += 1
                text = json.dumps(node.job.as_dict(), cls=MontyEncoder)
                worker.give(text, self.folder / f"{node.job.uuid}-{node.job.index}")
                busy[worker] = node
                self._tell("started", node)
            if not busy:
                return
            ready = set(wait([worker.connection for worker in busy]))
            for worker in [worker for worker in busy if worker.connection in ready]:
                idle.append(worker)
                self._take(busy.pop(worker), worker.take())

    def _next(self) -> Node | None:
        """First job that must be run; those that had ended are passed over."""
        while (node := self.graph.next()) is not None:
            answer = self.journal.answer(node) if self.journal else None
            if answer is None:
                return node
            self.result.n_reused += 1
            self._end(node, answer)
            self._tell("reused", node)
        return None

    def _take(self, node: Node, answer: Answer) -> None:
        """Act upon the answer of a worker."""
        if answer.died and node.attempts < self.attempts:
            self.graph.put_back(node)
            self._tell("restarted", node)
            return
        if answer.error is not None:
            reason = answer.error
            if answer.died and self.attempts > 1:
                reason += f" ({self.attempts} attempts)"
            self.graph.raised(node, reason)
            job = node.job
            self.result.failures.append(
                Failure(job.name, job.uuid, reason, answer.exception, dict(job.metadata))
            )
            self._tell("failed", node)
            return
        if self.journal:
            self.journal.add(node, answer)
        self.result.n_finished += 1
        self._end(node, answer)
        self._tell("finished", node)

    def _end(self, node: Node, answer: Answer) -> None:
        from monty.json import MontyDecoder

        if answer.stop_jobflow:
            # as in `run_locally`: nothing else starts
            self.is_stopped = True
            return
        made = {
            kind: MontyDecoder().process_decoded(json.loads(text))
            for kind, text in answer.diversions.items()
        }
        self.graph.ended(node, made, stop_children=answer.stop_children)

    def _tell(self, kind: str, node: Node) -> None:
        if self.on_event is None:
            return
        result, job = self.result, node.job
        n_ended = result.n_finished + result.n_reused + len(result.failures)
        self.on_event(
            Event(
                kind,
                job.name,
                job.uuid,
                str(job.metadata.get("stage", job.name)),
                n_ended + len(self.graph.skipped),
                self.graph.n_jobs,
                dict(job.metadata),
            )
        )
