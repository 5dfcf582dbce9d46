"""Candidates by substitution: known binary prototypes with the elements of the system.

A strong but finite baseline. Every candidate is a known prototype, so none of them is novel
against the pool it is drawn from.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from monty.json import MSONable

from atomate2_vogen.analysis.geometry import too_close
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.samplers.base import check_counts, check_seed, formula_rng
from atomate2_vogen.schemas import CandidateDoc, Rejection, RejectionReason, SampleDoc


@lru_cache(maxsize=1)
def _prototype_names() -> dict[int, str]:
    return {prototype.prototype_id: prototype.name for prototype in load_prototypes()}


@dataclass
class SubstitutionSampler(MSONable):
    """Draws distinct substituted prototypes in random order, each at most once.

    Nothing selects among them but the check of distances, so a sample is an unbiased one of
    the pool.

    Parameters
    ----------
    system
        The oxide.
    """

    system: OxideSystem = VANADIUM

    name: ClassVar[str] = "substitution"

    @cached_property
    def pool(self) -> CrystalSet:
        """Distinct substituted crystals of at most `max_atoms` atoms, unlabelled."""
        crystals = load_dataset(self.system)
        return crystals.select(crystals.is_distinct & (crystals.n_atoms <= self.system.max_atoms))

    @cached_property
    def model_id(self) -> str:
        """Name of the pool: its size and a hash of its cells, species and coordinates."""
        digest = hashlib.sha256(self.pool.keys().tobytes()).hexdigest()[:12]
        return f"substitution-{len(self.pool)}-{digest}"

    def sample(self, counts: Mapping[str, int], seed: int = 0) -> SampleDoc:
        """Draw crystals; see `Sampler`.

        A formula whose pool is used up stays short: see `SampleDoc.missing`.

        Raises
        ------
        CountsError, UnknownFormulaError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        start = time.perf_counter()
        requested = check_counts(counts, self.system)
        seed = check_seed(seed)
        formulas = self.pool.formulas()
        attempts = dict.fromkeys(requested, 0)
        candidates: list[CandidateDoc] = []
        rejections: list[Rejection] = []
        for formula, wanted in requested.items():
            members = np.flatnonzero(formulas == formula)
            found = 0
            for member in formula_rng(seed, formula).permutation(members):
                if found == wanted:
                    break
                outcome = self._try(int(member), formula, seed, attempts[formula])
                attempts[formula] += 1
                if isinstance(outcome, Rejection):
                    rejections.append(outcome)
                else:
                    candidates.append(outcome)
                    found += 1
        return SampleDoc.make(
            sampler=self.name,
            model_id=self.model_id,
            seed=seed,
            requested=requested,
            attempts=attempts,
            candidates=candidates,
            rejections=rejections,
            wall_time=time.perf_counter() - start,
        )

    def _try(self, member: int, formula: str, seed: int, index: int) -> CandidateDoc | Rejection:
        structure = self.pool.structure(member)
        if message := too_close(structure, self.system):
            return Rejection(
                formula=formula,
                index=index,
                reason=RejectionReason.ATOMS_TOO_CLOSE,
                message=message,
            )
        prototype_id = int(self.pool.prototype_ids[member])
        return CandidateDoc.make(
            structure,
            sampler=self.name,
            model_id=self.model_id,
            formula=formula,
            seed=seed,
            index=index,
            details={
                "prototype": _prototype_names()[prototype_id],
                "prototype_id": prototype_id,
                "swapped": bool(self.pool.swapped[member]),
            },
        )
