"""``vogen loop``: what it prints and leaves, and what it refuses; nothing is computed."""

from __future__ import annotations

import csv
import json

import instant_judge
import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.sampling_options import SAMPLERS
from atomate2_vogen.flows import loop as loops
from atomate2_vogen.stores import VogenStores

LOOP = ("loop", "--counts", "V2O5=2", "-j", 1, "--engine", "chgnet", "--no-refine")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    instant_judge.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def vogen(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_loop_prints_and_leaves_a_row_per_round_and_goes_on_with_more(folder):
    once = vogen(*LOOP, "--sampler", "substitution", "--rounds", 1, "--threshold", 3)
    assert "Energy model that chose the finds: " in once.output
    assert [row["number"] for row in rows(folder / "vogen_loop" / "rounds.csv")] == ["1"]
    again = vogen(*LOOP, "--sampler", "substitution", "--rounds", 2, "--threshold", 3)
    assert "reused" in again.output
    lines = again.stdout.splitlines()
    table = lines[: next(at for at, line in enumerate(lines) if line.startswith("≤:"))]
    head = next(line for line in table if "replays" in line)
    assert len(head.rstrip()) <= 80
    assert head.split()[:3] == ["round", "sampled", "relaxed"]
    found = rows(folder / "vogen_loop" / "rounds.csv")
    assert [row["number"] for row in found] == ["1", "2"]
    document = json.loads((folder / "vogen_loop" / "loop.json").read_text())
    finds = {name: one["number"] for one in document["rounds"] for name in one["finds"]}
    written = rows(folder / "vogen_loop" / "finds.csv")
    assert {row["candidate_id"]: int(row["round"]) for row in written} == finds
    for name in finds:
        assert (folder / "vogen_loop" / "cifs" / f"{name}.cif").is_file()
    # all crystals can be asked for as those of any run
    with VogenStores.open(folder / "vogen_loop") as stores:
        assert len(stores.query()) == sum(int(row["n_sampled"]) for row in found)


def test_json_is_all_that_is_printed(folder):
    result = vogen(*LOOP, "--sampler", "substitution", "--rounds", 1, "--json")
    content = json.loads(result.stdout)
    assert content["stopped_by"] == "rounds"
    assert content["n_finds"] == sum(len(one["finds"]) for one in content["rounds"])


def test_a_folder_of_other_settings_is_refused_and_says_what_differs(folder):
    vogen(*LOOP, "--sampler", "substitution", "--rounds", 1)
    refused = vogen(*LOOP, "--sampler", "substitution", "--threshold", 0.05, code=2)
    assert "OutputFolderError" in refused.output
    assert "threshold" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rounds", 0), "0 is not in the range"),
        (("--threshold", 0), "--threshold"),
        (("--sampler", "wgan"), "the sampler wgan cannot learn in a loop yet"),
        (("--sampler", "random", "--parents", "."), "--parents: only for --sampler evolution"),
        (("--novelty-margin", 5), "--novelty-margin"),
    ],
)
def test_bad_input_leaves_no_folder(folder, arguments, message):
    assert message in vogen(*LOOP, *arguments, code=2).output
    assert not (folder / "vogen_loop").exists()


def test_the_margin_is_that_of_the_sampler(monkeypatch):
    made = []
    monkeypatch.setattr(
        loops.LoopFlowMaker, "make", lambda self, *_: made.append(self.sampler) or 1 / 0
    )
    for name, entry in SAMPLERS.items():
        arguments = [*map(str, LOOP), "--sampler", name, "--no-learn"]
        assert isinstance(CliRunner().invoke(cli, arguments).exception, ZeroDivisionError)
        assert (made[-1].novel_only, made[-1].novelty_margin) == (True, entry.margin)
