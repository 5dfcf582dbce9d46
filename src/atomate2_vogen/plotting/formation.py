"""The distribution of formation energies: counterpart of the paper's Fig. 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.plotting.binning import draw_bars, edges_of, heights
from atomate2_vogen.plotting.documents import (
    count_states,
    energies_of_hull,
    formation_energies,
    one_scheme,
    ranked_by_formula,
)
from atomate2_vogen.plotting.figures import (
    SKY,
    VERMILION,
    Files,
    Panels,
    drawing,
    say_empty,
)
from atomate2_vogen.schemas import StabilityDoc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_formation_energies(
    stability: Sequence[StabilityDoc],
    path: Files | None = None,
    system: OxideSystem = VANADIUM,
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw the distribution of formation energies by formula, as in the paper's Fig. 6.

    One row per formula: histogram with bins of one width, counted from the hull; every crystal
    as a tick; and the energy of the hull at that composition as a dashed line.

    Parameters
    ----------
    stability
        Judged candidates of one scheme; only ranked ones are drawn.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    system
        The oxide.
    ax
        Axes to draw into, one per formula; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    SchemeMismatchError
        If the documents are of several schemes.

    Examples
    --------
    >>> from atomate2_vogen.plotting import plot_formation_energies
    >>> from atomate2_vogen.schemas import StabilityDoc
    >>> document = StabilityDoc(
    ...     stability_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     hull_id="made by hand",
    ...     chemsys="O-V",
    ...     formula="VO",
    ...     natoms=2,
    ...     sampler="files",
    ...     model_id="none",
    ...     state="ranked",
    ...     is_converged=True,
    ...     formation_energy_per_atom=-2.0,
    ...     energy_above_hull=0.2,
    ...     paper_class="stable",
    ...     field_class="above hull",
    ... )
    >>> figure = plot_formation_energies([document], ["formation.png", "formation.pdf"])
    >>> len(figure.axes)
    1
    """
    caption = count_states(stability, one_scheme(stability))
    by_formula = ranked_by_formula(stability, system)
    number = max(1, len(by_formula))
    with drawing(path, caption, width=5.2, height=1.2 + 1.35 * number, ax=ax) as page:
        rows = page.panels(number, 1, sharex=True)
        if by_formula:
            _draw_histograms(rows, by_formula)
        else:
            say_empty(rows[0])
            rows[0].set(xticks=[], yticks=[])
        rows[-1].set_xlabel("Formation energy after relaxation (eV/atom)")
        for axes in rows:
            axes.set_ylabel("Crystals")
    return page.figure


def _draw_histograms(
    rows: Sequence[Axes], by_formula: Mapping[str, Sequence[StabilityDoc]]
) -> None:
    from matplotlib.ticker import MaxNLocator

    on_hull = energies_of_hull(by_formula)
    everything = np.concatenate([heights(docs) for docs in by_formula.values()])
    low, high = min(0.0, float(everything.min())), float(everything.max())
    edges = edges_of(low, high, max(0.05, round((high - low) / 40, 2)))
    left, right = min(on_hull.values()) + edges[0], max(on_hull.values()) + edges[-1]
    for axes, (formula, documents) in zip(rows, by_formula.items(), strict=True):
        # room for the word beside the lowest hull
        axes.set_xlim(left - 0.1 * (right - left), right + 0.02 * (right - left))
        energies = formation_energies(documents)
        draw_bars(axes, documents, edges, on_hull[formula], colour=SKY, line=0.4)
        axes.plot(
            energies,
            np.zeros(len(energies)),
            linestyle="none",
            marker="|",
            markersize=7,
            markeredgewidth=0.8,
            color="black",
            clip_on=False,
            transform=axes.get_xaxis_transform(),
        )
        axes.axvline(on_hull[formula], color=VERMILION, linestyle=(0, (4, 2)), linewidth=1.2)
        axes.annotate(
            "hull",
            (on_hull[formula], 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-3, -1),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7.5,
            color="#B04D00",
        )
        median = f"{np.median(energies):.2f}".replace("-", "−")
        axes.set_title(
            f"{latexify(formula)}   n = {len(energies)}, median {median} eV/atom",
            loc="left",
            fontsize=8.5,
        )
        axes.margins(y=0.12)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
