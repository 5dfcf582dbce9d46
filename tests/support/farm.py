"""A small farm: a database that can be killed and frozen, and `rlaunch` workers that can be killed.

Workers are forked from a process that has imported the stack, so that one starts in no time. They
end when the test does, however that ends.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongo_server import PROGRAM, _free_port, _wait_for

PR_SET_PDEATHSIG = 1
SUPPORT = Path(__file__).parent


def end_with_parent() -> None:
    """Let the kernel kill this process when the one that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Database:
    """SecantusDB as a process with files that survive it."""

    def __init__(self, folder: Path) -> None:
        beside = Path(sys.executable).with_name(PROGRAM)
        program = str(beside) if beside.is_file() else shutil.which(PROGRAM)
        if program is None:
            pytest.skip(f"no server to kill: {PROGRAM} is not installed")
        self.folder, self.port = folder, _free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        files = ["--storage-path", str(folder / "database"), "--sync-on-commit"]
        self.command = [program, "--port", str(self.port), *files]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call
            )
        _wait_for(self.port, self.process, log)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self, seconds: float) -> None:
        """Let nothing be answered for a while."""
        os.kill(self.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.process.pid, signal.SIGCONT)


@dataclass
class Farm:
    """Workers of one LaunchPad, which is also where they store what they make.

    Parameters
    ----------
    uri
        Server.
    name
        Database.
    folder
        For launch folders, logs, and the description of the LaunchPad.
    """

    uri: str
    name: str
    folder: Path
    workers: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "my_launchpad.yaml"
        self.file.write_text(
            f"host: {self.uri}\nname: {self.name}\nuri_mode: true\nstrm_lvl: WARNING\n"
            "mongoclient_kwargs: {serverSelectionTimeoutMS: 60000}\n"  # as in examples/fireworks
        )

    @property
    def where(self) -> str:
        """URI of the database."""
        return f"{self.uri}/{self.name}"

    def launchpad(self) -> Any:
        """A LaunchPad of one's own."""
        from fireworks import LaunchPad

        return LaunchPad(host=self.uri, name=self.name, uri_mode=True, strm_lvl="CRITICAL")

    def start(self, count: int = 2, **options: Any) -> list[Any]:
        """Start workers that end when nothing is left to do; options of `work`."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["farm_imports"])
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SUPPORT), before]))
        started = []
        try:
            for _ in range(count):
                number = len(self.workers)
                process = context.Process(
                    target=work, args=(str(self.folder), number), kwargs=options, daemon=True
                )
                process.start()
                self.workers.append(process)
                started.append(process)
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
        return started

    @property
    def alive(self) -> list[Any]:
        """Workers at work."""
        return [worker for worker in self.workers if worker.is_alive()]

    def kill(self, worker: Any = None) -> None:
        """SIGKILL a worker, or all of them."""
        for one in self.alive if worker is None else [worker]:
            one.kill()
            one.join()

    def wait(self, seconds: float = 300) -> None:
        """Wait until all workers have ended."""
        end = time.monotonic() + seconds
        for worker in self.workers:
            worker.join(max(0.0, end - time.monotonic()))
        if self.alive:
            self.kill()
            raise TimeoutError(f"workers still at work after {seconds:g} s: {self.log()}")

    def log(self) -> str:
        """The last that workers said."""
        files = sorted(self.folder.glob("worker-*.log"))
        return "\n".join(file.read_text(errors="replace")[-1500:] for file in files[-2:])

    def until(self, condition: Any, seconds: float = 60) -> Any:
        """Wait for what a function of the database gives; the last it gave."""
        end = time.monotonic() + seconds
        with pymongo.MongoClient(self.uri) as client:
            while time.monotonic() < end:
                if found := condition(client[self.name]):
                    return found
                time.sleep(0.02)
        raise TimeoutError(f"it never happened: {self.log()}")

    def running(self, name: str) -> int:
        """Wait for a job to run whose name begins so; its Firework."""
        query = {"state": "RUNNING", "name": {"$regex": f"^{name}"}}
        return self.until(lambda database: database.fireworks.find_one(query))["fw_id"]

    def finish(self, rounds: int = 6, count: int = 2, **options: Any) -> list[Any]:
        """Recover and work, as is documented, until nothing is left; what was recovered."""
        from atomate2_vogen.flows.recovery import Recovery, recover

        launchpad, done = self.launchpad(), []
        for _ in range(rounds):
            found = recover(launchpad, lost_after=0, locked_after=0.2)
            done.append(found)
            left = launchpad.fireworks.count_documents(
                {"state": {"$in": ["READY", "WAITING", "RUNNING", "RESERVED"]}}
            )
            if not left and found == Recovery(fizzled=found.fizzled):
                launchpad.connection.close()
                return done
            self.start(count, **options)
            self.wait()
        raise AssertionError(f"not finished after {rounds} rounds: {done}; {self.log()}")


def work(
    folder: str,
    number: int,
    *,
    skew: float = 0.0,
    die_at: str | None = None,
    memory: int | None = None,
) -> None:
    """Body of a worker: `rlaunch rapidfire`.

    Parameters
    ----------
    folder
        With the LaunchPad's description.
    number
        Of the worker.
    skew
        Seconds by which its clock is ahead.
    die_at
        Name of a collection: SIGKILL at the first write to it.
    memory
        Bytes that it may have beyond what it has.
    """
    end_with_parent()
    log = os.open(Path(folder) / f"worker-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    place = Path(folder) / f"launches-{number}"
    place.mkdir()
    os.chdir(place)
    if skew:
        _skew(skew)
    if die_at:
        _die_at(die_at)
    if memory:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    from fireworks.scripts.rlaunch_run import rlaunch

    file = str(Path(folder) / "my_launchpad.yaml")
    rlaunch(["-l", file, "--loglvl", "WARNING", "rapidfire", "--sleep", "1", "--max_loops", "60"])


def _skew(seconds: float) -> None:
    import datetime as dt

    from atomate2_vogen.schemas import base

    genuine = dt.datetime

    class Genuine(type):
        def __instancecheck__(cls, found):
            return isinstance(found, genuine)

    class Skewed(genuine, metaclass=Genuine):
        @classmethod
        def now(cls, tz=None):
            return genuine.now(tz) + dt.timedelta(seconds=seconds)

    dt.datetime = base.datetime = Skewed


def _die_at(collection: str) -> None:
    from pymongo.collection import Collection

    for name in ("insert_one", "insert_many", "bulk_write", "update_one"):
        genuine = getattr(Collection, name)

        def write(self, *arguments, genuine=genuine, **options):
            if self.name == collection:
                os.kill(os.getpid(), signal.SIGKILL)
            return genuine(self, *arguments, **options)

        setattr(Collection, name, write)
