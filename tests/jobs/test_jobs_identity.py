"""The same work has the same identifiers, whenever and by whatever process it is described."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import cheap_engine
from jobflow import CURRENT_JOB, Flow, JobStore, job, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure
from toy_engines import ToyBandStructureMaker

from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs.identity import identified_flow, identify
from atomate2_vogen.jobs.later import StoredCrystals


@job
def add(a, b):
    return a + b


@job
def twice(number):
    first = add(number, number)
    second = add(first.output, 1)
    made = Flow([first, second], output=second.output)
    return identified_flow(made, CURRENT_JOB.job.uuid)


def text(flow):
    return json.dumps(flow.as_dict(), cls=MontyEncoder)


def bands(shift=0.0):
    crystal = Structure(Lattice.cubic(4), ["V", "O"], [[0, 0, shift], [0.5, 0.5, 0.5]])
    return text(ToyBandStructureMaker().make(crystal))


def test_the_same_flow_made_twice_is_the_same():
    assert bands() != bands()
    assert identify(bands()) == identify(bands())
    assert identify(bands())[1] != identify(bands(0.01))[1]
    assert identify(bands(), "maker") != identify(bands())


def test_the_time_of_a_document_is_no_content():
    def made(energy=1.0, **times):
        candidate = cheap_engine.candidate().model_copy(update=times)
        flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([candidate])
        return identify(text(flow))[1]

    later = made(last_updated=datetime(2031, 1, 1, tzinfo=UTC))
    assert later == made()
    assert made(seed=9) != made()


def test_a_job_is_the_same_in_a_longer_flow():
    def uuids(last):
        first = add(1, 2)
        second = add(first.output, 3)
        jobs = [first, second, add(second.output, last), add(1, 2)]
        content = json.loads(identify(text(Flow(jobs)))[0])
        return [one["uuid"] for one in content["jobs"]]

    short = [one["uuid"] for one in json.loads(identify(text(Flow([add(1, 2)])))[0])["jobs"]]
    four, five = uuids(4), uuids(5)
    assert four[:2] == five[:2]
    assert four[2] != five[2]
    assert len(set(four)) == 4  # equal jobs of one flow are two jobs
    assert short == four[:1]


def test_parts_of_a_stored_list_are_content():
    made = {name: identify(text(add(StoredCrystals(name), 1)))[1] for name in ("a", "b")}
    assert made["a"] != made["b"]


def test_jobs_outside_keep_their_identifiers():
    outside, inside = add(1, 2), None
    inside = add(outside.output, 3)
    found = identify(text(inside))[0]
    assert outside.uuid in found
    assert inside.uuid not in found


def run_twice(flow, folder):
    """Keys of the job store after one run, and after a second of the same jobs."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    kept = text(flow)
    found = []
    for number in range(2):
        from monty.json import MontyDecoder

        (folder / str(number)).mkdir()
        run_locally(MontyDecoder().decode(kept), store=store, root_dir=folder / str(number))
        found.append({(d["uuid"], d["index"]) for d in store.query({}, ["uuid", "index"])})
    return found


def test_a_job_that_makes_jobs_makes_the_same_again(tmp_path):
    first, second = run_twice(Flow([twice(3)]), tmp_path)
    assert first == second
    assert len(first) == 4
