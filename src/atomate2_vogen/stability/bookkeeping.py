"""Bookkeeping of requested, delivered and rejected crystals and of CPU time."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, SampleDoc, StabilityDoc

Delivered: TypeAlias = SampleDoc | CandidateDoc
Doc = TypeVar("Doc", StabilityDoc, CalculationDoc)


def samples_and_candidates(
    delivered: Delivered | Sequence[Delivered],
) -> tuple[list[SampleDoc], list[CandidateDoc]]:
    """Samples, and all candidates in the order of their ids."""
    documents = [delivered] if isinstance(delivered, SampleDoc | CandidateDoc) else list(delivered)
    samples = [document for document in documents if isinstance(document, SampleDoc)]
    crystals = [document for document in documents if isinstance(document, CandidateDoc)]
    for sample in samples:
        for candidate in sample.candidates:
            if candidate.formula not in sample.requested:
                raise InputError(
                    f"candidate {candidate.candidate_id} is of {candidate.formula}, which its "
                    "sample was not asked for"
                )
        crystals.extend(sample.candidates)
    if not documents:
        raise InputError("nothing to measure: no sample and no candidate")
    seen = Counter(candidate.candidate_id for candidate in crystals)
    if twice := sorted(key for key, count in seen.items() if count > 1):
        raise InputError(f"candidate {twice[0]} is there twice")
    return samples, sorted(crystals, key=lambda candidate: candidate.candidate_id)


def by_candidate(
    documents: Sequence[Doc], crystals: Sequence[CandidateDoc], what: str
) -> dict[str, Doc]:
    """Documents by candidate id: one for each candidate, or none at all."""
    found: dict[str, Doc] = {}
    for document in documents:
        if document.candidate_id in found:
            raise InputError(f"{what} of candidate {document.candidate_id} is there twice")
        found[document.candidate_id] = document
    ids = {candidate.candidate_id for candidate in crystals}
    if strange := sorted(set(found) - ids):
        raise InputError(f"{what} of {strange[0]}, which is not among the candidates")
    if found and (missing := sorted(ids - set(found))):
        raise InputError(f"candidate {missing[0]} has no {what}; {len(missing)} lack one")
    return found


def only(values: set[str], what: str) -> str | None:
    """Single value of a set; None if the set is empty."""
    if len(values) > 1:
        raise SchemeMismatchError(
            f"documents of {len(values)} {what}: {', '.join(sorted(values))}; measure each apart"
        )
    return next(iter(values), None)


def requested_counts(
    samples: Sequence[SampleDoc], crystals: Sequence[CandidateDoc]
) -> dict[str, int]:
    """Crystals asked for by formula; a candidate without a sample was asked for."""
    requested: Counter[str] = Counter()
    for sample in samples:
        requested.update(sample.requested)
    requested.update(candidate.formula for candidate in _bare(samples, crystals))
    return dict(requested)


def _bare(samples: Sequence[SampleDoc], crystals: Sequence[CandidateDoc]) -> list[CandidateDoc]:
    """Candidates without a sample."""
    sampled = {candidate.candidate_id for sample in samples for candidate in sample.candidates}
    return [candidate for candidate in crystals if candidate.candidate_id not in sampled]


def attempts_and_rejections(
    samples: Sequence[SampleDoc], crystals: Sequence[CandidateDoc]
) -> tuple[dict[str, int] | None, dict[str, Counter[str]]]:
    """Attempts and rejections by formula; None where some candidates have no sample."""
    if not samples or _bare(samples, crystals):
        return None, {}
    attempts: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = {}
    for sample in samples:
        attempts.update(sample.attempts)
        for formula, reasons in sample.rejected.items():
            rejected.setdefault(formula, Counter()).update(reasons)
    return dict(attempts), rejected


def cpu_seconds_by_stage(
    samples: Sequence[SampleDoc],
    calculations: Sequence[CalculationDoc],
    given: Mapping[str, float],
) -> tuple[dict[str, float], int]:
    """CPU seconds by stage, and the number of calculations without a time.

    Wall seconds are used where a document has no CPU seconds.
    """
    seconds: dict[str, float] = {}
    if samples:
        judging = [s.judge_cpu_time for s in samples if s.judge_cpu_time is not None]
        seconds["sampling"] = math.fsum(
            [
                *(s.wall_time if s.cpu_time is None else s.cpu_time for s in samples),
                *(-value for value in judging),
            ]
        )
        if judging:
            seconds["single points"] = math.fsum(judging)
    times = [c.wall_time if c.cpu_time is None else c.cpu_time for c in calculations]
    timed = [value for value in times if value is not None]
    n_untimed = len(times) - len(timed)
    if timed:
        seconds["relaxation"] = math.fsum([*timed, n_untimed * max(timed)])
    for stage, value in given.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"seconds of the stage {stage} are {value}")
    return seconds | dict(given), n_untimed


def distinct_options(samples: Sequence[SampleDoc]) -> list[dict[str, Any]]:
    """Distinct options of the samplers that are not at their defaults."""
    distinct = {json.dumps(s.options, sort_keys=True): s.options for s in samples if s.options}
    return [distinct[key] for key in sorted(distinct)]


def engine_versions(calculations: Sequence[CalculationDoc]) -> dict[str, str]:
    """Versions of the engine's packages, all that occur."""
    found: dict[str, set[str]] = {}
    for calculation in calculations:
        for package, version in calculation.engine_versions.items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(found[package])) for package in sorted(found)}
