"""A folder shows its last run and nothing else: table, CIFs, queries and report, after any other.

What is shown after several runs into one folder is compared with one run into a new folder.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import instant_judge
import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.exports import plain
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.report_file import read_folder
from atomate2_vogen.schemas import CalculationDoc, StabilityDoc
from atomate2_vogen.stores import VogenStores

TIMES = {"last_updated", "calculation_updated", "cpu_seconds", "finds_per_cpu_hour"}
"""What no two runs have in common."""


@pytest.fixture(autouse=True)
def files(monkeypatch, tmp_path):
    """A and B relax into the same crystal, C has another formula, D makes the judge fail."""
    instant_judge.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    crystals = {
        "A": instant_judge.crystal("VO2"),
        "B": instant_judge.crystal("VO2", 1.02),
        "C": instant_judge.crystal("VO"),
        "D": instant_judge.crystal("V2O3"),
    }
    for name, crystal in crystals.items():
        crystal.to(filename=f"{name}.cif")


def vogen(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def evaluate(names, out):
    return vogen("evaluate", *(f"{name}.cif" for name in names), "--out", out, "-j", 1)


def timeless(content):
    """The same without what no two runs have in common."""
    if isinstance(content, dict):
        return {key: timeless(value) for key, value in content.items() if key not in TIMES}
    if isinstance(content, list):
        return [timeless(value) for value in content]
    return content


def shown(folder):
    """Every view of a folder."""
    folder = Path(folder)
    asked = {
        kind: json.loads(vogen("query", folder, *words, "--state", "any", "--json").output)
        for kind, words in {"all": (), "unique": ("--unique",)}.items()
    }
    reported = read_folder(folder)
    metrics = folder / "metrics.json"
    return {
        "files": {str(f.relative_to(folder)) for f in folder.rglob("*.*") if is_view(f, folder)},
        "csv": (folder / "stability.csv").read_text(),
        "json": timeless(json.loads((folder / "stability.json").read_text())),
        "metrics": timeless(json.loads(metrics.read_text())) if metrics.exists() else None,
        "cifs": {f.name: f.read_text() for f in (folder / "cifs").glob("*")},
        "queries": {kind: found["crystals"] for kind, found in asked.items()},
        "report": timeless(
            [
                plain(document)
                for kind in (reported.stability, [reported.measured], reported.references)
                if None not in kind
                for document in kind
            ]
        ),
    }


def is_view(file, folder):
    first = file.relative_to(folder).parts[0]
    return not first.startswith(".") and first not in {"run.json", "store", "logs", "jobs"}


def agrees_with_itself(folder):
    """Table, CIFs, query and report name the same crystals; number of them."""
    views = shown(folder)
    rows = list(csv.DictReader(views["csv"].splitlines()))
    ids = {row["candidate_id"] for row in rows}
    assert ids == {row["candidate_id"] for row in views["queries"]["all"]}
    assert ids == {document["candidate_id"] for document in views["json"]}
    assert ids == {document.candidate_id for document in read_folder(Path(folder)).stability}
    unique = {row["candidate_id"] for row in rows if row["is_unique"] == "yes"}
    assert unique == {row["candidate_id"] for row in views["queries"]["unique"]}
    relaxed = {row["candidate_id"] for row in rows if row["state"] != "failed"}
    assert relaxed == {name.removesuffix(".cif") for name in views["cifs"]}
    if views["metrics"]:
        assert views["metrics"]["overall"]["unique_relaxed"]["of_delivered"]["count"] == len(unique)
    return len(ids)


def test_inputs_that_are_gone_are_shown_nowhere():
    for names in ("AB", "B", "A", "ACD", "D", "CA"):
        evaluate(names, "one")
        evaluate(names, f"fresh_{names}")
        assert agrees_with_itself("one") == len(names)
        assert shown("one") == shown(f"fresh_{names}")
    # nothing was computed twice
    stages = json.loads(Path("one/run.json").read_text())["stages"]
    relaxed = [stage for stage in stages if stage["stage"] == "relaxation"]
    assert [stage["candidates"] - stage["reused"] for stage in relaxed] == [2, 0, 0, 2, 1, 0]
    with VogenStores.open("one/store") as stores:
        assert len(stores.load(CalculationDoc)) == 4


def test_building_again_changes_nothing_and_judges_nothing():
    for names in ("DAB", "AC"):
        evaluate(names, "one")
    before = shown("one")
    table = Path("one/stability.json").read_bytes()
    vogen("build", "one")
    assert shown("one") == before
    assert Path("one/stability.json").read_bytes() == table  # nor the times of the documents
    stages = json.loads(Path("one/run.json").read_text())["stages"]
    assert [s["written"] for s in stages if s["stage"] == "stability"][-1] == 0


def test_files_of_the_user_stay_and_those_of_earlier_runs_go():
    evaluate("ABC", "one")
    gone = sorted(Path("one/cifs").glob("VO-*"))
    (edited,) = gone
    mine, note = Path("one/cifs/mine.cif"), Path("one/cifs/README")
    for file in (mine, note):
        file.write_text("mine")
    with VogenStores.open("one/store") as stores:
        (c,) = stores.load(StabilityDoc, {"formula": "VO"})
    evaluate("A", "one")
    assert not edited.exists()
    assert mine.read_text() == note.read_text() == "mine"
    with VogenStores.open("one/store") as stores:
        assert stores.load(StabilityDoc, {"stability_id": c.stability_id}) == []
    # a file that the user has changed is the user's
    evaluate("AC", "one")
    edited.write_text(edited.read_text() + "# measured on Tuesday\n")
    evaluate("A", "one")
    assert "Tuesday" in edited.read_text()


def test_a_report_on_other_crystals_is_removed_and_that_is_said():
    evaluate("AB", "one")
    vogen("report", "one")
    told = evaluate("AB", "one")
    assert Path("one/report.html").exists()  # it is still right
    assert "report.html" not in told.stderr
    told = evaluate("A", "one")
    assert not Path("one/report.html").exists()
    assert re.search(r"report\.html.*vogen report one", " ".join(told.stderr.split()))
    Path("one/report.html").write_text("my own")
    evaluate("B", "one")
    assert Path("one/report.html").read_text() == "my own"


def test_pictures_of_an_earlier_run_go():
    evaluate("A", "one")
    assert Path("one/hull.png").exists()
    evaluate("D", "one")  # nothing is ranked: there is nothing to draw
    assert not Path("one/hull.png").exists()
    assert not Path("one/formation_energy.png").exists()


def test_a_moved_file_is_called_by_its_new_name_everywhere():
    evaluate("AB", "one")
    Path("A.cif").rename("moved.cif")
    evaluate(["moved"], "one")
    evaluate(["moved"], "fresh")
    assert shown("one") == shown("fresh")
    with VogenStores.open("one/store") as stores:
        (kept,) = stores.load(CalculationDoc, {"withdrawn": False})
    assert kept.candidate.details == {"file": "moved.cif"}


def test_calculations_that_are_gone_are_orphans_until_they_are_removed():
    evaluate("AC", "one")
    with VogenStores.open("one/store") as stores:
        stores.calculations.remove_docs({"candidate.formula": "VO"})
        # nor can it be ingested again
        stores.job_store.remove_docs({"output.candidate.formula": "VO"})
    vogen("build", "one")
    assert agrees_with_itself("one") == 2
    vogen("build", "one", "--remove-orphans")
    assert agrees_with_itself("one") == 1
    evaluate("A", "fresh")
    assert shown("one") == shown("fresh")


def test_discovering_again_after_other_flows_wrote_into_the_store():
    arguments = ("discover", "--sampler", "substitution", "-n", "VO2=2", "-j", 1, "--out")
    vogen(*arguments, "one")
    vogen(*arguments, "fresh")
    first = shown("fresh")
    vogen(*arguments, "one")
    assert shown("one") == first
    evaluate("A", "other")
    with VogenStores.open("other/store") as other, VogenStores.open("one/store") as stores:
        (calculation,) = other.load(CalculationDoc)
        stores.save(calculation)
    for command in (("build", "one"), (*arguments, "one")):
        vogen(*command)
        assert agrees_with_itself("one") == 3
    with VogenStores.open("one/store") as stores:
        stores.calculations.remove_docs({"candidate_id": calculation.candidate_id})
    vogen("build", "one", "--remove-orphans")
    assert shown("one") == first


def test_sampling_again_leaves_what_one_run_leaves():
    arguments = ("sample", "--sampler", "substitution", "-n", "VO2=2", "--out")
    for folder in ("one", "one", "fresh"):
        vogen(*arguments, folder)
    one, fresh = (
        {f.name: f.read_text() for f in Path(folder, "cifs").iterdir()}
        for folder in ("one", "fresh")
    )
    assert one == fresh
    vogen("sample", "--sampler", "substitution", "-n", "VO2=1", "--out", "one", code=2)
    assert len(list(Path("one/cifs").iterdir())) == 2


def test_a_folder_without_calculations_gets_no_empty_table():
    vogen("sample", "--sampler", "substitution", "-n", "VO2=1", "--out", "one")
    before = {f: f.read_bytes() for f in Path("one").rglob("*.*") if is_view(f, Path("one"))}
    assert "No calculations" in vogen("build", "one").output
    assert {
        f: f.read_bytes() for f in Path("one").rglob("*.*") if is_view(f, Path("one"))
    } == before
