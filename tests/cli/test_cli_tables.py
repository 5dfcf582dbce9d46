"""Tables and files: what they say agrees with the documents they are made from."""

from __future__ import annotations

import csv
import io
import json

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser
from rich.console import Console

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.exports import candidate_cif, relaxed_cif, stability_csv, stability_json
from atomate2_vogen.cli.report import print_evaluation
from atomate2_vogen.cli.tables import (
    by_energy,
    candidate_table,
    counts_of,
    metrics_lines,
    metrics_table,
    reasons,
    rejection_lines,
    remarks,
    summary_table,
)
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    FieldClass,
    MetricsDoc,
    PaperClass,
    Rejection,
    RejectionReason,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.metrics import measure

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def candidate(index: int, formula: str = "VO2") -> CandidateDoc:
    return CandidateDoc.make(
        RUTILE, sampler="random", model_id="pyxtal-1", formula=formula, seed=3, index=index
    )


CANDIDATES = [candidate(index) for index in range(5)]


def document(index: int, above: float | None, **changes) -> StabilityDoc:
    made = CANDIDATES[index]
    state = changes.pop("state", StabilityState.RANKED)
    ranked = state is StabilityState.RANKED
    paper = None
    field = None
    if ranked:
        paper = PaperClass.STABLE if above <= 0.3 else PaperClass.METASTABLE
        field = FieldClass.NEAR_HULL if above <= 0.1 else FieldClass.ABOVE_HULL
    content = {
        "stability_id": f"{made.candidate_id}|J",
        "candidate_id": made.candidate_id,
        "scheme": "J",
        "hull_id": "hull",
        "chemsys": "O-V",
        "formula": "VO2",
        "natoms": 6,
        "sampler": "random",
        "model_id": "pyxtal-1",
        "state": state,
        "is_converged": ranked,
        "formation_energy_per_atom": None if above is None else above - 2.4,
        "initial_energy_above_hull": 3.25,
        "energy_above_hull": above,
        "paper_class": paper,
        "field_class": field,
        "structure": RUTILE if above is not None else None,
        "is_unique": True if ranked else None,
        "is_novel": True if ranked else None,
        "duplicate_group": CANDIDATES[4].candidate_id if ranked else None,
    }
    return StabilityDoc(**(content | changes))


STABILITY = [
    document(0, 0.25, is_unique=False),
    document(
        1, None, state=StabilityState.FAILED, reason="the worker process was ended by SIGKILL"
    ),
    document(2, 0.05, is_novel=False, known_as="VO2 P4_2/mnm", space_group_symbol="P4_2/mnm"),
    document(3, -9.0, state=StabilityState.COLLAPSED, reason="collapsed: V-V 0.19 Å [x]"),
    document(4, 0.41),
]

SAMPLE = SampleDoc.make(
    sampler="random",
    model_id="pyxtal-1",
    seed=3,
    requested={"VO2": 6, "V2O3": 1},
    attempts={"VO2": 9, "V2O3": 2},
    candidates=CANDIDATES,
    rejections=[
        Rejection(formula="VO2", index=n, reason=RejectionReason.ATOMS_TOO_CLOSE) for n in range(3)
    ]
    + [Rejection(formula="V2O3", index=n, reason=RejectionReason.DUPLICATE) for n in range(2)],
    wall_time=1.0,
)


def shown(table, width: int = 100) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def test_unranked_come_last_however_low_their_energy():
    order = [
        CANDIDATES.index(next(c for c in CANDIDATES if c.candidate_id == d.candidate_id))
        for d in by_energy(STABILITY)
    ]
    assert order[:3] == [2, 0, 4]
    assert set(order[3:]) == {1, 3}


def test_candidate_table_fits_and_agrees():
    lines = shown(candidate_table(STABILITY))
    rows = [line for line in lines if line.lstrip().startswith("VO2-")]
    assert len(rows) == len(STABILITY)
    assert all(len(line) <= 100 for line in lines)
    first = rows[0].split()
    assert first[0] == CANDIDATES[2].candidate_id
    assert first[1:4] == ["-2.350", "3.250", "0.050"]
    assert "stable" in rows[0]
    assert "near hull" in rows[0]
    assert "collapsed" in "".join(rows[3:])
    assert "-9.000" not in "".join(rows)


def test_table_of_files_and_what_is_known():
    names = {doc.candidate_id: f"file{n}.cif" for n, doc in enumerate(STABILITY)}
    lines = shown(candidate_table(STABILITY, names))
    assert all(len(line) <= 100 for line in lines)
    (row,) = [line for line in lines if "file2.cif" in line]
    assert row.split()[-1] == "no"
    assert remarks(STABILITY, names) == [
        "file2.cif: P4_2/mnm, known as VO2 P4_2/mnm",
        "file0.cif: symmetry unknown, not known",
        "file4.cif: symmetry unknown, not known",
    ]


