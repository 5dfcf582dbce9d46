"""Run many small flows side by side on one machine.

A parent hands one flow at a time to each of N worker processes, which run it with jobflow's
`run_locally` into a shared store. A worker that dies (killed, out of memory) takes only the
flow it was at with it, and another one takes its place.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.resume import remaining
from atomate2_vogen.errors import VogenError, reason
from atomate2_vogen.jobs.identity import settled

if TYPE_CHECKING:
    from jobflow import Flow, Job, JobStore
    from maggma.core import Store

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "VOGEN_THREADS",
)
"""Set to 1 in a worker: two threads on a busy two-core machine are 6 times slower than one."""

STOP_SECONDS = 5.0

PRELOADED = ("atomate2.forcefields.jobs", "atomate2_vogen.flows.screening", "atomate2_vogen.stores")
"""What every worker needs, imported once for all of them: 6 s of CPU. Nothing of it starts threads
or opens files, which a fork would not survive; torch and TensorFlow do and are not among it."""


@dataclass(frozen=True)
class Outcome:
    """How one flow ended.

    Parameters
    ----------
    key
        As given with the flow.
    output
        The flow's output, JSON-like; None if there is none.
    error
        Why there is no output; None if there is one.
    exception
        The first error of this package that a job of the flow ended with, if there is no output.
    """

    key: str
    output: Any = None
    error: str | None = None
    exception: VogenError | None = None


def run_flows(
    flows: Iterable[tuple[str, Flow | Job]],
    store: JobStore,
    *,
    workers: int = 1,
    log_dir: str | Path | None = None,
    scratch: str | Path | None = None,
) -> Generator[Outcome]:
    """Run flows on worker processes and yield each outcome as it comes.

    Closing the generator, or an exception such as Ctrl-C inside it, ends the workers; what
    they had stored stays.

    Parameters
    ----------
    flows
        Pairs of a unique key and a flow, complete in itself: no reference to what other flows
        left; drawn one by one as workers become free.
    store
        Where outputs go. Every worker opens it for itself, so it must lie on disk or on a
        server and bear concurrent writers.
    workers
        Most processes, one thread each; one starts with its first flow.
    log_dir
        Folder for what workers print, ``worker-0.log`` and so on; None drops it.
    scratch
        Folder on this machine where unfinished flows keep what their jobs have left: the same
        flow, given again, goes on after the last of them. A flow that has run to its end leaves
        nothing there. None keeps nothing; right for flows of seconds.

    Yields
    ------
    Outcome
        One per flow, in the order in which they end.
    """
    from monty.json import MontyEncoder

    waiting = iter(flows)
    store_text = json.dumps(store.as_dict(), cls=MontyEncoder)
    kept = None if scratch is None else str(Path(scratch).absolute())
    idle = deque(_Worker(number, store_text, log_dir, kept) for number in range(max(1, workers)))
    busy: list[_Worker] = []
    try:
        while True:
            while idle and (task := next(waiting, None)) is not None:
                key, flow = task
                worker = idle.popleft()
                worker.give(key, json.dumps(flow.as_dict(), cls=MontyEncoder))
                busy.append(worker)
            if not busy:
                return
            ready = set(wait([worker.connection for worker in busy]))
            for worker in [worker for worker in busy if worker.connection in ready]:
                busy.remove(worker)
                idle.append(worker)
                yield worker.take()
    finally:
        for worker in (*busy, *idle):
            worker.stop()


class _Worker:
    """A process that starts with its first flow, and again after it died."""

    def __init__(
        self, number: int, store_text: str, log_dir: str | Path | None, scratch: str | None
    ) -> None:
        self.store_text, self.scratch = store_text, scratch
        self.log = None if log_dir is None else str(Path(log_dir) / f"worker-{number}.log")
        self.process: Any = None
        self.connection: Any = None
        self.key = ""

    def give(self, key: str, flow_text: str) -> None:
        """Send a flow."""
        self.key = key
        if self.process is None or not self.process.is_alive():
            self._start()
        self.connection.send(flow_text)

    def take(self) -> Outcome:
        """Receive its outcome, or learn that the process is gone."""
        try:
            output, error, exception = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(STOP_SECONDS)
            code = self.process.exitcode
            self._forget()
            return Outcome(self.key, error=_death(code))
        return Outcome(self.key, output=output, error=error, exception=exception)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self._forget()

    def _start(self) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_work,
            args=(theirs, self.store_text, self.log, self.scratch, dict(os.environ)),
            daemon=True,
        )
        with _quiet_interrupts(), _one_thread():
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def _forget(self) -> None:
        self.connection.close()
        self.process = self.connection = None


def _context() -> Any:
    """How processes are started: never as forks of this one, whose threads they would lack.

    On Linux they are forks of a process that has done nothing but import `PRELOADED`.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _work(
    connection: Connection,
    store_text: str,
    log: str | None,
    scratch: str | None,
    environment: dict[str, str],
) -> None:
    """Body of a worker process: flows in, outcomes out, until the pipe ends."""
    # a forked one has that of the first worker's time; threads are bounded in both
    os.environ.clear()
    os.environ.update({**environment, **dict.fromkeys(THREAD_VARIABLES, "1")})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _redirect_output(log)
    from monty.json import MontyDecoder

    # of jobflow's own code, and meant for its authors
    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)
    store: JobStore = json.loads(store_text, cls=MontyDecoder)
    while True:
        try:
            flow_text = connection.recv()
        except EOFError:
            return
        answer: tuple[Any, str | None, VogenError | None]
        try:
            answer = (_run(flow_text, store, scratch), None, None)
        except Exception as error:  # noqa: BLE001 - one failure must not stop the rest
            import traceback

            traceback.print_exc()
            known = error.__cause__ if isinstance(error.__cause__, VogenError) else None
            answer = (None, reason(error), known)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            connection.send(answer)
        except OSError:
            return  # the parent is gone


