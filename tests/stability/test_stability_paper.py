"""The paper's tables: published values as printed there, ours counted by hand."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from importlib.resources import files

import pytest
from made_entries import SCHEME, judgement, made

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import MissingReferenceError, SchemeMismatchError
from atomate2_vogen.schemas import (
    ConsensusDoc,
    DiscoveryDoc,
    EnergyModel,
    GanDoc,
    Opinion,
    StabilityState,
)
from atomate2_vogen.stability import MaterialsProjectHull, Published, proportion
from atomate2_vogen.stability.materials_project import is_on_scale
from atomate2_vogen.stability.paper_tables import (
    CRITERIA,
    claims_table,
    classes_table,
    generator_table,
    hull_table,
    new_crystals,
    parameters_table,
)

PAPER = Published.values()


def discovery(heights, requested=6, scheme=SCHEME, sampler="wgan", **changes):
    """What a sampler's crystals came to; None is one that collapsed."""
    stability = [
        judgement(one, above, scheme=scheme, energy_per_atom=-8.5 + (above or 0), **changes)
        if above is not None
        else judgement(one, -5.0, state=StabilityState.COLLAPSED, scheme=scheme)
        for one, above in zip(made(len(heights), sampler), heights, strict=True)
    ]
    return DiscoveryDoc(
        scheme=scheme,
        sample={"requested": {"VO2": requested}},
        n_candidates=len(heights),
        n_calculated=len(heights),
        stability=stability,
    )


def cells(table, *key):
    """The row that begins so, by column."""
    (row,) = [row for row in table.rows if tuple(row[: len(key)]) == key]
    return dict(zip(table.columns, row, strict=True))


def test_published_values_are_those_of_the_papers_table():
    counts = {formula: row for formula, row in PAPER.counts.items() if formula != "all"}
    whole = PAPER.counts["all"]
    for key in ("total", *CRITERIA):
        assert sum(formula[key] for formula in counts.values()) == whole[key]
    # as printed there
    assert whole["stable"] / whole["total"] == pytest.approx(0.202, abs=5e-4)
    assert whole["metastable"] / whole["total"] == pytest.approx(0.0975, abs=5e-4)
    assert PAPER.request == {"VO2": 184, "V2O3": 152, "V2O5": 115}


def test_table_2_counts_ranked_crystals_of_those_asked_for():
    table = classes_table(PAPER, {"wgan": discovery([0.05, 0.2, 0.4, None])})
    stable = cells(table, "VO2", "stable")
    assert stable["paper"].count == 56
    assert (stable["wgan"].count, stable["wgan"].total) == (2, 6)
    assert cells(table, "VO2", "metastable")["wgan"].count == 1
    # the collapsed one has a negative formation energy too, and does not count
    assert cells(table, "all", "E_f < 0")["wgan"].count == 3
    assert cells(table, "all", "stable")["paper"].count == 91


def test_new_crystals_are_unique_and_match_no_known_one():
    found = discovery([0.3, 0.1, 0.2])
    found.stability[1] = found.stability[1].model_copy(update={"is_novel": False})
    assert [one.energy_above_hull for one in new_crystals(found.stability)] == [0.2, 0.3]
    found.stability[2] = found.stability[2].model_copy(update={"is_unique": False})
    assert [one.energy_above_hull for one in new_crystals(found.stability)] == [0.3]


def test_energies_of_another_scale_are_not_placed_on_the_materials_projects_hull():
    row = cells(hull_table(PAPER, {"wgan": discovery([-0.01, 0.2])}, []), "VO2", "wgan")
    assert row["below judge's hull"] == 1
    assert row["lowest above judge's hull, eV/atom"] == -0.01
    assert row["below MP's hull"] is None
    assert row["lowest above MP's hull, eV/atom"] is None
    hull = MaterialsProjectHull.bundled()
    with pytest.raises(SchemeMismatchError, match="DIEP-fold1"):
        hull.height("VO2", -8.0, "DIEP-fold1")


def test_energies_on_the_scale_are_placed_there():
    scheme = "CHGNet-0.3.0"
    found = discovery([0.0, 0.2], scheme=scheme)
    hull = MaterialsProjectHull.bundled()
    row = cells(hull_table(PAPER, {"wgan": found}, []), "VO2", "wgan")
    expected = hull.height("VO2", -8.5, scheme)
    assert row["lowest above MP's hull, eV/atom"] == pytest.approx(expected, abs=5e-4)
    (note,) = [n for n in hull_table(PAPER, {"wgan": found}, []).notes if "judge's hull lies" in n]
    assert f"VO2 {expected:+.3f}." in note  # the crystal is on the judge's hull
    # what lies 1 meV/atom below the hull's own energy counts, what lies on it does not
    on_hull = -8.5 - expected
    for shift, count in ((-0.001, 1), (0.0, 0)):
        moved = found.stability[0].model_copy(update={"energy_per_atom": on_hull + shift})
        one = found.model_copy(update={"stability": [moved]})
        assert (
            cells(hull_table(PAPER, {"wgan": one}, []), "VO2", "wgan")["below MP's hull"] == count
        )


