"""Real phases that are found again: the targets, and how often samples match them."""

from __future__ import annotations

import json

import discovery.targets
import numpy as np
import pytest
from click.testing import CliRunner
from discovery import refind
from discovery.arms import Arm
from discovery.raw import read_rounds
from discovery.targets import Phase, Target, literature_phases, merged
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from small_discovery import arm, judge
from toy_sampler import KINDS, kinds

from atomate2_vogen import load_references
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import formula_rng
from atomate2_vogen.samplers.loading import SAMPLERS, SamplerName
from atomate2_vogen.structures.matching import KnownStructures

SHIPPED = {one.name: one.structure for one in load_references("CHGNet-0.3.0")}


def test_published_cells_have_their_symmetry_and_bonds():
    entries = {name: structure for name, _, structure in literature_phases()}
    m1 = entries["VO2 M1 P2_1/c"]
    assert m1.composition.formula == "V4 O8"
    assert SpacegroupAnalyzer(m1, symprec=0.01).get_space_group_symbol() == "P2_1/c"
    # pairs of V atoms along the chains: 2.619 and 3.164 Å by Longo and Kierkegaard (1970)
    metal = [site for site in m1 if site.species_string == "V"]
    near = sorted(
        neighbour.nn_distance
        for neighbour in m1.get_neighbors(metal[0], 3.3)
        if neighbour.species_string == "V"
    )
    assert near == pytest.approx([2.619, 3.164], abs=0.005)
    # 4.6 g/cm³, as all of its family
    assert m1.density == pytest.approx(4.65, abs=0.1)


def phase(name, structure, above_hull):
    return Phase(name, "made up", structure, above_hull)


def test_phases_that_match_are_one_target():
    rutile = SHIPPED["VO2 P4_2/mnm"].get_primitive_structure()
    strained = rutile.copy()
    strained.apply_strain(0.01)
    corundum = SHIPPED["V2O3 R-3c"]
    found = merged(
        [
            phase("M1", strained, 0.001),
            phase("corundum", corundum, 0.0),
            phase("rutile", rutile, 0.0),
        ],
        KnownStructures({"prototype": corundum}),
    )
    assert [[one.name for one in target.phases] for target in found] == [
        ["corundum"],
        ["rutile", "M1"],
    ]
    assert [target.given_as for target in found] == ["prototype", None]


def test_summary_counts_targets_not_samples():
    targets = [
        Target((phase("rutile", kinds("VO2")[1], 0.0),), None),
        Target((phase("B", kinds("VO2")[2], 0.1), phase("B'", kinds("VO2")[2], 0.1)), "TiO2"),
        Target((phase("corundum", kinds("V2O3")[1], 0.0),), None),
    ]
    nothing = {"generated": [], "relaxed": []}
    done = {
        "VO2": [
            nothing,
            {"generated": [], "relaxed": ["rutile"]},
            {"generated": ["rutile"], "relaxed": ["rutile"]},
        ]
    }
    content = refind.summary(targets, done, {"M3": "failed: no energy"})
    assert content["refound"]["all"] == {"generated": 1, "relaxed": 1, "of": 2}
    assert content["refound"]["not given to the sampler"]["of"] == 1
    rows = {row["name"]: row for row in content["targets"]}
    assert (rows["rutile"]["relaxed"], rows["rutile"]["samples"]) == (2, 3)
    assert rows["B"]["merged"] == ["B'"]
    assert rows["corundum"]["relaxed"] is None
    text = refind.markdown(content)
    assert "Targets found again, all: 1 of 2 as relaxed, 1 as generated." in text
    assert "Left out: M3 (failed: no energy)." in text


def test_formulas_take_turns():
    plan = refind.batches(["VO2", "V2O3"], 70)
    assert plan == [(1, {"VO2": 50}), (1, {"V2O3": 50}), (2, {"VO2": 20}), (2, {"V2O3": 20})]


class Stopped(Exception):
    pass


def timeless(folder):
    """Names and outcomes of crystals by round."""
    return [
        [(row.candidate_id, row.relaxed) for row in one.crystals] for one in read_rounds(folder)
    ]


