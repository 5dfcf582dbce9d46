"""The embedded store as a maggma store and below jobflow."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import sqlite3
from datetime import UTC, datetime

import bson
import numpy as np
import pytest
from jobflow import Flow, JobStore, job, run_locally
from maggma.core import StoreError
from maggma.stores import MemoryStore
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure
from pymongo.errors import DuplicateKeyError

from atomate2_vogen.stores import EmbeddedStore
from atomate2_vogen.stores.embedded.database import Database

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
LARGE = ["a long line of text"] * 500


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore("crystals", tmp_path, key="name") as store:
        yield store


def test_documents_of_every_kind_come_back(store):
    document = {
        "_id": "first",
        "name": "rutile",
        "structure": json.loads(RUTILE.to_json()),
        "when": datetime(2026, 1, 1),  # noqa: DTZ001
        "id": bson.ObjectId(),
        "numbers": [1, 2.5, 2**62, float("inf"), True, None],
        "nested": {"large": LARGE, "small": 1, "deeper": {"large": LARGE}},
        "large": "x" * 10_000,
        "empty": {},
    }
    store.update(document)
    (found,) = store.query()
    assert found == document
    assert list(found) == list(document)
    assert Structure.from_dict(found["structure"]) == RUTILE


@pytest.mark.parametrize("level", [1, 2, 3])
def test_binary_data_that_look_like_placeholders_survive(tmp_path, level):
    from atomate2_vogen.stores.embedded.collection import Collection

    value = bson.Binary(b"0", 128)
    for _ in range(level - 1):
        value = {"x": value}
    collection = Collection(tmp_path, "documents")
    collection.insert_one({"_id": 1, "odd": value, "large": LARGE})
    assert list(collection.find()) == [{"_id": 1, "odd": value, "large": LARGE}]
    collection.close()


def test_numpy_and_msonable_values_are_stored_as_by_maggma(store):
    memory = MemoryStore(key="name")
    memory.connect()
    document = {"name": "x", "array": np.arange(3), "one": np.float64(2.5), "crystal": RUTILE}
    for each in (store, memory):
        each.update(dict(document))
    expected, found = memory.query_one(), store.query_one()
    assert {**found, "_id": None} == {**expected, "_id": None}


def test_a_document_keeps_the_id_that_it_was_first_written_with(store):
    store.update({"_id": 1, "name": "x"})
    store.update({"_id": 2, "name": "x", "new": True})
    assert list(store.query()) == [{"_id": 1, "name": "x", "new": True}]


def test_a_refused_document_undoes_the_whole_write(store):
    store.update({"_id": 1, "name": "x"})
    with pytest.raises(DuplicateKeyError):
        store.update([{"_id": 2, "name": "y"}, {"_id": 1, "name": "z"}])
    assert store.distinct("name") == ["x"]
    with pytest.raises(KeyError, match="name"):
        store.update([{"name": "y"}, {"title": "z"}])
    assert store.count() == 1


def test_unique_indexes_refuse_doubles(store):
    store.update([{"name": "x", "n": 1}, {"name": "y", "n": 2}])
    assert store.ensure_index("n", unique=True)
    with pytest.raises(DuplicateKeyError):
        store.update({"name": "z", "n": 1})
    store.update([{"name": "z", "m": 1}, {"name": "w", "m": 1}])
    assert not store.ensure_index("m", unique=True)
    assert store.ensure_index("m")


def test_collections_whose_names_differ_in_case_are_two(tmp_path):
    with EmbeddedStore("Jobs", tmp_path) as first, EmbeddedStore("jobs", tmp_path) as second:
        first.update({"task_id": 1, "A": 1, "a": 2})
        for field in ("A", "a"):
            first.ensure_index(field)
        assert first.count({"A": 1, "a": 2}) == 1
        assert second.count() == 0


def test_many_values_are_found(store):
    names = [f"crystal é{number}" for number in range(40_000)]
    store._collection.insert_many({"name": name} for name in [*names[::100], "a\0b", 0.1, True])
    for listed in (names, names[:10_000], [*names, "a\0b", 0.1, 1, None]):
        strange = 3 * (None in listed)
        expected = len(names[:10_000] if listed == names[:10_000] else names) // 100 + strange
        assert store.count({"name": {"$in": listed}}) == expected
        assert store.count({"name": {"$nin": listed}}) == 403 - expected


def test_documents_may_be_written_while_they_are_read(store):
    store.update([{"name": n, "round": 0} for n in range(200)])
    for document in store.query({"round": 0}):
        store.update({**document, "round": 1})
        store.update({"name": -document["name"] - 1, "round": 2})
    assert store.count({"round": 1}) == 200
    assert store.count({"round": 2}) == 200


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"a.b": 0}, {"_id": 1, "a": {"c": 2}, "list": [{"b": 1}, 3], "none": None}),
        ({"none.b": 0, "a": 0, "_id": 0}, {"list": [{"b": 1}, 3], "none": None}),
        ({"list.b": 0, "a": 0}, {"_id": 1, "list": [{}, 3], "none": None}),
        ({"_id": 0}, {"a": {"b": 1, "c": 2}, "list": [{"b": 1}, 3], "none": None}),
        (["list.b", "none.b", "a.c"], {"_id": 1, "a": {"c": 2}, "list": [{"b": 1}]}),
        (["a.c", "a"], {"_id": 1, "a": {"b": 1, "c": 2}}),
        ({"_id": 1}, {"_id": 1}),
        ({"none": True, "_id": False}, {"none": None}),
    ],
)
def test_properties_are_those_of_mongodb(store, properties, expected):
    document = {"_id": 1, "a": {"b": 1, "c": 2}, "list": [{"b": 1}, 3], "none": None}
    store._collection.insert_one(document)
    (found,) = store.query({}, properties)
    assert found == expected


def test_groups(store):
    store.update([{"name": n, "parity": n % 2, "deep": {"x": n // 4}} for n in range(8)])
    store.update({"name": "without"})
    groups = {key["parity"]: docs for key, docs in store.groupby("parity", properties=["name"])}
    assert {key: [d["name"] for d in docs] for key, docs in groups.items()} == {
        0: [0, 2, 4, 6],
        1: [1, 3, 5, 7],
    }
    pairs = {
        (key["parity"], key["deep"]["x"]): len(docs)
        for key, docs in store.groupby(["parity", "deep.x"], {"name": {"$lt": 7}})
    }
    assert pairs == {(0, 0): 2, (1, 0): 2, (0, 1): 2, (1, 1): 1}


def test_what_changed_is_told_by_time(tmp_path):
    with EmbeddedStore("a", tmp_path, key="name") as source:
        assert source.last_updated == datetime.min  # noqa: DTZ901
        for n in range(4):
            source.update({"name": n, "last_updated": datetime(2026, 1, 1 + n, tzinfo=UTC)})
        assert source.last_updated == datetime(2026, 1, 4)  # noqa: DTZ001
        with EmbeddedStore("b", tmp_path, key="name") as target:
            target.update({"name": 0, "last_updated": datetime(2026, 1, 2, tzinfo=UTC)})
            assert target.newer_in(source) == [2, 3]
            assert sorted(target.newer_in(source, exhaustive=True)) == [1, 2, 3]


def test_the_store_survives_json_and_pickle(tmp_path):
    store = EmbeddedStore("crystals", tmp_path, key="name", last_updated_field="changed")
    copies = [
        pickle.loads(pickle.dumps(store)),
        MontyDecoder().process_decoded(json.loads(store.to_json())),
    ]
    for copy in copies:
        assert copy == store
        assert hash(copy) == hash(store)
        assert (copy.key, copy.last_updated_field) == ("name", "changed")
    assert store != EmbeddedStore("others", tmp_path, last_updated_field="changed")


def test_a_store_that_is_not_connected_says_so(tmp_path):
    store = EmbeddedStore("crystals", tmp_path)
    with pytest.raises(StoreError, match="connect"):
        store.count()
    store.connect()
    store.close()
    with pytest.raises(StoreError, match="connect"):
        store.count()
    store.connect()
    assert store.count() == 0


def test_a_file_of_a_later_version_is_refused(tmp_path):
    EmbeddedStore("crystals", tmp_path).connect()
    with sqlite3.connect(tmp_path / "documents.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(sqlite3.DatabaseError, match="later version"):
        Database(tmp_path)


@job
def make(number):
    return {"number": number, "crystal": RUTILE, "arrays": {"large": [0.5] * 1000}}


@job
def total(parts):
    return {"sum": sum(part["number"] for part in parts), "n": len(parts[0]["arrays"]["large"])}


@job(data="large")
def keep(number):
    return {"number": number, "large": [number] * 1000}


def test_a_flow_runs_as_in_memory(tmp_path):
    found = []
    embedded = [EmbeddedStore(name, tmp_path) for name in ("jobs", "data")]
    for docs, data in (embedded, (MemoryStore("jobs"), MemoryStore("data"))):
        store = JobStore(docs, additional_stores={"data": data})
        parts = [make(n) for n in range(4)]
        flow = Flow([*parts, kept := keep(7), sum_ := total([p.output for p in parts])])
        run_locally(flow, store=store, ensure_success=True)
        blob = store.query_one({"uuid": kept.uuid})["output"]["large"]
        found.append(
            (
                store.get_output(sum_.uuid),
                store.get_output(kept.uuid, load=True),
                store.query_one({"name": "make", "output.number": 2}, load=True)["output"],
                sorted(blob),
                store.count({"output.@class": {"$exists": False}}),
                data.count({"job_uuid": kept.uuid, "job_index": 1}),
            )
        )
        assert found[-1][0] == {"sum": 6, "n": 1000}
        store.remove_docs({"name": "keep"})
        assert data.count() == 0
    assert found[0] == found[1]


def _count(store, results):
    results.put(store.count())


def test_a_forked_process_opens_the_file_for_itself(store):
    store.update({"name": "x"})
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_count, args=(store, results))
    process.start()
    assert results.get(timeout=120) == 1
    process.join()
    store.update({"name": "y"})
    assert store.count() == 2
