"""Where a store is: in a run's folder, in a folder of its own, in a database; or nowhere."""

from __future__ import annotations

import json

import cheap_engine
import pymongo
import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.options import open_where
from atomate2_vogen.errors import StoreAddressError, StoreConnectionError
from atomate2_vogen.schemas import CandidateDoc
from atomate2_vogen.stores import VogenStores


@pytest.fixture
def run_folder(tmp_path):
    """As `vogen discover` leaves it: a record, and the store in a folder inside."""
    folder = tmp_path / "vogen_output"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"format": 1}))
    with VogenStores.open(folder / "store", create=True) as stores:
        stores.save(cheap_engine.candidate())
    return folder


def held(where):
    with VogenStores.open(where) as stores:
        return [candidate.candidate_id for candidate in stores.load(CandidateDoc)]


def test_the_folder_of_a_run_stands_for_its_store(run_folder):
    there = sorted(run_folder.rglob("*"))
    wanted = [cheap_engine.candidate().candidate_id]
    for where in (run_folder, str(run_folder), run_folder / "store"):
        assert held(where) == wanted
    with open_where(str(run_folder)) as stores:  # as the command line does
        assert stores.where == str(run_folder / "store")
    assert sorted(run_folder.rglob("*")) == there
    with VogenStores.open(run_folder, create=True) as stores:
        assert stores.where == str(run_folder / "store")


@pytest.mark.parametrize("name", ["nowhere", "empty", "full", "file/below"])
def test_what_does_not_exist_is_refused_and_nothing_is_made(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "data.csv").write_text("1,2")
    (tmp_path / "file").write_text("")
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreAddressError, match=rf"{name}: no store .*create=True"):
        VogenStores.open(tmp_path / name)
    with pytest.raises(StoreAddressError, match=f"{name}: no store"):
        open_where(str(tmp_path / name))
    assert sorted(tmp_path.rglob("*")) == there


def test_what_does_not_exist_is_made_where_that_is_asked_for(tmp_path):
    with VogenStores.open(tmp_path / "a" / "b", create=True) as stores:
        stores.save(cheap_engine.candidate())
    with VogenStores.open(tmp_path / "a" / "b", create=True) as stores:  # nothing is made anew
        assert len(stores.load(CandidateDoc)) == 1
    assert held(tmp_path / "a" / "b") == [cheap_engine.candidate().candidate_id]
    (tmp_path / "taken").write_text("I am a file")
    with pytest.raises(StoreConnectionError, match="taken"):
        VogenStores.open(tmp_path / "taken", create=True)


def test_a_database_without_collections_of_ours_is_refused(database, tmp_path):
    server, _, name = database.rpartition("/")
    file = tmp_path / "store.yaml"
    file.write_text(f"uri: {database}\ncollection_prefix: mine_\n")
    with pymongo.MongoClient(server) as client:
        client[name]["fireworks"].insert_one({"of": "somebody else"})
        for where in (database, file):
            with pytest.raises(StoreAddressError, match=rf"{name}.*no store .*create=True"):
                VogenStores.open(where)
        result = CliRunner().invoke(cli, ["query", database])
        assert result.exit_code == 2
        assert "no store" in result.output
        assert client[name].list_collection_names() == ["fireworks"]
        with VogenStores.open(database, create=True) as stores:
            stores.save(cheap_engine.candidate())
        assert held(database) == [cheap_engine.candidate().candidate_id]
        with pytest.raises(StoreAddressError, match="no store"):  # of another prefix
            VogenStores.open(file)
        VogenStores.open(file, create=True).close()
        assert held(file) == []
