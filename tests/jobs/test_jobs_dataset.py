"""The data set job in jobflow: document, additional store, resumption."""

from __future__ import annotations

import numpy as np
import pytest
from jobflow import Flow, JobStore, job, run_locally
from maggma.stores import MemoryStore

from atomate2_vogen.data.artefact import read_artefact
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.labels import Labels
from atomate2_vogen.errors import InputError, OutputFolderError
from atomate2_vogen.jobs.dataset import BuildDatasetMaker
from atomate2_vogen.schemas import DatasetDoc


def constant():
    return lambda structures: [-2.0] * len(structures)


def interrupted():
    calls = []

    def energies(structures):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return [-2.0] * len(structures)

    return energies


@job
def size_of(document):
    """What a later job sees: the whole file."""
    document = DatasetDoc.model_validate(document)
    return len(CrystalSet.from_bytes(read_artefact(document.artefact)))


@pytest.fixture
def store():
    return JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})


def test_whole_set_through_a_job_store(store):
    first = BuildDatasetMaker().make()
    later = size_of(first.output)
    responses = run_locally(Flow([first, later]), store=store, ensure_success=True)
    document = responses[first.uuid][1].output
    expected = load_dataset()
    assert document.dataset_id == expected.dataset_id
    assert document.n_crystals == len(expected) == document.n_labels_reused
    assert document.n_labelled + document.n_label_failures == document.n_crystals
    assert len(document.label_failures) == document.n_label_failures
    assert sum(document.n_by_split.values()) == document.n_crystals
    assert sum(document.n_by_formula.values()) == document.n_crystals
    assert document.n_distinct == expected.is_distinct.sum()
    assert document.label_statistics["median"] == pytest.approx(np.nanmedian(expected.energies))
    assert responses[later.uuid][1].output == len(expected)

    stored = store.query_one({"uuid": first.uuid}, load=False)["output"]
    assert "content" not in stored["artefact"]  # the file lies in the data store alone
    whole = DatasetDoc.model_validate(store.get_output(first.uuid, load=True))
    data = read_artefact(whole.artefact)
    assert len(data) < 50_000_000
    assert CrystalSet.from_bytes(data).dataset_id == document.dataset_id


def test_killed_job_resumes(store, tmp_path):
    settings = {"max_edge": 4.2, "scheme": "constant", "checkpoint_dir": str(tmp_path / "c")}
    with pytest.raises(KeyboardInterrupt):
        run_locally(BuildDatasetMaker(judge=interrupted, **settings).make(), store=store)
    (checkpoint,) = (tmp_path / "c").iterdir()
    done = len(Labels.load(checkpoint).energies)
    maker = BuildDatasetMaker(judge=constant, **settings)
    resumed = run_locally(maker.make(), store=store, ensure_success=True)
    whole = BuildDatasetMaker(judge=constant, **(settings | {"checkpoint_dir": None}))
    fresh = run_locally(whole.make(), store=store, ensure_success=True)
    ((a,),) = ([r[1].output for r in resumed.values()],)
    ((b,),) = ([r[1].output for r in fresh.values()],)
    assert 0 < done < a.n_labelled
    assert a.dataset_id == b.dataset_id
    assert a.n_labels_reused == 0


def test_maker_survives_serialisation():
    maker = BuildDatasetMaker(judge=constant, scheme="constant", max_edge=5.0)
    back = BuildDatasetMaker.from_dict(maker.as_dict())
    assert back.max_edge == 5.0
    assert back.system == maker.system
    assert back.judge()([1]) == [-2.0]


def test_bad_input_is_named(tmp_path):
    function = BuildDatasetMaker.make.original
    with pytest.raises(InputError, match="max_edge"):
        function(BuildDatasetMaker(max_edge=-1))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match="checkpoint_dir"):
        function(BuildDatasetMaker(checkpoint_dir=str(tmp_path / "file")))
