"""What jobs that record calculations share: requirements, times, and how far atoms moved."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import NonFiniteError, trace
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.schemas import CalculationDoc
from atomate2_vogen.structures.geometry import shortest_distance
from atomate2_vogen.structures.matching import rmsd

logger = logging.getLogger(__name__)


def require(calculation: Any, stage: str) -> None:
    """Raise unless a calculation left a task document.

    Raises
    ------
    NonFiniteError
        With the reason of its failure, if it left one.
    """
    if calculation is None:
        raise NonFiniteError(f"the {stage} left no result; see the log of its job")
    if isinstance(calculation, JobFailure):
        raise NonFiniteError(calculation.error)


def require_relaxed(
    relaxed: Any, static: Any, methods: Mapping[str, Method] | None, versions: Mapping[str, str]
) -> None:
    """Raise unless a relaxation and the static calculation after it are those of an engine.

    Parameters
    ----------
    relaxed, static
        Task documents, a `JobFailure`, or None.
    methods
        Methods of the stages ``relax`` and ``static``, as far as they are stated.
    versions
        Versions that the engine was made with.

    Raises
    ------
    NonFiniteError
        If one left no task document.
    SchemeMismatchError
        If one is of another method or version.
    """
    require(relaxed, "relaxation")
    require(static, "static calculation")
    for stage, calculation in (("relax", relaxed), ("static", static)):
        check_method(calculation, (methods or {}).get(stage), versions)


def total(seconds: Sequence[float | None]) -> float | None:
    """Seconds of all calculations; None unless every one tells."""
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def compare_with_candidate(document: CalculationDoc) -> None:
    """How far the atoms moved, found once, where a relaxation took seconds; in place.

    What cannot be compared is left to judging, which says what is wrong with it.
    """
    if document.structure is None:
        return
    try:
        shortest_distance(document.structure)  # the matcher is not made for what this refuses
        document.rmsd_to_relaxed = rmsd(document.candidate.structure, document.structure)
    except Exception as error:  # noqa: BLE001 - judging says what is wrong with it
        logger.info("%s cannot be compared\n%s", document.calculation_id, trace(error))
        return
    document.still_matches = document.rmsd_to_relaxed is not None
