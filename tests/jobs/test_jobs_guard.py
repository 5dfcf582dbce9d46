from __future__ import annotations

from dataclasses import dataclass

import cheap_engine
import pytest
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from jobflow import Flow, Maker, OnMissing, job, run_locally

from atomate2_vogen.jobs.guard import GuardedMaker, JobFailure
from atomate2_vogen.stores import VogenStores


@dataclass
class Plain(Maker):
    name: str = "plain"
    trouble: str = ""

    @job(data="bulky")
    def make(self, structure):
        if self.trouble == "crystal":
            raise RuntimeError("SCF went astray")
        if self.trouble == "machine":
            raise OSError("no space left on device")
        return {"natoms": len(structure), "bulky": [0.0] * 9}


@dataclass
class Nested(Maker):
    name: str = "nested"

    def make(self, structure):
        inner = Plain().make(structure)
        return Flow([inner], output=inner.output)


@pytest.fixture
def run(tmp_path):
    with VogenStores.memory() as stores:

        def run(jobs, **load):
            run_locally(jobs, store=stores.job_store, root_dir=tmp_path, log=False)
            last = jobs[-1] if isinstance(jobs, list) else jobs
            return stores.job_store.get_output(last.uuid, **load)

        run.stores = stores
        yield run


def test_does_what_the_wrapped_maker_does(run):
    output = run(GuardedMaker(Plain()).make(cheap_engine.crystal()), load=False)
    assert output["natoms"] == 3
    # what the wrapped job keeps in the data store still goes there
    assert "blob_uuid" in output["bulky"]
    assert run.stores.data.count() == 1


def test_an_exception_becomes_an_output_with_its_text(run):
    output = run(GuardedMaker(Plain(trouble="crystal")).make(cheap_engine.crystal()))
    assert JobFailure.model_validate(output).error == "plain: RuntimeError: SCF went astray"


def test_the_machines_trouble_stays_a_failed_job(run):
    with pytest.raises(ValueError, match="output"):
        run(GuardedMaker(Plain(trouble="machine")).make(cheap_engine.crystal()))


def test_failures_are_handed_on(run):
    first = GuardedMaker(Plain(trouble="crystal")).make(cheap_engine.crystal())
    second = GuardedMaker(Plain()).make(first.output)
    assert "astray" in JobFailure.model_validate(run([first, second])).error


def test_a_missing_predecessor_is_told(run):
    first = GuardedMaker(Plain(trouble="machine")).make(cheap_engine.crystal())
    second = GuardedMaker(Plain()).make(first.output)
    assert second.config.on_missing_references is OnMissing.NONE
    assert "no result" in JobFailure.model_validate(run([first, second])).error


def test_makers_of_flows_run_too(run):
    assert run(GuardedMaker(Nested()).make(cheap_engine.crystal()))["natoms"] == 3


def test_settings_of_the_wrapped_maker_can_still_be_changed():
    guarded = GuardedMaker(cheap_engine.engine().relax_maker).make(cheap_engine.crystal())
    guarded.update_maker_kwargs({"steps": 7}, class_filter=ForceFieldRelaxMaker)
    assert guarded.maker.maker.steps == 7


def test_the_time_until_a_failure_is_told_once(run):
    first = GuardedMaker(Plain(trouble="crystal")).make(cheap_engine.crystal())
    second = GuardedMaker(Plain()).make(first.output)
    second_output = JobFailure.model_validate(run([first, second]))
    first_output = JobFailure.model_validate(run.stores.job_store.get_output(first.uuid))
    assert first_output.elapsed_time >= 0
    assert second_output.error == first_output.error
    assert second_output.elapsed_time == 0
