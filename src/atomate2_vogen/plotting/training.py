"""Learning curves of one training: the counterpart of the paper's Figs. 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.figures import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    drawing,
    panel_title,
)
from atomate2_vogen.schemas import TrainingDoc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VAE = (
    ("reconstruction", "reconstruction, training", BLUE, "-"),
    ("val_reconstruction", "reconstruction, validation", ORANGE, "-"),
    ("kl", "KL divergence, training", BLUE, ":"),
    ("val_kl", "KL divergence, validation", ORANGE, ":"),
)
_PANELS: dict[str, tuple[str, str, str, Sequence[tuple[str, str, str, str]]]] = {
    "sites": ("Sites autoencoder", "Nats per crystal", "log", _VAE),
    "lattice": ("Lattice autoencoder", "Nats per crystal", "log", _VAE),
    "energy": (
        "Energy CNN",
        "Mean error (standardised)",
        "linear",
        (("mae", "training", BLUE, "-"), ("val_mae", "validation", ORANGE, "-")),
    ),
    "wgan": (
        "Generator and critic",
        "Loss",
        "linear",
        (
            ("critic", "critic's loss", BLUE, "-"),
            ("loss", "generator's loss", ORANGE, "-"),
            ("energy", "predicted energy (standardised)", GREEN, "--"),
            ("box", "error of the decoded box (atoms)", "black", ":"),
        ),
    ),
    "acceptance": (
        "Acceptance network",
        "Cross-entropy",
        "linear",
        (("loss", "training", BLUE, "-"), ("val_loss", "validation", ORANGE, "-")),
    ),
}
_MONITORED = {
    "sites": "val_reconstruction",
    "lattice": "val_reconstruction",
    "energy": "val_mae",
    "acceptance": "val_loss",
}
"""Figure that decides which epoch's weights are kept."""


