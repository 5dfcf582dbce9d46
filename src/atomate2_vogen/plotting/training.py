"""Learning curves of one training: the counterpart of the paper's Figs. 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.figures import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    Files,
    Panels,
    drawing,
    panel_title,
)
from atomate2_vogen.schemas import GanDoc, TrainingDoc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


def plot_training(
    document: TrainingDoc,
    path: Files | None = None,
    networks: Sequence[str] | None = None,
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw the learning curves of networks in a training document.

    Parameters
    ----------
    document
        Of any stage.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    networks
        Keys of its history, such as ``lattice`` and ``sites`` for the paper's Fig. 4; by default
        all.
    ax
        Axes to draw into, one per network; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

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
    >>> plot_training(document, "curves.png").axes[0].get_xlabel()
    'Epoch'
    """
    wanted = _PANELS if networks is None else networks
    known = [name for name in wanted if name in _PANELS and document.history.get(name)]
    if not known:
        raise InputError(f"training {document.model_id} has no history to draw")
    columns = min(2, len(known))
    rows = -(-len(known) // columns)
    caption = (
        f"Model {document.model_id}, preset {document.preset}, seed {document.seed}, data set "
        f"{document.dataset_id}; {document.backend}. Weights kept are those of the epoch with "
        "the least validation error (dotted line); the WGAN's are the last."
    )
    with drawing(path, caption, width=3.6 * columns, height=0.5 + 2.5 * rows, ax=ax) as page:
        panels = page.panels(len(known), columns)
        for letter, name, axes in zip("abcde", known, panels, strict=False):
            _draw(axes, name, document.history[name], _steps(document, name))
            _mark_best(axes, name, document)
            panel_title(axes, f"{letter}   {_PANELS[name][0]}")
    return page.figure


def plot_generator_losses(
    generators: Sequence[GanDoc], path: Files | None = None, *, ax: Panels | None = None
) -> Figure:
    """Draw the loss of each generator in a separate panel, as of GAN and WGAN in the paper's Fig. 5.

    Losses of two kinds have no common scale. Each panel says how many of the generator's latents
    decode to the formula that was asked for, which is what a low loss is for.

    Parameters
    ----------
    generators
        Trained generators, each a panel, in this order.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    ax
        Axes to draw into, one per generator; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is none, or one has no history of its loss.

    Examples
    --------
    >>> from atomate2_vogen.plotting import plot_generator_losses
    >>> from atomate2_vogen.schemas import GanDoc
    >>> document = GanDoc(
    ...     kind="WGAN",
    ...     steps=100,
    ...     seed=1,
    ...     preset="paper",
    ...     autoencoders="abc",
    ...     model_id="def",
    ...     history={"loss": [0.2, 0.1], "critic": [-1.0, -0.5]},
    ...     decoded={},
    ...     wall_time=1.0,
    ... )
    >>> plot_generator_losses([document], "losses.png").axes[0].get_ylabel()
    "Generator's loss"
    """
    if not generators:
        raise InputError("no generator to draw")
    for generator in generators:
        if not generator.history.get("loss"):
            raise InputError(
                f"the {generator.kind} {generator.model_id} has no history of its loss"
            )
    models = "; ".join(f"{g.kind}: model {g.model_id}" for g in generators)
    first = generators[0]
    caption = (
        f"{models}; autoencoders of model {first.autoencoders}, preset {first.preset}, seed "
        f"{first.seed}. Means over {first.steps // len(first.history['loss'])} steps each."
    )
    with drawing(path, caption, width=7.0, height=3.2, ax=ax) as page:
        panels = page.panels(len(generators))
        for axes, generator, letter in zip(panels, generators, "abcdef", strict=False):
            values = generator.history["loss"]
            width = generator.steps / len(values)
            x = [width * (i + 1) for i in range(len(values))]
            colour = VERMILION if generator.kind == "WGAN" else BLUE
            axes.plot(x, values, color=colour, linewidth=1.2)
            axes.set_xlabel("Training step of the generator")
            axes.set_ylabel("Generator's loss")
            axes.margins(x=0.01, y=0.08)
            panel_title(axes, f"{letter}   {generator.kind}{_decoded(generator)}")
    return page.figure


def _decoded(generator: GanDoc) -> str:
    """Share of latents that decode as asked for, for a title."""
    share = generator.decoded.get("exact_composition")
    return "" if share is None else f": {share.count} of {share.total} latents decode"


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
