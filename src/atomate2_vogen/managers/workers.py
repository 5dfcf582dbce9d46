"""Worker processes that run single jobflow jobs, one thread each.

A pipe for each worker, and no lock that two of them share: a worker that is killed at any moment
takes only its own job with it, and the parent knows which. Pools of libraries share a queue whose
lock dies with the worker that holds it (pebble), or give up every running job when one worker
dies (loky, concurrent.futures).
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import VogenError, shortened, trace

if TYPE_CHECKING:
    from jobflow import Job, JobStore

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
"""Time that a worker has to end after SIGTERM before it is killed."""

PRELOADED = ("atomate2.forcefields.jobs", "atomate2_vogen.flows.screening", "atomate2_vogen.stores")
"""Modules that every worker needs, imported once for all of them: 6 s of CPU. None of them starts
threads or opens files, which a fork would not survive; torch and TensorFlow do and are not here."""

DIVERSIONS = ("replace", "detour", "addition")
"""Fields of a jobflow `Response` that hold jobs made by a job."""


@dataclass(frozen=True)
class Answer:
    """Result of one job, as far as the scheduler needs it; its output is in the job store.

    Parameters
    ----------
    diversions
        Flows that the job made, as JSON, by field of jobflow's `Response`.
    stop_children, stop_jobflow
        As in jobflow's `Response`.
    error
        Last line of the traceback of a job that raised; None for one that ended.
    exception
        The exception, if it is one of this package.
    died
        Whether the process ended before the job did.
    is_failure
        Whether the output is a `JobFailure`.
    """

    diversions: dict[str, str] = field(default_factory=dict)
    stop_children: bool = False
    stop_jobflow: bool = False
    error: str | None = None
    exception: VogenError | None = None
    died: bool = False
    is_failure: bool = False


class Worker:
    """A process that starts with its first job, and again after it died.

    Parameters
    ----------
    number
        Number of the worker, for the name of its log.
    store
        Job store as JSON; each worker opens it anew.
    log_dir
        Folder for the log of what jobs print; None drops it.
    """

    def __init__(self, number: int, store: str, log_dir: str | Path | None) -> None:
        self._store = store
        self._log = None if log_dir is None else str(Path(log_dir) / f"worker-{number}.log")
        self._process: Any = None
        self.connection: Any = None

    def give(self, job: str, folder: Path) -> None:
        """Send a job, as JSON, that is to run in a folder."""
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self.connection.send((job, str(folder)))
        except OSError:  # it died while idle: nothing is lost yet
            self._forget()
            self._start()
            self.connection.send((job, str(folder)))

    def take(self) -> Answer:
        """Receive the answer, or learn that the process is gone."""
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(STOP_SECONDS)
            code = self._process.exitcode
            self._forget()
            return Answer(error=_death(code), died=True)
        return answer

    def stop(self) -> None:
        """End the process at once, also in the middle of a job."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._forget()

    def _start(self) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, self._store, self._log, dict(os.environ)), daemon=True
        )
        with _quiet_interrupts(), _one_thread():
            self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def _forget(self) -> None:
        self.connection.close()
        self._process = self.connection = None


def _context() -> Any:
    """Way to start processes: never as forks of this one, whose threads they would lack.

    On Linux they are forks of a process that has done nothing but import `PRELOADED`.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _work(
    connection: Connection, store_text: str, log: str | None, environment: dict[str, str]
) -> None:
    """Body of a worker process: jobs in, answers out, until the pipe ends."""
    # a forked process has the environment of the first worker's time
    os.environ.clear()
    os.environ.update({**environment, **dict.fromkeys(THREAD_VARIABLES, "1")})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _redirect_output(log)
    from jobflow import initialize_logger
    from monty.json import MontyDecoder

    initialize_logger()
    store: JobStore = json.loads(store_text, cls=MontyDecoder)
    store.connect()
    while True:
        try:
            text, folder = connection.recv()
        except EOFError:
            return
        answer = _run(MontyDecoder().process_decoded(json.loads(text)), store, folder)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            connection.send(answer)
        except OSError:
            return  # the parent is gone


def _run(job: Job, store: JobStore, folder: str) -> Answer:
    """Run one job in its folder; an exception becomes an answer."""
    from monty.json import MontyEncoder

    from atomate2_vogen.jobs.guard import JobFailure

    # a folder that is there is of an attempt that was cut off
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            # of jobflow's own code, and meant for its authors
            warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)
            response = job.run(store=store)
        made = {name: getattr(response, name) for name in DIVERSIONS}
        return Answer(
            {
                name: json.dumps(flow.as_dict(), cls=MontyEncoder)
                for name, flow in made.items()
                if flow is not None
            },
            stop_children=response.stop_children,
            stop_jobflow=response.stop_jobflow,
            is_failure=isinstance(response.output, JobFailure),
        )
    except Exception as error:  # noqa: BLE001 - one failure must not stop the rest
        log = logging.getLogger(__name__)
        log.error("%s (%s) failed\n%s", job.name, job.uuid, trace(error))  # noqa: TRY400 - may be as long as a document
        reason = shortened(traceback.format_exception_only(error)[-1].strip())
        return Answer(error=reason, exception=error if isinstance(error, VogenError) else None)
    finally:
        os.chdir(Path(folder).parent)
        with suppress(OSError):  # most jobs leave nothing in theirs
            Path(folder).rmdir()


def _end_with_parent() -> None:
    """End this process when its parent is gone, even if that was killed.

    Nobody waits for it any more, and a second run of the same flow may be at the same job.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _redirect_output(log: str | None) -> None:
    """Send what libraries print to the log, at the level of file descriptors."""
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
