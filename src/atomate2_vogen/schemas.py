"""The documents: what jobs return, stores hold and people query.

Units are eV, Å, eV/Å and degrees; energies are per atom where the name says so. Every
document carries a deterministic key, the time of its last change, and the versions that
wrote it, so that a second run writes the same key and a reader knows what it holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Structure

from atomate2_vogen import __version__

SCHEMA_VERSION = 1


class VogenDoc(BaseModel):
    """Fields that every document has."""

    # documents read back from a store carry `_id`; MSONable adds `@module` and `@class`
    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA_VERSION
    package_version: str = __version__
    last_updated: datetime = Field(default_factory=lambda: datetime.now(UTC))


class RejectionReason(StrEnum):
    """Why something that a sampler tried is not a candidate."""

    WRONG_COMPOSITION = "wrong composition"
    UNREADABLE_GRID = "unreadable grid"
    IMPOSSIBLE_LATTICE = "impossible lattice"
    ATOMS_TOO_CLOSE = "atoms too close"
    DUPLICATE = "duplicate"
    GENERATION_FAILED = "generation failed"
    HIGH_ENERGY = "energy too high"
    NO_ENERGY = "no energy from the judge"
    KNOWN = "known crystal"


class CandidateDoc(VogenDoc):
    """A generated crystal and where it comes from."""

    candidate_id: str = Field(
        description="hash of sampler, model id, formula, seed, index and, if any, options"
    )
    sampler: str = Field(description="wgan, substitution, random, or files for user input")
    model_id: str = Field(description="identifies the model, or the pool that was drawn from")
    formula: str = Field(description="requested reduced formula")
    seed: int
    index: int = Field(description="running number of the attempt for this formula")
    structure: Structure
    details: dict[str, Any] = Field(default_factory=dict, description="of the sampler's choice")

    @classmethod
    def make(
        cls,
        structure: Structure,
        *,
        sampler: str,
        model_id: str,
        formula: str,
        seed: int,
        index: int,
        details: dict[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> CandidateDoc:
        """Build a candidate with its deterministic id.

        `options` are those of the sampler that are not at their defaults: with them the same
        model, seed and index give another crystal, which must not bear the same id.
        """
        key = f"{sampler}|{model_id}|{formula}|{seed}|{index}"
        if options:
            key += f"|{json.dumps(dict(options), sort_keys=True)}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        return cls(
            candidate_id=f"{formula}-{digest}",
            sampler=sampler,
            model_id=model_id,
            formula=formula,
            seed=seed,
            index=index,
            structure=structure,
            details=details or {},
        )


class Rejection(BaseModel):
    """An attempt that did not become a candidate."""

    formula: str
    index: int
    reason: RejectionReason
    message: str = ""


class SampleDoc(VogenDoc):
    """What one call of a sampler gave."""

    sampler: str
    model_id: str
    seed: int
    requested: dict[str, int] = Field(description="crystals asked for, by reduced formula")
    attempts: dict[str, int] = Field(description="crystals tried, by reduced formula")
    candidates: list[CandidateDoc]
    rejected: dict[str, dict[str, int]] = Field(
        description="number of rejections by reduced formula and reason"
    )
    wall_time: float = Field(description="seconds")
    cpu_time: float | None = Field(None, description="seconds of all threads of the process")
    judge_cpu_time: float | None = Field(
        None, description="the part of cpu_time that single points of a judge took, if any did"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="of the sampler, those that are not at their defaults"
    )

    @classmethod
    def make(
        cls,
        *,
        sampler: str,
        model_id: str,
        seed: int,
        requested: dict[str, int],
        attempts: dict[str, int],
        candidates: list[CandidateDoc],
        rejections: list[Rejection],
        wall_time: float,
        cpu_time: float | None = None,
        judge_cpu_time: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> SampleDoc:
        """Build the document; rejections are counted by formula and reason."""
        rejected: dict[str, dict[str, int]] = {formula: {} for formula in requested}
        for rejection in rejections:
            counts = rejected[rejection.formula]
            counts[rejection.reason.value] = counts.get(rejection.reason.value, 0) + 1
        return cls(
            sampler=sampler,
            model_id=model_id,
            seed=seed,
            requested=requested,
            attempts=attempts,
            candidates=candidates,
            rejected=rejected,
            wall_time=wall_time,
            cpu_time=cpu_time,
            judge_cpu_time=judge_cpu_time,
            options=dict(options or {}),
        )

    @property
    def yields(self) -> dict[str, float]:
        """Candidates per attempt, by reduced formula; 0 where nothing was tried."""
        made = dict.fromkeys(self.requested, 0)
        for candidate in self.candidates:
            made[candidate.formula] += 1
        return {
            formula: made[formula] / self.attempts[formula] if self.attempts[formula] else 0.0
            for formula in self.requested
        }

    @property
    def missing(self) -> dict[str, int]:
        """Crystals that were asked for and not found, by reduced formula, where any."""
        made = dict.fromkeys(self.requested, 0)
        for candidate in self.candidates:
            made[candidate.formula] += 1
        short = {formula: wanted - made[formula] for formula, wanted in self.requested.items()}
        return {formula: count for formula, count in short.items() if count > 0}


class CalculationState(StrEnum):
    """Outcome of relaxing one candidate."""

    COMPLETED = "completed"
    UNCONVERGED = "unconverged"
    FAILED = "failed"


class CalculationDoc(VogenDoc):
    """Energies of one candidate before and after relaxation, in one scheme."""

    calculation_id: str = Field(description="candidate id and scheme")
    candidate_id: str
    scheme: str = Field(description="energy scale, e.g. CHGNet-0.3.0")
    state: CalculationState
    error: str | None = Field(None, description="why it failed")
    candidate: CandidateDoc
    structure: Structure | None = Field(None, description="relaxed")
    initial_energy_per_atom: float | None = Field(None, description="as generated, eV/atom")
    energy_per_atom: float | None = Field(None, description="after relaxation, eV/atom")
    max_force: float | None = Field(None, description="after relaxation, eV/Å")
    n_steps: int | None = None
    wall_time: float | None = Field(
        None, description="seconds in the judge: as generated, relaxation and final energy"
    )
    cpu_time: float | None = Field(
        None, description="the same in CPU seconds of the process, where the engine tells"
    )
    engine_versions: dict[str, str] = Field(default_factory=dict)


class ReferenceDoc(VogenDoc):
    """A known phase or element, relaxed in one scheme: a vertex of the hull."""

    reference_id: str = Field(description="phase name and scheme")
    name: str = Field(description="formula and structure type or space group")
    scheme: str
    formula: str
    structure: Structure = Field(description="relaxed")
    energy_per_atom: float = Field(description="eV/atom")
    source: str = Field("", description="where the starting structure comes from")
    engine_versions: dict[str, str] = Field(default_factory=dict)


class PaperClass(StrEnum):
    """Stability by the paper, section 3.3."""

    STABLE = "stable"
    METASTABLE = "metastable"
    UNSTABLE = "unstable"


class FieldClass(StrEnum):
    """Stability by the thresholds that the field uses: 0 and 0.1 eV/atom above the hull."""

    ON_HULL = "on hull"
    NEAR_HULL = "near hull"
    ABOVE_HULL = "above hull"


class StabilityState(StrEnum):
    """Whether a candidate is ranked, and if not, why not."""

    RANKED = "ranked"
    COLLAPSED = "collapsed"
    UNCONVERGED = "unconverged"
    FAILED = "failed"


class DecompositionPhase(BaseModel):
    """One reference phase that a candidate decomposes into."""

    name: str
    formula: str
    fraction: float = Field(description="share of the atoms")


class StabilityDoc(VogenDoc):
    """Where a candidate stands on the hull, and whether it is new.

    Energies above hull are measured from the hull of the reference phases alone and are
    negative below it. Only `ranked` documents have classes; a collapsed, unconverged or
    failed one keeps what numbers it has for the record.
    """

    stability_id: str = Field(description="candidate id and scheme")
    candidate_id: str
    scheme: str
    hull_id: str = Field(description="hash of the reference phases and their energies")
    chemsys: str
    formula: str
    natoms: int
    sampler: str
    model_id: str
    state: StabilityState
    reason: str | None = None

    initial_formation_energy_per_atom: float | None = None
    formation_energy_per_atom: float | None = None
    initial_energy_above_hull: float | None = None
    energy_above_hull: float | None = None
    energy_above_joint_hull: float | None = Field(
        None, description="from the hull of references and ranked candidates, never negative"
    )
    decomposition: list[DecompositionPhase] = Field(default_factory=list)
    paper_class: PaperClass | None = None
    field_class: FieldClass | None = None
    imatgen_stable: bool | None = Field(None, description="formation energy <= 0.5 eV/atom")

    is_converged: bool
    minimum_distance: float | None = Field(None, description="shortest after relaxation, Å")
    space_group_symbol: str | None = None
    space_group_number: int | None = None
    duplicate_group: str | None = Field(
        None, description="candidate id of the lowest-energy member of the group"
    )
    is_unique: bool | None = Field(None, description="lowest-energy member of its group")
    is_novel: bool | None = None
    known_as: str | None = Field(None, description="prototype or phase that it matches")
    rmsd_to_relaxed: float | None = Field(None, description="Å; None if it no longer matches")
    structure: Structure | None = Field(None, description="relaxed")


class Proportion(BaseModel):
    """Some of a whole, with Wilson's 95 % interval for draws that do not depend on each other."""

    count: int
    total: int
    share: float | None = Field(description="count / total; None where the total is 0")
    low: float | None = Field(description="lower end of the interval")
    high: float | None = Field(description="upper end of the interval")


