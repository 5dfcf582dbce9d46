"""The frame that all figures share: page, colours, titles of panels, legend, caption, file.

Colours are Okabe & Ito's, which survive colour blindness. Matplotlib is used without pyplot: no
display, no global state, and the same input gives the same file. It is imported only where a
figure is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from atomate2_vogen.errors import InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.plotting.pictures import DPI, FORMATS, SCREEN_DPI, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Files: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]]"
"""One file to write, or several of one figure."""
Panels: TypeAlias = "Axes | Sequence[Axes] | np.ndarray"
"""Axes to draw into, one per panel, row by row."""

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"

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


@dataclass(frozen=True)
class Page:
    """A figure that is being drawn: its panels are those of the caller, or are made here.

    Parameters
    ----------
    figure
        That is drawn on.
    given
        Panels of the caller; None where the figure is the page's own.
    """

    figure: Figure
    given: tuple[Axes, ...] | None = None

    def panels(self, number: int, columns: int | None = None, **layout: Any) -> list[Axes]:
        """Panels to draw into, row by row.

        Parameters
        ----------
        number
            Of panels.
        columns
            Of the grid that is made; by default all panels stand side by side.
        **layout
            Of `matplotlib.figure.Figure.subplots`, such as ``sharey``; not used for panels of the
            caller.

        Raises
        ------
        InputError
            If the caller gave another number.
        """
        if self.given is not None:
            if len(self.given) != number:
                raise InputError(
                    f"ax has {len(self.given)} panels, the figure {number}; give {number} Axes, row "
                    "by row, or none"
                )
            return list(self.given)
        width = columns or number
        grid = self.figure.subplots(-(-number // width), width, squeeze=False, **layout).flat
        for axes in grid[number:]:
            axes.set_visible(False)
        return list(grid[:number])

    def legend(self, entries: Mapping[str, Any], columns: int = 4) -> None:
        """Draw one legend for all panels: above them, or below the first panel of the caller.

        Parameters
        ----------
        entries
            Handles by label, as `legend_entries` gives them.
        columns
            Of the legend above.
        """
        if self.given is not None:
            self.given[0].legend(
                list(entries.values()),
                list(entries),
                loc="upper center",
                bbox_to_anchor=(0.5, -0.17),  # under the name of the axis
                ncols=2,
                frameon=False,
            )
            return
        self.figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside upper center",
            ncols=columns,
            frameon=False,
        )


@contextmanager
def drawing(
    path: Files | None,
    caption: str,
    *,
    width: float,
    height: float,
    ax: Panels | None = None,
) -> Iterator[Page]:
    """Give a page to draw on; add the caption and write the files when the block ends.

    Nothing is written if the block raises.

    Parameters
    ----------
    path
        File or files to write, of suffixes in `FORMATS`; None writes none. Folders that are
        missing are made.
    caption
        Text below the panels, wrapped to the width.
    width, height
        Of the whole figure, inches.
    ax
        Panels of the caller to draw into. Caption and size are left to the caller then, and files
        show the whole figure that the panels belong to.

    Yields
    ------
    Page
        With a figure of constrained layout; `rcParams` are those of the house within the block.

    Raises
    ------
    InputError
        If the suffix is another, or `ax` is empty.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from atomate2_vogen.plotting.notebook_figure import NotebookFigure

    targets = _targets(path)
    with rc_context(_RC):
        if ax is None:
            figure: Figure = NotebookFigure(figsize=(width, height), layout="constrained")
            FigureCanvasAgg(figure)
            yield Page(figure)
            lines = textwrap.fill(caption, width=int(17 * width))
            figure.supxlabel(lines, fontsize=7.5, color="#444444", x=0.01, ha="left")
        else:
            given = tuple(np.ravel(np.asarray(ax, dtype=object)))
            if not given:
                raise InputError("ax is empty; give Axes to draw into, or none")
            figure = given[0].get_figure(root=True)
            yield Page(figure, given)
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, picture(figure, target.suffix.lower(), DPI))


def _targets(path: Files | None) -> list[Path]:
    """Files as paths.

    Raises
    ------
    InputError
        If one has a suffix that is not in `FORMATS`.
    """
    if path is None:
        return []
    targets = [Path(path)] if isinstance(path, str | PathLike) else [Path(one) for one in path]
    for target in targets:
        if target.suffix.lower() not in FORMATS:
            raise InputError(
                f"{target}: pictures are written as {', '.join(FORMATS)}; end the name so"
            )
    return targets


def small_png(draw: Callable[[Axes], None], *, width: float, height: float) -> bytes:
    """A small picture without caption, for a table on a screen.

    Parameters
    ----------
    draw
        Draws into the one panel.
    width, height
        Inches, of `SCREEN_DPI` pixels.

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
        return picture(figure, ".png", dpi=SCREEN_DPI)


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
