"""Flows over many crystals are made piece by piece, and nothing in them grows with the number."""

from __future__ import annotations

import math

import bson
import cheap_engine
import instant_engine
import pytest
from fireworks import FWorker
from fireworks.core.firework import FWAction
from fireworks.core.rocket_launcher import rapidfire
from hypothesis import given
from hypothesis import strategies as st
from jobflow import Flow, job, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from atomate2_vogen.flows import DiscoveryFlowMaker, EvaluateMaker, ScreeningFlowMaker
from atomate2_vogen.flows.submission import submit
from atomate2_vogen.jobs import later
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    DiscoveryDoc,
    EvaluationDoc,
    SampleDoc,
)
from atomate2_vogen.stores import VogenStores, parse


@pytest.fixture
def memory():
    with VogenStores.memory() as stores:
        yield stores


@pytest.fixture
def small_pieces(monkeypatch):
    """Three levels for a few dozen crystals."""
    monkeypatch.setattr(later, "PIECE", 4)
    monkeypatch.setattr(later, "BRANCHES", 3)


@job
def give(what):
    return what


@given(st.lists(st.integers()), st.integers(1, 60))
def test_pieces_are_the_whole_in_order(numbers, size):
    found = later.pieces(numbers, size)
    assert [number for piece in found for number in piece] == numbers
    assert len(found) == math.ceil(len(numbers) / size)
    lengths = [len(piece) for piece in found]
    assert not lengths or (min(lengths) > 0 and max(lengths) <= size)
    assert not lengths or max(lengths) - min(lengths) <= 1


def candidates(count):
    sample = instant_engine.InstantSampleMaker.make.original(
        instant_engine.InstantSampleMaker(), {"VO2": count}, 0
    )
    return sample.candidates


def screened(crystals, stores, folder, *, dynamic):
    maker = ScreeningFlowMaker(engine=instant_engine.engine(), refine=None)
    if dynamic:
        before = give(crystals)
        made = maker.make(before.output)
        flow = Flow([before, made], output=made.output)
    else:
        flow = maker.make(crystals)
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
    found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [parse(CalculationDoc, document) for document in found]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("count", [4, 5, 29])
def test_every_crystal_once_and_in_order(small_pieces, memory, tmp_path, dynamic, count):
    crystals = candidates(count)
    found = screened(crystals, memory, tmp_path, dynamic=dynamic)
    assert [document.candidate_id for document in found] == [c.candidate_id for c in crystals]
    assert {document.state.value for document in found} == {"completed"}
    # what each was made of came through unchanged
    for document, candidate in zip(found, crystals, strict=True):
        assert document.candidate.structure == candidate.structure


def test_copies_are_candidates_of_their_own_in_any_piece(small_pieces, memory, tmp_path):
    structures = [instant_engine.crystal("VO2", 1)] * 9
    at_once = screened(structures, memory, tmp_path, dynamic=False)
    found = screened(structures, memory, tmp_path, dynamic=True)
    assert [d.candidate_id for d in found] == [d.candidate_id for d in at_once]
    assert len({document.candidate_id for document in found}) == 9


def test_a_candidate_twice_is_seen_across_pieces(small_pieces, memory, tmp_path):
    crystals = candidates(9)
    with pytest.raises(RuntimeError, match="did not finish"):
        screened([*crystals, crystals[0]], memory, tmp_path, dynamic=True)


class Sizes:
    """Largest document of each kind in a run, in bytes."""

    def __init__(self, stores):
        self.stores, self.firework, self.action = stores, 0, 0

    def run(self, flow):
        self.measure(flow)
        for made, _ in flow.iterflow():
            response = made.run(self.stores.job_store)
            if response.replace is not None:
                self.run(response.replace)

    def measure(self, flow):
        workflow = flow_to_workflow(flow, self.stores.job_store)
        self.action = max(self.action, len(bson.encode(FWAction(detours=[workflow]).to_dict())))
        sizes = [len(bson.encode(firework.to_db_dict())) for firework in workflow.fws]
        self.firework = max(self.firework, *sizes)

    @property
    def job(self):
        documents = self.stores.job_store.docs_store.query()
        return max(len(bson.encode(document)) for document in documents)


