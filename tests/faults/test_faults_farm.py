"""Workers and the database are killed; what is in the stores afterwards is as if nothing had been.

One run takes it all, on two workers whose clocks are two hours apart; it is compared with a run that
nobody disturbed.
"""

from __future__ import annotations

import json
import time

import cheap_engine
import farm_engine
import pytest
import small_jobs
from farm import Database, Farm
from jobflow import Flow

from atomate2_vogen.flows.recovery import Recovery, recover
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.flows.submission import submit
from atomate2_vogen.schemas import CalculationState
from atomate2_vogen.stores import VogenStores

TIMES = {"last_updated", "wall_time", "cpu_time", "_id"}
AWAY = 31.0
"""Seconds without a database: longer than pymongo waits of itself."""
CLOCKS = ({"skew": 3600.0}, {"skew": -3600.0})


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("database"))
    database.start()
    yield database
    database.kill()


@pytest.fixture
def farms(database, tmp_path):
    made = []

    def farm(name):
        farm = Farm(database.uri, name, tmp_path / name)
        farm.launchpad().reset(None, require_password=False)
        made.append(farm)
        return farm

    yield farm
    for farm in made:
        farm.kill()


def add(farm):
    """Submit the flow of all candidates."""
    screening = ScreeningFlowMaker(engine=farm_engine.engine(), refine=None).make(
        farm_engine.candidates()
    )
    flow = Flow([screening, small_jobs.blob(300_000)])
    with VogenStores.open(farm.where, create=True) as stores:
        launchpad = farm.launchpad()
        try:
            return submit(flow, launchpad, store=stores.job_store)
        finally:
            launchpad.connection.close()


def left(farm):
    """Keys in the job store, and calculations without times, after a collection of both."""
    with VogenStores.open(farm.where) as stores:
        jobs = list(stores.job_store.query({}, ["uuid", "index", "output"]))
        for job in jobs:
            # no reference leads nowhere
            stores.job_store.get_output(job["uuid"], which=job["index"], load=True)
        stores.ingest_jobs()
        calculations = [
            {key: value for key, value in found.items() if key not in TIMES}
            for found in stores.calculations.query({})
        ]
    keys = sorted((job["uuid"], job["index"]) for job in jobs)
    assert len(set(keys)) == len(keys)
    for calculation in calculations:
        calculation["candidate"].pop("last_updated")
    return keys, sorted(calculations, key=lambda found: found["calculation_id"])


def differing(ours, theirs):
    """Identifier and field of everything that is not the same in two sets of documents."""
    assert [one["calculation_id"] for one in ours] == [one["calculation_id"] for one in theirs]
    return [
        (one["calculation_id"], name, one.get(name), other.get(name))
        for one, other in zip(ours, theirs, strict=True)
        for name in sorted({*one, *other})
        if rounded(one.get(name)) != rounded(other.get(name))
    ]


def rounded(content):
    """JSON with numbers to twelve digits: the last bit of a sum depends on where arrays lie."""

    def digits(value):
        if isinstance(value, dict):
            return {key: digits(item) for key, item in value.items()}
        if isinstance(value, list):
            return [digits(item) for item in value]
        return f"{value:.12g}" if isinstance(value, float) else value  # NaN is NaN

    return json.dumps(digits(content))


@pytest.mark.slow
def test_a_run_that_all_befalls_ends_like_one_that_nothing_does(farms, database):
    calm, storm = farms("calm"), farms("storm")
    first = add(calm)
    calm.finish(memory=farm_engine.MEMORY)
    keys, calculations = left(calm)
    states = {found["candidate"]["formula"]: found["state"] for found in calculations}
    assert states == {
        "VO2": CalculationState.COMPLETED.value,
        cheap_engine.RAISES: CalculationState.FAILED.value,
        cheap_engine.GIVES_NAN: CalculationState.FAILED.value,
        farm_engine.NEVER_CONVERGES: CalculationState.UNCONVERGED.value,
        farm_engine.NEEDS_MEMORY: CalculationState.FAILED.value,
    }
    assert len(calculations) == len(farm_engine.candidates())

    assert add(storm) == first
    assert not add(storm).new
    (writer,) = storm.start(1, memory=farm_engine.MEMORY, die_at="data.chunks", **CLOCKS[1])
    writer.join(60)
    assert writer.exitcode == -9
    half = storm.running("blob")
    with pytest.raises((KeyError, ValueError)):
        left(storm)  # its document is there, what it refers to is not
    (victim,) = storm.start(1, memory=farm_engine.MEMORY, **CLOCKS[0])
    number = storm.running("relax")
    storm.kill(victim)
    launchpad = storm.launchpad()
    assert recover(launchpad).lost == ()
    both = tuple(sorted((number, half)))
    assert recover(launchpad, lost_after=0, dry_run=True).lost == both
    assert recover(launchpad, lost_after=0, locked_after=0.2).lost == both

    for clock in CLOCKS:
        storm.start(1, memory=farm_engine.MEMORY, **clock)
    storm.running("relax")
    database.freeze(2.0)
    # workers whose clocks are two hours apart are both alive
    assert recover(launchpad).lost == ()
    database.kill()
    time.sleep(AWAY)
    database.start()
    assert not add(storm).new
    # a server that dies while a worker locks the workflow keeps the lock, which nobody gives back
    recover(launchpad, locked_after=5)
    storm.wait()
    storm.finish(memory=farm_engine.MEMORY)
    survived, documents = left(storm)
    assert survived == keys
    assert differing(documents, calculations) == []
    again = recover(launchpad, locked_after=0)
    assert again == Recovery(fizzled=again.fizzled)
    assert launchpad.workflows.count_documents({}) == 1
    launchpad.connection.close()