def plot_training(document: TrainingDoc, path: str | PathLike[str]) -> Path:
    """Draw the learning curves of all networks in a training document.

    Parameters
    ----------
    document
        Of any stage.
    path
        Picture to write: PNG, PDF or SVG by its suffix.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the document holds no history of a network.

    Examples
    --------
    >>> from atomate2_vogen.plotting import plot_training
    >>> from atomate2_vogen.schemas import Artefact, TrainingDoc
    >>> document = TrainingDoc(
    ...     model_id="abc",
    ...     preset="quick",
    ...     seed=1,
    ...     chemsys="O-V",
    ...     dataset_id="shipped",
    ...     config={"wgan": {"steps": 100}},
    ...     history={"energy": {"mae": [0.9, 0.5], "val_mae": [0.8, 0.7]}},
    ...     backend="tensorflow 2",
    ...     wall_time=1.0,
    ...     peak_memory=1.0,
    ...     artefact=Artefact(filename="x", sha256="y", content=""),
    ... )
    >>> plot_training(document, "curves.png").name
    'curves.png'
    """
    known = [name for name in _PANELS if document.history.get(name)]
    if not known:
        raise InputError(f"training {document.model_id} has no history to draw")
    columns = min(2, len(known))
    rows = -(-len(known) // columns)
    caption = (
        f"Model {document.model_id}, preset {document.preset}, seed {document.seed}, data set "
        f"{document.dataset_id}; {document.backend}. Weights kept are those of the epoch with "
        "the least validation error (dotted line); the WGAN's are the last."
    )
    with drawing(path, caption, width=3.6 * columns, height=0.5 + 2.5 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for letter, name, axes in zip("abcde", known, panels, strict=False):
            _draw(axes, name, document.history[name], _steps(document, name))
            _mark_best(axes, name, document)
            panel_title(axes, f"{letter}   {_PANELS[name][0]}")
        for axes in panels[len(known) :]:
            axes.set_visible(False)
    return Path(path)


def plot_generator_losses(documents: Mapping[str, TrainingDoc], path: str | PathLike[str]) -> Path:
    """Draw the generator's loss of several trainings, as GAN against WGAN in the paper's Fig. 5.

    Losses of two kinds have two scales, so each has a separate axis.

    Parameters
    ----------
    documents
        Trainings by the name to show, e.g. ``GAN`` and ``WGAN``; two at most.
    path
        Picture to write: PNG, PDF or SVG by its suffix.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there are not one or two, or one has no history of a generator.

    Examples
    --------
    >>> from atomate2_vogen.plotting import plot_generator_losses
    >>> from atomate2_vogen.schemas import Artefact, TrainingDoc
    >>> document = TrainingDoc(
    ...     model_id="abc",
    ...     preset="quick",
    ...     seed=1,
    ...     chemsys="O-V",
    ...     dataset_id="shipped",
    ...     config={"wgan": {"steps": 100}},
    ...     history={"wgan": {"critic": [-1.0, -0.5], "loss": [0.1, 0.2], "energy": [0.5, 0.1]}},
    ...     backend="tensorflow 2",
    ...     wall_time=1.0,
    ...     peak_memory=1.0,
    ...     artefact=Artefact(filename="x", sha256="y", content=""),
    ... )
    >>> plot_generator_losses({"quick": document}, "losses.png").name
    'losses.png'
    """
    if len(documents) not in {1, 2}:
        raise InputError(f"{len(documents)} trainings given; one or two can be compared")
    for name, document in documents.items():
        if not document.history.get("wgan", {}).get("loss"):
            raise InputError(f"training {document.model_id} ({name}) has no generator's loss")
    models = "; ".join(
        f"{name}: model {document.model_id}, preset {document.preset}, seed {document.seed}"
        for name, document in documents.items()
    )
    with drawing(path, f"{models}.", width=5.2, height=3.0) as figure:
        first = figure.subplots()
        lines = []
        for index, (name, document) in enumerate(documents.items()):
            axes, colour = (first, BLUE) if index == 0 else (first.twinx(), VERMILION)
            values = document.history["wgan"]["loss"]
            width = _steps(document, "wgan")
            x = [width * (i + 1) for i in range(len(values))]
            lines += axes.plot(x, values, color=colour, linewidth=1.1, label=name)
            axes.set_ylabel(f"Generator's loss, {name}", color=colour)
            axes.tick_params(axis="y", colors=colour)
            axes.spines["right"].set_visible(index == 1)
        first.set_xlabel("Generator step")
        first.legend(handles=lines, frameon=False)
    return Path(path)


def _steps(document: TrainingDoc, name: str) -> float:
    """Unit of the entries of a history: an epoch, or a number of steps for the WGAN."""
    if name != "wgan":
        return 1.0
    steps = document.config.get("wgan", {}).get("steps", len(document.history[name]["critic"]))
    return float(steps) / len(document.history[name]["critic"])


def _draw(axes: Axes, name: str, history: Mapping[str, Sequence[float]], width: float) -> None:
    from matplotlib.ticker import MaxNLocator

    _, label, scale, lines = _PANELS[name]
    for key, title, colour, style in lines:
        values = history.get(key, ())
        if not values:
            continue
        x = [width * (i + 1) for i in range(len(values))]
        mark = "." if len(values) < 30 else ""
        axes.plot(x, values, style, color=colour, marker=mark, linewidth=1.2, label=title)
    axes.set(xlabel="Generator step" if name == "wgan" else "Epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yscale(scale)
    if name == "wgan":
        # a critic's score has no unit: it may be a thousand times an energy
        axes.set_yscale("symlog", linthresh=1.0)
        axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)
    axes.legend(frameon=False, fontsize=7)


def _mark_best(axes: Axes, name: str, document: TrainingDoc) -> None:
    """The epoch whose weights are kept; none is while the KL term's weight still rises."""
    validation = document.history[name].get(_MONITORED.get(name, ""), [])
    begin = int(document.config.get(name, {}).get("anneal_epochs", 0))
    if len(validation) > begin:
        best = 1 + min(range(begin, len(validation)), key=validation.__getitem__)
        axes.axvline(best, color="0.6", linestyle=(0, (1, 2)), linewidth=0.9, zorder=0)
