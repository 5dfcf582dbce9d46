from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import many_documents
import pytest
from explained import explain, reads, scans
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_entries import judgement
from pymatgen.core import Lattice, Structure
from query_speed import QUESTIONS, WIDE

from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import (
    CandidateDoc,
    ElectronicCharacter,
    FieldClass,
    PaperClass,
    PhononVerdict,
    StabilityState,
)
from atomate2_vogen.stores import CrystalFilter, VogenStores
from atomate2_vogen.stores.plans import split_criteria

N = 240


def made():
    """Documents small enough for a scan and close enough for every condition to hold for some."""
    stability = list(many_documents.stability(N, seed=5))
    for i, document in enumerate(stability):
        document["formula"] = ("VO2", "V2O3", "TiO2")[i % 3]
        document["chemsys"] = ("O-V", "O-V", "O-Ti")[i % 3]
        document["space_group_number"] = document["space_group_number"] and 130 + i % 8
        document["model_id"] = f"model{i % 4}"
    chosen = stability[::2]
    electronic = list(many_documents.electronic(chosen))
    phonons = list(many_documents.phonons(chosen[::2] + stability[1::4]))
    return stability, electronic, phonons


STABILITY, ELECTRONIC, PHONONS = made()


def fill(stores):
    stores.stability._collection.insert_many([dict(d) for d in STABILITY])
    stores.electronic._collection.insert_many([dict(d) for d in ELECTRONIC])
    stores.phonons._collection.insert_many([dict(d) for d in PHONONS])
    return stores


@pytest.fixture(scope="module")
def mongo(server):
    import pymongo

    name = f"vogen_queries_{id(server)}"
    with VogenStores.open(f"{server}/{name}", create=True) as stores:
        yield fill(stores)
    with pymongo.MongoClient(server) as client:
        client.drop_database(name)


@pytest.fixture(scope="module", params=["folder", "memory", "mongo"])
def stores(request, tmp_path_factory):
    if request.param == "mongo":
        yield request.getfixturevalue("mongo")
        return
    folder = tmp_path_factory.mktemp("store")
    opened = (
        VogenStores.open(folder, create=True) if request.param == "folder" else VogenStores.memory()
    )
    with opened as stores:
        yield fill(stores)


def within(value, low, high):
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def within_as_printed(value, low, high):
    """Energies above hull meet a limit of whole meV by the number that is printed."""
    if value is None:
        return False

    def compared(limit):
        return float(f"{value:.3f}") if limit == float(f"{limit:.3f}") else value

    return (low is None or compared(low) >= low) and (high is None or compared(high) <= high)


def among(value, wanted):
    return wanted is None or value in wanted


def expected(c: CrystalFilter) -> set[str]:
    """The same as the query, in plain Python."""

    def electrons(d):
        e = d["electrons"] or {}
        return (
            among(e.get("character"), c.character)
            and (
                c.half_metal is None
                or ("character" in e and (e["character"] == "half-metal") == c.half_metal)
            )
            and (
                (c.min_gap is None and c.max_gap is None)
                or within(e.get("gap"), c.min_gap, c.max_gap)
            )
            and among(d["scheme"], c.electronic_scheme)
        )

    def phonons(d):
        verdict = (d["phonons"] or {}).get("verdict")
        return (
            among(verdict, c.phonons)
            and (
                c.stable_phonons is None
                or (verdict is not None and (verdict == "stable") == c.stable_phonons)
            )
            and among(d["scheme"], c.phonon_scheme)
        )

    def holds(d):
        return (
            among(d["state"], c.state)
            and among(d["formula"], c.formula)
            and among(d["chemsys"], c.chemsys)
            and among(d["paper_class"], c.paper_class)
            and among(d["field_class"], c.field_class)
            and among(d["space_group_number"], c.space_group)
            and among(d["bonding_dimensionality"], c.dimensionality)
            and (c.unique is None or d["is_unique"] is c.unique)
            and (c.novel is None or d["is_novel"] is c.novel)
            and among(d["sampler"], c.sampler)
            and among(d["model_id"], c.model_id)
            and among(d["scheme"], c.scheme)
            and (
                (c.min_hull is None and c.max_hull is None)
                or within_as_printed(d["energy_above_hull"], c.min_hull, c.max_hull)
            )
        )

    found = {d["stability_id"]: d["candidate_id"] for d in STABILITY if holds(d)}
    if any(
        v is not None
        for v in (c.character, c.half_metal, c.min_gap, c.max_gap, c.electronic_scheme)
    ):
        met = {d["candidate_id"] for d in ELECTRONIC if electrons(d)}
        found = {key: candidate for key, candidate in found.items() if candidate in met}
    if any(v is not None for v in (c.phonons, c.stable_phonons, c.phonon_scheme)):
        met = {d["candidate_id"] for d in PHONONS if phonons(d)}
        found = {key: candidate for key, candidate in found.items() if candidate in met}
    return {*found}


