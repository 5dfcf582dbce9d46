"""Run any jobflow flow on several processes of one machine."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
    from jobflow import Flow, Job, JobStore, OutputReference

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
    flow_number
        Number of its flow among those that are run.

    Examples
    --------
    >>> from atomate2_vogen.managers import Failure
    >>> failure = Failure("relax VO2-1", "3f0c", "ValueError: the energy is nan")
    >>> print(f"{failure.name}: {failure.error}")
    relax VO2-1: ValueError: the energy is nan
    """

    name: str
    uuid: str
    error: str
    exception: VogenError | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    flow_number: int = 0


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
        Number of jobs that have ended, with those that failed or were skipped.
    n_jobs
        Number of jobs known so far; jobs that make jobs raise it.
    stage_ended, stage_jobs
        The same of this stage.
    metadata
        Metadata of the job.
    flow_number
        Number of the job's flow among those that are run.
    ends_flow
        Whether no job of that flow is left.
    output
        Reference to the output of that flow.
    failure
        Reason, where the kind is ``failed``.

    Examples
    --------
    A function that is given to `run_parallel` as `on_event`:

    >>> from atomate2_vogen.managers import Event
    >>> def show(event: Event) -> None:
    ...     print(f"{event.n_ended} of {event.n_jobs}: {event.name} {event.kind}")
    >>> show(Event("finished", "relax VO2-1", "3f0c", "relax", 3, 8, 1, 2, {}, 0, False))
    3 of 8: relax VO2-1 finished
    """

    kind: str
    name: str
    uuid: str
    stage: str
    n_ended: int
    n_jobs: int
    stage_ended: int
    stage_jobs: int
    metadata: dict[str, Any]
    flow_number: int
    ends_flow: bool
    output: Any = None
    failure: Failure | None = None


@dataclass
class FlowResult:
    """Summary of a run; outputs are in the job store.

    Parameters
    ----------
    outputs
        References to the output of each flow, as they stand in the job store.
    n_finished
        Jobs that ended in this run.
    n_reused
        Jobs that had ended in an earlier run.
    failures
        Jobs that raised, in the order in which they did.
    skipped
        Names of jobs that did not run because one that they need failed or stopped them.

    Examples
    --------
    >>> from atomate2_vogen.managers import Failure, FlowResult
    >>> FlowResult(n_finished=4).is_complete
    True
    >>> FlowResult(failures=[Failure("relax", "3f0c", "ValueError")]).is_complete
    False
    """

    outputs: list[Any] = field(default_factory=list)
    n_finished: int = 0
    n_reused: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def output(self) -> OutputReference:
        """Output of the first flow; ``result.output.resolve(store)`` looks it up."""
        reference: OutputReference = self.outputs[0]
        return reference

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
    flows: Flow | Job | Iterable[Flow | Job],
    store: JobStore,
    *,
    workers: int = 1,
    folder: str | Path | None = None,
    log_dir: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    attempts: int = MAX_ATTEMPTS,
) -> FlowResult:
    """Run flows on worker processes, jobs that do not need each other side by side.

    The documents are those of jobflow's `run_locally`: jobs made by jobs (`replace`, `detour`,
    `addition`) run too, a job that raises stops only what needs its output, and ``stop_children``
    and ``stop_jobflow`` do what they say. Ctrl-C, or an exception of `on_event`, ends the workers;
    what has ended stays in the store.

    Parameters
    ----------
    flows
        Any flow or job, of this package or not, or several that need nothing of each other; an
        iterable is drawn from as workers become free. Jobs must be importable in another process:
        none from ``__main__`` or a notebook cell.
    store
        Job store that several processes can open at once: on disk or on a server.
    workers
        Number of processes, one thread each.
    folder
        Folder for the folders of jobs and for the record of what has ended: a flow that is given
        again with the same folder goes on after the jobs that had ended. Jobs that had failed, were
        running, or left a `JobFailure` are run again, and with them those that need their outputs.
        None uses a temporary folder that is removed at the end.
    log_dir
        Folder for what jobs print (``worker-0.log`` and so on); None drops it.
    on_event
        Called in this process with each `Event`, for progress.
    attempts
        How often a job is started if its worker process dies, for example out of memory.

    Returns
    -------
    FlowResult
        Counts, failures, and references to look outputs up with.

    Raises
    ------
    InputError
        If the store lives in the memory of this process, a number is not positive, a flow is given
        twice, or the folder holds something else.

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
    from monty.json import MontyEncoder

    _check(store, workers, attempts)
    with ExitStack() as ending:
        if folder is None:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="vogen-"))
            journal = None
        else:
            journal = Journal(Path(folder) / "jobs.jsonl")
            store.connect()  # it is asked whether outputs of earlier runs are still there
        store_text = json.dumps(store.as_dict(), cls=MontyEncoder)
        waiting = _recognisable(flows, journal)
        run = _Run(
            waiting,
            store,
            folder=Path(folder).absolute(),
            journal=journal,
            on_event=on_event,
            attempts=attempts,
        )
        pool = [Worker(number, store_text, log_dir) for number in range(workers)]
        for worker in pool:
            ending.callback(worker.stop)
        run.drive(pool)
    run.result.skipped = [node.job.name for node in run.graph.skipped]
    return run.result


