"""A LaunchPad of its own for each test, and a job store beside it."""

from __future__ import annotations

import pytest
from fireworks import LaunchPad

from atomate2_vogen.stores import VogenStores


@pytest.fixture
def launchpad(database, tmp_path, monkeypatch):
    """Empty; the working folder is one that is deleted afterwards."""
    server, _, name = database.rpartition("/")
    made = LaunchPad(host=server, name=name, uri_mode=True, strm_lvl="CRITICAL")
    made.reset(None, require_password=False)
    monkeypatch.chdir(tmp_path)
    yield made
    made.connection.close()


@pytest.fixture
def stores(database):
    """All stores, in the same database."""
    with VogenStores.open(database, create=True) as stores:
        yield stores


@pytest.fixture
def store(stores):
    """The job store."""
    return stores.job_store


@pytest.fixture
def launchpad_file(launchpad, tmp_path):
    """A file that describes the LaunchPad."""
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(f"host: {launchpad.host}\nname: {launchpad.name}\nuri_mode: true\n")
    return path