def _end_with_parent() -> None:
    """End this process when its parent is gone, even if that was killed.

    Nobody waits for it any more, and the parent's successor may be at the same flow.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(flow_text: str, store: JobStore, scratch: str | None) -> Any:
    """Run one flow in a folder of its own and look up what it gave.

    Its jobs meet in a store of their own, and what they leave is stored together at the end: a
    flow that is stopped half-way leaves nothing in the shared store, and a server is asked once.
    """
    from jobflow import run_locally
    from jobflow.core.reference import find_and_resolve_references
    from monty.json import MontyDecoder

    failures = _Failures()
    logger = logging.getLogger("jobflow.managers.local")
    logger.addHandler(failures)
    with ExitStack() as ending:
        ending.callback(logger.removeHandler, failures)
        if scratch is None:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="vogen-")))
            local = _local_store(store, None)
            content = json.loads(flow_text)
        else:
            flow_text, digest = settled(flow_text)
            folder = Path(scratch) / digest[:16]
            local = _local_store(store, folder / "store")
            local.connect()
            content = remaining(json.loads(flow_text), local)
        flow: Flow | Job = MontyDecoder().process_decoded(content)
        (folder / "jobs").mkdir(exist_ok=True)
        try:
            run_locally(flow, store=local, root_dir=folder / "jobs", allow_external_references=True)
        finally:
            for name, blobs in local.additional_stores.items():  # type: ignore[has-type]
                _copy(blobs, store.additional_stores[name], ["blob_uuid"])  # type: ignore[has-type]
            _copy(local.docs_store, store.docs_store, ["uuid", "index"])
        try:
            output = find_and_resolve_references(flow.output, local, deserialize=False)
        except ValueError as error:
            # jobflow only logs why a job failed
            reasons = "; ".join(failures.reasons) or "no output"
            raise RuntimeError(reasons) from failures.first or error
        finally:
            if scratch is not None:
                local.close()
                shutil.rmtree(folder)
    return output


def _local_store(store: JobStore, folder: Path | None) -> JobStore:
    """An empty store of the same kind: in memory, or in a folder that outlives the process."""
    from jobflow import JobStore
    from maggma.stores import MemoryStore

    from atomate2_vogen.stores import EmbeddedStore

    def collection(name: str, key: str) -> Store:
        if folder is None:
            return MemoryStore(name, key=key)
        folder.mkdir(parents=True, exist_ok=True)
        return EmbeddedStore(name, database_path=str(folder), key=key)

    return JobStore(
        collection("jobs", "uuid"),
        additional_stores={
            name: collection(name, "blob_uuid")
            for name in store.additional_stores  # type: ignore[has-type]
        },
    )


def _copy(source: Store, target: Store, key: list[str]) -> None:
    """Add what one store holds to another."""
    source.connect()  # a flow whose first job fails at once has not
    documents = [{k: v for k, v in held.items() if k != "_id"} for held in source.query()]
    if documents:
        target.connect()
        target.update(documents, key=key)


class _Failures(logging.Handler):
    """Collects the last line of each traceback that jobflow logs, and the first exception."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.reasons: list[str] = []
        self.first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "failed with exception" in message:
            job, last = message.split(" failed with", 1)[0], message.rstrip().splitlines()[-1]
            self.reasons.append(f"{job}: {last}")
            self.first = self.first or sys.exception()  # it logs where it catches


def _redirect_output(log: str | None) -> None:
    """Send whatever libraries print to the log, at the level of file descriptors."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)


@contextmanager
def _quiet_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from a process that cannot yet ignore it; the parent gets it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Environment that a child inherits; libraries read it when they are imported."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps out of memory" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"
    return f"the worker process ended with exit code {code}"
