"""The checks and random streams that all samplers share."""

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import CountsError, InputError, UnknownFormulaError
from atomate2_vogen.samplers.base import Sampler, check_counts, check_seed, formula_rng
from atomate2_vogen.samplers.evolution import EvolutionSampler
from atomate2_vogen.samplers.random_symmetric import RandomSampler
from atomate2_vogen.samplers.substitution import SubstitutionSampler

TITANIUM = OxideSystem(
    metal="Ti",
    target_formulas=("TiO2",),
    oxidation_states={"Ti": (4,), "O": (-2,)},
    atomic_volumes={"Ti": 15.0, "O": 10.0},
    minimum_distances={"Ti-Ti": 2.2, "O-Ti": 1.6, "O-O": 2.0},
    max_atoms=12,
)

FIRST_DRAWS = [533, 975, 137, 241]


def test_counts_are_reduced():
    counts = check_counts({"V4O8": np.int64(2), "O3V2": 1}, VANADIUM)
    assert counts == {"VO2": 2, "V2O3": 1}
    assert all(type(n) is int for n in counts.values())


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True, None, 2.0])
def test_counts_must_be_positive_whole_numbers(count):
    with pytest.raises(CountsError, match="VO2"):
        check_counts({"VO2": count}, VANADIUM)


def test_counts_of_nothing_of_twice_and_of_too_much():
    with pytest.raises(CountsError, match="no formula"):
        check_counts({}, VANADIUM)
    with pytest.raises(CountsError, match="twice"):
        check_counts({"VO2": 1, "V2O4": 1}, VANADIUM)
    with pytest.raises(CountsError, match="more than 20 atoms"):
        check_counts({"V6O15": 1, "V13O31": 1}, VANADIUM)


@pytest.mark.parametrize("formula", ["TiO2", "V", "O2", "VO2.5", "hello", "", "VFeO3"])
def test_formulas_of_other_systems_are_refused(formula):
    with pytest.raises(UnknownFormulaError):
        check_counts({formula: 1}, VANADIUM)


def test_any_oxide_will_do():
    assert check_counts({"Ti2O4": 1}, TITANIUM) == {"TiO2": 1}


@pytest.mark.parametrize("seed", [-1, 1.0, "a", None, True])
def test_seeds_are_whole_and_not_negative(seed):
    with pytest.raises(InputError, match="seed"):
        check_seed(seed)


def test_streams_differ_by_seed_formula_and_path_and_repeat():
    keys = [(0, "VO2"), (1, "VO2"), (0, "V2O3"), (0, "VO2", 0), (0, "VO2", 1)]
    draws = [formula_rng(*key).integers(2**62) for key in keys]
    assert len(set(draws)) == len(keys)
    assert draws == [formula_rng(*key).integers(2**62) for key in keys]


def test_stream_is_the_same_on_every_machine():
    assert formula_rng(0, "VO2").integers(1000, size=4).tolist() == FIRST_DRAWS


@pytest.mark.parametrize(
    "sampler", [SubstitutionSampler(), RandomSampler(), EvolutionSampler(min_atoms=9)]
)
def test_they_are_samplers_and_survive_serialisation(sampler):
    assert isinstance(sampler, Sampler)
    again = type(sampler).from_dict(sampler.as_dict())
    assert again == sampler
    assert again.model_id == sampler.model_id
