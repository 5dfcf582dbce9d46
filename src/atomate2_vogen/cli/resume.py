"""Go on with a flow where it was stopped, job by job.

A flow that is made anew has new identifiers, so nothing of it would be found again. Here they
are derived from what the flow is asked to do; jobs whose outputs an earlier run left are taken
out, and what refers to them finds them in the store.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobflow import JobStore

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FAILURE = "JobFailure"


def settled(flow_text: str) -> tuple[str, str]:
    """The same flow with identifiers that depend on its content alone.

    Parameters
    ----------
    flow_text
        Flow or job as JSON.

    Returns
    -------
    text : str
        The same with other uuids.
    digest : str
        Of the content: another structure or setting gives another one.
    """
    numbers = {found: i for i, found in enumerate(dict.fromkeys(_UUID.findall(flow_text)))}
    content = _UUID.sub(lambda found: f"#{numbers[found.group()]}", flow_text)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return (
        _UUID.sub(
            lambda found: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}{numbers[found.group()]}")),
            flow_text,
        ),
        digest,
    )


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
    asked = set(_UUID.findall(json.dumps(flow["output"])))
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
    return set(_UUID.findall(json.dumps(arguments)))


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