def discovery(count):
    return DiscoveryFlowMaker(
        sampler=instant_engine.InstantSampleMaker(),
        engine=instant_engine.engine(),
        references=cheap_engine.references(instant_engine.SCHEME),
        refine=None,
    ).make({"VO2": count})


def test_no_document_grows_with_the_number_of_crystals(small_pieces, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = {}
    for count in (8, 24):
        with VogenStores.memory() as stores:
            sizes, flow = Sizes(stores), discovery(count)
            sizes.run(flow)
            found[count] = (sizes.job, sizes.firework, sizes.action)
            output = stores.job_store.get_output(flow.output.uuid, load=True)
            document = parse(DiscoveryDoc, output)
            assert len(document.stability) == document.n_calculated == count
            assert stores.ingest_jobs()["candidates"] == count
            assert set(stores.ingest_jobs().values()) == {0}
            assert len(stores.load(CandidateDoc)) == count
    for few, many in zip(found[8], found[24], strict=True):
        assert many <= 1.1 * few


def test_nor_do_the_arguments_of_the_job_that_measures(small_pieces):
    maker = EvaluateMaker(
        engine=instant_engine.engine(),
        references=cheap_engine.references(instant_engine.SCHEME),
        refine=None,
    )
    largest = {}
    for count in (8, 32):
        workflow = flow_to_workflow(maker.make(candidates(count)))
        largest[count] = max(len(bson.encode(fw.to_db_dict())) for fw in workflow.fws)
    assert largest[32] <= 1.1 * largest[8]


def test_a_sample_is_measured_as_it_was_with_its_candidates(memory, tmp_path):
    sample = SampleDoc.make(
        sampler="test", model_id="instant", seed=0, requested={"VO2": 5}, attempts={"VO2": 9},
        candidates=candidates(3), rejections=[], wall_time=2.0,
    )  # fmt: skip
    maker = EvaluateMaker(
        engine=instant_engine.engine(),
        references=cheap_engine.references(instant_engine.SCHEME),
        refine=None,
    )
    flow = maker.make(sample)
    run_locally(flow, store=memory.job_store, root_dir=tmp_path, log=False, ensure_success=True)
    found = parse(EvaluationDoc, memory.job_store.get_output(flow.output.uuid, load=True))
    overall = found.metrics.overall
    assert (overall.n_requested, overall.n_attempts, overall.n_delivered) == (5, 9, 3)
    assert [d.candidate_id for d in found.stability] == [c.candidate_id for c in sample.candidates]


def test_pieces_on_fireworks_and_again(monkeypatch, launchpad, stores):
    """All parts of three levels end, and a job that is run again makes the same jobs."""
    monkeypatch.setattr(later, "PIECE", 1)
    monkeypatch.setattr(later, "BRANCHES", 2)
    flow = discovery(3)  # the third makes the second level
    submit(flow, launchpad, store=stores.job_store)

    def run():
        worker = FWorker(category="")
        rapidfire(launchpad, worker, max_loops=1, sleep_time=0.01, strm_lvl="ERROR")

    run()
    assert launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}}) == 0

    def keys():
        return {(d["uuid"], d["index"]) for d in stores.job_store.query({}, ["uuid", "index"])}

    before = keys()
    assert stores.ingest_jobs()["calculations"] == 3
    first = min(d["fw_id"] for d in launchpad.fireworks.find({"name": "screening"}))
    launchpad.rerun_fw(first)
    run()
    assert launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}}) == 0
    assert keys() == before
    (summary,) = stores.job_store.query({"name": "summarise"}, load=True)
    assert len(summary["output"]["stability"]) == 3
