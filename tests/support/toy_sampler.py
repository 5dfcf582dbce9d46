"""A sampler whose crystals cost nothing and come again, as with a generator."""

from __future__ import annotations

from functools import lru_cache

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.potential import Potential
from atomate2_vogen.samplers import SubstitutionSampler
from atomate2_vogen.samplers.base import collect_sample, formula_rng

KINDS = 25
"""Crystals of a formula that there are."""


@lru_cache
def kinds(formula):
    """Some substituted crystals."""
    sample = SubstitutionSampler().sample({formula: KINDS}, seed=3)
    return [candidate.structure for candidate in sample.candidates]


class ToySampler:
    """Substituted crystals with atoms slightly off; attempts end after `most` for each."""

    name = "toy"
    model_id = "substituted"

    def __init__(self, system=VANADIUM, most=3):
        self.system, self.most = system, most

    def sample(self, counts, seed=0, *, known=None):
        return collect_sample(self, self.system, counts, seed, self._outcomes, known=known)

    def _outcomes(self, formula, wanted, seed):
        for index in range(self.most * wanted):
            rng = formula_rng(seed, formula, index)
            crystal = kinds(formula)[rng.integers(KINDS)].copy()
            for site, move in enumerate(rng.normal(0, 0.01, (len(crystal), 3))):
                crystal.translate_sites([site], move, frac_coords=False)
            yield crystal, {}


class ToySearch(ToySampler):
    """Stands for `search`: its crystals depend on the potential and cost nothing."""

    name = "search"

    def __init__(self, potential, system=VANADIUM):
        super().__init__(system)
        loaded = potential if isinstance(potential, Potential) else Potential.load(potential)
        self.model_id = loaded.potential_id

    def _outcomes(self, formula, wanted, seed):
        return super()._outcomes(formula, wanted, seed + int(self.model_id[:6], 16))
