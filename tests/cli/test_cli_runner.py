"""The parallel runner: outcomes, crashes, and that nothing is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jobflow import Flow, JobStore, job
from maggma.stores import JSONStore

from atomate2_vogen.cli.runner import run_flows
from atomate2_vogen.errors import CountsError
from atomate2_vogen.stores import EmbeddedStore


@job
def square(number):
    return {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "value": number**2}


@job
def explode(number):
    raise ArithmeticError(f"no square of {number}")


@job
def complain(number):
    raise CountsError(f"no crystals for {number}\nask for more")


@job
def vanish():
    os.kill(os.getpid(), signal.SIGKILL)


@job
def sleep(seconds):
    time.sleep(seconds)


@job
def add(first, second):
    return first + second


@pytest.fixture
def store(tmp_path):
    def collection(name):
        # the one that the command line uses
        return EmbeddedStore(name, database_path=str(tmp_path / "store"))

    (tmp_path / "store").mkdir()
    store = JobStore(collection("docs"), additional_stores={"data": collection("data")})
    store.connect()
    return store


def test_every_flow_gets_its_own_outcome(store, tmp_path):
    def flows():
        for number in range(6):
            job = square(number)
            yield str(number), Flow([job], output=job.output["value"])
        first, second = square(3), square(4)
        total = add(first.output["value"], second.output["value"])
        yield "sum", Flow([first, second, total], output=total.output)
        yield "bad", explode(7)

    outcomes = {o.key: o for o in run_flows(flows(), store, workers=2, log_dir=tmp_path)}

    assert {key: o.output for key, o in outcomes.items() if o.error is None} == {
        **{str(n): n**2 for n in range(6)},
        "sum": 25,
    }
    assert outcomes["bad"].error == "explode: ArithmeticError: no square of 7"
    documents = list(store.query({"name": "square"}, load=True))
    assert {doc["output"]["threads"] for doc in documents} == {"1"}
    pids = {doc["output"]["pid"] for doc in documents}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    assert "no square of 7" in "".join(p.read_text() for p in tmp_path.glob("worker-*.log"))


def test_errors_of_the_package_keep_their_type(store):
    (outcome,) = run_flows([("a", complain(7))], store)
    assert isinstance(outcome.exception, CountsError)
    assert str(outcome.exception) == "no crystals for 7\nask for more"
    (other,) = run_flows([("a", explode(7))], store)
    assert other.exception is None


def test_a_killed_worker_loses_only_its_flow(store):
    flows = [("a", square(2)), ("b", vanish()), ("c", square(3)), ("d", square(4))]
    outcomes = {o.key: o for o in run_flows(flows, store, workers=1)}
    assert [outcomes[key].output["value"] for key in "acd"] == [4, 9, 16]
    assert "SIGKILL" in outcomes["b"].error
    assert outcomes["a"].output["pid"] != outcomes["c"].output["pid"]


def test_closing_ends_the_workers(store):
    before = dict(os.environ)
    with contextlib.closing(run_flows([("a", square(2)), ("b", sleep(600))], store)) as outcomes:
        pid = next(outcomes).output["pid"]
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    assert dict(os.environ) == before


def test_a_killed_parent_takes_its_workers_with_it(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(
        "from jobflow import JobStore\n"
        "from maggma.stores import MemoryStore\n"
        "from atomate2_vogen.cli.runner import run_flows\n"
        "from test_cli_runner import sleep\n"
        "if __name__ == '__main__':\n"
        "    list(run_flows([('a', sleep(600))], JobStore(MemoryStore()), log_dir='.'))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, program], cwd=tmp_path, env=environment)
    log = tmp_path / "worker-0.log"
    while not (log.exists() and "Starting job - sleep" in log.read_text()):
        assert parent.poll() is None
        time.sleep(0.2)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_no_flows(tmp_path):
    store = JobStore(JSONStore(str(tmp_path / "store.json"), read_only=False))
    assert list(run_flows([], store, workers=3)) == []
