"""Learning curves: what is drawn is what the document says."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_figures import caption

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting import training as plots_training
from atomate2_vogen.schemas import Artefact, GanDoc, TrainingDoc
from atomate2_vogen.stability import proportion


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
    path = tmp_path / "curves.png"
    plots_training.plot_training(document, path)
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


def generator(kind, losses, **changes):
    content = {
        "kind": kind,
        "steps": 100,
        "seed": 1,
        "preset": "quick",
        "autoencoders": "abc",
        "model_id": "def",
        "history": {"loss": losses, "critic": [0.0] * len(losses)},
        "decoded": {"exact_composition": proportion(3, 192)},
        "wall_time": 1.0,
    }
    return GanDoc(**content | changes)


def test_each_generator_has_an_axis_of_its_own(tmp_path, figures):
    rng = np.random.default_rng(0)
    steady = np.linspace(2.0, 1.0, 50)
    wild = 1000 * steady + rng.normal(0, 0.5, 50)
    both = [generator("GAN", wild.tolist()), generator("WGAN", steady.tolist())]
    path = tmp_path / "losses.png"
    plots_training.plot_generator_losses(both, path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    (figure,) = figures
    first, second = figure.axes
    assert first.get_lines()[0].get_ydata().tolist() == wild.tolist()
    assert second.get_lines()[0].get_ydata().tolist() == steady.tolist()
    # 50 entries for a hundred steps
    assert second.get_lines()[0].get_xdata().tolist()[:2] == [2, 4]
    # a scale of a thousand in one panel leaves the other's readable
    assert second.get_ylim()[1] < 3
    assert second.get_title(loc="left") == "b   WGAN: 3 of 192 latents decode"
    assert "Means over 2 steps each" in caption(figure)


def test_losses_that_cannot_be_drawn(tmp_path):
    with pytest.raises(InputError, match="no generator"):
        plots_training.plot_generator_losses([], tmp_path / "x.png")
    with pytest.raises(InputError, match="GAN def has no history"):
        plots_training.plot_generator_losses([generator("GAN", [])], tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_only_the_networks_asked_for_are_drawn(document, tmp_path, figures):
    plots_training.plot_training(document, tmp_path / "x.png", networks=("lattice", "sites"))
    shown = [axes.get_title(loc="left") for axes in figures[0].axes if axes.get_visible()]
    assert shown == ["a   Sites autoencoder"]
    with pytest.raises(InputError, match="no history"):
        plots_training.plot_training(document, tmp_path / "x.png", networks=("lattice",))
