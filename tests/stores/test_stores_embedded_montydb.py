"""Folders that earlier versions of this package filled through montydb."""

from __future__ import annotations

import multiprocessing

import cheap_engine
import pytest
from monty.json import jsanitize

from atomate2_vogen.schemas import CandidateDoc
from atomate2_vogen.stores import EmbeddedStore, VogenStores, parse
from atomate2_vogen.stores.embedded import holds_store

pytest.importorskip("montydb")
from maggma.stores import MontyStore

CANDIDATES = [cheap_engine.candidate("VO2", index) for index in range(12)]


@pytest.fixture
def folder(tmp_path):
    """As an earlier version wrote it."""
    candidates = MontyStore("candidates", database_path=str(tmp_path), key="candidate_id")
    jobs = MontyStore("jobs", database_path=str(tmp_path), key="uuid")
    for store in (candidates, jobs):
        store.connect()
    for document in CANDIDATES:
        content = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
        candidates.update({**content, "_id": document.candidate_id}, key="candidate_id")
    jobs.update([{"uuid": "x", "index": n, "output": n} for n in (1, 2)], key=["uuid", "index"])
    return tmp_path


def test_an_old_folder_is_converted_when_it_is_opened(folder, caplog):
    old = MontyStore("candidates", database_path=str(folder), key="candidate_id")
    old.connect()
    expected = list(old.query())
    assert len(expected) == len(CANDIDATES)
    with VogenStores.open(folder) as stores:
        assert list(stores.candidates.query()) == expected
        assert sorted(c.index for c in stores.load(CandidateDoc)) == list(range(12))
        assert {d.structure.formula for d in stores.load(CandidateDoc)} == {
            c.structure.formula for c in CANDIDATES
        }
        assert stores.job_store.get_output("x") == 2
        assert stores.candidates.count({"formula": "VO2", "index": {"$lt": 3}}) == 3
    assert "12 documents of candidates" in caplog.text
    assert list(old.query()) == expected  # the old files stay as they are


def test_a_folder_is_seen_to_hold_a_store(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    assert holds_store(folder)
    assert not holds_store(empty)
    (empty / "db").mkdir()
    assert not holds_store(empty)
    EmbeddedStore("candidates", empty).connect()
    assert holds_store(empty)


def test_it_is_converted_once(folder):
    with VogenStores.open(folder) as stores:
        stores.candidates.remove_docs({"index": {"$gte": 2}})
        stores.save(cheap_engine.candidate("V2O3"))
    with VogenStores.open(folder) as stores:
        assert stores.candidates.count() == 3
        parse(CandidateDoc, stores.candidates.query_one({"formula": "V2O3"}))


def _open(folder, counts):
    with EmbeddedStore("candidates", folder, key="candidate_id") as store:
        counts.put(store.count())


def test_processes_that_open_it_at_once_convert_it_once(folder):
    context = multiprocessing.get_context("fork")
    counts = context.Queue()
    processes = [context.Process(target=_open, args=(folder, counts)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [counts.get(timeout=120) for _ in processes] == [len(CANDIDATES)] * 4
    for process in processes:
        process.join()


def test_a_damaged_old_file_is_no_empty_store(folder):
    from atomate2_vogen.errors import StoreConnectionError

    (folder / "db" / "candidates.collection").write_bytes(b"no database at all" * 999)
    for _ in range(2):
        with pytest.raises(StoreConnectionError, match=folder.name):
            VogenStores.open(folder)
