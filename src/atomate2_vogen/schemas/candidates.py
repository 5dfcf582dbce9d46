"""Candidates, and samples of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas.base import FileName, VogenDoc


class RejectionReason(StrEnum):
    """Reason why an attempt of a sampler is not a candidate.

    Examples
    --------
    >>> RejectionReason("atoms too close").name
    'ATOMS_TOO_CLOSE'
    """

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
    """A generated crystal and where it comes from.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> CandidateDoc.make(
    ...     crystal, sampler="files", model_id="mine", formula="VO", seed=0, index=0
    ... ).candidate_id
    'VO-b88bb0016101'
    """

    candidate_id: FileName = Field(
        description="hash of sampler, model id, formula, seed, index and, if any, options"
    )
    sampler: str = Field(
        description="wgan, substitution, random, search, evolution, or files for user input"
    )
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
    """An attempt that did not become a candidate.

    Examples
    --------
    >>> Rejection(formula="VO2", index=3, reason="duplicate").reason.name
    'DUPLICATE'
    """

    formula: str
    index: int
    reason: RejectionReason
    message: str = ""


class SampleDoc(VogenDoc):
    """Candidates of one call of a sampler, and counts of its attempts and rejections.

    Examples
    --------
    >>> from atomate2_vogen.samplers import RandomSampler
    >>> sample = RandomSampler().sample({"VO2": 2}, seed=0)
    >>> len(sample.candidates), sample.missing
    (2, {})
    """

    sampler: str
    model_id: str
    seed: int
    requested: dict[str, int] = Field(description="crystals asked for, by reduced formula")
    attempts: dict[str, int] = Field(description="crystals tried, by reduced formula")
    candidates: list[CandidateDoc]
    rejected: dict[str, dict[str, int]] = Field(
        description="number of rejections by reduced formula and reason"
    )
    wall_time: float = Field(description="seconds, those of formulas sampled side by side added up")
    cpu_time: float | None = Field(None, description="seconds of all threads of the process")
    judge_cpu_time: float | None = Field(
        None,
        description="the part of cpu_time that single points of an energy model took, if any did",
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

    @classmethod
    def merge(cls, parts: Sequence[SampleDoc]) -> SampleDoc:
        """One document of several that differ in nothing but their formulas.

        Raises
        ------
        InputError
            If there is none, they are of different samplers, models, seeds or options, or two of
            them are of the same formula.
        """
        if not parts:
            raise InputError("there are no samples to merge")
        first = parts[0]
        for part in parts[1:]:
            for name in ("sampler", "model_id", "seed", "options"):
                mine, other = getattr(first, name), getattr(part, name)
                if mine != other:
                    raise InputError(f"samples of different {name}: {mine!r} and {other!r}")
        formulas = [formula for part in parts for formula in part.requested]
        if twice := sorted({formula for formula in formulas if formulas.count(formula) > 1}):
            raise InputError(f"{', '.join(twice)} in more than one of the samples")

        def total(name: str) -> float | None:
            values = [getattr(part, name) for part in parts]
            known = [value for value in values if value is not None]
            return sum(known) if known else None

        return first.model_copy(
            update={
                "requested": {k: v for part in parts for k, v in part.requested.items()},
                "attempts": {k: v for part in parts for k, v in part.attempts.items()},
                "rejected": {k: v for part in parts for k, v in part.rejected.items()},
                "candidates": [candidate for part in parts for candidate in part.candidates],
                "wall_time": sum(part.wall_time for part in parts),
                "cpu_time": total("cpu_time"),
                "judge_cpu_time": total("judge_cpu_time"),
            }
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
