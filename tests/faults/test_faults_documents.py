"""Corrupt documents, and a disk that is full when an artefact is written."""

from __future__ import annotations

import errno
import os

import cheap_engine
import pytest
import small_jobs
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from atomate2_vogen.flows.recovery import recover
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.flows.submission import submit
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.stores.documents import KEYS


def run(launchpad):
    rapidfire(launchpad, FWorker(), max_loops=1, sleep_time=0.01, strm_lvl="CRITICAL")


def test_a_corrupt_document_in_each_collection_hides_no_other(launchpad, stores, caplog):
    candidates = [cheap_engine.candidate("VO2", index) for index in range(2)]
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make(candidates)
    submit(flow, launchpad, store=stores.job_store)
    run(launchpad)
    stores.ingest_jobs()
    stores.save(cheap_engine.references())
    stores.save(candidates)
    counts = {}
    for collection, (document_class, key) in KEYS.items():
        store = getattr(stores, collection)
        counts[collection] = len(list(stores.iterate(document_class)))
        store._collection.insert_one({"_id": "bad", key: "bad", "last_updated": "never"})
        store._collection.insert_one({"_id": 7, key: 7, "scheme": ["x"], "state": "ranked"})
    corrupt = [{"uuid": f"bad-{n}", "index": 1, "output": {}} for n in range(3)]
    corrupt[1]["output"] = {"@class": "CalculationDoc", "state": "completed"}
    corrupt[2]["output"] = {"@class": "SampleDoc", "candidates": [{"formula": "VO2"}, 3, None]}
    stores.job_store.docs_store._collection.insert_many(corrupt)
    stores.data._files_collection.insert_one({"metadata": 3})

    written = stores.ingest_jobs()
    assert not any(written.values())
    assert "bad-1" in caplog.text
    assert "bad-2" in caplog.text
    for collection, (document_class, _) in KEYS.items():
        caplog.clear()
        assert len(list(stores.iterate(document_class))) == counts[collection]
        assert caplog.text.count(f"is no {document_class.__name__}") == 2
    assert counts["candidates"] == counts["calculations"] == 2
    assert counts["references"] == 3
    assert stores.query() is not None


def test_a_full_disk_while_an_artefact_is_written(launchpad, store, tmp_path, monkeypatch):
    """The job fizzles and leaves what was there; with room again, it is run again."""
    path = tmp_path / "kept" / "vae.npz"
    Checkpoint(path, {"a": 1}).save({}, {"epoch": 1})
    before = path.read_bytes()
    submit(small_jobs.keep_state(str(path)), launchpad, store=store)
    with monkeypatch.context() as full:

        def fsync(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.setattr(os, "fsync", fsync)
        run(launchpad)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["vae.npz"]
    launch = launchpad.launches.find_one({})
    assert "No space left" in launch["action"]["stored_data"]["_exception"]["_stacktrace"]
    assert recover(launchpad).fizzled == (1,)
    assert recover(launchpad, rerun_fizzled=True).rerun == (1,)
    run(launchpad)
    assert launchpad.fireworks.find_one({})["state"] == "COMPLETED"
    assert Checkpoint(path, {"a": 1}).load().header == {"epoch": 2}


@pytest.mark.parametrize("device", ["/dev/full"])
def test_the_output_folder_of_a_run_on_a_full_disk(device, tmp_path, monkeypatch):
    """`vogen` writes whole files or none; a device that is always full says so in one line."""
    from atomate2_vogen.cli.output import OutputFolder
    from atomate2_vogen.errors import OutputFolderError

    with OutputFolder(tmp_path / "out", "discover", {"seed": 1}) as folder:
        folder.write("table.csv", "whole")
        genuine = os.fdopen

        def fdopen(handle, *arguments, **options):
            os.dup2(os.open(device, os.O_WRONLY), handle)
            return genuine(handle, *arguments, **options)

        monkeypatch.setattr(os, "fdopen", fdopen)
        with pytest.raises(OutputFolderError, match=r"table\.csv: cannot be written \(No space"):
            folder.write("table.csv", "half")
        monkeypatch.undo()
        assert (folder / "table.csv").read_text() == "whole"
        names = {p.name for p in (tmp_path / "out").iterdir()}
        assert names == {".lock", ".written", "run.json", "table.csv"}
