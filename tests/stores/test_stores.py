from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import cheap_engine
import pytest
from pymongo.errors import DuplicateKeyError

from atomate2_vogen.errors import ArtefactError, StoreConnectionError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    ReferenceDoc,
    SampleDoc,
)
from atomate2_vogen.stores import VogenStores, moment, upsert


def calculation(candidate, energy=-7.0, **changes):
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{cheap_engine.SCHEME}",
        candidate_id=candidate.candidate_id,
        scheme=cheap_engine.SCHEME,
        state=CalculationState.COMPLETED,
        candidate=candidate,
        structure=candidate.structure,
        initial_energy_per_atom=energy + 1,
        energy_per_atom=energy,
        max_force=0.01,
        **changes,
    )


@pytest.fixture(params=["folder", "memory"])
def stores(request, tmp_path):
    made = (
        VogenStores.open(tmp_path, create=True)
        if request.param == "folder"
        else VogenStores.memory()
    )
    with made as stores:
        yield stores


def test_documents_come_back_as_they_went_in(stores):
    written = calculation(cheap_engine.candidate())
    stores.save(written)
    (read,) = stores.load(CalculationDoc)
    assert read.candidate == written.candidate.model_copy(
        update={"last_updated": read.candidate.last_updated}
    )
    assert read.structure == written.structure
    assert read.energy_per_atom == written.energy_per_atom
    assert read.state is CalculationState.COMPLETED
    assert read.last_updated.tzinfo is not None
    assert abs(read.last_updated - written.last_updated) < timedelta(milliseconds=1)


def test_saving_twice_replaces_by_key(stores):
    candidate = cheap_engine.candidate()
    stores.save([calculation(candidate, -7.0), calculation(candidate, -8.0)])
    (read,) = stores.load(CalculationDoc)
    assert read.energy_per_atom == -8.0


def test_the_key_is_the_identity_so_that_a_race_cannot_double(stores, monkeypatch):
    candidate = cheap_engine.candidate()
    store = stores.candidates
    found_nothing = store.update

    def update_behind_our_back(content, key):
        monkeypatch.setattr(store, "update", found_nothing)
        found_nothing(dict(content), key=key)
        raise DuplicateKeyError("another process was faster")

    monkeypatch.setattr(store, "update", update_behind_our_back)
    stores.save(candidate)
    (content,) = store.query({})
    assert content["_id"] == content["candidate_id"] == candidate.candidate_id


def test_queries_select(stores):
    stores.save([cheap_engine.candidate("VO2", i) for i in range(3)])
    stores.save(cheap_engine.candidate("V2O3"))
    assert len(stores.load(CandidateDoc, {"formula": "VO2", "index": {"$gt": 0}})) == 2


def test_malformed_documents_are_named(stores, caplog):
    stores.save(cheap_engine.references())
    upsert(stores.references, {"reference_id": "rubbish", "energy_per_atom": "?"}, "reference_id")
    with pytest.raises(ArtefactError, match="rubbish"):
        stores.load(ReferenceDoc)
    assert len(list(stores.iterate(ReferenceDoc))) == 3
    assert "rubbish" in caplog.text


def test_data_survive_the_process(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "import cheap_engine; from atomate2_vogen.stores import VogenStores\n"
        "VogenStores.open(sys.argv[1], create=True).save(cheap_engine.candidate())\n"
    )
    support = cheap_engine.__file__.rsplit("/", 1)[0]
    subprocess.run([sys.executable, "-c", code, str(tmp_path), support], check=True)
    with VogenStores.open(tmp_path) as stores:
        (read,) = stores.load(CandidateDoc)
    assert read.structure == cheap_engine.candidate().structure


def _write(folder, first, last):
    with VogenStores.open(folder) as stores:
        for index in range(first, last):
            stores.save(cheap_engine.candidate("VO2", index))


def test_processes_that_write_at_once_lose_and_double_nothing(tmp_path):
    VogenStores.open(tmp_path, create=True).close()
    context = multiprocessing.get_context("spawn")
    # 10 to 20 are written by both
    processes = [
        context.Process(target=_write, args=(tmp_path, *span)) for span in ((0, 20), (10, 30))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with VogenStores.open(tmp_path) as stores:
        assert sorted(c.index for c in stores.load(CandidateDoc)) == list(range(30))


def test_a_file_in_the_way_is_a_typed_error(tmp_path):
    (tmp_path / "taken").write_text("I am a file")
    with pytest.raises(StoreConnectionError, match="taken"):
        VogenStores.open(tmp_path / "taken", create=True)


def test_a_damaged_store_is_a_typed_error(tmp_path):
    VogenStores.open(tmp_path, create=True).close()
    (tmp_path / "documents.sqlite").write_bytes(b"no database at all" * 999)
    with pytest.raises(StoreConnectionError, match=tmp_path.name):
        VogenStores.open(tmp_path)


def test_opening_again_writes_nothing(tmp_path):
    VogenStores.open(tmp_path, create=True).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "documents.sqlite")) as watching:
        (before,) = watching.execute("PRAGMA data_version").fetchone()
        VogenStores.open(tmp_path).close()
        assert watching.execute("PRAGMA data_version").fetchone() == (before,)


def test_documents_without_collection_are_refused(stores):
    sample = SampleDoc.make(
        sampler="test",
        model_id="grid",
        seed=0,
        requested={"VO2": 1},
        attempts={"VO2": 1},
        candidates=[],
        rejections=[],
        wall_time=0.0,
    )
    with pytest.raises(TypeError, match="SampleDoc"):
        stores.save(sample)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001
        "2026-01-02T03:04:05.678901+00:00",
        "2026-01-02 04:04:05.678901+01:00",
        {"@module": "datetime", "@class": "datetime", "string": "2026-01-02 03:04:05.678901"},
    ],
)
def test_moments_agree_in_every_form(value):
    expected = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert moment({"last_updated": value}) == expected


def test_no_moment_is_the_oldest():
    assert moment({}) == moment({"last_updated": "yesterday"}) < datetime(1971, 1, 1, tzinfo=UTC)


def _open_often(folder, failures):
    for _ in range(8):
        try:
            with VogenStores.open(folder, create=True):
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shall show it
            failures.put(f"{type(error).__name__}: {error}")
            return
    failures.put(None)


def test_processes_may_open_the_same_folder_at_once(tmp_path):
    # the first one makes the file while the others look at it
    context = multiprocessing.get_context("fork")  # at the same moment
    failures = context.Queue()
    processes = [
        context.Process(target=_open_often, args=(tmp_path / "store", failures)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    assert [failures.get(timeout=120) for _ in processes] == [None] * 3
    for process in processes:
        process.join()
