"""Candidates by substitution: known binary prototypes with the elements of the system.

A strong but finite baseline. Every candidate is a known prototype, so none of them is novel
against the pool it is drawn from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from monty.json import MSONable
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.samplers.base import RefusedError, collect_sample, formula_rng
from atomate2_vogen.schemas import RejectionReason, SampleDoc
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import KnownStructures


@lru_cache(maxsize=1)
def prototype_names() -> dict[int, str]:
    """Names of the prototypes by their ids."""
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

    Examples
    --------
    >>> from atomate2_vogen.samplers import SubstitutionSampler
    >>> sample = SubstitutionSampler().sample({"VO2": 2}, seed=0)
    >>> [candidate.formula for candidate in sample.candidates]
    ['VO2', 'VO2']
    """

    system: OxideSystem = VANADIUM

    name: ClassVar[str] = "substitution"

    @cached_property
    def pool(self) -> CrystalSet:
        """Distinct substituted crystals of at most `max_atoms` atoms, unlabelled."""
        crystals = load_dataset(self.system)
        return crystals.select(crystals.is_distinct & (crystals.n_atoms <= self.system.max_atoms))

    @cached_property
    def _formulas(self) -> np.ndarray:
        return self.pool.formulas()

    @cached_property
    def model_id(self) -> str:
        """Name of the pool: its size and a hash of its cells, species and coordinates."""
        digest = hashlib.sha256(self.pool.keys().tobytes()).hexdigest()[:12]
        return f"substitution-{len(self.pool)}-{digest}"

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Draw crystals; see `Sampler`.

        A formula whose pool is used up stays short: see `SampleDoc.missing`.

        Raises
        ------
        CountsError, UnknownFormulaError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        return collect_sample(self, self.system, counts, seed, self._outcomes, known=known)

    def _outcomes(
        self, formula: str, wanted: int, seed: int
    ) -> Iterator[tuple[Structure, dict[str, Any]] | RefusedError]:
        """Members of the pool in random order."""
        del wanted  # the pool is finite
        members = np.flatnonzero(self._formulas == formula)
        for member in formula_rng(seed, formula).permutation(members).tolist():
            structure = self.pool.structure(member)
            if message := too_close(structure, self.system):
                yield RefusedError(RejectionReason.ATOMS_TOO_CLOSE, message)
                continue
            prototype_id = int(self.pool.prototype_ids[member])
            yield (
                structure,
                {
                    "prototype": prototype_names()[prototype_id],
                    "prototype_id": prototype_id,
                    "swapped": bool(self.pool.swapped[member]),
                },
            )
