from __future__ import annotations

import copy
import json
import logging
import pickle
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maggma.stores import GridFSStore, MongoStore
from monty.json import MontyDecoder
from pymongo.uri_parser import parse_uri

from atomate2_vogen.errors import StoreAddressError, StoreConnectionError
from atomate2_vogen.stores import MongoBlobs, MongoDocuments, VogenStores
from atomate2_vogen.stores.address import PASSWORD_ENV, MongoAddress

SECRET = "s3cr:t/p@ss w?rd%"
FORMS = {SECRET, quote_plus(SECRET), quote(SECRET), quote(SECRET, safe="")}
CLOSED = f"mongodb://ann:{quote_plus(SECRET)}@127.0.0.1:1/db?serverSelectionTimeoutMS=200"


def chain(error):
    """An exception and all that hang on it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def assert_silent(*texts):
    for text in texts:
        for form in FORMS:
            assert form not in str(text)


@pytest.mark.parametrize(
    ("uri", "public", "database"),
    [
        ("mongodb://h", "mongodb://h/", "vogen"),
        ("mongodb://h:1/d", "mongodb://h:1/d", "d"),
        ("mongodb://u:p@h/d?tls=true", "mongodb://u@h/d?tls=true", "d"),
        ("mongodb://u:@h/d", "mongodb://u@h/d", "d"),
        ("mongodb+srv://u:p@h.org/d%20e", "mongodb+srv://u@h.org/d%20e", "d e"),
        ("mongodb://h1:1,h2:2/?replicaSet=r", "mongodb://h1:1,h2:2/?replicaSet=r", "vogen"),
        (
            "mongodb://u@h/d?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:x",
            "mongodb://u@h/d?authMechanism=MONGODB-AWS",
            "d",
        ),
    ],
)
def test_the_public_part_lacks_secrets_only(uri, public, database):
    address = MongoAddress(uri)
    assert (address.public, address.database) == (public, database)


@given(
    user=st.text(min_size=1, max_size=8).map(quote_plus),
    password=st.text(min_size=6, max_size=12).map(quote_plus),
)
def test_pymongo_reads_the_same_from_what_is_put_together(user, password):
    uri = f"mongodb://{user}:{password}@host:1234/data?appName=x"
    address = MongoAddress(uri)
    assert parse_uri(address.full) == parse_uri(uri)
    assert not parse_uri(address.public)["password"]


@given(st.text(min_size=6, max_size=12), st.sampled_from(["%s", "error for %s!", "x://u:%s@h"]))
def test_no_encoding_of_a_password_survives(password, text):
    address = MongoAddress(f"mongodb://u:{quote_plus(password)}@h/d")
    for form in (password, quote(password), quote(password, safe=""), quote_plus(password)):
        told = address.redact(text % form)
        assert form not in told or form in text % "***"


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://ann:{SECRET}@host/db",
        "mongodb://ann:pa/ss@host/db",
        "mongodb://ann:pa?ss@host/db",
        "mongodb://ann:pa:ss@host/db",
        "mongodb://ann:xyzzy@",
        "mongodb://ann:xyzzy@host:port/db",
        "mongodb://ann:xyzzy@host/db?tls",
        "mongodb://ann:x%yzzy@host:99999999/db",
        "postgres://ann:xyzzy@host/db",
    ],
)
def test_what_is_no_uri_is_refused_without_repeating_it(uri):
    with pytest.raises(StoreAddressError) as caught:
        VogenStores.open(uri)
    for error in chain(caught.value):
        for piece in ("pa/ss", "pa?ss", "pa:ss", "yzzy", *FORMS):
            assert piece not in str(error)


def test_nothing_that_is_shown_or_written_has_the_password(caplog):
    caplog.set_level(logging.DEBUG)
    stores = [
        kind(database="db", collection_name="c", uri=CLOSED, key="k")
        for kind in (MongoDocuments, MongoBlobs)
    ]
    address = MongoAddress(CLOSED)
    assert_silent(address, repr(address), address.public, address.options, address.place)
    for store in stores:
        store.connect()
        client = store._collection.database.client if isinstance(store, MongoDocuments) else None
        assert_silent(store.name, repr(store), str(store), store.as_dict(), store.to_json())
        assert_silent(repr(vars(store)), repr(vars(store.address)), repr(client))
    assert_silent(caplog.text)


def test_an_unreachable_server_is_a_typed_error_without_password(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreConnectionError, match=r"mongodb://127\.0\.0\.1:1/db") as caught:
        VogenStores.open(CLOSED)
    errors = list(chain(caught.value))
    assert errors == [caught.value]  # the driver's own error is not chained
    assert_silent(*errors, *map(repr, errors), caplog.text)
    assert len(str(caught.value)) < 400


def test_processes_started_from_this_one_may_connect_too():
    store = MongoDocuments("db", "c", CLOSED, key="k")
    for copied in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store)):
        assert copied.address.full == CLOSED
        assert (copied.key, copied.name) == ("k", store.name)


def test_what_is_read_back_asks_the_environment(monkeypatch):
    written = json.loads(json.dumps(MongoDocuments("db", "c", CLOSED, key="k").as_dict()))
    read = MontyDecoder().process_decoded(written)
    monkeypatch.delenv(PASSWORD_ENV, raising=False)
    with pytest.raises(StoreConnectionError, match=PASSWORD_ENV):
        read.connect()
    monkeypatch.setenv(PASSWORD_ENV, SECRET)
    assert parse_uri(read.address.full)["password"] == SECRET
    read.connect()
    assert_silent(read.name, read.as_dict(), read.address.redact(f"told {SECRET}"))


def test_certificates_need_no_password():
    uri = "mongodb://CN%3Dann@h/d?authMechanism=MONGODB-X509"
    assert MongoAddress(uri).full == uri


def test_stores_are_still_maggmas_for_jobflow_and_fireworks():
    documents = MongoDocuments("db", "c", "mongodb://h", key="k", mongoclient_kwargs={"tls": True})
    blobs = MongoBlobs("db", "b", "mongodb://h", key="k", searchable_fields=["x"], compression=True)
    assert isinstance(documents, MongoStore)
    assert isinstance(blobs, GridFSStore)
    for store in (documents, blobs):
        read = MontyDecoder().process_decoded(json.loads(json.dumps(store.as_dict())))
        assert read == store
        assert read.as_dict() == store.as_dict()
    assert (blobs.compression, blobs.searchable_fields) == (True, ["x"])


def test_the_users_own_timeout_wins():
    patient = MongoDocuments("db", "c", "mongodb://h/?serverSelectionTimeoutMS=1234").client()
    assert patient.options.server_selection_timeout == 1.234
    usual = MongoDocuments("db", "c", "mongodb://h").client()
    assert usual.options.server_selection_timeout == 60
