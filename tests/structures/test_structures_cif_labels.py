"""Elements of CIF sites: one for certain, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element

from atomate2_vogen.errors import StructureFileError
from atomate2_vogen.structures.reading.cif_labels import element_of

SYMBOLS = [Element.from_Z(z).symbol for z in range(1, 119)]
LABELS = {
    "V1": "V",
    "V": "V",
    "V1A": "V",
    "V1+4": "V",
    "V(1)": "V",
    "V_1": "V",
    "O2'": "O",
    "O12": "O",
    "O-2": "O",
    "Co1": "Co",
    "D1": "D",
}
AMBIGUOUS = [
    "OH2",
    "OH",
    "OW1",
    "Ow1",
    "O1W",
    "O1H",
    "O2-H",
    "Wat",
    "H2O",
    "VO1",
    "Va1",
    "Vac",
    "X1",
    "Q1",
    "Du1",
    "M1",
    "CO1",
    "C1O",
    "OS2",
    "v1",
    "o1",
    "FE1",
    "1V",
    "O1AB",
    "?",
    "NO3",
]
TYPES = {
    "V": "V",
    "V4+": "V",
    "V+4": "V",
    "V0+": "V",
    "O2-": "O",
    "O-2": "O",
    "O": "O",
    "V3.5+": "V",
    "V5": "V",
    "FE": "Fe",
    "v": "V",
    "V4+,spin=1": "V",
}
NO_TYPES = [
    "Q",
    "X",
    "Va",
    "Vac",
    "VO",
    "OH",
    "OH2",
    "Wat",
    "V1A",
    "H(SDS)",
    "Du",
    "V4+O",
    "M",
    "-",
    "4+",
]


@pytest.mark.parametrize("label", LABELS)
def test_label(label):
    assert element_of(label, None) == LABELS[label]


@pytest.mark.parametrize("label", AMBIGUOUS)
def test_ambiguous_label_is_refused_by_name(label):
    with pytest.raises(StructureFileError, match="one element for certain"):
        element_of(label, None)


@pytest.mark.parametrize("text", TYPES)
def test_type_symbol_goes_before_the_label(text):
    assert element_of("OH2", text) == TYPES[text]


@pytest.mark.parametrize("text", NO_TYPES)
def test_unknown_type_symbol_is_refused_whatever_the_label(text):
    with pytest.raises(StructureFileError, match="no element"):
        element_of("V1", text)


def test_site_without_any_name():
    with pytest.raises(StructureFileError, match="neither label nor type symbol"):
        element_of(None, None)


@given(symbol=st.sampled_from(SYMBOLS), number=st.integers(1, 99), charge=st.integers(-4, 6))
def test_every_element_by_label_and_by_type(symbol, number, charge):
    assert element_of(f"{symbol}{number}", None) == symbol
    assert element_of(None, f"{symbol}{abs(charge)}{'+' if charge >= 0 else '-'}") == symbol


@given(st.text(st.characters(max_codepoint=0x17F), min_size=1, max_size=6))
def test_any_label_is_one_element_that_it_begins_with_or_refused(label):
    try:
        found = element_of(label, None)
    except StructureFileError:
        return
    assert label.startswith(found)
    assert not label[len(found) : len(found) + 1].isalpha()
