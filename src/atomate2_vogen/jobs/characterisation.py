"""The jobs that choose crystals and send them on to bands and phonons."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference, Response, job

from atomate2_vogen.jobs.electronic import DATA as ELECTRONIC_DATA
from atomate2_vogen.jobs.phonons import DATA as PHONON_DATA
from atomate2_vogen.jobs.placement import ANALYSIS, place, replacement
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.jobs.stability import LISTS
from atomate2_vogen.schemas import (
    DiscoveryDoc,
    ElectronicDoc,
    EvaluationDoc,
    PhononDoc,
    StabilityDoc,
)
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.selection import best_per_formula

logger = logging.getLogger(__name__)

JudgedCrystals = DiscoveryDoc | EvaluationDoc | list[StabilityDoc]


def select_best(
    judged: JudgedCrystals | OutputReference, top: int = 1, threshold: float = NEAR_HULL_LIMIT
) -> Job:
    """Job whose output are the lowest crystals of each formula, duplicates left out.

    Parameters
    ----------
    judged
        Output of an `EvaluateMaker` or a `DiscoveryFlowMaker`, or stability documents of one
        scheme.
    top
        Most crystals per formula.
    threshold
        Largest energy above hull in eV/atom. That nothing lies below it is a result: an empty
        list.

    Raises
    ------
    CountsError, InputError
        As `stability.selection.best_per_formula`.

    Examples
    --------
    >>> from atomate2_vogen.jobs import select_best
    >>> select_best([], top=2, threshold=0.05).name
    'select best'
    """
    best_per_formula([], top, threshold)  # refuses what is no number
    made: Job = _select_best(judged, top, threshold)
    made.name = "select best"
    place(made, ANALYSIS)
    return made


@job(data=True)
def _select_best(judged: JudgedCrystals, top: int, threshold: float) -> list[StabilityDoc]:
    documents = judged if isinstance(judged, list) else judged.stability
    return best_per_formula(documents, top, threshold)


# no output_schema: a flow that replaces a job hands on a reference, which jobflow holds against it
@job(data=LISTS)
def characterise_best(
    summary: DiscoveryDoc,
    electronic: Maker | None,
    phonons: Maker | None,
    top: int,
    threshold: float,
) -> Response:
    """Replace itself by the stages of the crystals worth them, and a new summary.

    Parameters
    ----------
    summary
        What the screening found.
    electronic, phonons
        Makers whose ``make(stability documents)`` gives a list of documents; None leaves the
        stage out.
    top, threshold
        As of `stability.selection.best_per_formula`.

    Returns
    -------
    Response
        Whose output is a `DiscoveryDoc`: the summary with the documents of both stages, large
        objects left out. Nothing below the threshold is a result, not an error.

    Examples
    --------
    >>> from atomate2_vogen.jobs import characterise_best
    >>> from atomate2_vogen.schemas import DiscoveryDoc
    >>> nothing = DiscoveryDoc(
    ...     scheme="CHGNet-0.3.0", sample={}, n_candidates=0, n_calculated=0, stability=[]
    ... )
    >>> job = characterise_best(nothing, electronic=None, phonons=None, top=1, threshold=0.1)
    >>> job.name
    'characterise_best'
    """
    chosen = best_per_formula(summary.stability, top, threshold)
    stages: dict[str, Any] = {"electronic": electronic, "phonons": phonons}
    flows = {name: maker.make(chosen) for name, maker in stages.items() if maker and chosen}
    if not flows:
        return Response(output=summary)
    final: Job = add_stages(
        summary,
        [document.candidate_id for document in chosen],
        **{name: flow.output for name, flow in flows.items()},
    )
    final.config = TOLERANT
    final.update_metadata({"stage": "characterised summary"})
    place(final, ANALYSIS)
    made = Flow([*flows.values(), final], output=final.output)
    # with another number of crystals this job is another one, its crystals' jobs are not
    return Response(replace=replacement(made, shared=True))


@job(data=LISTS, output_schema=DiscoveryDoc)
def add_stages(
    summary: DiscoveryDoc,
    chosen: list[str],
    electronic: list[ElectronicDoc] | None = None,
    phonons: list[PhononDoc] | None = None,
) -> DiscoveryDoc:
    """The summary with what later stages found; their own documents keep the large objects."""
    return summary.model_copy(
        update={
            "characterised": chosen,
            "electronic": [without_large(d, ELECTRONIC_DATA) for d in electronic or []],
            "phonons": [without_large(d, PHONON_DATA) for d in phonons or []],
        }
    )


def without_large(document: Any, large: Sequence[str]) -> Any:
    """The document without its large fields."""
    return document.model_copy(update=dict.fromkeys(large))