def some(values):
    return st.lists(st.sampled_from([*values]), min_size=1, max_size=2, unique=True).map(tuple)


def limits(low, high):
    """To 1e-6: by an index SecantusDB finds nothing above the smallest of floats, 2e-308."""
    return st.integers(round(low * 1e6), round(high * 1e6)).map(lambda millionths: millionths / 1e6)


CONDITIONS = {
    "state": st.none() | some(s.value for s in StabilityState),
    "formula": some(("VO2", "V2O3", "TiO2", "WO3")),
    "chemsys": some(("O-V", "O-Ti")),
    "paper_class": some(p.value for p in PaperClass),
    "field_class": some(f.value for f in FieldClass),
    "min_hull": limits(-0.1, 0.5),
    "max_hull": limits(0.5, 2),
    "space_group": some(range(130, 138)),
    "dimensionality": some(range(4)),
    "unique": st.booleans(),
    "novel": st.booleans(),
    "sampler": some(many_documents.SAMPLERS),
    "model_id": some(("model0", "model3")),
    "scheme": some(many_documents.SCHEMES),
    "character": some(e.value for e in ElectronicCharacter),
    "half_metal": st.booleans(),
    "min_gap": limits(0, 1),
    "max_gap": limits(1, 3),
    "electronic_scheme": some(("GPAW-PBE", "other")),
    "phonons": some(p.value for p in PhononVerdict),
    "stable_phonons": st.booleans(),
    "phonon_scheme": some(("CHGNet-0.3.0", "other")),
}


@st.composite
def conditions(draw):
    names = draw(st.lists(st.sampled_from([*CONDITIONS]), max_size=4, unique=True))
    return CrystalFilter.make({name: draw(CONDITIONS[name]) for name in names})


@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
@given(conditions(), st.integers(0, 5))
def test_every_store_answers_as_plain_python_does(stores, wanted, limit):
    rows = stores.query(wanted)
    assert {row.stability_id for row in rows} == expected(wanted)
    known = [row.energy_above_hull for row in rows if row.energy_above_hull is not None]
    assert known == sorted(known)
    assert all(row.energy_above_hull is None for row in rows[len(known) :])
    few = stores.query(wanted, limit=limit) if limit else rows
    assert [*few] == [*rows[: limit or None]]


def test_rows_bring_what_is_known_of_electrons_and_phonons(stores):
    by_candidate = {d["candidate_id"]: d for d in ELECTRONIC if d["electrons"]}
    dynamic = {d["candidate_id"]: d for d in PHONONS if d["phonons"]}
    rows = stores.query(state=None)
    assert len(rows) == N
    for row in rows:
        electrons = by_candidate.get(row.candidate_id, {}).get("electrons", {})
        assert (row.character, row.gap) == (electrons.get("character"), electrons.get("gap"))
        phonons = dynamic.get(row.candidate_id, {}).get("phonons", {})
        assert row.phonon_verdict == phonons.get("verdict")


def test_collapsed_cells_are_not_the_best(stores):
    (best,) = stores.query(limit=1)
    assert best.state == "ranked"
    assert best.energy_above_hull == min(
        d["energy_above_hull"] for d in STABILITY if d["state"] == "ranked"
    )
    (worst,) = stores.query(limit=1, sort="-energy_above_hull")
    assert worst.energy_above_hull == max(
        d["energy_above_hull"] for d in STABILITY if d["state"] == "ranked"
    )


def test_sorting_by_what_is_joined(stores):
    rows = stores.query(sort="-gap", limit=5)
    gaps = {d["candidate_id"]: d["electrons"]["gap"] for d in ELECTRONIC if d["electrons"]}
    ranked = {d["candidate_id"] for d in STABILITY if d["state"] == "ranked"}
    best = sorted((gap for key, gap in gaps.items() if key in ranked), reverse=True)
    assert [row.gap for row in rows] == best[:5]


def test_of_several_documents_the_newest_that_fits_is_shown():
    with VogenStores.memory() as stores:
        first = dict(STABILITY[0], state="ranked")
        stores.stability._collection.insert_one(first)
        (old,) = many_documents.electronic([first])
        for i, (scheme, gap) in enumerate([("A", 1.0), ("B", 2.0), ("C", 3.0)]):
            key = f"{first['candidate_id']}|{scheme}"
            stores.electronic._collection.insert_one(
                {
                    **old,
                    "_id": key,
                    "electronic_id": key,
                    "scheme": scheme,
                    "state": "completed",
                    "electrons": {"character": "semiconductor", "gap": gap},
                    "last_updated": many_documents.EPOCH.replace(day=3 - i),
                }
            )
        assert [row.electronic_scheme for row in stores.query()] == ["A"]
        assert [row.electronic_scheme for row in stores.query(min_gap=1.5)] == ["B"]
        assert [row.gap for row in stores.query(electronic_scheme="C")] == [3.0]


