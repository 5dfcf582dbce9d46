"""Go on with a flow where it was stopped, job by job.

The flow has identifiers that depend on its content (`jobs.identity.settled`); jobs whose outputs
an earlier run left are taken out, and what refers to them finds them in the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atomate2_vogen.jobs.identity import UUID

if TYPE_CHECKING:
    from jobflow import JobStore

_FAILURE = "JobFailure"


def remaining(flow: Mapping[str, Any], store: JobStore) -> Mapping[str, Any]:
    """The flow without the jobs whose outputs can be used again.

    These are the finished ones that did not fail, made no other jobs, and depend on nothing
    that has to be done again. The jobs that the flow's output is read from stay in it.

    Parameters
    ----------
    flow
        Flow as a dictionary, with settled identifiers; a single job is left as it is.
    store
        Holds what an earlier run left.
    """
    if "jobs" not in flow:
        return flow
    left = {
        held["uuid"]
        for held in store.query({}, properties=["uuid", "index", "output"])
        if held["index"] == 1 and _usable(held.get("output"))
    }
    jobs = {job["uuid"]: job for job in _jobs(flow)}
    asked = set(UUID.findall(json.dumps(flow["output"])))
    done = (left & jobs.keys()) - asked
    while True:
        again = {
            name for name in done if not (_references(jobs[name]) & jobs.keys()) - {name} <= done
        }
        if not again:
            return _without(flow, done)
        done -= again


def _usable(output: Any) -> bool:
    """Whether an output is one: a job that made other jobs has none."""
    return output is not None and not (
        isinstance(output, Mapping) and output.get("@class") == _FAILURE
    )


def _jobs(flow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Jobs of a flow and of the flows in it."""
    found: list[Mapping[str, Any]] = []
    for member in flow["jobs"]:
        found += _jobs(member) if "jobs" in member else [member]
    return found


def _references(job: Mapping[str, Any]) -> set[str]:
    """Identifiers that the arguments of a job name."""
    arguments = [job["function_args"], job["function_kwargs"], job["function"]]
    return set(UUID.findall(json.dumps(arguments)))


def _without(flow: Mapping[str, Any], done: set[str]) -> dict[str, Any]:
    """The flow without some jobs; flows in it keep no output, for it may be of these."""
    jobs = []
    for member in flow["jobs"]:
        if "jobs" in member:
            inner = _without({**member, "output": None}, done)
            if inner["jobs"]:
                jobs.append(inner)
        elif member["uuid"] not in done:
            jobs.append(member)
    return {**flow, "jobs": jobs}
