"""Options on drawing crystals: from the command line to the sampler."""

from __future__ import annotations

import json
from pathlib import Path

import click
import instant_judge
import pytest
from bare_model import bare_model
from click.testing import CliRunner
from toy_potential import own_potential, toy_potential

from atomate2_vogen.cli import options
from atomate2_vogen.cli import sampling_options as module
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.sampling_options import sampling_options
from atomate2_vogen.data import labels
from atomate2_vogen.samplers.substitution import SubstitutionSampler


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def here(monkeypatch):
    instant_judge.work_here(monkeypatch)


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


@pytest.fixture
def folder(tmp_path):
    """CIFs of two parents."""
    path = tmp_path / "parents"
    path.mkdir()
    for number, one in enumerate(SubstitutionSampler().sample({"VO2": 2}, seed=4).candidates):
        one.structure.to(filename=str(path / f"{number}.cif"))
    return path


def test_parents_from_a_folder(tmp_path: Path, folder):
    out = tmp_path / "out"
    arguments = ("sample", "--sampler", "evolution", "-n", "VO2=2", "-j", "1", "--out", out)
    result = vogen(*arguments, "--parents", folder, "--min-atoms", "9")
    assert result.exit_code == 0, result.output
    document = json.loads((out / "candidates.json").read_text())
    assert document["options"] == {"min_atoms": 9}
    named = {name for c in document["candidates"] for name in c["details"]["parents"]}
    assert len(named) in {1, 2}
    assert all(name.startswith("VO2-") for name in named)
    identity = json.loads((out / "run.json").read_text())["identity"]
    assert document["model_id"].endswith(identity["parents"])
    # other parents are another run
    (folder / "0.cif").unlink()
    other = vogen(*arguments, "--parents", folder, "--min-atoms", "9")
    assert other.exit_code == 2
    assert "parents" in other.stderr


def test_parents_that_cannot_be_used(tmp_path: Path, folder):
    out = ("--out", tmp_path / "out")
    refused = vogen("sample", "--sampler", "random", "--parents", folder, *out)
    assert refused.exit_code == 2
    assert "--parents: only for --sampler evolution, not random" in refused.stderr
    refused = vogen("sample", "--sampler", "random", "--min-atoms", "9", *out)
    assert "--min-atoms: only for --sampler search or evolution or wgan" in refused.stderr
    foreign = ("--sampler", "evolution", "--parents", folder)
    assert "Ti" in vogen("sample", "--system", "Ti-O", *foreign, *out).stderr
    (folder / "broken.cif").write_text("data_broken")
    broken = vogen("sample", "--sampler", "evolution", "--parents", folder, *out)
    assert broken.exit_code == 2
    assert "broken.cif" in broken.stderr
    assert not (tmp_path / "out").exists()


def test_parents_from_an_earlier_result(tmp_path: Path, monkeypatch):
    instant_judge.use(monkeypatch)
    crystal = instant_judge.crystal("VO2")
    crystal.to(filename=str(tmp_path / "A.cif"))
    judged = tmp_path / "judged"
    assert vogen("evaluate", tmp_path / "A.cif", "--out", judged, "-j", 1).exit_code == 0
    (row,) = json.loads((judged / "stability.json").read_text())
    out = tmp_path / "out"
    arguments = ("sample", "--sampler", "evolution", "--parents", judged, "-j", 1, "--out", out)
    result = vogen(*arguments, "-n", "VO2=1")
    assert result.exit_code == 0, result.output
    (candidate,) = json.loads((out / "candidates.json").read_text())["candidates"]
    assert set(candidate["details"]["parents"]) == {row["candidate_id"]}
    other = ("--out", tmp_path / "other")
    refused = vogen(*arguments, "-n", "VO2=1,V2O5=1", *other)
    assert refused.exit_code == 2
    assert "none of the 1 parents is of V2O5; there are VO2" in refused.stderr
    # nothing near the hull is no parent, rather than the rest of the folder
    monkeypatch.setattr("atomate2_vogen.stability.judging.NEAR_HULL_LIMIT", -1.0)
    refused = vogen(*arguments, "-n", "VO2=1", *other)
    assert refused.exit_code == 2
    assert "no crystal in it lies within -1.0 eV/atom" in refused.stderr


