"""Flows over crystals that another job gives, of any number.

A document of MongoDB holds 16 MiB at most, and what FireWorks keeps of a job that makes others
is one document. Many crystals are therefore split: a job makes the jobs of `PIECE` crystals, or
`BRANCHES` jobs that do the same with a part each. No document grows with the number of crystals;
lists that do lie in the job store's ``data`` store.
"""

from __future__ import annotations

import itertools
import logging
import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobflow import CURRENT_JOB, Flow, Job, JobConfig, Maker, OutputReference, Response, job
from monty.json import MSONable

from atomate2_vogen.jobs.evaluation import as_candidates
from atomate2_vogen.jobs.placement import ANALYSIS, place, replacement
from atomate2_vogen.jobs.sharing import keep
from atomate2_vogen.jobs.subjects import Crystal, check_crystals
from atomate2_vogen.schemas import CalculationDoc, SampleDoc, StabilityDoc

logger = logging.getLogger(__name__)

PIECE = 50
"""Most crystals whose jobs one job makes: with the longest flows 4 MB of jobs."""

BRANCHES = 32
"""Most parts that a job splits a longer list into."""


@dataclass(frozen=True)
class StoredCrystals(MSONable):
    """A part of a list of crystals in the job store.

    An output reference would do, but FireWorks takes none to a job outside of a flow.

    Parameters
    ----------
    uuid
        Of its document.
    """

    uuid: str

    def read(self) -> list[Any]:
        """The crystals; only inside a job that sees its store."""
        reference: OutputReference = OutputReference(self.uuid)["crystals"]
        found: list[Any] = reference.resolve(CURRENT_JOB.store)
        return found


def make_later(maker: Maker, crystals: OutputReference) -> Flow:
    """Flow that a Maker makes of crystals when the job that gives them has run.

    Parameters
    ----------
    maker
        Whose ``make(crystals)`` gives a flow with a list of documents as output. Powerups reach
        it and the Makers in it.
    crystals
        Output of a job: a sample, one crystal or a list of them, in any form that the Maker
        takes.

    Examples
    --------
    >>> from atomate2_vogen.flows import ScreeningFlowMaker
    >>> from atomate2_vogen.jobs import SampleMaker, make_later
    >>> sample = SampleMaker(sampler="substitution").make({"VO2": 2})
    >>> [job.name for job in make_later(ScreeningFlowMaker(), sample.output).jobs]
    ['screening']
    """
    made = _later(maker, crystals)
    return Flow([made], output=made.output, name=maker.name)


def _later(maker: Maker, crystals: OutputReference | StoredCrystals) -> Job:
    made: Job = _make(maker, crystals)
    made.name = maker.name
    made.config = JobConfig(expose_store=True)
    place(made, ANALYSIS, inherited=False)
    return made


@job
def _make(maker: Maker, crystals: Any) -> Response:
    """Replace itself by the flow; no crystal is a result, not an error."""
    nested = isinstance(crystals, StoredCrystals)
    found: list[Any] = crystals.read() if nested else _usable(crystals, maker.name)
    if not found:
        return Response(output=[])
    if len(found) <= PIECE:
        flow: Any = maker.make(found)
        return Response(replace=replacement(flow))
    if not nested:
        found = as_candidates(found)  # numbers equal crystals, which parts could not
        check_crystals(found)
    return Response(replace=replacement(_split(maker, found, nested=nested)))


def _usable(crystals: Any, name: str) -> list[Crystal]:
    """The crystals of what a job gave.

    Documents of relaxations that failed have no structure and are left out: whoever makes the
    flow cannot, for they are not known then, and one that failed stops no other.
    """
    if isinstance(crystals, SampleDoc):
        crystals = crystals.candidates
    found = []
    for crystal in crystals if isinstance(crystals, list | tuple) else [crystals]:
        if isinstance(crystal, CalculationDoc | StabilityDoc) and crystal.structure is None:
            logger.warning("%s: %s is left out: not relaxed", name, crystal.candidate_id)
        else:
            found.append(crystal)
    return found


def _split(maker: Maker, crystals: Sequence[Crystal], *, nested: bool) -> Flow:
    """Flow of jobs with a part of the crystals each, which are put into the job store.

    Its output is the list of all documents, or, where it is nested in another one, the lists of
    the parts, which that one joins.
    """
    current = CURRENT_JOB.job
    jobs: list[Flow | Job] = []
    for part in pieces(crystals, max(PIECE, math.ceil(len(crystals) / BRANCHES))):
        # the same in a second run of this job
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{current.uuid} part {len(jobs)}"))
        keep(
            CURRENT_JOB.store,
            name,
            {"crystals": list(part)},
            name=f"{current.name} part {len(jobs)}",
            metadata={**current.metadata, "stage": "crystals"},
        )
        jobs.append(_later(maker, StoredCrystals(name)))
    outputs = [made.output for made in jobs]
    if nested:
        return Flow(jobs, output=outputs, name=maker.name)
    joined = join_lists(outputs)
    return Flow([*jobs, joined], output=joined.output, name=maker.name)


def pieces(crystals: Sequence[Any], size: int | None = None) -> list[Sequence[Any]]:
    """The crystals in their order, in as few pieces of equal length as the size (`PIECE`) allows."""
    count = math.ceil(len(crystals) / (size or PIECE))
    ends = [number * len(crystals) // max(count, 1) for number in range(count + 1)]
    return [crystals[begin:end] for begin, end in itertools.pairwise(ends)]


def joined_flow(flows: Sequence[Flow], name: str) -> Flow:
    """One flow of several, whose outputs are lists; its output is the list of all."""
    if len(flows) == 1:
        return flows[0]
    joined = join_lists([flow.output for flow in flows])
    return Flow([*flows, joined], output=joined.output, name=name)


def join_lists(lists: Any) -> Job:
    """Job whose output is one list of all that the lists hold, in their order."""
    made: Job = _join(lists)
    made.name = "join"
    made.update_metadata({"stage": "join"})
    place(made, ANALYSIS)
    return made


@job(data=True)
def _join(lists: list[Any]) -> list[Any]:
    return list(_documents(lists))


def _documents(nested: list[Any]) -> Iterator[Any]:
    for found in nested:
        if isinstance(found, list):
            yield from _documents(found)
        else:
            yield found
