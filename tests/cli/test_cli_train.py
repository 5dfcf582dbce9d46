"""``vogen train``: what it writes, that it goes on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training import pipeline as training


def vogen(*arguments: str):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def calls(monkeypatch, trained):
    """The session's training, instead of one that takes minutes; killed at first if asked to."""
    made = []

    def train_wgan(crystals, preset, seed, progress, **stages):
        made.append((preset, seed, stages["checkpoint"]))
        progress("sites", 1, 2, {"reconstruction": 3.0, "kl": 2.0})
        if isinstance(made[0], BaseException):
            raise made.pop(0)
        return trained

    monkeypatch.setattr(training, "train_wgan", train_wgan)
    return made


@pytest.mark.slow
def test_files_and_second_run(calls, trained, tmp_path, monkeypatch):
    # a relative folder, and a job runs in a directory of its own, which goes when it ends
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    calls.append(OutputFolderError("no room"))
    stopped = vogen("train", "--seed", 3, "--out", out)
    assert stopped.exit_code == 2
    assert "OutputFolderError: no room" in stopped.stderr
    assert not (out / "model.zip").exists()
    result = vogen("train", "--seed", 3, "--out", out)
    assert result.exit_code == 0, result.output
    # where there is no terminal, losses come line by line
    assert "sites 1/2  reconstruction 3  kl 2" in result.stderr
    folder = str(tmp_path / "out" / "checkpoints")
    assert calls == [("quick", 3, folder), ("quick", 3, folder)]
    model = TrainedModel.load(out / "model.zip")
    assert model.model_id == trained.model.model_id
    assert model.model_id in result.stdout
    document = json.loads((out / "training.json").read_text())
    assert document["model_id"] == model.model_id
    assert document["history"] == trained.history
    assert "content" not in document["artefact"]
    assert (out / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    again = vogen("train", "--seed", 3, "--out", out, "--json")
    assert json.loads(again.stdout) == document
    # finished: nothing is trained again
    assert vogen("train", "--seed", 3, "--out", out).exit_code == 0
    assert len(calls) == 2
    other = vogen("train", "--seed", 4, "--out", out)
    assert other.exit_code == 2
    assert "--seed is 3 there and 4 here" in other.stderr


def test_unknown_preset(tmp_path):
    result = vogen("train", "--preset", "huge", "--out", tmp_path / "x")
    assert result.exit_code == 2
    assert "huge" in result.stderr
