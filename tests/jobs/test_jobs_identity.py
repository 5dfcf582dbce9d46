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
from atomate2_vogen.jobs.identity import settled, settled_flow


@job
def add(a, b):
    return a + b


@job
def twice(number):
    first = add(number, number)
    second = add(first.output, 1)
    made = Flow([first, second], output=second.output)
    return settled_flow(made, CURRENT_JOB.job.uuid)


def text(flow):
    return json.dumps(flow.as_dict(), cls=MontyEncoder)


def bands(shift=0.0):
    crystal = Structure(Lattice.cubic(4), ["V", "O"], [[0, 0, shift], [0.5, 0.5, 0.5]])
    return text(ToyBandStructureMaker().make(crystal))


def test_the_same_flow_made_twice_is_the_same():
    assert bands() != bands()
    assert settled(bands()) == settled(bands())
    assert settled(bands())[1] != settled(bands(0.01))[1]
    assert settled(bands(), "maker") != settled(bands())


def test_the_time_of_a_document_is_no_content():
    def made(energy=1.0, **times):
        candidate = cheap_engine.candidate().model_copy(update=times)
        flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([candidate])
        return settled(text(flow))[1]

    later = made(last_updated=datetime(2031, 1, 1, tzinfo=UTC))
    assert later == made()
    assert made(seed=9) != made()


def test_jobs_outside_keep_their_identifiers():
    outside, inside = add(1, 2), None
    inside = add(outside.output, 3)
    found = settled(text(inside))[0]
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
