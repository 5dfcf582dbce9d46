"""Figure of cumulative new crystals against CPU-hours, a panel for each threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.figures import (
    SERIES,
    Files,
    drawing,
    legend_entries,
    panel_title,
)
from discovery.counting import THRESHOLDS, cumulative
from discovery.table import Arms, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 400
COLOURS = (*SERIES, "#4D4D4D")
"""Of the arms, in order."""


def plot_discovery(arms: Arms, path: Files, *, final: bool = False) -> Figure:
    """Draw the mean over seeds of each arm, with the range of the seeds as a band.

    Parameters
    ----------
    arms
        Runs by arm, at most as many arms as there are colours.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix.
    final
        Whether last outcomes are counted, as refined where there is a refinement.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there are more arms than colours.
    """
    if len(arms) > len(COLOURS):
        raise InputError(f"{len(arms)} arms; draw at most {len(COLOURS)} in one figure")
    trained = any(run.training_hours for runs in arms.values() for run in runs)
    seeds = max(len(runs) for runs in arms.values())
    caption = (
        "New: bulk and converged after relaxation, matching neither a known crystal nor an earlier "
        f"one of the same run{', as last refined' if final else ''}. CPU time of everything: "
        "generation, comparison, single points, relaxation, judging, learning. "
        + ("Lines: mean over seeds; bands: their range. " if seeds > 1 else "One seed. ")
        + ("Dashed: training of the shipped networks added, on one core." if trained else "")
    )
    with drawing(path, caption, width=6.9, height=5.6) as page:
        grid = page.figure.subplots(2, 2, sharex=True)
        for letter, axes, threshold in zip("abcd", grid.flat, THRESHOLDS, strict=True):
            title = "on or below the hull" if threshold == 0 else f"within {threshold:g} eV/atom"
            panel_title(axes, f"{letter}  {title}")
            for colour, (name, runs) in zip(COLOURS, arms.items(), strict=False):
                at, found = _curves(runs, threshold, final=final)
                axes.plot(at, found.mean(axis=0), color=colour, label=name, linewidth=1.4)
                if len(runs) > 1:
                    axes.fill_between(
                        at, found.min(axis=0), found.max(axis=0), color=colour, alpha=0.2, lw=0
                    )
                if training := runs[0].training_hours:
                    axes.plot(
                        [0, training, *(at + training)],
                        [0, 0, *found.mean(axis=0)],
                        color=colour,
                        linestyle=(0, (4, 2)),
                        linewidth=1.0,
                        label=f"{name}, training included",
                    )
            axes.set_xlim(left=0)
            axes.xaxis.get_major_locator().set_params(nbins=6)
            axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
            axes.yaxis.get_major_locator().set_params(integer=True)
        for axes in grid[:, 0]:
            axes.set_ylabel("New crystals")
        for axes in grid[-1]:
            axes.set_xlabel("CPU-hours")
        page.legend(legend_entries(grid.flat), columns=4)
    return page.figure


def _curves(runs: Sequence[Run], threshold: float, *, final: bool) -> tuple[np.ndarray, np.ndarray]:
    """CPU-hours that all runs have, shape (n,), and new crystals of each, shape (runs, n)."""
    at = np.linspace(0.0, min(run.line.total_hours for run in runs), POINTS)
    return at, np.array([cumulative(run.line.steps(threshold, final=final), at) for run in runs])