def test_a_stopped_measurement_goes_on_to_the_same_result(tmp_path, monkeypatch):
    targets = [
        Target((phase(f"kind {number}", kinds("VO2")[number], 0.0),), None) for number in (3, 4, 5)
    ]
    missing = Structure(
        Lattice.tetragonal(4.55, 2.85), ["V", "V", "O", "O", "O", "O"], np.eye(6, 3) / 3
    )
    targets.append(Target((phase("none such", missing, 0.0),), None))
    monkeypatch.setitem(SAMPLERS, "toy", SamplerName("toy_sampler:ToySampler"))
    monkeypatch.setattr(refind, "targets", lambda *_: (targets, {}))
    monkeypatch.setattr(refind, "BATCH", 8)

    def go(name, samples):
        return refind.refind(
            arm(), 2, tmp_path / name, samples=samples, formulas=None, load_judge=judge
        )

    whole = go("whole", 16)
    relax = refind.Session.calculate

    def stopping(session, current):
        if sum(len(one.crystals) for one in session.rounds) == 11:
            raise Stopped
        return relax(session, current)

    monkeypatch.setattr(refind.Session, "calculate", stopping)
    with pytest.raises(Stopped):
        go("stopped", 16)
    monkeypatch.setattr(refind.Session, "calculate", relax)
    assert go("stopped", 16) == whole
    content = json.loads((tmp_path / "stopped" / "refound.json").read_text())
    rounds = read_rounds(tmp_path / "stopped")
    assert [one.row.delivered for one in rounds] == [8, 8]
    assert not any(one.row.rejected["VO2"] for one in rounds)
    # the toy sampler takes its kinds by these random numbers
    drawn = [
        int(formula_rng(one.row.seed, "VO2", index).integers(KINDS))
        for one in rounds
        for index in range(8)
    ]
    counts = [row["generated"] for row in content["targets"]]
    assert counts == [drawn.count(3), drawn.count(4), drawn.count(5), 0]
    assert any(counts)
    assert content["cpu_hours"] >= 0

    with pytest.raises(InputError, match="other --samples"):
        go("stopped", 12)
    go("stopped", 24)  # more are added to what is there
    assert timeless(tmp_path / "stopped")[:2] == timeless(tmp_path / "whole")
    with pytest.raises(InputError, match="V9O9"):
        refind.refind(arm(), 2, tmp_path / "new", samples=8, formulas=["V9O9"], load_judge=judge)


def test_targets_of_an_energy_model_have_both_elements_and_few_atoms(monkeypatch):
    from discovery.judging import Judge

    reading = Judge(judge().engine, load_references("CHGNet-0.3.0"))
    monkeypatch.setattr(discovery.targets, "literature_phases", list)
    found, left_out = discovery.targets.phases(reading)
    names = {one.name for one in found}
    assert {"VO2 P4_2/mnm", "V2O3 R-3c", "V6O13 C2/m", "V2O5 P2_1/m", "VO Fm-3m"} <= names
    assert not names & {"V Im-3m", "V4O7 P-1", "V2O5 Pnma"}
    assert left_out == {}
    rutile = next(one for one in found if one.name == "VO2 P4_2/mnm")
    assert len(rutile.structure) == 6
    # read from the shipped file: the lowest VO2
    assert rutile.above_hull == min(one.above_hull for one in found if "VO2" in one.name)


def test_what_samplers_were_given():
    rutile = SHIPPED["VO2 P4_2/mnm"]
    given = {
        name: discovery.targets.given_crystals(Arm(name, {"sampler": name}), VANADIUM)
        for name in ("wgan", "substitution", "random")
    }
    assert len(given["random"]) == 0 < len(given["wgan"]) < len(given["substitution"])
    assert given["substitution"].find(rutile) is not None
    # known compounds of the system, and what matches them, are kept out of training
    assert given["wgan"].find(rutile) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sampler", "none"), "there is no sampler 'none'"),
        (("--sampler", "random", "--options", "[1]"), "give a JSON object"),
        (("--sampler", "random", "--options", "{"), "--options: no JSON"),
    ],
)
def test_bad_requests_are_told(tmp_path, options, message):
    result = CliRunner().invoke(refind.main, [*options, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "out").exists()