def test_opinions_stand_beside_the_crystal_that_they_are_about():
    found = discovery([0.01])
    (crystal,) = found.stability

    def opinion(engine, above):
        model = EnergyModel(engine=engine, scheme=engine)
        return Opinion(model=model, state="ranked", energy_above_hull=above)

    document = ConsensusDoc(
        consensus_id="x",
        candidate_id=crystal.candidate_id,
        scheme=SCHEME,
        formula="VO2",
        chemsys="O-V",
        sampler="wgan",
        model_id="m1",
        structure=crystal.structure,
        opinions=[opinion("first", 0.01), opinion("second", 0.03), opinion("third", -0.2)],
        verdict="confirmed",
    )
    row = cells(hull_table(PAPER, {"wgan": found}, [document]), "VO2", "wgan")
    assert row["other models about it"] == "second +0.030, third -0.200: confirmed"
    claims = claims_table(PAPER, {"wgan": found, "random": discovery([])}, [], [document])
    label = "confirmed by other energy models, of those asked about"
    assert cells(claims, label)["wgan"] == proportion(1, 1)
    assert cells(claims, label)["random"] == proportion(0, 0)


def test_claims_are_of_the_crystals_asked_for():
    claims = claims_table(PAPER, {"wgan": discovery([-0.01, 0.02, 0.05, 0.09, None])}, [], [])
    assert cells(claims, "stable")["paper"] == proportion(91, 451)
    assert cells(claims, "stable")["wgan"] == proportion(4, 6)
    assert cells(claims, "unique, new, ≤ 0.1 eV/atom above hull")["wgan"] == proportion(4, 6)
    assert cells(claims, "unique, new, ≤ 0.025 eV/atom above hull")["wgan"] == proportion(2, 6)
    assert cells(claims, "new crystals below the judge's hull")["wgan"] == proportion(1, 6)
    # no V2O3 was asked for
    assert cells(claims, "new V2O3 below MP's hull")["wgan"] is None


def test_generators_are_compared_by_what_decodes():
    gan = GanDoc(
        kind="GAN",
        steps=4,
        seed=1,
        preset="paper",
        autoencoders="a",
        model_id="b",
        history={"loss": [1.0, 3.0, 2.0]},
        decoded={"exact_composition": proportion(1, 4)},
        wall_time=1.0,
    )
    row = cells(generator_table(PAPER, [gan]), "GAN")
    assert row["mean change between points"] == 1.5
    assert row["latents that decode to the formula"] == proportion(1, 4)
    assert row["with atoms apart, too"] is None
    assert row["paper, steps"] == 5000


def test_table_1_has_a_row_for_each_published_parameter():
    table = parameters_table(PAPER, {"training crystals": "11284"})
    assert len(table.rows) == len(PAPER.parameters)
    assert cells(table, "training crystals")["this run"] == "11284"
    assert cells(table, "latents of the sites") == {
        "parameter": "latents of the sites", "paper": "200", "this run": None,
    }  # fmt: skip


def raw_entries():
    file = files("pymatgen.analysis.compatibility") / "calc_compounds.json.gz"
    return json.loads(gzip.decompress(file.read_bytes()))


@pytest.mark.parametrize(("formula", "v", "o"), [("V2O3", 2, 3), ("V2O5", 2, 5), ("VO2", 1, 2)])
def test_hull_is_that_of_corrected_entries(formula, v, o):
    # the corrections of MP2020 (Wang et al., Sci. Rep. 11, 15496 (2021)), applied by hand
    raw = raw_entries()
    energy = raw[formula]["energy"] / sum(raw[formula]["composition"].values())
    corrected = energy - (1.7 * v + 0.687 * o) / (v + o)
    elements = {
        name: raw[name]["energy"] / sum(raw[name]["composition"].values()) for name in ("V", "O2")
    }
    by_hand = corrected - (v * elements["V"] + o * elements["O2"]) / (v + o)
    hull = MaterialsProjectHull.bundled()
    assert hull.formation_energies()[formula] == pytest.approx(by_hand, abs=1e-3)
    assert hull.height(formula, corrected, "CHGNet-0.3.0") == pytest.approx(0, abs=1e-3)


def test_hull_agrees_with_the_materials_projects_site():
    # formation energies on its pages in 2024-06: mp-21579, mp-25279, mp-19184
    found = MaterialsProjectHull.bundled().formation_energies()
    assert found["V2O3"] == pytest.approx(-2.535, abs=1e-3)
    assert found["V2O5"] == pytest.approx(-2.289, abs=1e-3)
    assert found["VO"] == pytest.approx(-2.090, abs=1e-3)
    # VO lies above the hull, which is convex
    line = MaterialsProjectHull.bundled().line()
    assert 0.5 not in [x for x, _ in line]
    assert [x for x, _ in line] == sorted(x for x, _ in line)


def test_systems_with_and_without_entries():
    with pytest.raises(MissingReferenceError, match="O and Ti"):
        MaterialsProjectHull.bundled(TITANIUM)
    manganese = replace(
        VANADIUM,
        metal="Mn",
        target_formulas=("MnO",),
        oxidation_states={"Mn": (2,), "O": (-2,)},
        atomic_volumes={"Mn": 14.0, "O": 10.0},
        minimum_distances={"Mn-Mn": 2.0, "O-O": 2.0, "Mn-O": 1.5},
        hubbard_u={},
        initial_moments={},
    )
    # measured: -1.996 eV/atom
    found = MaterialsProjectHull.bundled(manganese).formation_energies()
    assert found["MnO"] == pytest.approx(-1.996, abs=0.05)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("CHGNet-0.3.0", True),
        ("SevenNet-7net-l3i5+MP2020", True),
        ("VASP-MP2020-PBE+U(V=3.25)-V_pv", True),
        ("CHGNet-r2scan", False),
        ("DIEP-fold1", False),
        ("VASP-PBE-V_pv", False),
    ],
)
def test_which_schemes_are_on_the_scale(scheme, expected):
    assert is_on_scale(scheme) is expected
