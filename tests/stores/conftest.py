from __future__ import annotations

import uuid

import pymongo
import pytest
from mongo_server import mongo_uri


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """URI of a MongoDB server."""
    with mongo_uri(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri.rstrip("/")


@pytest.fixture
def database(server):
    """URI of a database of its own, dropped afterwards."""
    name = f"vogen_test_{uuid.uuid4().hex[:12]}"
    yield f"{server}/{name}"
    with pymongo.MongoClient(server) as client:
        client.drop_database(name)
