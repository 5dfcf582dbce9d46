"""What finished jobs returned, copied once, whatever their clocks say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import cheap_engine
import pytest
from monty.json import jsanitize

from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, SampleDoc
from atomate2_vogen.stores import VogenStores

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def calculation(index, energy=-6.0, updated=NOW):
    candidate = cheap_engine.candidate("VO2", index)
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|cheap-1",
        candidate_id=candidate.candidate_id,
        scheme="cheap-1",
        state="completed",
        candidate=candidate,
        structure=candidate.structure,
        energy_per_atom=energy,
        last_updated=updated,
    )


def put(stores, uuid, document, **changes):
    """A job's document as jobflow leaves it."""
    output = jsanitize(document, strict=True, enum_values=True) | {
        "@module": type(document).__module__,
        "@class": type(document).__name__,
    }
    job = {
        "uuid": uuid,
        "index": 1,
        "completed_at": "2026-06-01T12:00:00.123456",
        "output": {k: v for k, v in (output | changes).items() if v is not None},
    }
    stores.job_store.docs_store.update(job, key=["uuid", "index"])


@pytest.fixture(params=["folder", "memory"])
def stores(request, tmp_path):
    made = (
        VogenStores.open(tmp_path, create=True)
        if request.param == "folder"
        else VogenStores.memory()
    )
    with made as stores:
        yield stores


def test_outputs_that_are_held_are_not_read_again(stores, monkeypatch):
    for index in range(3):
        put(stores, str(index), calculation(index))
    assert stores.ingest_jobs()["calculations"] == 3
    put(stores, "new", calculation(7))
    jobs, read = stores.job_store.docs_store, []
    query = type(jobs).query

    def watched(self, *args, properties=None, **settings):
        for content in query(self, *args, properties=properties, **settings):
            if self is jobs and "structure" in (content.get("output") or {}):
                read.append(content["output"]["calculation_id"])
            yield content

    monkeypatch.setattr(type(jobs), "query", watched)
    assert stores.ingest_jobs()["calculations"] == 1
    assert read == [calculation(7).calculation_id]
    assert len(stores.load(CalculationDoc)) == 4


def test_an_output_that_comes_late_from_a_slow_clock_is_taken(stores):
    put(stores, "1", calculation(1))
    stores.ingest_jobs()
    put(stores, "2", calculation(2, updated=NOW - timedelta(days=3)))
    assert stores.ingest_jobs()["calculations"] == 1


def test_of_two_outputs_with_one_key_the_later_stays(stores):
    put(stores, "a", calculation(1, energy=-6.0, updated=NOW))
    put(stores, "b", calculation(1, energy=-6.5, updated=NOW + timedelta(seconds=1)))
    put(stores, "c", calculation(1, energy=-6.2, updated=NOW - timedelta(seconds=1)))
    assert stores.ingest_jobs()["calculations"] == 1
    (held,) = stores.load(CalculationDoc)
    assert held.energy_per_atom == -6.5
    assert stores.ingest_jobs()["calculations"] == 0


def test_where_an_output_tells_no_time_it_is_that_of_its_job(stores, monkeypatch):
    """jobflow writes the local time, here five hours behind UTC."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        put(stores, "1", calculation(1), last_updated=None)
        stores.ingest_jobs()
        assert stores.ingest_jobs()["calculations"] == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    (held,) = stores.load(CalculationDoc)
    assert held.last_updated == datetime(2026, 6, 1, 17, 0, 0, 123000, tzinfo=UTC)


def test_a_damaged_document_in_a_collection_stops_nothing(stores):
    for name in ("candidates", "calculations"):
        store = getattr(stores, name)
        store.update([{"name": "damaged", store.key: ["a", "b"]}], key="name")
    put(stores, "good", calculation(3))
    assert stores.ingest_jobs()["calculations"] == 1


def test_damaged_outputs_are_named_and_the_others_taken(stores, caplog):
    put(stores, "torn", calculation(1), calculation_id=None)
    put(stores, "odd", calculation(2), last_updated="never")
    put(stores, "good", calculation(3))
    candidates = [cheap_engine.candidate("VO2", index) for index in range(2)]
    sample = SampleDoc(
        sampler="test", model_id="grid", seed=0, requested={"VO2": 2}, candidates=candidates,
        attempts={"VO2": 2}, rejected={}, wall_time=1.0,
    )  # fmt: skip
    put(stores, "sample", sample)
    put(stores, "no sample", sample, candidates="lost")
    written = stores.ingest_jobs()
    assert (written["calculations"], written["candidates"]) == (2, 2)
    assert "torn" not in {d.calculation_id for d in stores.load(CalculationDoc)}
    assert "job torn holds a damaged CalculationDoc" in caplog.text
    assert "job no sample holds a damaged SampleDoc" in caplog.text
    assert len(stores.load(CandidateDoc)) == 2
    assert set(stores.ingest_jobs().values()) == {0}
