"""Learning curves: what is drawn is what the document says."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_figures import caption

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting import training as plots_training
from atomate2_vogen.schemas import Artefact, TrainingDoc


@pytest.fixture
def document():
    vae = {
        "reconstruction": [9.0, 5.0, 4.0, 3.0],
        "val_reconstruction": [8.0, 6.0, 5.0, 5.5],
        "kl": [1.0, 2.0, 2.5, 2.5],
        "val_kl": [1.0, 2.0, 2.5, 2.6],
    }
    return TrainingDoc(
        model_id="abc",
        preset="quick",
        seed=1,
        chemsys="A-B",
        dataset_id="d",
        config={"sites": {"anneal_epochs": 1}, "wgan": {"steps": 100}},
        history={
            "sites": vae,
            "energy": {"mae": [0.9, 0.5], "val_mae": [0.8, 0.7]},
            "wgan": {"critic": [-1.0, -0.5], "loss": [0.1, 0.2], "energy": [0.5, 0.1]},
            "acceptance": {"loss": [0.6, 0.5, 0.4], "val_loss": [0.6, 0.4, 0.5]},
        },
        backend="tensorflow 2",
        wall_time=1.0,
        peak_memory=1.0,
        artefact=Artefact(filename="x", sha256="y", content=""),
    )


def test_panels_show_the_history(document, tmp_path, figures):
    path = plots_training.plot_training(document, tmp_path / "curves.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    (figure,) = figures
    assert "abc" in caption(figure)
    sites, energy, wgan, acceptance = [axes for axes in figure.axes if axes.get_visible()]
    lines = {line.get_label(): line for line in sites.get_lines()}
    validation = lines["reconstruction, validation"]
    assert validation.get_xdata().tolist() == [1, 2, 3, 4]
    assert validation.get_ydata().tolist() == [8.0, 6.0, 5.0, 5.5]
    # the third epoch is the best
    assert sites.get_lines()[-1].get_xdata() == [3, 3]
    assert energy.get_lines()[-1].get_xdata() == [2, 2]
    assert acceptance.get_lines()[-1].get_xdata() == [2, 2]
    # two entries for a hundred steps
    assert wgan.get_lines()[0].get_xdata().tolist() == [50, 100]


def test_no_best_epoch_while_the_weight_rises(document, tmp_path, figures):
    document.config["sites"]["anneal_epochs"] = 4
    plots_training.plot_training(document, tmp_path / "curves.png")
    labels = [line.get_label() for line in figures[0].axes[0].get_lines()]
    assert len(labels) == 4


def test_nothing_to_draw(document, tmp_path):
    document.history = {}
    with pytest.raises(InputError, match="abc has no history"):
        plots_training.plot_training(document, tmp_path / "curves.png")


def test_generator_losses_of_two_trainings(document, tmp_path, figures):
    rng = np.random.default_rng(0)
    steady = np.linspace(2.0, 1.0, 200)
    wild = steady + rng.normal(0, 0.5, 200)
    other = document.model_copy(deep=True)
    document.history["wgan"]["loss"] = wild.tolist()
    document.history["wgan"]["critic"] = [0.0] * 200
    other.history["wgan"] = {"loss": steady.tolist(), "critic": [0.0] * 200}
    path = plots_training.plot_generator_losses(
        {"GAN": document, "WGAN": other}, tmp_path / "losses.png"
    )
    assert path.read_bytes()[:4] == b"\x89PNG"
    (figure,) = figures
    first, second = figure.axes
    assert first.get_lines()[0].get_ydata().tolist() == wild.tolist()
    assert second.get_lines()[0].get_ydata().tolist() == steady.tolist()
    # 200 entries for a hundred steps
    assert second.get_lines()[0].get_xdata()[-1] == 100
    expected = "GAN: model abc, preset quick, seed 1; WGAN: model abc, preset quick, seed 1."
    assert caption(figure) == expected


def test_losses_that_cannot_be_compared(document, tmp_path):
    for documents in ({}, dict.fromkeys("abc", document)):
        with pytest.raises(InputError, match="one or two"):
            plots_training.plot_generator_losses(documents, tmp_path / "x.png")
    document.history.pop("wgan")
    with pytest.raises(InputError, match=r"abc \(GAN\) has no generator's loss"):
        plots_training.plot_generator_losses({"GAN": document}, tmp_path / "x.png")