def test_a_search_on_a_potential_of_ones_own(tmp_path: Path):
    file, out = tmp_path / "own.npz", tmp_path / "out"
    own_potential().save(file)
    arguments = ("sample", "--sampler", "search", "-n", "VO2=1", "-j", 1, "--out", out)
    result = vogen(*arguments, "--potential", file, "--draws", 4, "--min-atoms", 9)
    assert result.exit_code == 0, result.output
    document = json.loads((out / "candidates.json").read_text())
    assert document["options"] == {"draws": 4, "min_atoms": 9}
    assert document["model_id"].startswith(own_potential().potential_id)
    (candidate,) = document["candidates"]
    assert candidate["details"]["potential"] == own_potential().potential_id
    identity = json.loads((out / "run.json").read_text())["identity"]
    assert (identity["draws"], len(identity["potential"])) == (4, 16)
    # another potential under the same name is another run
    own_potential(0.02).save(file)
    other = vogen(*arguments, "--potential", file, "--draws", 4, "--min-atoms", 9)
    assert other.exit_code == 2
    assert "potential" in other.stderr


@pytest.mark.parametrize("verb", ["sample", "discover"])
def test_potentials_that_cannot_be_used(tmp_path: Path, verb):
    file, out = tmp_path / "own.npz", ("--out", tmp_path / "out")
    toy_potential().save(file)
    refused = vogen(verb, "--sampler", "random", "--potential", file, "--draws", 5, *out)
    assert refused.exit_code == 2
    assert "--potential, --draws: only for --sampler search, not random" in refused.stderr
    refused = vogen(verb, "--sampler", "search", "--preselect", 2, *out)
    assert "--preselect: only for --sampler wgan, not search" in refused.stderr
    assert vogen(verb, "--sampler", "search", "--draws", 0, *out).exit_code == 2
    titanium = (verb, "--system", "Ti-O", "--sampler", "search", *out)
    refused = vogen(*titanium, "--potential", file)
    assert refused.exit_code == 2
    assert "the potential is of O-V, asked for is O-Ti" in refused.stderr
    refused = vogen(*titanium)
    assert refused.exit_code == 2
    assert "python tools/train_potential.py --system Ti-O" in refused.stderr
    file.write_bytes(file.read_bytes()[:-200])
    refused = vogen(verb, "--sampler", "search", "--potential", file, *out)
    assert refused.exit_code == 1
    assert "ArtefactError: own.npz" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "sampler"),
    [
        ([], "search"),
        (["--draws", 4], "search"),
        (["--min-atoms", 9], "search"),
        (["--preset", "quick"], "wgan"),
        (["--latent-noise", 0], "wgan"),
        (["--parents", "."], "evolution"),
        (["--system", "Ti-O"], "evolution"),
        (["--system", "Ti-O", "--preselect", 4], "wgan"),
    ],
)
def test_the_sampler_that_is_meant(monkeypatch, given, sampler):
    """Where none is named: the default one, unless an option is for another one alone."""
    seen = []

    @click.command()
    @options.system_option
    @options.sampler_options
    @sampling_options
    def command(*, sampler, **_):
        seen.append(sampler)

    monkeypatch.setattr(module, "read_parents", lambda *_: ([], "0"))
    result = CliRunner().invoke(command, [str(one) for one in given], catch_exceptions=False)
    assert (result.exit_code, seen) == (0, [sampler]), result.output


def test_options_for_two_samplers(tmp_path: Path):
    result = vogen("sample", "--draws", 4, "--preselect", 4, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--preselect: only for --sampler wgan, not search" in result.stderr
    result = vogen("sample", "--sampler", "random", "--preset", "quick", "--out", tmp_path / "out")
    assert "--preset: only for --sampler wgan, not random" in result.stderr
