"""Figures of several samplers side by side: the counterparts of the paper's Figs. 6-9.

The paper shows, of its 451 crystals, the distribution of formation energies by composition
(Fig. 6) and, composition by composition, formation energies against the convex hull
(Figs. 7-9). Here every sampler has a column of its own, on axes shared by all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.plotting.binning import draw_bars, edges_of, heights
from atomate2_vogen.plotting.documents import (
    BySampler,
    count_ranked,
    energies_of_hull,
    formation_energies,
    one_scheme_of_all,
    ranked,
    ranked_by_formula,
)
from atomate2_vogen.plotting.figures import (
    SERIES,
    Files,
    drawing,
    legend_entries,
    say_empty,
)
from atomate2_vogen.plotting.panels import (
    CLASSES,
    draw_candidates,
    draw_distances,
    draw_hull,
)
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.phases import ReferenceHull

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_formation_comparison(
    judged: BySampler, path: Files, system: OxideSystem = VANADIUM
) -> Figure:
    """Draw formation energies after relaxation, formulas by samplers (paper, Fig. 6).

    Parameters
    ----------
    judged
        Judgements by sampler; only ranked ones are drawn.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix.
    system
        The oxide.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If the documents are of several schemes.
    """
    scheme = one_scheme_of_all(judged)
    groups = {name: ranked_by_formula(documents, system) for name, documents in judged.items()}
    everything = ranked([doc for documents in judged.values() for doc in documents])
    on_hull = energies_of_hull(ranked_by_formula(everything, system))
    edges = _edges(heights(everything), 0.05)
    caption = (
        f"{count_ranked(judged, scheme)} Bins of {edges[1] - edges[0]:.2g} eV/atom from the "
        "hull on, the last one with all that lies above; dashed: the hull."
    )
    rows = max(1, len(on_hull))
    width, height = 0.6 + 2.5 * len(judged), 0.9 + 1.5 * rows
    with drawing(path, caption, width=width, height=height) as page:
        grid = page.figure.subplots(rows, len(judged), sharex=True, sharey="row", squeeze=False)
        for column, (name, by_formula) in enumerate(groups.items()):
            if not by_formula:
                # ticks stay: the axes are shared with samplers that have something to show
                say_empty(grid[0, column], height=0.5)
            for axes, formula in zip(grid[:, column], on_hull, strict=False):
                documents = by_formula.get(formula, [])
                colour = SERIES[column % len(SERIES)]
                draw_bars(axes, documents, edges, on_hull[formula], colour=colour, line=0.3)
                axes.axvline(on_hull[formula], color="black", linestyle=(0, (4, 2)), linewidth=1.0)
                axes.annotate(
                    f"{latexify(formula)}   n = {len(documents)}" + _median(documents),
                    (0.98, 0.96),
                    xycoords="axes fraction",
                    ha="right",
                    va="top",
                    fontsize=7.5,
                )
            grid[0, column].set_title(name, fontweight="bold")
        for axes in grid[:, 0]:
            axes.set_ylabel("Crystals")
            axes.set_ylim(0, 1.25 * max(1.0, axes.get_ylim()[1]))
            axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
        for axes in grid[-1]:
            axes.set_xlabel("Formation energy (eV/atom)")
    return page.figure


def plot_hull_comparison(
    judged: BySampler,
    references: Sequence[ReferenceDoc],
    path: Files,
    system: OxideSystem = VANADIUM,
) -> Figure:
    """Draw candidates on the hull, a column for each sampler (paper, Figs. 7-9).

    Above, formation energy over anion fraction; below, energy above hull by formula, where
    crystals of one composition can be told apart.

    Parameters
    ----------
    judged
        Judgements by sampler; only ranked ones are drawn.
    references
        The phases that they were judged against.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix.
    system
        The oxide.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If documents and references are of different schemes.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.
    """
    hull = ReferenceHull(references, system)
    caption = f"{count_ranked(judged, one_scheme_of_all(judged, hull.scheme))} {CLASSES}"
    with drawing(path, caption, width=0.6 + 3.3 * len(judged), height=6.6) as page:
        grid = page.figure.subplots(2, len(judged), squeeze=False, height_ratios=(1.0, 1.1))
        for column, (name, documents) in enumerate(judged.items()):
            above, below = grid[:, column]
            draw_hull(above, hull)
            draw_candidates(above, documents, system)
            draw_distances(below, documents, system, size=8.0)
            above.set_title(name, fontweight="bold")
        for row in grid:
            limits = np.array([axes.get_ylim() for axes in row])
            for axes in row:
                axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
            for axes in row[1:]:
                axes.set_ylabel("")
        # counts differ from sampler to sampler: one entry per class, without them
        entries: dict[str, Any] = {}
        for label, handle in legend_entries(grid[0]).items():
            entries.setdefault(label.split(" (")[0], handle)
        page.legend(entries, columns=4 if len(judged) > 1 else 2)
    return page.figure


def _edges(above: np.ndarray, width: float) -> np.ndarray:
    """Edges in eV/atom above hull, up to all but the highest hundredth of the crystals."""
    low, high = (min(0.0, above.min()), float(np.percentile(above, 99))) if len(above) else (0, 0)
    return edges_of(low, max(0.0, high), max(width, round((high - low) / 60, 2)))


def _median(documents: Sequence[StabilityDoc]) -> str:
    if not documents:
        return ""
    return f", median {np.median(formation_energies(documents)):.2f}".replace("-", "−")
