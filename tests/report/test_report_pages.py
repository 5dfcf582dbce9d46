"""Pages: what they hold is what the documents say."""

from __future__ import annotations

import base64
import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import reported
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.report.numbers import finite, interval, number
from atomate2_vogen.report.pages import make_pages, make_palette
from atomate2_vogen.schemas import Proportion


@pytest.fixture(scope="module")
def whole():
    return reported.whole()


@pytest.fixture(scope="module")
def pages(whole):
    return make_pages(whole, whole.candidates)


def facts(page, name):
    return dict(page[name])


def test_numbers_and_crystals_are_those_of_the_documents(whole, pages):
    matcher = StructureMatcher(primitive_cell=False, scale=False)
    whole_crystals = StructureMatcher(scale=False)
    for page, document in zip(pages, whole.candidates, strict=True):
        calculation = whole.calculation_of[document.candidate_id]
        assert page["id"] == document.candidate_id
        assert page["formula"] == document.formula
        if document.paper_class is not None:
            assert page["above"] == pytest.approx(document.energy_above_hull, abs=1e-6)
            assert page["formation"] == pytest.approx(document.formation_energy_per_atom, abs=1e-6)
            assert page["reason"] is None
        else:
            # the energy of a collapsed cell would be the lowest of all
            assert page["above"] is None
            assert page["reason"].startswith(document.state.value)
        for name, structure in (
            ("generated", calculation.candidate.structure),
            ("relaxed", calculation.structure),
        ):
            if structure is None:
                assert name not in page["crystals"]
                continue
            shown = page["crystals"][name]
            rebuilt = Structure(Lattice(shown["lattice"]), shown["species"], shown["frac"])
            (parsed,) = CifParser.from_str(page["cif"][name]).parse_structures(primitive=False)
            assert shown["cell"]["volume"] == pytest.approx(structure.volume, abs=1e-3)
            assert rebuilt.volume == pytest.approx(structure.volume, rel=1e-4)
            if document.state.value != "collapsed":
                assert matcher.fit(structure, rebuilt)
                # a relaxed crystal's CIF has the conventional cell
                assert whole_crystals.fit(structure, parsed)


def test_every_candidate_tells_where_it_comes_from(whole, pages):
    first = pages[1]
    provenance = facts(first, "provenance")
    assert provenance["sampler"] == "wgan"
    assert provenance["model id"] == "abc123"
    assert (provenance["seed"], provenance["attempt"]) == ("7", "0")
    assert provenance["calculation"] == f"{first['id']}|{reported.SCHEME}"
    assert provenance["hull id"] == whole.hull_id
    assert facts(first, "novelty")["known as"] == "rutile, known"
    named = next(page for page in pages if page["name"] == "mine/rutile.cif")
    assert facts(named, "novelty")["same as"] == first["id"]
    distances = facts(first, "geometry")["shortest O–V, as generated → relaxed (Å)"]
    before, after = (
        min(s.get_distance(i, j) for i in range(len(s)) for j in range(len(s))
            if {s[i].specie.symbol, s[j].specie.symbol} == {"V", "O"})
        for s in (reported.rutile(4.9) * (2, 2, 2), reported.rutile() * (2, 2, 2))
    )  # fmt: skip
    assert distances == f"{before:.2f} → {after:.2f}"


def test_bands_and_phonons_are_pictures_and_failures_say_why(pages):
    electrons, phonons = pages[1]["sections"]
    assert electrons["title"] == "Electrons: half-metal"
    assert dict(electrons["facts"])["gap, spin down (eV)"].startswith("2.00 (gapped")
    assert phonons["title"] == "Phonons: stable"
    assert "holds nothing sideways" in phonons["remarks"]
    for section in (electrons, phonons):
        kind, _, content = section["picture"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert ET.fromstring(base64.b64decode(content)).tag.endswith("svg")
    (failed,) = next(page for page in pages if page["above"] == 0.35)["sections"]
    assert failed["picture"] is None
    assert failed["remarks"] == ["failed: cursed", "holds nothing sideways"]


def test_a_document_without_its_arrays_is_told_not_drawn(whole):
    document = whole.electronic[0].model_copy(update={"line_bands": None})
    fewer = reported.documents(electronic=[document], phonons=[])
    (section,) = make_pages(fewer, fewer.candidates[1:2])[0]["sections"]
    assert section["picture"] is None
    assert "not drawn: the document has no line bands" in section["remarks"][0]


def test_pages_are_json_without_nan(whole):
    broken = [
        d.model_copy(update={"energy_per_atom": float("nan"), "max_force": float("inf")})
        for d in whole.calculations
    ]
    pages = make_pages(reported.documents(calculations=broken), whole.candidates)
    assert json.loads(json.dumps(pages, allow_nan=False)) == json.loads(json.dumps(pages))


def test_candidates_without_calculations_have_pages_too(whole):
    bare = reported.documents(calculations=[], metrics=None)
    page = make_pages(bare, bare.candidates)[0]
    assert list(page["crystals"]) == ["relaxed"]
    assert "relaxed" in page["cif"]


def test_bonds_reach_the_first_shell_of_rutile():
    palette = make_palette(VANADIUM)
    crystal = reported.rutile()
    lengths = np.sort([n.nn_distance for n in crystal.get_neighbors(crystal[0], 3.2)])
    assert lengths[5] < palette["bond"] < lengths[6]
    assert palette["elements"]["O"]["anion"]


def test_numbers_are_written_as_people_read_them():
    assert number(-0.0004) == "0.000"
    assert number(-1.5, 2) == "−1.50"
    assert number(float("nan")) == number(None) == "–"
    assert finite(float("inf")) is None
    part = Proportion(count=10, total=24, share=10 / 24, low=0.245, high=0.612)
    assert interval(part) == "41.7 % (24 to 61)"
    assert interval(None) == "–"
