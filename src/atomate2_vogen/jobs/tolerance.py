"""Let every job of somebody else's flow end with an output, and hand failures down the flow.

`GuardedMaker` guards a Maker of one job. Flows of atomate2 are made of many, some of which are
made while the flow runs, and pass on parts of their outputs. `guard_flow` puts a
`GuardedCall` or, around a Maker, a `GuardedMethod` into each of them: a job that fails leaves a `JobFailure`, a job that needs
something of it leaves the same, and who collects in the end reads the first reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobflow import CURRENT_JOB, Flow, Job, JobConfig, OnMissing, OutputReference, Response, job
from jobflow.core.job import store_inputs
from jobflow.core.reference import find_and_get_references, find_and_resolve_references
from monty.json import MSONable, jsanitize

from atomate2_vogen.errors import reason, shortened, trace
from atomate2_vogen.jobs.guard import NOT_THE_CRYSTALS_FAULT, JobFailure, Wrapper, call_function
from atomate2_vogen.jobs.identity import identified_flow

logger = logging.getLogger(__name__)

NO_RESULT = "a job before this one left no result; see its log"

UNRESOLVED = JobConfig(
    resolve_references=False, expose_store=True, on_missing_references=OnMissing.NONE
)
"""For jobs that read their inputs with `read_outputs`: a failed one must not stop them."""


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Plain values all the way down, as FireWorks needs them."""
    # the first pass leaves what a function is bound to as it is
    plain: dict[str, Any] = jsanitize(
        jsanitize(content, strict=True, enum_values=True), strict=True
    )
    return plain


def _call(
    function: Callable[..., Any], name: str, schema: Any, args: Sequence[Any], kwargs: Any
) -> Any:
    """Resolve the inputs of a guarded job and call its function; what the job returns."""
    failure = first_failure((args, kwargs))
    if failure is not None:
        return failure.model_copy(update={"elapsed_time": 0.0, "cpu_time": 0.0})
    begin, begin_cpu = time.perf_counter(), time.process_time()
    try:
        positional, named = _resolved((list(args), kwargs))
        returned = call_function(function, positional, named)
        response: Response[Any] = Response.from_job_returns(returned, schema)
    except NOT_THE_CRYSTALS_FAULT:
        raise
    except Exception as error:  # noqa: BLE001 - a failure is a result
        # the reason goes into a document; the trace is for those who look for it
        logger.info("%s failed\n%s", name, trace(error))
        return JobFailure(
            error=f"{name}: {type(error).__name__}: {reason(error)}",
            elapsed_time=time.perf_counter() - begin,
            cpu_time=time.process_time() - begin_cpu,
        )
    if response.replace is not None:
        response.replace = _guarded_replacement(response.replace)
    return response


@dataclass
class GuardedCall(MSONable):
    """The function of a job, whose failure is a result.

    Parameters
    ----------
    function
        What the job would call; that of a Maker is a `GuardedMethod`.
    name
        Name of the job, for the reason.
    schema
        Document class of the job's output, or None.
    """

    function: Callable[..., Any]
    name: str
    schema: Any = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        content = {name: getattr(self, name) for name in ("function", "name", "schema")}
        return {"@module": type(self).__module__, "@class": type(self).__name__, **_plain(content)}

    @job  # jobflow binds the function of a job itself, and only that of a decorated method
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The job's new function."""
        return _call(self.function, self.name, self.schema, args, kwargs)


@dataclass
class GuardedMethod(Wrapper):
    """A Maker's method that a job calls, whose failure is a result.

    It is a Maker itself: jobflow looks for the Makers of a job, to change their settings, in
    what its function is bound to.

    Parameters
    ----------
    maker
        Maker to wrap.
    name
        Name of the job, for the reason.
    method
        Name of the method.
    schema
        Document class of the job's output, or None.
    """

    method: str = "make"
    schema: Any = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        content = {name: getattr(self, name) for name in ("name", "method", "schema")}
        made = {"@module": type(self).__module__, "@class": type(self).__name__}
        return {**made, "maker": jsanitize(self.maker.as_dict(), strict=True), **_plain(content)}

    @job
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The job's new function."""
        return _call(getattr(self.maker, self.method), self.name, self.schema, args, kwargs)


