"""How good a sampler's crystals are: a pure function from documents to a document.

Conventions
-----------
- Every share names its whole: crystals asked for, candidates delivered, candidates ranked. A
  crystal that failed, collapsed or did not converge, or that is a layer, chain or molecule in
  vacuum after relaxation, is neither stable nor unique nor novel.
- *Unique* is counted as generated and again after relaxation; S.U.N. and finds use the latter.
  It is counted among the candidates measured, also where more candidates were on the hull together
  with them.
- Intervals are Wilson's at 95 % and take the candidates for independent draws. Uniqueness
  depends on the size of the sample: compare samplers at the same number of candidates only.
- Thresholds above the hull are met by the number that tables print; see `energy_rounding`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.errors import InputError, VogenError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    FormulaMetrics,
    MetricsDoc,
    Proportion,
    Rate,
    RejectionReason,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.bookkeeping import (
    Delivered,
    attempts_and_rejections,
    by_candidate,
    cpu_seconds_by_stage,
    distinct_options,
    engine_versions,
    only,
    requested_counts,
    samples_and_candidates,
)
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.statistics import INTERVAL, distribution, proportion
from atomate2_vogen.structures import matching, reduction
from atomate2_vogen.structures.dimensionality import BOND_MARGIN, LARGEST_GAP
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.neutrality import charge_neutral, neutrality_settings

THRESHOLDS = tuple(sorted({0.0, 0.025, 0.08, NEAR_HULL_LIMIT, 0.3, 0.5}))
"""eV/atom above hull: the field's 0 and its limit near the hull, iMatGen's 0.08, the paper's 0.3
and 0.5."""

SUN_THRESHOLD = NEAR_HULL_LIMIT

STEPS: dict[str, tuple[RejectionReason, ...]] = {
    "decoded": (
        RejectionReason.UNREADABLE_GRID,
        RejectionReason.IMPOSSIBLE_LATTICE,
        RejectionReason.GENERATION_FAILED,
    ),
    "exact_composition": (RejectionReason.WRONG_COMPOSITION,),
    "sound": (RejectionReason.ATOMS_TOO_CLOSE,),
    "kept": (
        RejectionReason.DUPLICATE,
        RejectionReason.HIGH_ENERGY,
        RejectionReason.NO_ENERGY,
        RejectionReason.KNOWN,
    ),
}
"""What an attempt passes one after the other, and the rejections that say it did not."""


def measure(
    delivered: Delivered | Sequence[Delivered],
    calculations: Sequence[CalculationDoc] = (),
    stability: Sequence[StabilityDoc] = (),
    system: OxideSystem = VANADIUM,
    *,
    cpu_seconds: Mapping[str, float] | None = None,
    novelty_pool: Mapping[str, int] | None = None,
) -> MetricsDoc:
    """Metrics of samples, or of crystals of any origin, with or without stability documents.

    Parameters
    ----------
    delivered
        Samples, whose requests and attempts are counted; or candidates without a sample, each
        of which counts as asked for.
    calculations
        One calculation per candidate, or none; their times are added up.
    stability
        One document per candidate, as `hull.assess` returns them, or none: then all metrics that
        need energies are None.
    system
        Oxide system with the minimum distances.
    cpu_seconds
        Seconds by stage, in addition to or instead of the seconds in the documents, e.g.
        ``{"training": 230}`` to divide the finds by the time of training too.
    novelty_pool
        Number of known crystals by kind with which candidates were compared for novelty.

    Returns
    -------
    MetricsDoc
        Independent of the order of the documents.

    Raises
    ------
    InputError
        If there is nothing to measure, a candidate is there twice, has no judgement where
        others have, or is of no requested formula; if a sample holds more candidates than were
        asked for; or if a time is negative or not finite.
    SchemeMismatchError
        If the documents are of several schemes or hulls.

    Examples
    --------
    >>> from atomate2_vogen.samplers import SubstitutionSampler
    >>> from atomate2_vogen.stability import measure
    >>> sample = SubstitutionSampler().sample({"VO2": 3}, seed=0)
    >>> metrics = measure(sample)
    >>> metrics.overall.n_requested, metrics.overall.n_delivered
    (3, 3)
    """
    samples, crystals = samples_and_candidates(delivered)
    judged = by_candidate(stability, crystals, "stability document")
    by_candidate(calculations, crystals, "calculation")
    schemes = {doc.scheme for doc in stability} | {doc.scheme for doc in calculations}
    scheme = only(schemes, "schemes")
    hull = only({doc.hull_id for doc in stability}, "hulls")
    facts = _facts(crystals, judged, system)
    requested = requested_counts(samples, crystals)
    attempts, rejected = attempts_and_rejections(samples, crystals)
    flags = {
        "judged": bool(judged),
        # without a pool of known crystals novelty is unknown, and so is what builds on it
        "judged_novelty": all(fact.ranked.is_novel is not None for fact in facts if fact.ranked),
    }
    formulas = {
        formula: _formula_metrics(
            wanted,
            attempts.get(formula, 0) if attempts is not None else None,
            rejected.get(formula, Counter()),
            [fact for fact in facts if fact.formula == formula],
            **flags,
        )
        for formula, wanted in sorted(requested.items())
    }
    overall = _formula_metrics(
        sum(requested.values()),
        sum(attempts.values()) if attempts is not None else None,
        sum(rejected.values(), Counter()),
        facts,
        **flags,
    )
    seconds, n_untimed = cpu_seconds_by_stage(samples, calculations, cpu_seconds or {})
    return MetricsDoc(
        metrics_id=metrics_id((c.candidate_id for c in crystals), scheme, hull),
        chemsys=system.chemsys,
        samplers=dict(sorted(Counter(c.sampler for c in crystals).items())),
        model_ids=sorted({sample.model_id for sample in samples}),
        seeds=sorted({sample.seed for sample in samples}),
        options=distinct_options(samples),
        scheme=scheme,
        hull_id=hull,
        engine_versions=engine_versions(calculations),
        overall=overall,
        formulas=formulas,
        cpu_seconds=seconds,
        n_untimed=n_untimed,
        finds_per_cpu_hour=_finds_per_hour(overall, seconds),
        thresholds=list(THRESHOLDS),
        sun_threshold=SUN_THRESHOLD,
        interval=INTERVAL,
        matcher={
            "ltol": reduction.LENGTH_TOLERANCE,
            "stol": reduction.SITE_TOLERANCE,
            "angle_tol": reduction.ANGLE_TOLERANCE,
        },
        rmsd_matcher=dict(matching.RMSD_SETTINGS),
        minimum_distances={f"{a}-{b}": system.minimum_distance(a, b) for a, b in system.pairs},
        bulk={"bond_margin": BOND_MARGIN, "largest_gap": LARGEST_GAP},
        charge_neutrality=neutrality_settings(system),
        novelty_pool=dict(novelty_pool or {}),
    )


def metrics_id(candidate_ids: Iterable[str], scheme: str | None, hull: str | None) -> str:
    """Key of the metrics of these candidates, by one energy model on one hull."""
    keys = "|".join([*sorted(candidate_ids), scheme or "", hull or ""])
    return hashlib.sha256(keys.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Fact:
    """Properties of one candidate that are counted."""

    formula: str
    distances: bool
    neutral: bool
    leads: bool
    """First of those that match it as generated."""
    leads_relaxed: bool
    """Lowest of those that match it after relaxation."""
    stability: StabilityDoc | None

    @property
    def ranked(self) -> StabilityDoc | None:
        """The judgement, where there is one to count with."""
        document = self.stability
        if document is None or document.state is not StabilityState.RANKED:
            return None
        return document

    @property
    def is_not_bulk(self) -> bool:
        """Converged to something that is no bulk crystal."""
        return self.stability is not None and self.stability.state is StabilityState.NOT_BULK

    def within(self, threshold: float) -> bool:
        """Ranked, and no further above the hull than the threshold."""
        above = self.ranked.energy_above_hull if self.ranked else None
        return above is not None and at_most(above, threshold)


def _formula_metrics(
    wanted: int,
    attempts: int | None,
    rejected: Counter[str],
    facts: Sequence[_Fact],
    *,
    judged: bool,
    judged_novelty: bool,
) -> FormulaMetrics:
    """Counts of one formula, or of all."""
    if len(facts) > wanted:
        raise InputError(f"{len(facts)} candidates where {wanted} were asked for")
    documents = [fact.ranked for fact in facts if fact.ranked is not None]

    def rate(flags: Iterable[bool], *, of_ranked: bool = False) -> Rate:
        count = sum(flags)
        return Rate(
            of_requested=proportion(count, wanted),
            of_delivered=proportion(count, len(facts)),
            of_ranked=proportion(count, len(documents)) if of_ranked else None,
        )

    def passed(last: str) -> Proportion | None:
        if attempts is None:
            return None
        steps = list(STEPS)
        lost = sum(
            rejected[reason.value]
            for step in steps[: steps.index(last) + 1]
            for reason in STEPS[step]
        )
        return proportion(attempts - lost, attempts)

    metrics = FormulaMetrics(
        n_requested=wanted,
        n_attempts=attempts,
        n_delivered=len(facts),
        n_ranked=len(documents) if judged else None,
        delivered=proportion(len(facts), wanted),
        decoded=passed("decoded"),
        exact_composition=passed("exact_composition"),
        sound=passed("sound"),
        distances_valid=rate(fact.distances for fact in facts),
        charge_neutral=rate(fact.neutral for fact in facts),
        valid=rate(fact.distances and fact.neutral for fact in facts),
        unique=rate(fact.leads for fact in facts),
        ranked=None,
        not_bulk=None,
        unique_relaxed=None,
        novel=None,
        stable=None,
        sun=None,
        above_hull_before=None,
        above_hull_before_ranked=None,
        above_hull_after=None,
        rmsd_to_relaxed=None,
        still_matches=None,
    )
    if not judged:
        return metrics
    metrics.ranked = rate(fact.ranked is not None for fact in facts)
    metrics.not_bulk = rate(fact.is_not_bulk for fact in facts)
    metrics.unique_relaxed = rate((fact.leads_relaxed for fact in facts), of_ranked=True)
    metrics.stable = {
        f"{threshold:g}": rate((fact.within(threshold) for fact in facts), of_ranked=True)
        for threshold in THRESHOLDS
    }
    if judged_novelty:
        metrics.novel = rate((bool(doc.is_novel) for doc in documents), of_ranked=True)
        metrics.sun = rate(
            (
                fact.leads_relaxed
                and bool(fact.ranked and fact.ranked.is_novel)
                and fact.within(SUN_THRESHOLD)
                for fact in facts
            ),
            of_ranked=True,
        )
    metrics.above_hull_before = distribution(
        fact.stability.initial_energy_above_hull for fact in facts if fact.stability
    )
    metrics.above_hull_before_ranked = distribution(d.initial_energy_above_hull for d in documents)
    metrics.above_hull_after = distribution(d.energy_above_hull for d in documents)
    metrics.rmsd_to_relaxed = distribution(d.rmsd_to_relaxed for d in documents)
    metrics.still_matches = rate((d.rmsd_to_relaxed is not None for d in documents), of_ranked=True)
    return metrics


def _facts(
    crystals: Sequence[CandidateDoc], judged: Mapping[str, StabilityDoc], system: OxideSystem
) -> list[_Fact]:
    """Properties of each candidate as generated, with its stability document."""
    structures = [candidate.structure for candidate in crystals]
    leaders = matching.duplicate_groups(structures, [0.0] * len(structures))
    lowest = _lowest_of_groups(judged.values())
    facts = []
    for index, candidate in enumerate(crystals):
        composition = candidate.structure.composition.reduced_formula
        try:
            distances = too_close(candidate.structure, system) is None
        except VogenError:
            distances = False
        facts.append(
            _Fact(
                formula=candidate.formula,
                distances=distances,
                neutral=charge_neutral(composition, system),
                leads=leaders[index] == index,
                leads_relaxed=candidate.candidate_id in lowest,
                stability=judged.get(candidate.candidate_id),
            )
        )
    return facts


def _lowest_of_groups(documents: Iterable[StabilityDoc]) -> set[str]:
    """Ranked candidates that are the lowest of their group of equal crystals."""
    groups: dict[str, tuple[float, str]] = {}
    for document in documents:
        energy, group = document.energy_above_hull, document.duplicate_group
        if document.state is not StabilityState.RANKED or energy is None:
            continue
        if group is None:
            raise InputError(f"candidate {document.candidate_id} is ranked but in no group")
        best = groups.get(group)
        mine = (energy, document.candidate_id)
        groups[group] = mine if best is None else min(best, mine)
    return {candidate for _, candidate in groups.values()}


def _finds_per_hour(overall: FormulaMetrics, seconds: Mapping[str, float]) -> float | None:
    """Finds per hour of all stages; None for crystals from files, whose generation time is unknown."""
    total = math.fsum(seconds.values())
    if overall.sun is None or not {"sampling", "relaxation"} <= set(seconds) or total <= 0:
        return None
    return overall.sun.count * 3600 / total
