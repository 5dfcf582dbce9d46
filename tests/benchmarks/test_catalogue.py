"""The catalogue of finds: what is confirmed, each kind once, nearest known crystals."""

from __future__ import annotations

import csv

import catalogue
import confirm_finds
import pytest
from discovery.counting import new_crystals
from discovery.raw import read_rounds
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen import VANADIUM, load_references
from atomate2_vogen.stability.phases import ReferenceHull

FINDS = confirm_finds.RESULTS / "finds"


@pytest.fixture(scope="module")
def rows():
    with (FINDS / "finds.csv").open() as file:
        return list(csv.DictReader(file))


def test_finds_of_the_discovery_measure_are_those_that_it_counts():
    run = confirm_finds.RESULTS / "discovery/raw/search/seed-1"
    counted = [row for one in read_rounds(run, structures=False) for row in one.crystals]
    found = confirm_finds.discovery_finds("search", 0.025)
    assert len(found) == sum(new_crystals(counted, 0.025, final=True))
    hull = ReferenceHull(load_references("CHGNet-0.3.0"), VANADIUM)
    for document, candidate in found[:5]:
        position = hull.position(document.structure.composition, document.energy_per_atom)
        assert position.energy_above_hull == pytest.approx(document.energy_above_hull, abs=1e-6)
        assert candidate.candidate_id == document.candidate_id


def test_every_crystal_of_the_catalogue_has_a_cif_that_is_it(rows):
    assert len({row["candidate_id"] for row in rows}) == len(rows) > 20
    for row in rows[:: len(rows) // 12]:
        crystal = Structure.from_file(FINDS / row["cif"])
        assert crystal.composition.reduced_formula == row["formula"]
        assert len(crystal.get_primitive_structure()) == int(row["natoms"])
    assert {path.name for path in (FINDS / "cifs").iterdir()} == {
        f"{row['candidate_id']}.cif" for row in rows
    }


def test_all_models_confirm_what_is_in_the_catalogue(rows):
    for row in rows:
        heights = [float(row[name]) for name in row if name.endswith(" energy_above_hull")]
        assert len(heights) >= 3
        assert max(heights) == pytest.approx(float(row["largest_above_hull"]), abs=1e-6)
        # as printed, to 1 meV
        assert max(heights) < 0.1005
        assert (row["verdict_25mev"] == "confirmed") == (max(heights) < 0.0255)


def test_no_kind_comes_twice(rows):
    matcher = StructureMatcher()
    crystals = [Structure.from_file(FINDS / row["cif"]) for row in rows if row["formula"] == "V2O3"]
    for number, crystal in enumerate(crystals):
        assert not any(matcher.fit(crystal, other) for other in crystals[:number])


def test_the_nearest_known_crystal_of_a_known_one_is_itself():
    references = load_references("CHGNet-0.3.0")
    (rutile,) = [one for one in references if one.name == "VO2 P4_2/mnm"]
    found = catalogue.nearest_known(rutile.structure * (1, 2, 1), "VO2")
    assert found["nearest_known"] == "VO2 P4_2/mnm"
    assert found["fingerprint_distance"] == pytest.approx(0, abs=1e-6)
    assert found["matcher_rms"] == pytest.approx(0, abs=1e-3)