class Rate(BaseModel):
    """How many crystals have a property, against each of the wholes that people divide by."""

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
    """Median and quartiles (linear interpolation) of n numbers; None where n is 0."""

    n: int
    quartile_1: float | None
    median: float | None
    quartile_3: float | None


class FormulaMetrics(BaseModel):
    """Metrics of the candidates of one requested formula, or of all together.

    What needs attempts, a judge or a pool of known crystals is None where there is none.
    """

    n_requested: int = Field(description="crystals asked for; of files, crystals read")
    n_attempts: int | None = Field(description="crystals that the sampler tried")
    n_delivered: int = Field(description="candidates")
    n_ranked: int | None = Field(description="relaxed, converged, not collapsed")

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
    charge_neutral: Rate = Field(description="SMACT finds charges for the composition")
    valid: Rate = Field(description="both of these")
    unique: Rate = Field(description="as generated: crystals that differ, one counted per group")

    ranked: Rate | None = Field(description="relaxed, converged, not collapsed")
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
    """How good a sampler's crystals are, by one judge on its own hull."""

    metrics_id: str = Field(description="hash of candidates, scheme and hull")
    chemsys: str
    samplers: dict[str, int] = Field(description="candidates by sampler")
    model_ids: list[str] = Field(description="of the samples; empty for files")
    seeds: list[int] = Field(description="of the samples; empty for files")
    options: list[dict[str, Any]] = Field(
        default_factory=list, description="of the samplers, those not at their defaults"
    )
    scheme: str | None = Field(description="energy scale of the judge")
    hull_id: str | None
    engine_versions: dict[str, str] = Field(default_factory=dict)

    overall: FormulaMetrics
    formulas: dict[str, FormulaMetrics] = Field(description="by requested reduced formula")

    cpu_seconds: dict[str, float] = Field(
        description="by stage: sampling, single points of a judge that chose among what was "
        "drawn, relaxation (as generated, relaxation and final energy; wall seconds where the "
        "engine does not tell CPU seconds), and what the caller added"
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
    charge_neutrality: dict[str, Any] = Field(description="package, version and options")
    undecided_formulas: list[str] = Field(
        default_factory=list, description="given up by SMACT; counted as not charge neutral"
    )
    novelty_pool: dict[str, int] = Field(
        default_factory=dict,
        description="known crystals of these formulas, by kind: what `novel` means",
    )


class EvaluationDoc(VogenDoc):
    """Crystals judged: each of them, and all together."""

    metrics: MetricsDoc
    stability: list[StabilityDoc] = Field(description="in the order of the candidates")


class Artefact(BaseModel):
    """A file that travels through the `data` store instead of a shared disk."""

    filename: str
    sha256: str
    content: str = Field(description="base64")


class DatasetDoc(VogenDoc):
    """A labelled data set: what is in it, and the file itself."""

    dataset_id: str = Field(description="hash of crystals, splits and labels")
    chemsys: str
    scheme: str
    n_prototypes: int
    n_crystals: int
    n_distinct: int
    n_groups: int
    n_by_split: dict[str, int]
    n_by_formula: dict[str, int]
    n_labelled: int
    n_label_failures: int
    n_labels_reused: int
    label_failures: dict[str, str] = Field(
        default_factory=dict, description="reason by the crystal's index in the file"
    )
    label_statistics: dict[str, float] = Field(description="of the energy labels, eV/atom")
    wall_time: float
    artefact: Artefact


class TrainingDoc(VogenDoc):
    """A trained model: how it was made, how the training went, and the file itself."""

    model_id: str = Field(description="hash of the weights")
    stage: str = Field(
        default="wgan",
        description="vae, energy, or wgan: the last one, whose file holds all networks",
    )
    preset: str
    seed: int
    chemsys: str
    dataset_id: str
    config: dict[str, Any]
    history: dict[str, dict[str, list[float]]] = Field(description="network -> metric -> epochs")
    metrics: dict[str, float] = Field(default_factory=dict, description="on held-out crystals")
    backend: str
    wall_time: float
    peak_memory: float = Field(description="GiB")
    artefact: Artefact


class DiscoveryDoc(VogenDoc):
    """Summary that the discovery flow ends with."""

    scheme: str
    sample: dict[str, Any] = Field(description="counts and yields of the sampling")
    n_candidates: int
    n_calculated: int
    stability: list[StabilityDoc]
    metrics: MetricsDoc | None = None