def _recognisable(
    flows: Flow | Job | Iterable[Flow | Job], journal: Journal | None
) -> Iterator[Flow]:
    """Flows, with the identifiers under which a journal knows their jobs if there is one."""
    from jobflow import Flow, Job
    from jobflow.core.flow import get_flow

    for given in [flows] if isinstance(flows, Flow | Job) else flows:
        flow = get_flow(given, allow_external_references=True)
        if isinstance(given, Job):
            flow.output = given.output
        yield flow if journal is None else journal.recognisable(flow)


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
        waiting: Iterator[Flow],
        store: JobStore,
        *,
        folder: Path,
        journal: Journal | None,
        on_event: Callable[[Event], None] | None,
        attempts: int,
    ) -> None:
        self.waiting = waiting
        self.store = store
        self.result = FlowResult()
        self.graph = Graph()
        self.lines: dict[str, float] = {}
        """Last line of the journal about each job or one that it made; infinite if it has none."""
        self.n_skipped = 0
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
        while True:
            node = self.graph.next()
            if node is None:
                flow = next(self.waiting, None)
                if flow is None:
                    return None
                self.graph.add(flow)
                self.result.outputs.append(flow.output)
                continue
            line, answer = self.journal.answer(node) if self.journal else (0, None)
            # as `make` compares files: an output is older than inputs that were made anew
            is_old = line < max(map(self._line, node.parents), default=0)
            if answer is None or is_old or not self._is_stored(node):
                return node
            self.result.n_reused += 1
            self._end(node, answer)
            self._note(node, line)
            self._tell("reused", node)

    def _is_stored(self, node: Node) -> bool:
        """Whether the job store still holds a job that had ended."""
        uuid, index = node.key
        return self.store.query_one({"uuid": uuid, "index": index}, ["uuid"]) is not None

    def _line(self, uuid: str) -> float:
        return self.lines.get(uuid, 0)

    def _note(self, node: Node, line: float) -> None:
        """Note in which line a job's end is written, for itself and for those that made it."""
        for ended, number in [
            (node, line),
            *((skipped, math.inf) for skipped in self.graph.skipped[self.n_skipped :]),
        ]:
            owner: Node | None = ended
            while owner is not None:
                self.lines[owner.job.uuid] = max(self._line(owner.job.uuid), number)
                owner = owner.owner
        self.n_skipped = len(self.graph.skipped)

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
            self._note(node, math.inf)
            job, number = node.job, node.flow_number
            failure = Failure(
                job.name, job.uuid, reason, answer.exception, dict(job.metadata), number
            )
            self.result.failures.append(failure)
            self._tell("failed", node, failure)
            return
        line = math.inf
        if self.journal and not answer.is_failure:
            line = self.journal.add(node, answer)
        self.result.n_finished += 1
        self._end(node, answer)
        self._note(node, line)
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

    def _tell(self, kind: str, node: Node, failure: Failure | None = None) -> None:
        if self.on_event is None:
            return
        job, graph = node.job, self.graph
        self.on_event(
            Event(
                kind,
                job.name,
                job.uuid,
                node.stage,
                graph.n_ended.total(),
                graph.n_jobs.total(),
                graph.n_ended[node.stage],
                graph.n_jobs[node.stage],
                dict(job.metadata),
                node.flow_number,
                graph.n_left[node.flow_number] == 0,
                self.result.outputs[node.flow_number],
                failure,
            )
        )
