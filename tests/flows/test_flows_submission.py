"""A flow is added once, and all its jobs land where they should."""

from __future__ import annotations

from dataclasses import replace

import cheap_engine
import pytest
import small_jobs
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow
from sampler_job import GridSampleMaker

from atomate2_vogen.errors import InputError, LaunchPadConnectionError, LaunchPadError
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.launchpads import location, open_launchpad, reaching
from atomate2_vogen.flows.submission import IDENTITY, submit

PASSWORD = "oh/so:secret"


def discovery(counts=None, seed=0, **options):
    return DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
        **options,
    ).make(counts or {"VO2": 2}, seed)


def run(launchpad, category=""):
    rapidfire(launchpad, FWorker(category=category), max_loops=1, sleep_time=0.01, strm_lvl="ERROR")


def output(store, name):
    (found,) = store.query({"name": name})
    return found["output"]


def test_the_same_flow_is_one_workflow(launchpad, store):
    first = submit(discovery(), launchpad, store=store)
    assert first.new
    assert first.fw_ids == (1, 2, 3)
    assert first.categories == {"sampling": 1, "analysis": 2}
    again = submit(discovery(), launchpad, store=store, categories={"analysis": "other"})
    assert again == replace(first, new=False)
    other = submit(discovery(seed=1), launchpad, store=store)
    assert other.new
    assert other.identity != first.identity
    assert launchpad.workflows.count_documents({}) == 2
    assert launchpad.fireworks.count_documents({}) == 6


def test_two_at_the_same_moment_are_one_workflow(launchpad, store, monkeypatch):
    from atomate2_vogen.flows import submission

    submit(discovery(), launchpad, store=store)
    genuine, asked = submission._found, []

    def found(*arguments):
        asked.append(arguments)
        return genuine(*arguments) if len(asked) > 1 else None

    monkeypatch.setattr(submission, "_found", found)
    second = submit(discovery(), launchpad, store=store)
    assert not second.new
    assert second.fw_ids == (1, 2, 3)
    assert launchpad.fireworks.count_documents({}) == 3


def test_workers_take_what_is_theirs(launchpad, store, stores):
    """Under a worker for each category; the fan is made as the flow runs."""
    submit(
        discovery(),
        launchpad,
        store=store,
        categories={"forcefield": {"_category": "gpu", "_priority": 7}, "analysis": "small"},
    )

    def counts():
        found = launchpad.fireworks.find({}, {"state": 1, "spec._category": 1, "spec._priority": 1})
        states: dict = {}
        for firework in found:
            assert ("_priority" in firework["spec"]) == (firework["spec"]["_category"] == "gpu")
            if firework["state"] == "COMPLETED":
                category = firework["spec"]["_category"]
                states[category] = states.get(category, 0) + 1
        return states

    run(launchpad, "forcefield")
    assert counts() == {}
    run(launchpad, "sampling")
    assert counts() == {"sampling": 1}
    run(launchpad, ["dft", "gpu"])
    assert counts() == {"sampling": 1}
    run(launchpad, "small")
    assert counts() == {"sampling": 1, "small": 1}
    run(launchpad, "gpu")
    assert counts() == {"sampling": 1, "small": 1, "gpu": 6}
    run(launchpad, "small")
    # screening, two records, collect, what hands it on, and the summary
    assert counts() == {"sampling": 1, "small": 6, "gpu": 6}
    assert launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}}) == 0
    written = stores.ingest_jobs()
    assert (written["candidates"], written["calculations"]) == (2, 2)
    # a job that is run again writes the same keys
    keys = {(d["uuid"], d["index"]) for d in store.query({}, ["uuid", "index"])}
    launchpad.rerun_fw(launchpad.fireworks.find_one({"name": "screening"})["fw_id"])
    run(launchpad)
    assert {(d["uuid"], d["index"]) for d in store.query({}, ["uuid", "index"])} == keys
    assert stores.calculations.count() == 2


