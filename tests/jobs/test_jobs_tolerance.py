"""Failures are handed down flows of any shape, with the first reason."""

import json
from dataclasses import dataclass

import pytest
from jobflow import Flow, Job, Maker, Response, job, run_locally
from monty.json import MontyDecoder, MontyEncoder
from pydantic import BaseModel

from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.tolerance import NO_RESULT, UNRESOLVED, guard_flow, read_outputs
from atomate2_vogen.stores import VogenStores


class Task(BaseModel):
    value: int
    parts: dict


@dataclass
class Step(Maker):
    name: str = "step"
    trouble: str = ""

    @job(output_schema=Task)
    def make(self, before=0):
        if self.trouble == "crystal":
            raise RuntimeError("SCF went astray")
        if self.trouble == "machine":
            raise OSError("no space left on device")
        return Task(value=before + 1, parts={"half": [before, before]})


@job
def fan(before, trouble=""):
    steps = [Step(trouble=trouble if i == 1 else "").make(before) for i in range(3)]
    return Response(replace=Flow(steps, output={"values": [s.output.value for s in steps]}))


@job
def gather(found):
    return read_outputs(found)


@pytest.fixture
def run(tmp_path):
    with VogenStores.memory() as stores:

        def run(jobs, outputs):
            flow = Flow(jobs)
            guard_flow(flow)
            last = gather(outputs)
            last.config = UNRESOLVED
            run_locally(Flow([flow, last]), store=stores.job_store, root_dir=tmp_path, log=False)
            found = stores.job_store.get_output(last.uuid)
            return MontyDecoder().process_decoded(found)

        yield run


def test_a_flow_without_trouble_gives_what_it_gave_before(run):
    first = Step().make()
    second = Step().make(first.output.value)
    many = fan(second.output.parts["half"][1])
    found = run([first, second, many], {"second": second.output.value, "many": many.output})
    assert found == {"second": 2, "many": {"values": [2, 2, 2]}}


def test_the_reason_reaches_the_end_through_parts_of_outputs(run):
    first = Step(trouble="crystal").make()
    second = Step().make(first.output.value)
    third = Step().make(second.output.parts["half"][0])
    healthy = Step().make(5)
    found = run(
        [first, second, third, healthy], [third.output.value, healthy.output.value, {"plain": 1}]
    )
    assert isinstance(found[0], JobFailure)
    assert found[0].error == "step: RuntimeError: SCF went astray"
    assert found[0].elapsed_time == 0
    assert found[1:] == [6, {"plain": 1}]


def test_jobs_that_are_made_on_the_way_are_guarded_too(run):
    many = fan(1, trouble="crystal")
    after = Step().make(many.output["values"][0])
    found = run([many, after], after.output.value)
    assert found.error == "step: RuntimeError: SCF went astray"


def test_a_fault_of_the_machine_is_no_result_of_the_crystal(run):
    first = Step(trouble="machine").make()
    second = Step().make(first.output.value)
    found = run([first, second], second.output.value)
    assert found.error == NO_RESULT


def test_a_part_that_is_not_there_is_a_failure(run):
    first = Step().make()
    second = Step().make(first.output.parts["other"])
    found = run([first, second], [second.output.value, first.output.parts["another"]])
    assert "KeyError" in found[0].error
    assert "another" in found[1].error


def test_a_guarded_job_survives_the_way_through_json(tmp_path):
    made = Step(trouble="crystal").make()
    guard_flow(made)
    guard_flow(made)  # twice is once
    restored = MontyDecoder().decode(json.dumps(made, cls=MontyEncoder))
    assert isinstance(restored, Job)
    with VogenStores.memory() as stores:
        run_locally(restored, store=stores.job_store, root_dir=tmp_path, log=False)
        found = JobFailure.model_validate(stores.job_store.get_output(made.uuid))
    assert "SCF went astray" in found.error