def guard_flow(flow: Flow | Job) -> None:
    """Guard every job of a flow, in place, and the jobs that they make when they run.

    The name of a job, what it keeps in additional stores and its place in the flow stay. A job
    that reads its inputs itself (configured as `UNRESOLVED`) stays as it is.
    Changes to the Makers of the jobs (``update_maker_kwargs``) reach them before and after.
    """
    jobs = [flow] if isinstance(flow, Job) else [found for found, _ in flow.iterflow()]
    for found in jobs:
        if found.config.expose_store and not found.config.resolve_references:
            continue
        call: GuardedCall | GuardedMethod
        if found.maker is None:
            call = GuardedCall(found.function, found.name, found.output_schema)
        else:
            method = found.function.__name__
            call = GuardedMethod(found.maker, found.name, method, found.output_schema)
        found.function = call.run
        # a failure is no document of the schema; the call applies it to what is
        found.output_schema = None
        found.config = replace(
            found.config,
            resolve_references=False,
            expose_store=True,
            on_missing_references=OnMissing.NONE,
        )


def read_outputs(tree: Any) -> Any:
    """What outputs of guarded jobs hold: the same nesting, failures where there is nothing.

    Call it inside a job that is configured as `UNRESOLVED`.

    Parameters
    ----------
    tree
        Output references, alone or nested in lists, tuples and dictionaries; anything else
        stays as it is.
    """
    if isinstance(tree, OutputReference):
        failure = first_failure(tree)
        if failure is not None:
            return failure
        try:
            return _resolved(tree)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            return JobFailure(
                error=f"an output lacks what it should hold: {shortened(repr(error))}"
            )
    if isinstance(tree, dict):
        return {key: read_outputs(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(read_outputs(value) for value in tree)
    return tree


def first_failure(tree: Any) -> JobFailure | None:
    """The first failure among plain values and among the outputs that are referred to."""
    if isinstance(tree, JobFailure):
        return tree
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return next((found for value in tree if (found := first_failure(value))), None)
    if tree is None or isinstance(tree, (str, int, float)):
        return None
    for reference in find_and_get_references(tree):
        output = OutputReference(reference.uuid).resolve(
            CURRENT_JOB.store, on_missing=OnMissing.NONE
        )
        if output is None:
            return JobFailure(error=NO_RESULT)
        if found := _failure_in(output):
            return found
    return None


def _failure_in(output: Any) -> JobFailure | None:
    """A failure that is an output, or lies in the lists and dictionaries of one."""
    if isinstance(output, JobFailure):
        return output
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return next((found for value in output if (found := _failure_in(value))), None)
    return None


def _resolved(tree: Any) -> Any:
    return find_and_resolve_references(tree, CURRENT_JOB.store)


def _guarded_replacement(jobs: Any) -> Any:
    """The same jobs guarded, and their common output gathered by a guarded job."""
    if isinstance(jobs, dict):
        jobs = Flow(list(jobs.values()), output={key: made.output for key, made in jobs.items()})
    elif isinstance(jobs, (list, tuple)):
        jobs = Flow(list(jobs), output=type(jobs)(made.output for made in jobs))
    guard_flow(jobs)
    if isinstance(jobs, Job) or jobs.output is None:
        return identified_flow(jobs, CURRENT_JOB.job.uuid)
    gathered = store_inputs(jobs.output)
    # what the replaced job keeps in additional stores stays there
    gathered._kwargs = dict(CURRENT_JOB.job._kwargs)  # noqa: SLF001
    gathered.name = f"{jobs.name} outputs"
    guard_flow(gathered)
    made = Flow([jobs, gathered], output=gathered.output, name=jobs.name)
    return identified_flow(made, CURRENT_JOB.job.uuid)