def test_a_category_that_does_not_exist(launchpad):
    with pytest.raises(InputError, match=r"'gpu'.*forcefield"):
        submit(discovery(), launchpad, categories={"gpu": "x"})


def test_a_fan_larger_than_any_document(launchpad, store):
    """The action of the job that makes it is above 16 MB, and each Firework below."""
    flow = small_jobs.many_blobs(6_000_000, 3)
    submit(flow, launchpad, store=store)
    run(launchpad)
    assert output(store, "total") == 18_000_000
    kept = launchpad.db["fw_gridfs.files"].find_one({})
    assert kept["length"] > 16 * 2**20


def test_an_output_larger_than_any_document(launchpad, store):
    """What a job keeps in the `data` store may be, in GridFS."""
    made = small_jobs.blob(17 * 2**20)
    last = small_jobs.length(made.output["text"])
    submit(Flow([made, last], output=last.output), launchpad, store=store)
    run(launchpad)
    assert output(store, "length") == 17 * 2**20


def test_no_password_is_in_a_workflow(launchpad, database, monkeypatch):
    from atomate2_vogen.stores.mongo import MongoDocuments
    from atomate2_vogen.stores.opening import plan_for

    monkeypatch.setenv("VOGEN_MONGODB_PASSWORD", PASSWORD)
    where = database.replace("://", "://somebody:oh%2Fso%3Asecret@")
    job_store = plan_for(where).job_store
    assert isinstance(job_store.docs_store, MongoDocuments)
    submit(discovery(), launchpad, store=job_store)
    text = str(list(launchpad.fireworks.find({})))
    assert "somebody" in text
    assert "secret" not in text
    assert launchpad.workflows.find_one({})["metadata"][IDENTITY] not in text


def test_opening_a_launchpad(launchpad, launchpad_file):
    opened = open_launchpad(launchpad_file)
    assert opened.fw_id_assigner.find_one({}) is not None
    assert location(opened) == f"{launchpad.host}/{launchpad.name}"
    launchpad_file.write_text(launchpad_file.read_text().replace("vogen_test", "never_seen"))
    with pytest.raises(LaunchPadError, match=rf"never_seen.*lpad -l {launchpad_file} reset"):
        open_launchpad(launchpad_file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("host: [", r"no YAML in line \d"),
        (f"- password: {PASSWORD}", "names no host"),
        (f"password: {PASSWORD}\n\tname: x", "no YAML"),
        ("port: 27017", "names no host"),
        (f"host: mongodb://me:{PASSWORD}@there:1\nuri_mode: true\nname: x", "no LaunchPad"),
    ],
)
def test_files_that_describe_none(tmp_path, text, words):
    path = tmp_path / "my_launchpad.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LaunchPadError, match=words) as caught:
        open_launchpad(path)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_server_that_does_not_answer(tmp_path):
    path = tmp_path / "my_launchpad.yaml"
    lines = ["host: 127.0.0.1", "port: 1", "name: fireworks", "username: me"]
    lines += [f"password: {PASSWORD}", "mongoclient_kwargs: {serverSelectionTimeoutMS: 200}"]
    path.write_text("\n".join(lines))
    with pytest.raises(
        LaunchPadConnectionError, match=r"127\.0\.0\.1:1/fireworks.*server run"
    ) as e:
        open_launchpad(path)
    assert "secret" not in str(e.value)
    assert e.value.__suppress_context__ or e.value.__context__ is None


def test_what_the_driver_says_has_no_password():
    from fireworks import LaunchPad
    from pymongo.errors import OperationFailure

    pad = LaunchPad("mongodb://me:hush@there/x", name="x", uri_mode=True, mongoclient_kwargs={})
    with pytest.raises(LaunchPadConnectionError) as caught, reaching(pad):
        raise OperationFailure("me:hush@there is not allowed in")
    assert "hush" not in str(caught.value)
    assert location(pad) == "mongodb://there/x"
