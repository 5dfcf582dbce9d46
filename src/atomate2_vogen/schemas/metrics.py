"""Metrics of many crystals."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from atomate2_vogen.schemas.base import VogenDoc
from atomate2_vogen.schemas.stability import StabilityDoc


class Proportion(BaseModel):
    """Some of a whole, with Wilson's 95 % interval for draws that do not depend on each other.

    Examples
    --------
    >>> from atomate2_vogen.stability.statistics import proportion
    >>> half = proportion(5, 10)
    >>> half.share, round(half.low, 3), round(half.high, 3)
    (0.5, 0.237, 0.763)
    """

    count: int
    total: int
    share: float | None = Field(description="count / total; None where the total is 0")
    low: float | None = Field(description="lower end of the interval")
    high: float | None = Field(description="upper end of the interval")


class Rate(BaseModel):
    """How many crystals have a property, against each of the wholes that people divide by.

    Examples
    --------
    >>> some = Proportion(count=1, total=2, share=0.5, low=0.1, high=0.9)
    >>> Rate(of_requested=some, of_delivered=some).count
    1
    """

    of_requested: Proportion = Field(description="total: crystals asked for; missing ones lack it")
    of_delivered: Proportion = Field(description="total: candidates; unranked ones lack it")
    of_ranked: Proportion | None = Field(
        None, description="total: candidates ranked after relaxation; for properties of these only"
    )

    @property
    def count(self) -> int:
        """Crystals that have the property."""
        return self.of_delivered.count


class Distribution(BaseModel):
    """Median and quartiles (linear interpolation) of n numbers; None where n is 0.

    Examples
    --------
    >>> Distribution(n=3, quartile_1=0.5, median=1, quartile_3=1.5).median
    1.0
    """

    n: int
    quartile_1: float | None
    median: float | None
    quartile_3: float | None


class FormulaMetrics(BaseModel):
    """Metrics of the candidates of one requested formula, or of all together.

    What needs attempts, an energy model or a pool of known crystals is None where there is none.

    Examples
    --------
    >>> FormulaMetrics.model_fields["n_ranked"].description
    'relaxed, converged, not collapsed, bulk crystals'
    """

    n_requested: int = Field(description="crystals asked for; of files, crystals read")
    n_attempts: int | None = Field(description="crystals that the sampler tried")
    n_delivered: int = Field(description="candidates")
    n_ranked: int | None = Field(description="relaxed, converged, not collapsed, bulk crystals")

    delivered: Proportion = Field(description="candidates of those asked for")
    decoded: Proportion | None = Field(
        description="attempts that gave a crystal of any composition, of all attempts"
    )
    exact_composition: Proportion | None = Field(
        description="attempts that gave a crystal of the composition asked for, of all attempts"
    )
    sound: Proportion | None = Field(
        description="of all attempts, those of the composition asked for whose atoms keep the "
        "minimum distances, duplicates included"
    )

    distances_valid: Rate = Field(description="no pair below its minimum distance, as generated")
    charge_neutral: Rate = Field(description="oxidation states of the oxide system cancel")
    valid: Rate = Field(description="both of these")
    unique: Rate = Field(description="as generated: crystals that differ, one counted per group")

    ranked: Rate | None = Field(description="relaxed, converged, not collapsed, bulk crystals")
    not_bulk: Rate | None = Field(
        None, description="converged to layers, chains or molecules in vacuum, hence not ranked"
    )
    unique_relaxed: Rate | None = Field(
        description="ranked ones that differ after relaxation: the lowest of each group"
    )
    novel: Rate | None = Field(
        description="ranked ones that match no known crystal, neither as generated nor relaxed"
    )
    stable: dict[str, Rate] | None = Field(
        description="ranked ones up to a threshold (key, eV/atom) above hull after relaxation, "
        "known ones and duplicates included"
    )
    sun: Rate | None = Field(
        description="stable, unique, novel: ranked, up to 0.1 eV/atom above hull after "
        "relaxation, unique after relaxation, novel"
    )

    above_hull_before: Distribution | None = Field(
        description="eV/atom above hull as generated, over every candidate with that energy"
    )
    above_hull_before_ranked: Distribution | None = Field(
        description="the same over ranked ones only, to be compared with above_hull_after"
    )
    above_hull_after: Distribution | None = Field(
        description="eV/atom above hull after relaxation, over ranked ones"
    )
    rmsd_to_relaxed: Distribution | None = Field(
        description="Å, over ranked ones that still match themselves after relaxation"
    )
    still_matches: Rate | None = Field(
        description="ranked ones that still match themselves after relaxation"
    )


class MetricsDoc(VogenDoc):
    """Quality of a sampler's crystals by one energy model, on the hull of its references.

    Examples
    --------
    >>> MetricsDoc.model_fields["thresholds"].description
    'eV/atom above hull, of `stable`'
    """

    metrics_id: str = Field(description="hash of candidates, scheme and hull")
    chemsys: str
    samplers: dict[str, int] = Field(description="candidates by sampler")
    model_ids: list[str] = Field(description="of the samples; empty for files")
    seeds: list[int] = Field(description="of the samples; empty for files")
    options: list[dict[str, Any]] = Field(
        default_factory=list, description="of the samplers, those not at their defaults"
    )
    scheme: str | None = Field(description="energy scale of the energy model")
    hull_id: str | None
    engine_versions: dict[str, str] = Field(default_factory=dict)

    overall: FormulaMetrics
    formulas: dict[str, FormulaMetrics] = Field(description="by requested reduced formula")

    cpu_seconds: dict[str, float] = Field(
        description="by stage: sampling, single points of an energy model that chose among what was "
        "drawn, relaxation (as generated, relaxation and final energy; wall seconds where the "
        "engine does not report CPU seconds), and what the caller added"
    )
    n_untimed: int = Field(
        description="calculations without a time, each counted as long as the longest timed one"
    )
    finds_per_cpu_hour: float | None = Field(
        description="crystals counted by `sun` per hour of all cpu_seconds; None where sampling "
        "or relaxation has no time"
    )

    thresholds: list[float] = Field(description="eV/atom above hull, of `stable`")
    sun_threshold: float = Field(description="eV/atom above hull, of `sun` and of finds")
    interval: str = Field(description="kind of the intervals")
    matcher: dict[str, float] = Field(description="StructureMatcher of unique and novel")
    rmsd_matcher: dict[str, float | bool] = Field(description="StructureMatcher of the RMSD")
    minimum_distances: dict[str, float] = Field(description="Å, by pair")
    bulk: dict[str, float] = Field(
        default_factory=dict,
        description="Å: `bond_margin` beyond covalent radii, `largest_gap` of a bulk crystal",
    )
    charge_neutrality: dict[str, Any] = Field(
        description="package, version and oxidation states of `charge_neutral`"
    )
    novelty_pool: dict[str, int] = Field(
        default_factory=dict,
        description="known crystals of these formulas, by kind: what `novel` means",
    )


class EvaluationDoc(VogenDoc):
    """Stability of each crystal, and the metrics of all together.

    In a job store the list lies in the ``data`` store: ``get_output(uuid, load=True)`` reads all.

    Examples
    --------
    >>> list(EvaluationDoc.model_fields)[-2:]
    ['metrics', 'stability']
    """

    metrics: MetricsDoc
    stability: list[StabilityDoc] = Field(description="in the order of the candidates")