def test_counts_of_the_summary():
    assert counts_of(STABILITY) == {
        "relaxed": 4,
        "ranked": 3,
        "stable": 2,
        "metastable": 1,
        "near_hull": 1,
        "unique_and_novel": 1,
    }
    lines = shown(summary_table(STABILITY, SAMPLE))
    assert lines[-2].split() == ["VO2", "6", "5", "9", "55.6%", "4", "3", "2", "1", "1", "1"]
    assert lines[-1].split() == ["V2O3", "1", "0", "2", "0.0%", "0", "0", "0", "0", "0", "0"]


def test_reasons_are_not_lost():
    lines = reasons(STABILITY)
    assert len(lines) == 2
    assert any("SIGKILL" in line for line in lines)
    assert rejection_lines(SAMPLE) == [
        "VO2: 5 of 6 from 9 attempts (rejected: 3 atoms too close)",
        "V2O3: 0 of 1 from 2 attempts (rejected: 2 duplicate)",
    ]


def test_csv_and_json_agree_with_the_documents():
    rows = list(csv.DictReader(io.StringIO(stability_csv(STABILITY))))
    assert [row["candidate_id"] for row in rows] == [d.candidate_id for d in by_energy(STABILITY)]
    assert float(rows[0]["energy_above_hull"]) == pytest.approx(0.05)
    assert rows[0]["is_novel"] == "no"
    assert rows[0]["paper_class"] == "stable"
    assert {row["state"] for row in rows} == {"ranked", "failed", "collapsed"}
    named = list(csv.DictReader(io.StringIO(stability_csv(STABILITY, {}))))
    assert named[0]["file"] == ""
    back = [StabilityDoc(**content) for content in json.loads(stability_json(STABILITY))]
    assert [doc.energy_above_hull for doc in back] == [
        doc.energy_above_hull for doc in by_energy(STABILITY)
    ]
    assert back[0].structure == RUTILE


def test_cif_bears_its_provenance_and_reads_back():
    text = relaxed_cif(STABILITY[0], CANDIDATES[0])
    header = "".join(line for line in text.splitlines() if line.startswith("#"))
    for words in (
        "random",
        "pyxtal-1",
        "seed 3",
        "attempt 0",
        "energy model J",
        "energy above hull 0.250 eV",
        "stable",
        "hull",
    ):
        assert words in header
    assert f"data_{CANDIDATES[0].candidate_id}" in text
    (structure,) = CifParser.from_str(text).parse_structures(primitive=False)
    assert structure.matches(RUTILE)
    assert "not ranked: collapsed" in relaxed_cif(STABILITY[3], None)
    assert relaxed_cif(STABILITY[1], CANDIDATES[1]) is None
    (structure,) = CifParser.from_str(candidate_cif(CANDIDATES[1])).parse_structures()
    assert structure.composition.reduced_formula == "VO2"


def metrics() -> MetricsDoc:
    calculations = [
        CalculationDoc(
            calculation_id=f"{made.candidate_id}|J",
            candidate_id=made.candidate_id,
            scheme="J",
            state=CalculationState.COMPLETED,
            candidate=made,
            wall_time=1.0,
        )
        for made in CANDIDATES
    ]
    known = [doc.model_copy(update={"is_novel": True}) for doc in STABILITY]
    return measure(SAMPLE, calculations, known, novelty_pool={"phases": 2, "prototypes": 9})


def test_metrics_are_shown_with_what_they_are_counted_against():
    table = shown(metrics_table(metrics()))
    assert all(len(line) <= 100 for line in table)
    assert table[-2].split()[:8] == ["VO2", "5", "5", "1", "1", "3", "1", "1"]
    assert table[-2].split()[8:] == ["3.250", "0.250", "–"]
    assert table[-3].split() == ["V2O3", *["0"] * 7, "–", "–", "–"]
    assert table[-1].split()[0] == "all"
    share, cost, pool = metrics_lines(metrics())
    assert pool == "Novel: unlike the known crystals of these formulas (2 phases, 9 prototypes)"
    # Wilson's interval of 1 of 5, and of 1 of 7
    assert share == (
        "S.U.N. at 0.1 eV/atom: 20.0% (95 %: 3.6% to 62.4%) of 5 delivered, "
        "14.3% (95 %: 2.6% to 51.3%) of 7 requested"
    )
    assert cost == "S.U.N. per CPU-hour: 600.0 (sampling 1.0 s, relaxation 5.0 s)"
    unjudged = measure(SAMPLE)
    assert metrics_lines(unjudged) == []
    assert shown(metrics_table(unjudged))[-2].split() == ["VO2", "5", "5", "1", *["–"] * 7]


def test_evaluation_as_json_and_as_text(capsys):
    names = {doc.candidate_id: f"file{n}.cif" for n, doc in enumerate(STABILITY)}
    print_evaluation(Voice(quiet=True), [], STABILITY, names, metrics(), as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert MetricsDoc.model_validate(content["metrics"]) is not None
    assert content["metrics"]["overall"]["sun"]["of_requested"]["total"] == 7
    assert content["metrics"]["hull_id"] == content["hull_id"] == "hull"
    assert len(content["files"]) == 5
    print_evaluation(Voice(), [], STABILITY, names, metrics(), as_json=False)
    text = capsys.readouterr().out
    assert "S.U.N. at 0.1 eV/atom: 20.0%" in text
    assert "of 7 requested" in text