def test_frames_tables_and_structures(stores):
    rows = stores.query(formula="VO2", max_hull=0.5)
    frame = rows.to_frame()
    assert [*frame["stability_id"]] == [row.stability_id for row in rows]
    assert rows.to_csv().splitlines()[1].startswith(rows[0].stability_id)
    assert len(rows.to_csv().splitlines()) == len(rows) + 1
    raw = {d["stability_id"]: d["structure"] for d in STABILITY}
    found = rows[:3].structures()
    assert [*found] == [row.stability_id for row in rows[:3]]
    for key, structure in found.items():
        assert structure.lattice.a == pytest.approx(raw[key]["lattice"]["a"])


def test_damaged_documents_are_left_out_by_name(caplog):
    with VogenStores.memory() as stores:
        fill(stores)
        wrong = {**STABILITY[0], "_id": "rubbish", "stability_id": "rubbish", "natoms": "many"}
        wrong |= {"state": "ranked"}
        stores.stability._collection.insert_one(wrong)
        stores.electronic._collection.insert_one({"_id": "x", "electrons": "rubbish"})
        assert len(stores.query(state=None)) == N
        assert "'rubbish' in stability is left out: damaged natoms" in caplog.text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"max_hul": 0.1}, "'max_hul': did you mean max_hull?"),
        (
            {"character": "halfmetal"},
            "character: unknown value 'halfmetal': did you mean half-metal?",
        ),
        ({"state": "rank"}, "state: unknown value 'rank': did you mean ranked?"),
        ({"formula": "Xx2"}, "formula: 'Xx2' is not a chemical formula"),
        ({"space_group": "P99"}, "space_group: 'P99' is not a space group"),
        ({"space_group": 231}, "space_group: 231 is not the number"),
        ({"min_gap": 2, "max_gap": 1}, "min_gap 2 is above max_gap 1"),
        ({"max_hull": math.nan}, "max_hull: nan is no energy"),
        ({"max_hull": "low"}, "max_hull: "),
        ({"formula": []}, "formula: an empty list"),
        ({"sort": "hull"}, "column to sort by 'hull'"),
        ({"limit": -1}, "limit is -1"),
    ],
)
def test_what_cannot_be_asked_says_why(asked, words):
    with VogenStores.memory() as stores, pytest.raises(InputError) as caught:
        stores.query(**asked)
    assert words in str(caught.value)


def test_names_are_read_as_people_write_them():
    asked = {"formula": "O4V2", "space_group": "P4_2/mnm", "chemsys": "V-O", "half_metal": True}
    made = CrystalFilter.make(asked)
    assert made.stability() == {
        "state": "ranked",
        "formula": "VO2",
        "chemsys": "O-V",
        "space_group_number": 136,
    }
    assert made.electronic() == {"electrons.character": "half-metal", "formula": "VO2"}
    assert made.phononic() is None


def test_what_is_known_not_to_be_is_not_what_is_not_known():
    made = CrystalFilter.make({"half_metal": False, "stable_phonons": False})
    others = sorted({e.value for e in ElectronicCharacter} - {"half-metal"})
    assert made.electronic() == {"electrons.character": {"$in": others}}
    assert made.phononic() == {"phonons.verdict": {"$in": ["soft", "unstable"]}}
    made = CrystalFilter.make({"half_metal": False, "character": ("metal", "half-metal")})
    assert made.electronic() == {"electrons.character": "metal"}


@pytest.mark.parametrize("name", [*(QUESTIONS | WIDE)])
def test_no_question_of_the_readme_scans_a_collection(mongo, name):
    found = reads(mongo, (QUESTIONS | WIDE)[name])
    assert found
    assert scans(found) == []


@pytest.mark.parametrize("condition", [*CONDITIONS, "candidate_id"])
def test_no_condition_alone_scans_a_collection(mongo, condition):
    values = {
        "min_hull": 0.1,
        "max_hull": 0.1,
        "min_gap": 1.0,
        "max_gap": 1.0,
        "formula": "VO2",
        "chemsys": "O-V",
        "space_group": 136,
        "dimensionality": 2,
        "paper_class": "stable",
        "field_class": "on hull",
        "character": ("metal", "half-metal"),
        "phonons": ("stable", "soft"),
        "state": ("ranked", "failed"),
    }
    flags = {"unique", "novel", "half_metal", "stable_phonons"}
    value = True if condition in flags else values.get(condition, "x")
    assert scans(reads(mongo, {condition: value, "limit": 5})) == []


