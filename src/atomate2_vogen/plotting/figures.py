"""The frame that all figures share: page, colours, titles of panels, legend, caption, file.

Colours are Okabe & Ito's, which survive colour blindness. Matplotlib is used without pyplot: no
display, no global state, and the same input gives the same file. It is imported only where a
figure is drawn.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError
from atomate2_vogen.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 300
"""Pixels per inch."""

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"

FORMATS: dict[str, tuple[str, ...]] = {
    ".png": ("Software",),
    ".pdf": ("CreationDate", "Creator", "Producer"),
    ".svg": ("Creator", "Date"),
}
"""Suffixes of pictures, and what is left out of each so that the same figure is the same file."""

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""Colours of what is compared, in order."""

_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "vogen",  # the same figure is the same file
    "pdf.fonttype": 42,  # text that can be searched and edited
}


@contextmanager
def drawing(
    path: str | PathLike[str], caption: str, *, width: float, height: float
) -> Iterator[Figure]:
    """Give an empty figure to draw on; write it, caption below, when the block ends.

    Nothing is written if the block raises.

    Parameters
    ----------
    path
        File to write; its suffix is one of `FORMATS`. Folders that are missing are made.
    caption
        Text below the panels, wrapped to the width.
    width, height
        Of the whole figure, inches.

    Yields
    ------
    matplotlib.figure.Figure
        Empty, with constrained layout; `rcParams` are those of the house within the block.

    Raises
    ------
    InputError
        If the suffix is another.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target = Path(path)
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise InputError(f"{target}: pictures are written as {', '.join(FORMATS)}; end the name so")
    with rc_context(_RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        lines = textwrap.fill(caption, width=int(17 * width))
        figure.supxlabel(lines, fontsize=7.5, color="#444444", x=0.01, ha="left")
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, format=kind[1:], metadata=dict.fromkeys(FORMATS[kind]))
        write_atomically(target, drawn.getvalue())


def small_png(draw: Callable[[Axes], None], *, width: float, height: float) -> bytes:
    """A small picture without caption, for a table on a screen.

    Parameters
    ----------
    draw
        Draws into the one panel.
    width, height
        Inches, of 100 pixels.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=100, format="png", metadata=dict.fromkeys(FORMATS[".png"]))
    return drawn.getvalue()


def panel_title(axes: Axes, text: str) -> None:
    """Set a panel's letter or name, bold at its upper left."""
    axes.set_title(text, loc="left", fontweight="bold")


def say_empty(axes: Axes, height: float = 0.7) -> None:
    """Say in a panel that no candidate is ranked.

    Parameters
    ----------
    axes
        The panel.
    height
        Of the text, as a fraction of the panel's.
    """
    axes.text(
        0.5, height, "no ranked candidate", transform=axes.transAxes, ha="center", color="0.4"
    )


def legend_entries(panels: Iterable[Axes]) -> dict[str, Any]:
    """Handles of all panels by label; of a label that comes again, the first."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return entries


def legend_above(figure: Figure, entries: Mapping[str, Any], columns: int = 4) -> None:
    """Draw one legend for all panels, above them.

    Parameters
    ----------
    figure
        The figure.
    entries
        Handles by label, as `legend_entries` gives them.
    columns
        Of the legend.
    """
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper center",
        ncols=columns,
        frameon=False,
    )
