"""Which documents are drawn, in which order, under which caption."""

from __future__ import annotations

import pytest
from judged_documents import HULL, document, documents
from pymatgen.core import Composition

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.plotting import documents as chosen


def test_order_does_not_depend_on_the_callers():
    docs = documents()
    forward = chosen.ranked_by_formula(docs, VANADIUM)
    backward = chosen.ranked_by_formula(docs[::-1], VANADIUM)
    assert forward == backward
    assert list(forward) == list(backward) == ["V2O3", "VO2", "V2O5"]
    assert sum(map(len, forward.values())) == 37


def test_energies_of_the_hull_are_those_of_the_hull():
    found = chosen.energies_of_hull(chosen.ranked_by_formula(documents(), VANADIUM))
    for formula, energy in found.items():
        position = HULL.position(Composition(formula), 0.0)
        assert energy == pytest.approx(-position.energy_above_hull)


def test_one_scheme():
    own, other = document("VO2", 0.1, 0), document("VO2", 0.1, 1, scheme="other")
    assert chosen.one_scheme([own]) == own.scheme
    assert chosen.one_scheme([]) == "-"
    assert chosen.one_scheme([], "given") == "given"
    with pytest.raises(SchemeMismatchError, match="other cannot be drawn on a hull of CHGNet"):
        chosen.one_scheme([own, other])
    with pytest.raises(SchemeMismatchError, match="CHGNet"):
        chosen.one_scheme([own], "given")
    with pytest.raises(SchemeMismatchError, match="other"):
        chosen.one_scheme_of_all({"a": [own], "b": [other]})
    with pytest.raises(InputError, match="no sampler"):
        chosen.one_scheme_of_all({})


def test_captions_count_what_is_left_out():
    docs = [document("VO2", 0.1, 0), document("VO2", -5.0, 1, state="collapsed")]
    assert chosen.count_states(docs, "S") == (
        "Energy model: S. 1 of 2 candidates ranked (1 collapsed)."
    )
    assert chosen.count_states(docs[:1], "S") == "Energy model: S. 1 of 1 candidates ranked."
    assert chosen.count_ranked({"a": docs, "b": []}, "S") == (
        "Energy model: S. Candidates ranked: a 1 of 2, b 0 of 0."
    )
