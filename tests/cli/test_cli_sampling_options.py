"""Options on drawing crystals: from the command line to the sampler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bare_model import bare_model
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.data import labels


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def model(tiny, tmp_path):
    path = tmp_path / "model.zip"
    bare_model(tiny).save(path)
    return path


def test_judge_oversample_keeps_the_lowest(tmp_path: Path):
    out = tmp_path / "out"
    arguments = ("sample", "--sampler", "substitution", "--counts", "VO2=1", "--out", out)
    result = vogen(*arguments, "--judge-oversample", "3")
    assert result.exit_code == 0, result.output
    (kept,) = json.loads((out / "candidates.json").read_text())["candidates"]
    assert kept["details"]["judge"] == labels.JUDGE_SCHEME
    assert kept["details"]["judged_of"] == 3
    assert "energy too high" in result.stdout
    record = json.loads((out / "run.json").read_text())
    assert record["identity"]["judge_oversample"] == 3
    # another number is another run
    assert vogen(*arguments).exit_code == 2


def test_margin_is_for_novel_crystals_only(tmp_path: Path):
    arguments = ("sample", "--sampler", "random", "--counts", "VO2=1", "--novelty-margin", "2")
    refused = vogen(*arguments, "--out", tmp_path / "refused")
    assert refused.exit_code == 2
    assert "only with --novel-only" in refused.stderr
    out = tmp_path / "out"
    assert vogen(*arguments, "--novel-only", "--out", out).exit_code == 0
    document = json.loads((out / "candidates.json").read_text())
    assert document["options"] == {"novel_only": True, "novelty_margin": 2.0}
    assert json.loads((out / "run.json").read_text())["identity"]["novelty_margin"] == 2.0


def test_options_reach_the_sampler_and_the_record(tmp_path: Path, model):
    out = tmp_path / "out"
    result = vogen(
        *("sample", "--counts", "VO2=1", "--model", model, "--out", out, "--preselect", "2"),
        *("--max-attempts", "64", "--latent-noise", "0.3", "--min-atoms", "9"),
        *("--symmetry-tolerance", "0.2"),
    )
    # random weights decode to nothing
    assert result.exit_code == 1, result.output
    assert "no crystal was generated" in result.stderr
    expected = {
        "preselect": 2,
        "latent_noise": 0.3,
        "min_atoms": 9,
        "symmetry_tolerance": 0.2,
    }
    document = json.loads((out / "candidates.json").read_text())
    assert document["options"] == expected
    assert document["attempts"] == {"VO2": 64}
    expected["max_attempts"] = 64
    identity = json.loads((out / "run.json").read_text())["identity"]
    assert identity | expected == identity
    assert len(identity["model"]) == 16


def test_options_of_the_wgan_are_refused_elsewhere(tmp_path: Path, model):
    for verb in ("sample", "discover"):
        result = vogen(
            *(verb, "--sampler", "random", "--preselect", "1", "--model", model),
            *("--out", tmp_path / "out"),
        )
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("vogen: InputError: --model, --preselect: only for --sampler wgan")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--preselect", "0"),
        ("--latent-noise", "-1"),
        ("--judge-oversample", "0"),
        ("--symmetry-tolerance", "-1"),
        ("--model", "nothing.zip"),
    ],
)
def test_values_out_of_range(tmp_path: Path, arguments):
    result = vogen("sample", *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_damaged_model(tmp_path: Path):
    (tmp_path / "model.zip").write_bytes(b"broken")
    result = vogen("sample", "--model", tmp_path / "model.zip", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "ArtefactError" in result.stderr
    assert "model.zip" in result.stderr
