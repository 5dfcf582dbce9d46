from __future__ import annotations

import json

import cheap_engine
import pytest
from jobflow import JobStore
from maggma.stores import GridFSStore, JSONStore, MemoryStore, MongoStore, MontyStore

from atomate2_vogen.errors import StoreAddressError
from atomate2_vogen.schemas import CandidateDoc
from atomate2_vogen.stores import VogenStores, configuration
from atomate2_vogen.stores.configuration import address_of, guarded, read_store_file

SECRET = "pl4nted"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "store.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "full", "database", "prefix"),
    [
        ("uri: mongodb://h/d", "mongodb://h/d", "d", ""),
        ("uri: mongodb://h/d\ndatabase: e\ncollection_prefix: p_", "mongodb://h/d", "e", "p_"),
        ("host: h", "mongodb://h:27017/vogen", "vogen", ""),
        ("host: '::1'\nport: 1\ndatabase: d", "mongodb://[::1]:1/d", "d", ""),
        (
            "host: h\nusername: a b\npassword: p/w\ndatabase: d",
            "mongodb://a+b:p%2Fw@h:27017/d?authSource=d",
            "d",
            "",
        ),
        (
            "host: h\nusername: a\npassword_env: MINE\nauth_source: admin",
            "mongodb://a:from+env@h:27017/vogen?authSource=admin",
            "vogen",
            "",
        ),
    ],
)
def test_files_name_a_database(write, monkeypatch, text, full, database, prefix):
    monkeypatch.setenv("MINE", "from env")
    found = read_store_file(write(text))
    assert (found.address.full, found.address.database, found.prefix) == (full, database, prefix)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("urI: mongodb://h", ["'urI'", "did you mean uri?"]),
        ("host: h\ncollection_prefx: p", ["did you mean collection_prefix?"]),
        (f"host: h\npasswort: {SECRET}", ["did you mean password?"]),
        (f"host: h\nusername: u\npassword: [{SECRET}]", ["password must be text"]),
        ("host: h\nport: many", ["port must be a whole number"]),
        ("port: 1", ["either uri or host"]),
        ("uri: mongodb://h\nhost: h", ["either uri or host"]),
        (f"uri: mongodb://h\npassword: {SECRET}", ["password", "belong into the uri"]),
        (f"host: h\npassword: {SECRET}", ["without a username"]),
        (f"host: h\nusername: u\npassword: {SECRET}\npassword_env: X", ["either password"]),
        (f"uri: mongodb://u:{SECRET}@h:port/d", ["store.yaml", "not a MongoDB URI"]),
        (f"password: '{SECRET}\nuri: x", ["no YAML"]),
        (f"password: {SECRET}: x", ["no YAML in line 1"]),
        ("- a", ["must hold fields"]),
        ("", ["must hold fields"]),
    ],
)
def test_bad_files_are_named_and_no_value_repeated(write, text, words):
    with pytest.raises(StoreAddressError) as caught:
        VogenStores.open(write(text))
    error = caught.value
    for word in ("store.yaml", *words):
        assert word in str(error)
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreAddressError, match=r"nowhere\.yml: No such file"):
        VogenStores.open(tmp_path / "nowhere.yml")


def test_a_file_opens_a_database_with_a_prefix(write, database):
    path = write(f"uri: {database}\ncollection_prefix: mine_")
    with VogenStores.open(path, create=True) as stores:
        stores.save(cheap_engine.candidate())
        assert stores.candidates.collection_name == "mine_candidates"
        assert len(stores.load(CandidateDoc)) == 1


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Write jobflow's settings."""

    def settings(text):
        path = tmp_path / "jobflow.yaml"
        path.write_text(text)
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(path))

    return settings


def test_settings_put_our_collections_beside_the_jobs(settings, server, database):
    name = database.rsplit("/", 1)[1]
    host, port = server.removeprefix("mongodb://").split(":")
    place = f"database: {name}, host: {host}, port: {port}"
    settings(
        "JOB_STORE:\n"
        f"  docs_store: {{type: MongoStore, collection_name: outputs, {place}}}\n"
        "  additional_stores:\n"
        f"    data: {{type: GridFSStore, collection_name: blobs, {place}}}\n"
    )
    with VogenStores.open() as stores:
        stores.save(cheap_engine.candidate())
        assert stores.job_store.docs_store.collection_name == "outputs"
        assert stores.data.collection_name == "blobs"
        assert stores.candidates.collection_name == "vogen_candidates"
        assert stores.candidates.database == name
        # what is not ours is left as it is
        assert set(stores.job_store.docs_store._collection.index_information()) <= {"_id_"}
        held = stores.candidates._collection.database.list_collection_names()
        assert "vogen_candidates" in held
    with VogenStores.from_settings() as stores:
        assert len(stores.load(CandidateDoc)) == 1


