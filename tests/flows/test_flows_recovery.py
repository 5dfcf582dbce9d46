"""A worker that dies at any of its writes leaves nothing that `recover` does not put right.

The death is in this process: from the n-th write on, nothing reaches the database any more, as
after SIGKILL. Workers that are killed for good are in tests/faults.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime

import pymongo.collection
import pytest
import small_jobs
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, JobConfig, OnMissing

from atomate2_vogen.flows.recovery import Recovery, recover
from atomate2_vogen.flows.submission import submit

WRITES = (
    "find_one_and_update",
    "find_one_and_replace",
    "insert_one",
    "insert_many",
    "update_one",
    "replace_one",
    "delete_many",
    "bulk_write",
)


class Killed(BaseException):
    """The process is dead; no ``except Exception`` may notice."""


@pytest.fixture
def mortal(monkeypatch):
    """A function that lets the process die at the n-th write; and one that counts them."""
    state = {"left": None, "count": 0}

    def wrapped(name):
        genuine = getattr(pymongo.collection.Collection, name)

        def write(self, *arguments, **options):
            state["count"] += 1
            if state["left"] is not None:
                state["left"] -= 1
                if state["left"] < 0:
                    raise Killed
            return genuine(self, *arguments, **options)

        return write

    # no signs of life: their threads would outlive the death
    monkeypatch.setattr("fireworks.core.rocket.start_ping_launch", lambda *_: threading.Event())
    for name in WRITES:
        monkeypatch.setattr(pymongo.collection.Collection, name, wrapped(name))
    return state


def work(launchpad):
    """Run all that is ready, as a worker does that ends when nothing is left."""
    rapidfire(launchpad, FWorker(), max_loops=1, sleep_time=0.01, strm_lvl="CRITICAL")


def put_right(launchpad):
    return recover(launchpad, lost_after=0, locked_after=0, attempts=9)


def documents(store):
    found = store.query({}, ["uuid", "index", "output", "name"])
    return sorted((d["uuid"], d["index"], d["name"], str(d["output"])) for d in found)


def states(launchpad):
    held = {f["fw_id"]: f["state"] for f in launchpad.fireworks.find({}, {"fw_id": 1, "state": 1})}
    (workflow,) = launchpad.workflows.find({})
    assert {int(k): v for k, v in workflow["fw_states"].items()} == held
    assert sorted(workflow["nodes"]) == sorted(held)
    assert "locked" not in workflow
    return sorted(held.values())


def test_a_worker_that_dies_at_any_write(launchpad, store, mortal):
    """Of a job that makes another one: to the end of the first launch, all that can go wrong."""
    flow = small_jobs.square_later(7)
    submit(flow, launchpad, store=store)
    mortal["count"] = 0
    rapidfire(launchpad, FWorker(), nlaunches=1, sleep_time=0.01, strm_lvl="CRITICAL")
    first = mortal["count"]
    work(launchpad)
    writes = mortal["count"] if os.environ.get("VOGEN_EVERY_WRITE") else first
    undisturbed = documents(store)
    assert [document[3] for document in undisturbed] == ["None", "49"]
    assert states(launchpad) == ["COMPLETED"] * 2
    found = set()
    assert writes > 10
    for number in range(writes):
        launchpad.reset(None, require_password=False)
        store.remove_docs({})
        submit(flow, launchpad, store=store)
        mortal["left"] = number
        with pytest.raises(Killed):
            work(launchpad)
        mortal["left"] = None
        done = put_right(launchpad)
        found |= {kind for kind, ids in vars(done).items() if ids}
        work(launchpad)
        assert documents(store) == undisturbed, number
        assert states(launchpad) == ["COMPLETED"] * 2, number
        assert put_right(launchpad) == Recovery(), number
    # each kind of damage has been there
    assert found >= {"unlocked", "orphans", "resumed", "reserved", "lost"}


def test_a_job_that_always_fails_is_tried_so_often_and_the_rest_goes_on(launchpad, store):
    bad, good = small_jobs.square(-1), small_jobs.square(3)
    last = small_jobs.total([bad.output, good.output])
    last.config = JobConfig(on_missing_references=OnMissing.NONE)
    flow = Flow([bad, good, last], output=last.output)
    first = submit(flow, launchpad, store=store).fw_ids[-1]  # FireWorks counts backwards
    work(launchpad)
    undisturbed = documents(store)
    assert len(undisturbed) == 2
    assert recover(launchpad, locked_after=0) == Recovery(fizzled=(first,))
    for _ in range(2):
        assert recover(launchpad, rerun_fizzled=True).rerun == (first,)
        work(launchpad)
        assert documents(store) == undisturbed
    assert recover(launchpad, rerun_fizzled=True) == Recovery(fizzled=(first,))
    assert states(launchpad) == ["COMPLETED", "COMPLETED", "FIZZLED"]


def test_a_job_that_kills_its_workers_is_given_up(launchpad, store):
    flow = Flow([small_jobs.square(2), small_jobs.square(3)])
    first, _ = submit(flow, launchpad, store=store).fw_ids
    for attempt in range(3):
        launchpad.checkout_fw(FWorker(), ".", fw_id=first)  # and no sign of life any more
        assert recover(launchpad) == Recovery()  # it may be alive for all we know
        before = list(launchpad.fireworks.find({}))
        expected = Recovery(lost=(first,)) if attempt < 2 else Recovery(given_up=(first,))
        assert recover(launchpad, lost_after=0, dry_run=True) == expected
        assert list(launchpad.fireworks.find({})) == before
        done = recover(launchpad, lost_after=0)
        assert (done.lost, done.given_up) == (expected.lost, expected.given_up)
    work(launchpad)
    assert states(launchpad) == ["COMPLETED", "FIZZLED"]


def test_a_lock_is_taken_away_only_where_nothing_moves(launchpad, store):
    submit(small_jobs.square(2), launchpad, store=store)
    launchpad.workflows.update_one({}, {"$set": {"locked": True}})
    begin = time.monotonic()

    def move():
        while time.monotonic() - begin < 0.8:
            now = datetime.now(UTC)
            launchpad.workflows.update_one({}, {"$set": {"updated_on": now}})
            time.sleep(0.05)

    worker = threading.Thread(target=move)
    worker.start()
    assert recover(launchpad, locked_after=0.5).unlocked == ()
    worker.join()
    assert recover(launchpad, locked_after=0.1, dry_run=True).unlocked
    assert launchpad.workflows.count_documents({"locked": True}) == 1
    assert recover(launchpad, locked_after=0.1).unlocked
    assert launchpad.workflows.count_documents({"locked": True}) == 0


def test_a_submission_under_way_is_left_alone(launchpad, store):
    submit(small_jobs.square(2), launchpad, store=store)
    launchpad.workflows.delete_many({})  # FireWorks writes it last
    assert recover(launchpad).orphans == ()
    assert recover(launchpad, lost_after=0).orphans == (1,)
    assert launchpad.fireworks.count_documents({}) == 0
