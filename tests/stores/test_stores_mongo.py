"""Stores on the wire: what they hold, how they find it, what happens when they fail."""

from __future__ import annotations

import logging
import time

import cheap_engine
import pymongo
import pytest
from jobflow import job, run_locally
from monty.json import jsanitize
from test_stores import calculation

from atomate2_vogen.errors import ArtefactError, StoreConnectionError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    CharacterisationState,
    ElectronicDoc,
    PhononDoc,
    ReferenceDoc,
    StabilityDoc,
    TrainingDoc,
)
from atomate2_vogen.stores import KEYS, VogenStores, upsert
from atomate2_vogen.stores.indexes import INDEXES


@pytest.fixture
def stores(database):
    with VogenStores.open(database, create=True) as stores:
        yield stores


def test_documents_come_back_and_are_written_once(stores, database):
    candidates = [cheap_engine.candidate("VO2", i) for i in range(30)]
    assert stores.save([*candidates, calculation(candidates[0], -7.0)]) == 31
    stores.save([*candidates, calculation(candidates[0], -8.0)])
    with VogenStores.open(database) as again:
        assert {c.candidate_id for c in again.load(CandidateDoc)} == {
            c.candidate_id for c in candidates
        }
        (read,) = again.load(CalculationDoc)
        assert read.structure == candidates[0].structure
        assert read.energy_per_atom == -8.0
        (raw,) = again.calculations.query({})
        assert raw["_id"] == raw["calculation_id"]
        assert {"schema_version", "package_version", "last_updated"} <= {*raw}


def test_the_last_of_a_batch_with_one_key_is_written(stores):
    candidates = [cheap_engine.candidate("VO2", i) for i in range(2)]
    stores.save([calculation(c, e) for e in (-7.0, -8.0) for c in candidates])
    assert [c.energy_per_atom for c in stores.load(CalculationDoc)] == [-8.0, -8.0]


def test_what_somebody_else_wrote_under_another_id_is_replaced(stores):
    candidates = [cheap_engine.candidate("VO2", i) for i in range(3)]
    for candidate in candidates[:2]:
        stores.candidates._collection.insert_one({"candidate_id": candidate.candidate_id})
    stores.save(candidates[0])  # alone
    stores.save(candidates)  # in a batch
    assert len(stores.load(CandidateDoc)) == 3


def test_a_batch_goes_over_the_wire_at_once(stores, monkeypatch):
    calls = []
    update = stores.candidates.update
    monkeypatch.setattr(
        stores.candidates, "update", lambda docs, key: calls.append(len(docs)) or update(docs, key)
    )
    stores.save([cheap_engine.candidate("VO2", i) for i in range(25)])
    assert calls == [25]


def test_every_collection_has_its_indexes_once(stores, database):
    def held(stores):
        collections = {name: getattr(stores, name)._collection for name in KEYS}
        return {name: c.index_information() for name, c in collections.items()}

    first = held(stores)
    for name, (_, key) in KEYS.items():
        keys = {tuple(f for f, _ in index["key"]): index for index in first[name].values()}
        assert keys[key,].get("unique")
        assert {("last_updated",), *INDEXES[name]} <= {*keys}
    with VogenStores.open(database) as again:
        assert held(again) == first
    files = stores.data._files_collection.index_information()
    assert "metadata.blob_uuid_1" in files


def test_keys_are_unique_in_the_database_itself(stores):
    stores.save(cheap_engine.candidate())
    (raw,) = stores.candidates.query({})
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        stores.candidates._collection.insert_one({**raw, "_id": "another"})


def test_documents_that_share_a_key_are_reported_on_opening(database):
    with pymongo.MongoClient(database) as client:
        doubled = [{"candidate_id": "x"}, {"candidate_id": "x"}]
        client.get_default_database()["candidates"].insert_many(doubled)
    with pytest.raises(StoreConnectionError, match=r"candidates.*candidate_id"):
        VogenStores.open(database)


@job(data="content")
def large(size):
    return {"content": "x" * size, "small": 1}


def test_objects_above_16_mb_travel_through_gridfs(stores, tmp_path):
    size = 17_000_000
    made = large(size)
    run_locally(made, store=stores.job_store, root_dir=tmp_path, log=False)
    (raw,) = stores.job_store.docs_store.query({"uuid": made.uuid})
    assert set(raw["output"]["content"]) >= {"blob_uuid", "store"}
    loaded = stores.job_store.get_output(made.uuid, load=True)
    assert len(loaded["content"]) == size
    # what has a blob in it is found again by the collections too
    document = electronic(density_of_states=raw["output"]["content"])
    upsert(stores.electronic, document, "electronic_id")
    (read,) = stores.load(ElectronicDoc)
    assert len(read.density_of_states) == size


def electronic(**changes):
    candidate = cheap_engine.candidate()
    made = ElectronicDoc(
        electronic_id=f"{candidate.candidate_id}|e",
        candidate_id=candidate.candidate_id,
        scheme="e",
        engine="e",
        state=CharacterisationState.COMPLETED,
        formula="VO2",
        structure=candidate.structure,
    )
    return {**jsanitize(made, strict=True, enum_values=True, allow_bson=True), **changes}


@pytest.mark.parametrize(
    "kind",
    [
        CandidateDoc,
        CalculationDoc,
        ReferenceDoc,
        StabilityDoc,
        ElectronicDoc,
        PhononDoc,
        TrainingDoc,
    ],
)
def test_a_corrupt_document_is_named_and_skipped(stores, caplog, kind):
    collection, key = next((c, k) for c, (owner, k) in KEYS.items() if owner is kind)
    rubbish = {key: "rubbish", "structure": {"@class": "Structure"}, "last_updated": "never"}
    upsert(getattr(stores, collection), rubbish, key)
    with pytest.raises(ArtefactError, match="rubbish"):
        stores.load(kind)
    assert list(stores.iterate(kind)) == []
    assert "rubbish" in caplog.text


def test_a_database_that_goes_away_is_a_typed_error(stores):
    stores.candidates._collection.database.client.close()
    for action in (
        lambda: stores.save(cheap_engine.candidate()),
        lambda: stores.load(CandidateDoc),
    ):
        with pytest.raises(StoreConnectionError):
            action()
    stores.candidates.connect(force_reset=True)


def test_opening_gives_up_in_time():
    begin = time.monotonic()
    with pytest.raises(StoreConnectionError, match="no server answers") as caught:
        VogenStores.open("mongodb://127.0.0.1:1/db")
    assert time.monotonic() - begin < 20
    assert "Topology" not in str(caught.value)


def test_a_wrong_password_is_a_typed_error_without_it(server, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreConnectionError) as caught:
        VogenStores.open(server.replace("://", "://ann:xyzzy@") + "/db?authSource=admin")
    assert "xyzzy" not in str(caught.value) + caplog.text
    assert caught.value.__context__ is None