def test_settings_may_name_an_embedded_store(settings, tmp_path):
    place = f"database_path: {tmp_path}"
    settings(
        "JOB_STORE:\n"
        f"  docs_store: {{type: MontyStore, collection_name: outputs, {place}}}\n"
        "  additional_stores:\n"
        f"    data: {{type: MontyStore, collection_name: blobs, {place}}}\n"
    )
    with VogenStores.open() as stores:
        stores.save(cheap_engine.candidate())
        assert stores.where == str(tmp_path)
        assert isinstance(stores.job_store.docs_store, MontyStore)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LOG_FORMAT: x", "no job store"),
        (f"JOB_STORE: {{docs_store: {{type: MongoStore, passwd: {SECRET}}}}}", "cannot be read"),
        (f"JOB_STORE: '{SECRET}", "cannot be read"),
        (
            "JOB_STORE: {docs_store: {type: MongoStore, database: d, collection_name: c}}",
            "no additional store named data",
        ),
    ],
)
def test_settings_without_a_place_say_what_to_do(settings, text, words):
    settings(text)
    with pytest.raises(StoreAddressError, match=words) as caught:
        VogenStores.from_settings()
    error = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


def test_a_store_of_another_kind_is_named(tmp_path):
    for store in (JSONStore(str(tmp_path / "x.json"), read_only=False), MemoryStore()):
        with pytest.raises(StoreAddressError, match=type(store).__name__):
            address_of(store)


@pytest.mark.parametrize(
    ("store", "full"),
    [
        (MongoStore("d", "c", host="h", port=1), "mongodb://h:1/d"),
        (
            MongoStore("d", "c", host="h", username="u", password="p@w"),
            "mongodb://u:p%40w@h:27017/d?authSource=d",
        ),
        (
            MongoStore("d", "c", host="h", username="u", password="p", auth_source="admin"),
            "mongodb://u:p@h:27017/d?authSource=admin",
        ),
        (MongoStore("d", "c", host="mongodb://h:1"), "mongodb://h:1/d"),
        (MongoStore("d", "c", uri="mongodb://u:p@h/x"), "mongodb://u:p@h/x"),
        (
            MongoStore(
                "d", "c", mongoclient_kwargs={"username": "u", "password": "p", "tls": True}
            ),
            "mongodb://u:p@localhost:27017/d?authSource=d",
        ),
    ],
)
def test_addresses_of_maggmas_stores(store, full):
    address, client = address_of(store)
    assert (address.full, address.database) == (full, "d")
    assert not {"username", "password"} & {*client}


def test_the_job_store_of_the_settings_forgets_how_to_tell_its_password():
    place = {"database": "d", "host": "h", "username": "u", "password": SECRET}
    found = JobStore(
        MongoStore(collection_name="c", **place),
        additional_stores={"data": GridFSStore(collection_name="b", compression=True, **place)},
        save={"data": ["x"]},
        load=True,
    )
    assert SECRET in json.dumps(found.as_dict())
    kept = guarded(found)
    assert SECRET not in json.dumps(kept.as_dict())
    assert SECRET in kept.docs_store.address.full
    assert kept.save == {"data": ["x"]}
    assert kept.load is True
    blobs = kept.additional_stores["data"]
    assert (blobs.key, blobs.compression) == ("blob_uuid", True)
    assert blobs.searchable_fields == ["job_uuid", "job_index"]


def test_tunnels_are_refused_in_words(monkeypatch):
    store = MongoStore("d", "c")
    store.ssh_tunnel = object()
    with pytest.raises(StoreAddressError, match="ssh -L"):
        address_of(store)


def test_unreadable_settings_are_no_crash(monkeypatch):
    def broken():
        raise RuntimeError(SECRET)

    monkeypatch.setattr(configuration, "JobflowSettings", broken)
    with pytest.raises(StoreAddressError, match="RuntimeError") as caught:
        VogenStores.from_settings()
    assert SECRET not in str(caught.value)
