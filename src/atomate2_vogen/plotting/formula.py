"""The crystals of one formula against two hulls, the lowest new one beside: the paper's Figs. 7-9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import MissingReferenceError
from atomate2_vogen.plotting.documents import count_states, one_scheme, ranked
from atomate2_vogen.plotting.figures import (
    BLUE,
    PURPLE,
    VERMILION,
    Files,
    Panels,
    drawing,
    legend_entries,
    panel_title,
    say_empty,
)
from atomate2_vogen.plotting.panels import (
    CLASSES,
    PAPER_CLASS_STYLE,
    draw_limits,
    hull_points,
    swarm,
)
from atomate2_vogen.plotting.polyhedra import draw_polyhedra
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.materials_project import MaterialsProjectHull, is_on_scale
from atomate2_vogen.stability.phases import ReferenceHull, anion_fraction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AROUND = 0.14
"""Anion fractions to both sides of the formula that are shown."""

HIGHEST = 1.0
"""eV/atom above hull; what lies above is counted."""


def plot_formula(
    stability: Sequence[StabilityDoc],
    references: Sequence[ReferenceDoc],
    formula: str,
    path: Files | None = None,
    system: OxideSystem = VANADIUM,
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw the crystals of one formula against the judge's hull and that of the Materials Project.

    Panel a: formation energies, with both hulls, each by its own elements. Panel b: energy above
    the judge's hull of the crystals in rising order; the hull of the Materials Project is a line
    there if energies of the scheme are on its scale. Panel c: the lowest crystal that is
    unique and matches no known one, as coordination polyhedra.

    Parameters
    ----------
    stability
        Judged candidates of one scheme; those of other formulas are left out.
    references
        Reference phases of the judge's hull.
    formula
        Reduced formula.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    system
        The oxide.
    ax
        Axes to draw into, three; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    SchemeMismatchError
        If documents and references are of different schemes.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.plotting import plot_formula
    >>> figure = plot_formula([], load_references("CHGNet-0.3.0"), "VO2", "vo2.pdf")
    >>> len(figure.axes)
    3
    """
    hull = ReferenceHull(references, system)
    ours = [document for document in stability if document.formula == formula]
    scheme = one_scheme(ours, hull.scheme)
    try:
        published = MaterialsProjectHull.bundled(system)
    except MissingReferenceError:
        published = None
    caption = f"{latexify(formula)}. {count_states(ours, scheme)} {CLASSES}"
    caption += "" if published is None else f" {published.vintage}."
    documents = sorted(ranked(ours), key=lambda document: document.energy_above_hull or 0.0)
    with drawing(path, caption, width=7.2, height=3.9, ax=ax) as page:
        left, middle, right = page.panels(3, width_ratios=(1.0, 1.0, 0.85))
        _draw_hulls(left, hull, published, formula)
        _draw_energies(left, documents, formula, system)
        _draw_ranking(middle, documents, published)
        _draw_lowest(right, documents, system)
        panel_title(left, "a")
        panel_title(middle, "b")
        page.legend(legend_entries([left]), columns=3)
    return page.figure


def _draw_hulls(
    axes: Axes, hull: ReferenceHull, published: MaterialsProjectHull | None, formula: str
) -> None:
    """Both hulls around the formula."""
    centre = anion_fraction(Composition(formula), hull.system)
    line = hull_points(hull, hull.vertices)
    axes.plot(
        *line.T, color="black", linewidth=1.1, marker="s", markersize=3.5, label="judge's hull"
    )
    if published is not None:
        theirs = np.array(published.line(hull.system))
        axes.plot(
            *theirs.T,
            color=PURPLE,
            linewidth=1.1,
            linestyle=(0, (4, 2)),
            marker="D",
            markersize=3.5,
            label="Materials Project's hull",
        )
    axes.set_xlim(centre - AROUND, min(centre + AROUND, 1.0))
    axes.set_xlabel(f"Atomic fraction of {hull.system.anion}, x")
    axes.set_ylabel("Formation energy (eV/atom)")
    shown = line[np.abs(line[:, 0] - centre) <= AROUND, 1]
    axes.set_ylim(float(shown.min(initial=0.0)) - 0.12, float(shown.min(initial=0.0)) + HIGHEST)


def _draw_energies(
    axes: Axes, documents: Sequence[StabilityDoc], formula: str, system: OxideSystem
) -> None:
    """Formation energies at the formula, spread sideways."""
    energies = np.array([d.formation_energy_per_atom for d in documents], dtype=float)
    low, high = axes.get_ylim()
    x = anion_fraction(Composition(formula), system) + 0.12 * swarm(
        energies, 0.015 * (high - low), 0.03
    )
    for kind in PaperClass:
        chosen = np.array([d.paper_class is kind for d in documents], dtype=bool)
        axes.scatter(
            x[chosen],
            energies[chosen],
            s=7,
            linewidth=0.3,
            zorder=3,
            label=f"{kind.value} ({int(chosen.sum())})",
            **PAPER_CLASS_STYLE[kind],
        )


def _draw_ranking(
    axes: Axes, documents: Sequence[StabilityDoc], published: MaterialsProjectHull | None
) -> None:
    """Energies above the judge's hull in rising order."""
    axes.set(xlabel="Crystals, by energy", ylabel="Energy above judge's hull (eV/atom)")
    heights = np.array([d.energy_above_hull for d in documents], dtype=float)
    bottom = min(-0.06, float(heights.min(initial=0.0)) - 0.03)
    axes.set_ylim(bottom, float(np.clip(1.1 * heights.max(initial=0.0), 0.55, HIGHEST)))
    draw_limits(axes)
    if not documents:
        say_empty(axes)
        axes.set_xticks([])
        return
    order = np.arange(1, len(documents) + 1)
    new = np.array([bool(d.is_unique and d.is_novel) for d in documents])
    axes.scatter(order[~new], heights[~new], s=9, color="#BBBBBB", edgecolor="0.4", linewidth=0.3)
    axes.scatter(order[new], heights[new], s=9, color=BLUE, edgecolor="black", linewidth=0.3)
    if published is not None and is_on_scale(documents[0].scheme):
        first = documents[0]
        energy = float(first.energy_per_atom or 0.0)
        level = float(first.energy_above_hull or 0.0) - published.height(
            first.formula, energy, first.scheme
        )
        axes.axhline(level, color=PURPLE, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
    if beyond := int((heights > axes.get_ylim()[1]).sum()):
        axes.annotate(
            f"{beyond} above", (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=7
        )
    axes.annotate(
        f"blue: {int(new.sum())} unique and new",
        (0.03, 0.97),
        xycoords="axes fraction",
        va="top",
        fontsize=7.5,
    )


def _draw_lowest(axes: Axes, documents: Sequence[StabilityDoc], system: OxideSystem) -> None:
    """The lowest new crystal."""
    found = next(
        (d for d in documents if d.is_unique and d.is_novel and d.structure is not None), None
    )
    if found is None or found.structure is None:
        axes.text(0.5, 0.5, "no new crystal", transform=axes.transAxes, ha="center", color="0.4")
        axes.set_axis_off()
        return
    draw_polyhedra(axes, found.structure, system)
    height = f"{found.energy_above_hull:+.3f}".replace("-", "−")
    axes.set_title(
        f"c   {found.candidate_id}\n{found.space_group_symbol or ''}, {height} eV/atom",
        fontsize=7.5,
        loc="left",
        color=VERMILION if (found.energy_above_hull or 0.0) < 0 else "black",
    )
