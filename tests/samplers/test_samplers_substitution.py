"""Substitution: the pool, its order, and what happens when it is used up."""

from collections import Counter

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.errors import CountsError
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import SampleDoc
from atomate2_vogen.structures.geometry import too_close


@pytest.fixture(scope="module")
def sampler():
    return SubstitutionSampler()


def cells(document, formula):
    return [
        (c.index, c.details["prototype_id"], c.details["swapped"])
        for c in document.candidates
        if c.formula == formula
    ]


def test_requested_compositions_are_honoured_exactly(sampler):
    document = sampler.sample({"VO2": 5, "V6O9": 4, "V2O5": 3}, seed=1)
    assert Counter(c.formula for c in document.candidates) == {"VO2": 5, "V2O3": 4, "V2O5": 3}
    for candidate in document.candidates:
        assert candidate.structure.composition.reduced_formula == candidate.formula
        assert len(candidate.structure) <= VANADIUM.max_atoms
        assert too_close(candidate.structure, VANADIUM) is None
    assert document.missing == {}


def test_attempts_are_candidates_and_rejections(sampler):
    document = sampler.sample({"VO2": 20, "V2O3": 10}, seed=2)
    for formula, n in document.attempts.items():
        made = sum(c.formula == formula for c in document.candidates)
        assert n == made + sum(document.rejected[formula].values())
        assert document.yields[formula] == made / n
        assert max(i for i, _, _ in cells(document, formula)) == n - 1


def test_same_seed_same_crystals_other_seed_others(sampler):
    first, again = (sampler.sample({"VO2": 6}, seed=5) for _ in range(2))
    assert [c.candidate_id for c in first.candidates] == [c.candidate_id for c in again.candidates]
    assert [c.structure for c in first.candidates] == [c.structure for c in again.candidates]
    other = sampler.sample({"VO2": 6}, seed=6)
    assert cells(first, "VO2") != cells(other, "VO2")


def test_formulas_do_not_disturb_each_other(sampler):
    few = sampler.sample({"VO2": 3, "V2O3": 4}, seed=7)
    many = sampler.sample({"V2O3": 4, "VO2": 30}, seed=7)
    assert cells(few, "V2O3") == cells(many, "V2O3")
    assert cells(few, "VO2") == cells(many, "VO2")[:3]


def test_an_exhausted_pool_stays_short_and_never_repeats(sampler):
    document = sampler.sample({"V2O5": 1000}, seed=0)
    crystals = load_dataset()
    pool = crystals.is_distinct & (crystals.formulas() == "V2O5")
    assert document.attempts["V2O5"] == pool.sum()
    drawn = cells(document, "V2O5")
    assert len({(prototype, swapped) for _, prototype, swapped in drawn}) == len(drawn)
    assert document.missing == {"V2O5": 1000 - len(drawn)}
    close = sum(too_close(s, VANADIUM) is not None for s in crystals.structures(pool))
    assert document.rejected["V2O5"] == {"atoms too close": close}


def test_sample_is_unselected(sampler):
    """Over many seeds each member of the pool comes first about equally often."""
    firsts = Counter(
        sampler.sample({"V2O5": 1}, seed=seed).candidates[0].details["prototype_id"]
        for seed in range(150)
    )
    n = len(sampler.sample({"V2O5": 1000}).candidates)
    assert len(firsts) >= 0.9 * n
    assert max(firsts.values()) < 150 / n + 6 * np.sqrt(150 / n)


def test_details_name_the_prototype(sampler):
    (candidate,) = sampler.sample({"VO2": 1}).candidates
    assert candidate.sampler == "substitution"
    assert candidate.details["prototype"]
    assert candidate.model_id == sampler.model_id


def test_pool_name_does_not_depend_on_labels(sampler):
    other = SubstitutionSampler()
    crystals = load_dataset()
    crystals.energies[:] = -1.0
    assert other.model_id == sampler.model_id


def test_document_survives_json(sampler):
    document = sampler.sample({"VO2": 1})
    again = SampleDoc.model_validate(document.model_dump(mode="python"))
    assert again.candidates[0].structure == document.candidates[0].structure


def test_bad_counts(sampler):
    with pytest.raises(CountsError):
        sampler.sample({"VO2": 0})
