"""The oxide system: what it says of formulas, and what it refuses to be."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from atomate2_vogen.chemistry import TITANIUM, VANADIUM, OxideSystem, reduced_formula
from atomate2_vogen.errors import InputError, UnknownFormulaError, VogenError
from atomate2_vogen.jobs.known import count_known
from atomate2_vogen.samplers.base import check_counts
from atomate2_vogen.stores import CrystalFilter


def test_vanadium_is_the_papers():
    assert VANADIUM.elements == ("V", "O")
    assert VANADIUM.atomic_numbers == (23, 8)
    assert VANADIUM.chemsys == "O-V"
    assert VANADIUM.target_formulas == ("VO2", "V2O3", "V2O5")
    assert VANADIUM.hubbard_u == {"V": 3.25}


def test_pairs_have_distances_in_either_order():
    for first, second in VANADIUM.pairs:
        distance = VANADIUM.minimum_distance(first, second)
        assert distance == VANADIUM.minimum_distance(second, first) > 1
    with pytest.raises(InputError, match="Fe-V"):
        VANADIUM.minimum_distance("Fe", "V")


@given(st.integers(1, 30), st.integers(1, 30))
def test_formulas_reduce_as_pymatgen_reduces_them(metal, anion):
    reduced = VANADIUM.reduced_formula(f"V{metal}O{anion}")
    assert reduced == VANADIUM.reduced_formula(f"O{anion}V{metal}")
    n_metal, n_anion = VANADIUM.formula_unit(reduced)
    assert metal * n_anion == anion * n_metal
    composition = Composition(reduced)
    assert (composition["V"], composition["O"]) == (n_metal, n_anion)
    units = VANADIUM.max_formula_units(reduced)
    assert units * (n_metal + n_anion) <= VANADIUM.max_atoms < (units + 1) * (n_metal + n_anion)


@pytest.mark.parametrize("text", ["VO2", "O2V", "V2O4", "O4V2", "V1O2", "V(O)2", "VOO"])
def test_one_answer_for_every_way_to_write_a_formula(text):
    assert reduced_formula(text) == "VO2"
    assert VANADIUM.reduced_formula(text) == "VO2"
    assert list(check_counts({text: 1}, VANADIUM)) == ["VO2"]
    assert CrystalFilter.make({"formula": text}).stability()["formula"] == "VO2"
    assert count_known(formulas=[text]) == count_known(formulas=["VO2"])


@pytest.mark.parametrize(
    "text", ["V0.5O1", "V0.33O0.67", "VO2.5", "V1e400O", f"V{'9' * 400}O", "", "Q"]
)
def test_one_refusal_for_what_is_no_formula(text):
    asked = (
        lambda: reduced_formula(text),
        lambda: VANADIUM.reduced_formula(text),
        lambda: check_counts({text: 1}, VANADIUM),
        lambda: CrystalFilter.make({"formula": text}),
        lambda: count_known(formulas=[text]),
    )
    for ask in asked:
        with pytest.raises(InputError, match=r"formula|compound"):
            ask()


@pytest.mark.parametrize(
    "formula", ["V", "O2", "TiO2", "VO2.5", "V0.5O1", "V2O3N", "", "??", "vo2"]
)
def test_what_is_no_oxide_of_it(formula):
    with pytest.raises(UnknownFormulaError, match=r"formula|compound"):
        VANADIUM.reduced_formula(formula)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metal": "Xx"}, "'Xx' is not an element"),
        ({"metal": "O"}, "both O"),
        ({"oxidation_states": {"V": (3,)}}, "oxidation_states of O-V lacks O"),
        ({"atomic_volumes": {"O": 10.0}}, "atomic_volumes of O-V lacks V"),
        ({"atomic_volumes": {"V": -1.0, "O": 10.0}}, "-1.0"),
        ({"minimum_distances": {"V-V": 2.0, "O-O": 2.0}}, "lacks the pair V-O"),
        ({"minimum_distances": {"V-V": 2.0, "O-O": 2.0, "O-V": float("nan")}}, "nan"),
        ({"target_formulas": ("TiO2",)}, "TiO2"),
    ],
)
def test_impossible_systems(changes, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(VANADIUM, **changes)


def test_targets_are_reduced():
    assert dataclasses.replace(VANADIUM, target_formulas=("V4O8",)).target_formulas == ("VO2",)


def test_titanium_is_an_instance_and_no_code():
    assert TITANIUM.chemsys == "O-Ti"
    assert TITANIUM.target_formulas == ("TiO2", "Ti2O3", "Ti3O5")
    assert TITANIUM.formula_unit("Ti4O6") == (2, 3)
    assert TITANIUM.max_formula_units("Ti3O5") == 2
    with pytest.raises(UnknownFormulaError, match="TiO2"):
        TITANIUM.reduced_formula("VO2")


def test_json_round_trip_keeps_equality_and_hash():
    again = OxideSystem.from_dict(VANADIUM.as_dict())
    assert again == VANADIUM
    assert hash(again) == hash(VANADIUM)
    assert len({again, VANADIUM, dataclasses.replace(VANADIUM, max_atoms=12)}) == 2


def test_input_errors_are_value_errors_of_the_package():
    assert issubclass(UnknownFormulaError, InputError)
    assert issubclass(InputError, VogenError)
    assert issubclass(InputError, ValueError)
