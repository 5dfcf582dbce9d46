"""Run any Maker so that a failure becomes an output with a reason.

An exception inside a job leaves nothing in the job store, and what comes after it waits for
ever (FireWorks) or is skipped (`run_locally`). `GuardedMaker` runs the same function in the
same job and hands on a `JobFailure` instead.
"""

from __future__ import annotations

import logging
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from jobflow import CURRENT_JOB, Flow, Job, JobConfig, Maker, OnMissing, Response, job
from pydantic import BaseModel
from pymatgen.core import Structure

from atomate2_vogen.errors import NonFiniteError, reason, trace
from atomate2_vogen.jobs.identity import identified_flow
from atomate2_vogen.jobs.results import relaxed_structure

logger = logging.getLogger(__name__)

NOT_THE_CRYSTALS_FAULT = (OSError, MemoryError, ImportError)
"""A full disk, lack of memory or a missing package: the job fails and can be run again."""


class JobFailure(BaseModel):
    """What a guarded job returns when it could not do its work."""

    error: str
    elapsed_time: float | None = None
    """Seconds that this job worked until it failed."""
    cpu_time: float | None = None
    """The same in CPU seconds of the process."""


@dataclass
class Wrapper(Maker):
    """A Maker around another one, to which changes of settings go.

    Parameters
    ----------
    maker
        Maker to wrap.
    name
        Name of the job.
    """

    maker: Maker
    name: str = ""

    def update_kwargs(self, update: dict[str, Any], *args: Any, **kwargs: Any) -> Self:
        """Change the wrapped Maker, as powerups do; arguments as of `jobflow.Maker`.

        The wrapper has no settings: filters by name or class, and ``nested=False``, mean the
        Maker that was given.
        """
        return replace(self, maker=self.maker.update_kwargs(update, *args, **kwargs))


@dataclass
class GuardedMaker(Wrapper):
    """A Maker whose job ends with a `JobFailure` where the wrapped Maker's would raise.

    Parameters
    ----------
    maker
        Maker to wrap. One that makes a single job runs guarded, inside this Maker's job; one
        that makes a flow replaces this job with its flow, whose own failures are not guarded.
    name
        Name of the job; that of the wrapped Maker's job where empty.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawStaticMaker
    >>> from atomate2_vogen.jobs.guard import GuardedMaker
    >>> GuardedMaker(GpawStaticMaker()).maker.name
    'GPAW static'
    """

    def make(self, source: Any) -> Job:
        """Job whose output is that of the wrapped Maker, or a `JobFailure`.

        Parameters
        ----------
        source
            A structure, or the output of another guarded job, whose final structure is taken.
            A failure there is handed on.
        """
        inner = self.maker.make(source)
        guarded: Job = self.run(source)
        guarded.name = self.name or inner.name
        # a predecessor without any output must not stop this job either
        guarded.config = JobConfig(on_missing_references=OnMissing.NONE)
        if isinstance(inner, Job):
            # what the wrapped job keeps in additional stores
            guarded._kwargs = dict(inner._kwargs)  # noqa: SLF001
        return guarded

    def structure_of(self, source: Any) -> Structure:
        """Structure that the wrapped Maker is given.

        Raises
        ------
        NonFiniteError
            If the calculation before it left none.
        """
        return source if isinstance(source, Structure) else relaxed_structure(source)

    @job
    def run(self, source: Any) -> Any:
        """Do the work of the wrapped Maker; called by jobflow inside the job."""
        if source is None:
            return JobFailure(
                error="the job before this one left no result; see its log",
                elapsed_time=0.0,
                cpu_time=0.0,
            )
        if isinstance(source, JobFailure):
            return source.model_copy(update={"elapsed_time": 0.0, "cpu_time": 0.0})
        try:
            structure = self.structure_of(source)
        except NonFiniteError as error:
            return JobFailure(error=reason(error), elapsed_time=0.0, cpu_time=0.0)
        inner = self.maker.make(structure)
        if isinstance(inner, Flow):
            return Response(replace=identified_flow(inner, CURRENT_JOB.job.uuid))
        begin, begin_cpu = time.perf_counter(), time.process_time()
        try:
            return call_function(inner.function, inner.function_args, inner.function_kwargs)
        except NOT_THE_CRYSTALS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - a failure is a result
            # the reason goes into a document; the trace is for those who look for it
            logger.info("%s failed\n%s", inner.name, trace(error))
            return JobFailure(
                error=f"{inner.name}: {type(error).__name__}: {reason(error)}",
                elapsed_time=time.perf_counter() - begin,
                cpu_time=time.process_time() - begin_cpu,
            )


def call_function(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call the function of a job as `Job.run` does, without storing anything."""
    if hasattr(function, "original"):
        bound = getattr(function, "__self__", None)
        function = function.original
        if bound is not None and not isinstance(bound, types.ModuleType):
            function = types.MethodType(function, bound)
    return function(*args, **kwargs)
