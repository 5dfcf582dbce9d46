"""A flow that was stopped goes on after the last job that had ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from jobflow import Flow, JobStore, Response, job

from atomate2_vogen.cli.runner import run_flows
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.stores import EmbeddedStore


def note(file, word):
    with Path(file).open("a") as handle:
        handle.write(word + "\n")


def words(file):
    return Path(file).read_text().split()


@job
def begin(file, number):
    note(file, "begin")
    return {"value": number}


@job(data="large")
def enlarge(file, number):
    note(file, "enlarge")
    return {"value": number + 1, "large": [number] * 3}


@job
def survive(file, number, large):
    """Kills its process the first time."""
    note(file, "survive")
    if words(file).count("survive") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": number + sum(large)}


@job
def make_more(file, number):
    note(file, "make_more")
    more = begin(file, number)
    return Response(replace=Flow([more], output=more.output))


@job
def fail_once(file):
    note(file, "fail_once")
    if words(file).count("fail_once") == 1:
        return JobFailure(error="not today")
    return {"value": 0}


@job
def end(file, *numbers):
    note(file, "end")
    return sum(numbers)


@pytest.fixture
def store(tmp_path):
    def collection(name):
        return EmbeddedStore(name, database_path=str(tmp_path / "store"))

    (tmp_path / "store").mkdir()
    store = JobStore(collection("docs"), additional_stores={"data": collection("data")})
    store.connect()
    return store


def flow(file, number=1):
    first = begin(file, number)
    second = enlarge(file, first.output["value"])
    inner = Flow([first, second], output=second.output["value"])
    third = survive(file, inner.output, second.output["large"])
    last = end(file, third.output["value"], inner.output)
    return Flow([inner, third, last], output=last.output)


def run(made, store, scratch):
    (outcome,) = run_flows([("key", made)], store, scratch=scratch)
    return outcome


def test_a_stopped_flow_goes_on(store, tmp_path):
    file, scratch = str(tmp_path / "file"), tmp_path / "scratch"
    first = run(flow(file), store, scratch)
    assert "SIGKILL" in first.error
    assert len(list(scratch.iterdir())) == 1
    second = run(flow(file), store, scratch)
    assert second.error is None
    assert second.output == (2 + 3) + 2
    assert words(file) == ["begin", "enlarge", "survive", "survive", "end"]
    # nothing is left behind, and everything is in the store once
    assert list(scratch.iterdir()) == []
    names = [held["name"] for held in store.query({}, properties=["name"])]
    assert sorted(names) == ["begin", "end", "enlarge", "survive"]
    (large,) = store.query({"name": "enlarge"}, load=True)
    assert large["output"]["large"] == [1, 1, 1]


def test_another_flow_uses_nothing_of_it(store, tmp_path):
    file, scratch = str(tmp_path / "file"), tmp_path / "scratch"
    assert run(flow(file), store, scratch).error
    other = run(flow(file, number=2), store, scratch)
    assert other.output == (3 + 6) + 3
    assert words(file).count("begin") == 2


def test_what_failed_and_what_depends_on_it_is_done_again(store, tmp_path):
    file, scratch = str(tmp_path / "file"), tmp_path / "scratch"

    def made():
        bad = fail_once(file)
        child = enlarge(file, 1)
        dependent = make_more(file, 5)
        last = survive(file, 1, child.output["large"])
        final = end(file, last.output["value"], dependent.output["value"])
        return Flow([bad, child, dependent, last, final], output=final.output)

    assert run(made(), store, scratch).error
    assert run(made(), store, scratch).output == 4 + 5
    done = words(file)
    assert done.count("fail_once") == 2
    assert done.count("enlarge") == 1
    # a job that made others is made anew, and they with it
    assert done.count("make_more") == 2
