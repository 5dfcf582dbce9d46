"""Sampling jobs side by side."""

from __future__ import annotations

import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore

from atomate2_vogen.errors import InputError
from atomate2_vogen.flows import SamplingFlowMaker
from atomate2_vogen.jobs import SampleMaker
from atomate2_vogen.samplers import search
from atomate2_vogen.schemas import SampleDoc

MAKER = SampleMaker(options={"draws": 8}, novel_only=True)


def samples(flow, folder):
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(flow, store=store, root_dir=folder, log=False, ensure_success=True)
    return [
        SampleDoc.model_validate(store.get_output(reference.uuid, load=True))
        for reference in flow.output
    ]


def test_draws_of_a_large_request_are_relaxed_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "DRAWS_COMPARED", 8)
    one_job = MAKER.make({"VO2": 3}, seed=2)
    (whole,) = samples(Flow([one_job], output=[one_job.output]), tmp_path)
    flow = SamplingFlowMaker(sampler=MAKER).make({"VO2": 3, "VO": 1}, seed=2)
    names = [job.name for job in flow.jobs]
    assert names == ["draw VO2 1/3", "draw VO2 2/3", "draw VO2 3/3", "sample VO2", "sample VO"]
    divided, _ = samples(flow, tmp_path)
    assert divided.rejected == whole.rejected
    assert divided.options == whole.options
    assert divided.cpu_time > 0
    for one, other in zip(divided.candidates, whole.candidates, strict=True):
        assert (one.candidate_id, one.details) == (other.candidate_id, other.details)
        assert one.structure == other.structure


def test_the_default_request_is_not_divided():
    assert MAKER.n_parts(8) == 1
    assert SampleMaker().n_parts(21) == 1
    assert SampleMaker().n_parts(184) == 9
    assert SampleMaker(judge_oversample=2).n_parts(92) == 9
    assert SampleMaker(sampler="random").n_parts(1000) == 1


def test_relaxed_draws_are_for_search_alone(tmp_path):
    part = MAKER.relax_draws.original(MAKER, "VO", 1, 0, 0, 1)
    other = SampleMaker(sampler="random")
    with pytest.raises(InputError, match="only for the sampler search"):
        SampleMaker.make.original(other, {"VO": 1}, relaxed=[part])
