"""``--known``: crystals that the user knows are not novel, as long as they are given."""

from __future__ import annotations

import json

import instant_engine
import instant_judge
import pytest
from click.testing import CliRunner

from atomate2_vogen import VogenStores, build_stability
from atomate2_vogen.cli.main import cli
from atomate2_vogen.schemas import KnownDoc, StabilityDoc

CRYSTALS = {"one": instant_engine.crystal("V2O3", 1), "two": instant_engine.crystal("V3O2", 2)}


def engine():
    return instant_engine.engine("first")


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def crystals(monkeypatch, tmp_path):
    instant_judge.work_here(monkeypatch)
    for name, crystal in CRYSTALS.items():
        (tmp_path / name).mkdir()
        crystal.to(str(tmp_path / name / f"{name}.cif"))
    return tmp_path


def evaluate(folder, *more):
    arguments = ["--engine", f"{__name__}:engine", "--out", folder / "out"]
    return vogen("evaluate", folder / "one", folder / "two", *arguments, *more)


def judged(folder):
    with VogenStores.open(folder / "out") as stores:
        documents = {one.formula: one for one in stores.load(StabilityDoc)}
        assert build_stability(stores).written == 0
    return documents


def test_what_the_user_knows_is_not_novel_as_long_as_it_is_given(crystals):
    done = evaluate(crystals, "--known", crystals / "two")
    assert done.exit_code == 0, done.output
    documents = judged(crystals)
    assert documents["V2O3"].is_novel is True
    assert documents["V3O2"].is_novel is False
    assert documents["V3O2"].known_as == str(crystals / "two" / "two.cif")
    metrics = json.loads((crystals / "out" / "metrics.json").read_text())
    assert metrics["novelty_pool"]["own crystals"] == 1

    assert evaluate(crystals).exit_code == 0
    assert judged(crystals)["V3O2"].is_novel is True
    with VogenStores.open(crystals / "out") as stores:
        assert [one.withdrawn for one in stores.load(KnownDoc)] == [True]

    assert evaluate(crystals, "--known", crystals / "two").exit_code == 0
    assert judged(crystals)["V3O2"].is_novel is False


def test_files_that_cannot_be_used_are_named_and_the_others_count(crystals):
    (crystals / "more").mkdir()
    (crystals / "more" / "broken.cif").write_text("dear friend")
    done = evaluate(crystals, "--known", crystals / "more", "--known", crystals / "two")
    assert done.exit_code == 0, done.output
    assert "left out" in done.stderr
    assert "broken.cif" in done.stderr
    assert judged(crystals)["V3O2"].is_novel is False


def test_a_folder_without_crystals_is_refused(crystals):
    (crystals / "none").mkdir()
    (crystals / "none" / "broken.cif").write_text("dear friend")
    done = evaluate(crystals, "--known", crystals / "none")
    assert done.exit_code == 2
    assert "no crystal of O-V" in " ".join(done.stderr.split())


def test_discover_takes_them_too(crystals):
    arguments = ["--engine", f"{__name__}:engine", "--sampler", "random", "--counts", "VO2=2"]
    first = vogen("discover", *arguments, "--out", crystals / "a")
    assert first.exit_code == 0, first.output
    second = vogen(
        "discover", *arguments, "--known", crystals / "a" / "cifs", "--out", crystals / "b"
    )
    assert second.exit_code == 0, second.output
    with VogenStores.open(crystals / "b") as stores:
        documents = stores.load(StabilityDoc)
    assert documents
    assert not any(one.is_novel for one in documents)
