"""``vogen paper``: stages, files, resuming, and what is refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import instant_engine
import instant_judge
import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.paper import PAPER_STAGES, StageList

SHARE = ("--share", 0.02, "--samplers", "substitution,random")


def first():
    return replace(instant_engine.engine("first"), functional="PBE(+U)", training_data=("a",))


def second():
    return replace(
        instant_engine.engine("second"),
        scheme="instant-2",
        functional="r2SCAN",
        training_data=("b",),
    )


ENGINE = ("--engine", f"{__name__}:first")


def vogen(*arguments):
    return CliRunner().invoke(cli, ["paper", *[str(argument) for argument in arguments]])


@pytest.fixture(autouse=True)
def here(monkeypatch):
    instant_judge.work_here(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the stages that CI runs on a fresh clone, and what it printed."""
    out = tmp_path_factory.mktemp("paper") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        instant_judge.work_here(monkeypatch)
        done = vogen(*SHARE, *ENGINE, "--stages", "sample,relax,tables,figures", "--out", out)
    assert done.exit_code == 0, done.output
    return out, done


def tables_of(out):
    return {table["name"]: table for table in json.loads((out / "tables.json").read_text())}


def test_tables_and_figures_are_written(finished):
    out, done = finished
    tables = tables_of(out)
    assert list(tables) == ["table_1", "table_2", "below_hull", "claims"]
    generated = tables["claims"]["rows"][0]
    assert generated[:2] == ["generated", 451]
    assert 0 < generated[3] <= 11
    with (out / "tables" / "table_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[2]["paper"].startswith("30.4 % (56/184")
    with (out / "crystals" / "random.csv").open() as file:
        crystals = list(csv.DictReader(file))
    assert len(crystals) == generated[3]
    assert {row["sampler"] for row in crystals} == {"random"}
    text = (out / "tables.md").read_text()
    assert text.count("\n## ") + text.startswith("## ") == 4
    figures = sorted(path.name for path in (out / "figures").iterdir())
    assert "fig_07_VO2.pdf" in figures
    assert "fig_02_03_workflow.png" in figures
    assert {name.rsplit(".", 1)[0] for name in figures if name.endswith(".pdf")} == {
        name.rsplit(".", 1)[0] for name in figures if name.endswith(".png")
    }
    assert (out / "figures" / "fig_04_autoencoders.pdf").read_bytes()[:4] == b"%PDF"
    assert "fig_13_electronic_VO2 left out: no bands" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 100


def test_a_second_run_reuses_and_adds(finished):
    out, _ = finished
    again = vogen(*SHARE, *ENGINE, "--stages", "tables", "--json", "--out", out)
    assert again.exit_code == 0, again.output
    content = json.loads(again.stdout)
    assert content["tables"] == json.loads((out / "tables.json").read_text())
    record = json.loads((out / "run.json").read_text())
    assert record["paper_stages"] == ["sample", "relax"]
    stages = [stage for stage in record["stages"] if stage["run"] == record["runs"]]
    assert all(stage["reused"] == stage["results"] for stage in stages)
    # another seed is another run
    refused = vogen(*SHARE, *ENGINE, "--seed", 7, "--out", out)
    assert refused.exit_code == 2
    assert "--seed is 1 there and 7 here" in refused.stderr


def test_other_models_are_asked(tmp_path):
    asked = ("--stages", "confirm,tables", "--engines", f"{__name__}:second")
    done = vogen(*SHARE, *ENGINE, *asked, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    # what confirm needs was run first
    assert record["paper_stages"] == ["sample", "relax", "confirm"]
    assert "claims" in tables_of(tmp_path / "out")


def test_what_is_refused(tmp_path):
    nothing = vogen(*SHARE, *ENGINE, "--stages", "figures", "--out", tmp_path / "a")
    assert nothing.exit_code == 2
    assert "nothing is calculated" in nothing.stderr
    assert "add sample,relax" in nothing.stderr
    for arguments, message in (
        (("--stages", "dance"), "'dance' is none of sample"),
        (("--samplers", "nobody"), "'nobody' is none of"),
        (("--share", 0), "share"),
        (("--share", 2), "share"),
    ):
        refused = vogen(*arguments, "--out", tmp_path / "b")
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert not (tmp_path / "b").exists()
    mixed = vogen(*SHARE, *ENGINE, "--stages", "confirm", "--engines", f"{__name__}:first",
                  "--out", tmp_path / "c")  # fmt: skip
    assert mixed.exit_code == 2
    assert "two engines are of scheme instant-1" in mixed.stderr


def test_stages_stand_in_their_order():
    convert = StageList().convert
    assert convert("figures, sample", None, None) == ("sample", "figures")
    assert convert("all", None, None) == tuple(PAPER_STAGES)
    # a stage comes after those that it needs
    for number, needed in enumerate(PAPER_STAGES.values()):
        assert set(needed) <= set(list(PAPER_STAGES)[:number])
