"""A training that is killed goes on as if nothing had happened; foreign folders are refused."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import eager
from train_tiny import SEED, SHORT

from atomate2_vogen.errors import ArtefactError, InputError, OutputFolderError
from atomate2_vogen.models.archive import Archive
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training import checkpoint as checkpoints
from atomate2_vogen.models.training import stages, trained_stage
from atomate2_vogen.models.training.pipeline import train_wgan
from atomate2_vogen.models.training.trained_stage import TrainedStage

SCRIPT = Path(__file__).parents[1] / "support" / "train_tiny.py"

EPOCHS = (
    [("sites", n) for n in range(1, SHORT.sites.epochs + 1)]
    + [("lattice", n) for n in range(1, SHORT.lattice.epochs)]
    + [("energy", 1)]
    + [("wgan", n) for n in range(1, SHORT.wgan.steps)]
)
"""Points in the training at which it may be killed; early stopping can cut the others off."""


@pytest.fixture(scope="module")
def whole(crystals):
    """The training that nobody disturbs, without any checkpoint."""
    with eager():
        return train_wgan(crystals, SHORT, SEED)


@pytest.fixture(scope="module")
def finished(crystals, tmp_path_factory):
    """Folder of a training of the autoencoders that came to its end."""
    folder = tmp_path_factory.mktemp("vae")
    with eager():
        stage = stages.train_vae(crystals, SHORT, SEED, checkpoint=folder)
    return folder, stage


def _start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.slow
def test_killed_twice(whole, crystals, tmp_path):
    """SIGKILL after two random epochs; what is left ends with the same history and weights."""
    data, folder, result = tmp_path / "data.npz", tmp_path / "folder", tmp_path / "model.zip"
    crystals.save(data)
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    picks = np.sort(np.random.default_rng(seed).choice(len(EPOCHS), 2, replace=False))
    points = [EPOCHS[pick] for pick in picks]
    for stage, epoch in points:
        child = _start(data, folder, result)
        for line in child.stdout:
            if line.split() == [stage, str(epoch)]:
                os.kill(child.pid, signal.SIGKILL)
                break
        assert child.wait() == -signal.SIGKILL, (seed, points)
        child.stdout.close()
        assert not result.exists()
    child = _start(data, folder, result)
    lines = child.communicate()[0].split("\n")
    assert child.returncode == 0, (seed, points)
    # it went on from there: nothing before the last kill was trained again
    stage, epoch = points[-1]
    assert all(int(line.split()[1]) >= epoch for line in lines if line.split()[:1] == [stage]), (
        seed,
        points,
        lines,
    )
    assert json.loads(result.with_suffix(".json").read_text()) == whole.history
    model = TrainedModel.load(result)
    for name, network in whole.model.networks.items():
        pairs = zip(network.get_weights(), model.networks[name].get_weights(), strict=True)
        for expected, found in pairs:
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{seed} {points}")


@pytest.mark.slow
def test_stage_by_stage_is_the_whole(whole, finished, crystals):
    """Each stage on its own, handed on as bytes, ends in the model of all in one."""
    _, vae = finished
    vae = TrainedStage.from_bytes(vae.to_bytes())
    with eager():
        energy = stages.train_energy(crystals, vae, SHORT, seed=SEED)
        energy = TrainedStage.from_bytes(energy.to_bytes())
        result = train_wgan(crystals, SHORT, SEED, vae=vae, energy=energy)
    assert result.history == whole.history
    assert result.model.model_id == whole.model.model_id
    assert result.metrics == whole.metrics
    assert set(result.seconds) == set(whole.seconds)


def test_a_finished_stage_is_not_trained_again(finished, crystals, monkeypatch):
    folder, stage = finished

    def fit_vae(*_, **__):
        raise AssertionError

    monkeypatch.setattr(stages, "fit_vae", fit_vae)
    again = stages.train_vae(crystals, SHORT, SEED, checkpoint=folder)
    assert again.model_id == stage.model_id
    assert again.history == stage.history
    assert again.seconds == stage.seconds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 12}, r"vae\.npz: holds another training \(seed is 11 there and 12 here\)"),
        ({"preset": replace(SHORT, rattle=0.1)}, r"preset\.rattle is 0\.06 there and 0\.1 here"),
        (
            {"preset": replace(SHORT, sites=replace(SHORT.sites, epochs=5))},
            r"preset\.sites\.epochs is 4 there and 5 here",
        ),
        ({"crystals": slice(0, 250)}, "data set is"),
    ],
)
def test_folder_of_another_training(finished, crystals, change, words):
    folder, _ = finished
    data = crystals
    if "crystals" in change:
        data = crystals.select(np.arange(len(crystals))[change["crystals"]])
    with pytest.raises(OutputFolderError, match=words):
        stages.train_vae(
            data, change.get("preset", SHORT), change.get("seed", SEED), checkpoint=folder
        )


def test_a_preset_of_another_name_or_later_stage_is_the_same_training(finished, crystals):
    folder, stage = finished
    other = replace(SHORT, name="other", wgan=replace(SHORT.wgan, steps=99))
    assert stages.train_vae(crystals, other, SEED, checkpoint=folder).model_id == stage.model_id


@pytest.mark.parametrize("damage", ["half", "empty", "zeros at the end", "one bit"])
def test_damaged_checkpoint_is_named(finished, crystals, tmp_path, damage):
    content = (finished[0] / "vae.npz").read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    bad = {
        "half": content[: len(content) // 2],
        "empty": b"",
        "zeros at the end": content[:-4000] + bytes(4000),
        "one bit": bytes(flipped),
    }[damage]
    (tmp_path / "vae.npz").write_bytes(bad)
    with pytest.raises(ArtefactError, match=r"vae\.npz: damaged.*delete it"):
        stages.train_vae(crystals, SHORT, SEED, checkpoint=tmp_path)
    assert (tmp_path / "vae.npz").read_bytes() == bad


def test_full_disk_leaves_the_checkpoint_before(finished, monkeypatch, tmp_path):
    path = tmp_path / "sites.npz"
    checkpoint = checkpoints.Checkpoint(path, {"a": 1})
    state = {"x": np.arange(3.0)}, {"epoch": 1}
    checkpoint.save(*state)
    before = path.read_bytes()

    def fsync(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputFolderError, match=r"sites\.npz.*No space left.*make room|Make room"):
        checkpoint.save(*state)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["sites.npz"]
    monkeypatch.undo()
    loaded = checkpoints.Checkpoint(path, {"a": 1}).load()
    np.testing.assert_array_equal(loaded.arrays["x"], [0, 1, 2])
    assert loaded.header == {"epoch": 1}


def test_folder_that_cannot_be_made(crystals, tmp_path):
    (tmp_path / "file").write_text("")
    checkpoint = checkpoints.Checkpoint(tmp_path / "file" / "sites.npz", {})
    with pytest.raises(OutputFolderError, match=r"sites\.npz"):
        checkpoint.save({}, {})


def test_checkpoints_hold_no_pickle(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, record=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArtefactError, match="evil"):
        checkpoints.Checkpoint(path, {}).load()


def test_stage_files_are_checked(finished):
    _, stage = finished
    content = stage.to_bytes()
    with pytest.raises(ArtefactError, match="damaged"):
        TrainedStage.from_bytes(content[:-100])
    state = Archive.from_bytes(content, "x")
    key = "sites_decoder/0002"
    for value in (np.nan, 0.5):
        arrays = dict(state.arrays)
        arrays[key] = np.full_like(arrays[key], value)
        with pytest.raises(ArtefactError, match="has the id"):
            TrainedStage.from_archive(Archive(state.header, arrays))
    short = {k: v for k, v in state.arrays.items() if k != key}
    with pytest.raises(ArtefactError, match="has the id"):
        TrainedStage.from_archive(Archive(state.header, short))
    record = {k: v for k, v in state.header.items() if k != "model_id"} | {"kind": "x"}
    record["model_id"] = trained_stage._digest(record, state.arrays)
    with pytest.raises(ArtefactError, match="not a training stage"):
        TrainedStage.from_archive(Archive(record, state.arrays))


def test_stages_that_do_not_belong_together(finished, crystals):
    _, vae = finished
    with pytest.raises(InputError, match="other settings"):
        stages.train_energy(crystals, vae, replace(SHORT, rattle=0.1), seed=SEED)
    half = crystals.select(np.arange(250))
    with pytest.raises(InputError, match="data set"):
        stages.train_energy(half, vae, SHORT, seed=SEED)
    with pytest.raises(InputError, match=r"needed, given was vae"):
        train_wgan(crystals, SHORT, SEED, vae=vae, energy=vae)
    with pytest.raises(InputError, match="only with the autoencoders"):
        train_wgan(crystals, SHORT, SEED, energy=vae)
    foreign = replace(vae, kind="energy", parent="abc")
    with pytest.raises(InputError, match="of the autoencoders abc"):
        train_wgan(crystals, SHORT, SEED, vae=vae, energy=foreign)