def test_scans_are_noticed(mongo):
    found = explain(mongo.stability, [{"$match": {"natoms": 12}}])
    assert scans([found]) == [found]


@given(conditions())
def test_the_two_stages_ask_for_the_same(wanted):
    for key, criteria in (
        ("stability_id", wanted.stability()),
        ("electronic_id", wanted.electronic() or {}),
        ("phonon_id", wanted.phononic() or {}),
    ):
        first, rest = split_criteria(key, criteria)
        assert first | rest == criteria
        assert not {*first} & {*rest}
        assert not any(isinstance(value, dict) for value in [*first.values()][:-1])


def test_plain_pymongo_gives_the_same(mongo):
    db = mongo.stability._collection.database
    best_first = [("energy_above_hull", 1), ("stability_id", 1)]

    def ids(criteria):
        return [d["stability_id"] for d in db.stability.find(criteria).sort(best_first)]

    def asked(**conditions):
        return [row.stability_id for row in mongo.query(**conditions)]

    near = {"state": "ranked", "energy_above_hull": {"$lte": 0.6}}
    assert asked(formula="VO2", max_hull=0.6, unique=True, novel=True) == ids(
        {"formula": "VO2", **near, "is_unique": True, "is_novel": True}
    )
    half = {"formula": "V2O3", "electrons.character": "half-metal"}
    found = db.electronic.distinct("candidate_id", half)
    assert asked(formula="V2O3", half_metal=True, max_hull=0.6) == ids(
        {"candidate_id": {"$in": found}, **near}
    )
    calm = {"formula": "VO2", "phonons.verdict": "stable"}
    gap = {"formula": "VO2", "electrons.gap": {"$gte": 0.1, "$lte": 3}}
    both = {*db.phonons.distinct("candidate_id", calm)}
    both &= {*db.electronic.distinct("candidate_id", gap)}
    rows = asked(formula="VO2", stable_phonons=True, min_gap=0.1, max_gap=3)
    assert rows == ids({"candidate_id": {"$in": [*both]}, "state": "ranked"})
    assert rows


def test_half_characters_are_refused_by_name():
    for name in ("sampler", "model_id", "candidate_id", "scheme"):
        with pytest.raises(InputError, match=rf"{name} is '.ud800', which holds half a character"):
            CrystalFilter.make({name: ("\ud800",)})


def judged(stores, heights):
    """Stability documents of VO2 with structures, so high above the hull."""
    documents = []
    for number, above in enumerate(heights):
        structure = Structure.from_spacegroup(
            "P4_2/mnm",
            Lattice.tetragonal(4.5 + 0.1 * number, 2.85),
            ["V", "O"],
            [[0, 0, 0], [0.3, 0.3, 0]],
        )
        candidate = CandidateDoc.make(
            structure, sampler="x<y", model_id="m", formula="VO2", seed=1, index=number
        )
        documents.append(judgement(candidate, above, initial_energy_above_hull=above + 1))
    stores.save(documents)
    return documents


def test_the_best_is_the_lowest_ranked_crystal():
    with VogenStores.memory() as stores:
        low = judged(stores, [0.2, 0.05, 0.1])[1]
        rows = stores.query(sort="-energy_above_hull")
        assert rows.best().candidate_id == rows.best("VO2").candidate_id == low.candidate_id
        assert rows.best().structure is not None
        with pytest.raises(InputError, match="none of these 3 rows is a ranked V2O5"):
            rows.best("V2O5")
        frame = rows.to_frame()
        assert frame["initial_energy_above_hull"].tolist() == pytest.approx([1.2, 1.1, 1.05])


def test_a_notebook_shows_a_table_with_pictures():
    with VogenStores.memory() as stores:
        documents = judged(stores, [0.02 * n for n in range(25)])
        rows = stores.query()
        page = rows._repr_html_()
        assert stores.query(formula="V2O5")._repr_html_() == "<p>no crystals</p>"
    table = ET.fromstring(f"<div>{page}</div>")
    found = table.findall(".//tbody/tr")
    assert len(found) == 20
    assert len(table.findall(".//img")) == 8
    assert all(image.get("src").startswith("data:image/png") for image in table.findall(".//img"))
    cells = ["".join(cell.itertext()) for cell in found[1]]
    assert cells[1:4] == [documents[1].candidate_id, "+0.020", "+1.020"]
    assert "and 5 more" in "".join(table.itertext())
