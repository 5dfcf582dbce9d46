"""Oxide systems by name: against what is written down, and any metal against other data."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.data.systems import derive_system, load_system, oxide_system
from atomate2_vogen.engines.references import reference_metals, reference_structures
from atomate2_vogen.errors import InputError, UnknownSystemError

# Pa: its oxide here is PaO2, but pymatgen's ICSD table knows Pa5+ alone; Ti and V are written down;
# U: see the test of uranyl
METALS = [metal for metal in reference_metals() if metal not in {"Pa", "Ti", "U", "V"}]


def test_titanium_is_what_its_rule_gives():
    derived = derive_system("Ti")
    assert dataclasses.replace(derived, target_formulas=TITANIUM.target_formulas) == TITANIUM


def test_the_rule_gives_about_what_the_paper_has_for_vanadium():
    derived = derive_system("V")
    assert set(derived.target_formulas) == set(VANADIUM.target_formulas)
    assert derived.oxidation_states == VANADIUM.oxidation_states
    assert derived.hubbard_u == VANADIUM.hubbard_u
    assert derived.initial_moments == VANADIUM.initial_moments
    for pair, distance in VANADIUM.minimum_distances.items():
        assert derived.minimum_distances[pair] == pytest.approx(distance, abs=0.11)
    assert derived.atomic_volumes["V"] == pytest.approx(13.8, abs=2)


@pytest.mark.parametrize("name", ["Ti-O", "O-Ti", "Ti"])
def test_names_of_what_is_written_down(name):
    assert load_system(name) is TITANIUM
    assert oxide_system("V") is VANADIUM


def test_the_rule_is_known_to_be_wrong_for_uranyl():
    """Its U-O is longer than that of a reference phase (README, another oxide)."""
    system = load_system("U-O")
    shortest = min(
        phase.structure.get_distance(i, j)
        for phase in reference_structures(system)
        for i, a in enumerate(phase.structure)
        for j, b in enumerate(phase.structure)
        if {a.specie.symbol, b.specie.symbol} == {"U", "O"}
    )
    assert shortest < system.minimum_distance("U", "O")


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(METALS))
def test_any_metal_with_references_is_an_instance(metal):
    """Numbers come from the prototypes; here they meet the reference phases, other data."""
    system = load_system(f"{metal}-O")
    assert (system.metal, system.anion) == (metal, "O")
    for formula in system.target_formulas:
        guesses = Composition(formula).oxi_state_guesses(
            oxi_states_override={
                symbol: range(min(states), max(states) + 1)
                for symbol, states in system.oxidation_states.items()
            },
            all_oxi_states=True,
        )
        # mean charges of one compound of mixed valence, e.g. Ti3O5, lie between two states
        assert guesses or not float(_charge(formula, metal)).is_integer()
        assert system.max_formula_units(formula) >= 1
    compounds = [
        phase.structure
        for phase in reference_structures(system)
        if phase.structure.composition.reduced_formula in system.target_formulas
    ]
    assert compounds
    ratios = []
    for structure in compounds:
        symbols = np.array([site.specie.symbol for site in structure])
        centers, others, _, distances = structure.get_neighbor_list(4.0)
        for a, b, distance in zip(symbols[centers], symbols[others], distances, strict=True):
            assert distance > system.minimum_distance(a, b)
        expected = sum(
            amount * system.atomic_volumes[element.symbol]
            for element, amount in structure.composition.items()
        )
        ratios.append(structure.volume / expected)
    assert 0.8 < np.median(ratios) < 1.25


def _charge(formula: str, metal: str) -> float:
    composition = Composition(formula)
    return 2 * composition["O"] / composition[metal]


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_files_of_a_system(tmp_path, suffix):
    file = tmp_path / f"mine.{suffix}"
    mine = dataclasses.replace(TITANIUM, max_atoms=12)
    fields = {k: v for k, v in mine.as_dict().items() if not k.startswith("@")}
    if suffix == "json":
        file.write_text(json.dumps(fields))
    else:
        from ruamel.yaml import YAML

        with file.open("w") as handle:
            YAML(typ="safe", pure=True).dump(json.loads(json.dumps(fields)), handle)
    assert load_system(str(file)) == mine


def test_a_file_need_not_say_everything(tmp_path):
    file = tmp_path / "short.json"
    fields = TITANIUM.as_dict()
    for name in ("hubbard_u", "initial_moments", "anion", "max_atoms"):
        del fields[name]
    file.write_text(json.dumps(fields))
    assert load_system(str(file)) == dataclasses.replace(TITANIUM, initial_moments={})


@pytest.mark.parametrize("name", ["Ti-N", "Ti-O-N", "O", "TiO2", "", "Xx-O", "Si-O", "ti-o"])
def test_what_is_no_system_is_named_with_those_there_are(name):
    with pytest.raises(UnknownSystemError, match=rf"'{name.removesuffix('-O')}.*(V-O|Zr)"):
        load_system(name)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("", UnknownSystemError, "no system in it"),
        ("[1, 2]", UnknownSystemError, "no system in it, but"),
        ("{", UnknownSystemError, "no YAML"),
        ('{"metal": "Ti"}', UnknownSystemError, "target_formulas"),
        ('{"colour": "red"}', UnknownSystemError, "colour"),
    ],
)
def test_files_of_no_system(tmp_path, content, error, words):
    file = tmp_path / "wrong.yaml"
    file.write_text(content)
    with pytest.raises(error, match=words) as raised:
        load_system(str(file))
    assert "wrong.yaml" in str(raised.value)


def test_an_impossible_system_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "same.json"
    file.write_text(json.dumps({**TITANIUM.as_dict(), "metal": "O"}))
    with pytest.raises(InputError, match=r"same\.json: .*both O"):
        load_system(str(file))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnknownSystemError, match=r"gone\.json: No such file"):
        load_system(str(tmp_path / "gone.json"))
