"""Panels of a hull: candidates on it, and their energies above it formula by formula.

Each class has a distinct marker and a distinct brightness, so the panels survive grey
printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Composition
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.plotting.documents import (
    energies_above_hull,
    formation_energies,
    ranked,
    ranked_by_formula,
)
from atomate2_vogen.plotting.figures import BLUE, ORANGE, say_empty
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.judging import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT
from atomate2_vogen.stability.phases import ReferenceHull, anion_fraction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES = (
    f"Stable, metastable: formation energy < 0 and ≤ {STABLE_LIMIT:g}, "
    f"{METASTABLE_LIMIT:g} eV/atom above hull."
)
"""Caption: what the classes mean."""

PAPER_CLASS_STYLE: dict[PaperClass, dict[str, Any]] = {
    PaperClass.STABLE: {"marker": "o", "facecolor": BLUE, "edgecolor": "black"},
    PaperClass.METASTABLE: {"marker": "^", "facecolor": ORANGE, "edgecolor": "black"},
    PaperClass.UNSTABLE: {"marker": "X", "facecolor": "#BBBBBB", "edgecolor": "#555555"},
}
_REFERENCE: dict[str, Any] = {
    "marker": "s",
    "facecolor": "white",
    "edgecolor": "black",
    "linewidth": 0.9,
}


COMPOUND_MARGIN = 0.04
"""Anion fractions beyond the first and the last compound that the zoom shows."""


def hull_points(hull: ReferenceHull, references: Sequence[ReferenceDoc]) -> np.ndarray:
    """Anion fraction and formation energy (eV/atom) of reference phases, shape (n, 2)."""
    rows = []
    for reference in references:
        composition = reference.structure.composition
        position = hull.position(composition, reference.energy_per_atom)
        rows.append((anion_fraction(composition, hull.system), position.formation_energy))
    return np.array(rows)


def draw_limits(axes: Axes) -> None:
    """Draw lines at the hull and at the energies above it that classes are defined by."""
    for limit in (0.0, NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT):
        axes.axhline(
            limit,
            color="black" if limit == 0 else "0.6",
            linewidth=1.0 if limit == 0 else 0.7,
            linestyle="-" if limit == 0 else (0, (4, 3)),
            zorder=0,
        )


def draw_hull(axes: Axes, hull: ReferenceHull, *, names: bool = True) -> None:
    """Draw the hull, its reference phases, and the names of those on it.

    Parameters
    ----------
    axes
        Empty panel: formation energy over anion fraction.
    hull
        The hull.
    names
        Whether compounds are named; the elements always are.
    """
    line = _draw_phases(axes, hull)
    axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)

    lowest = float(line[:, 1].min()) or -1.0
    if names:
        _name_compounds(axes, hull, line, gap=0.062, level=lowest * 1.12)
    for i, side, shift in ((0, "left", 7), (len(line) - 1, "right", -7)):
        axes.annotate(
            latexify(hull.vertices[i].formula),
            xy=line[i],
            xytext=(shift, 5),
            textcoords="offset points",
            ha=side,
            fontsize=7.5,
        )
    axes.set(
        xlim=(-0.03, 1.03),
        ylim=(lowest * (1.36 if names else 1.08), max(0.2, -0.12 * lowest)),
        xlabel=f"Atomic fraction of {hull.system.anion}, x",
        ylabel="Formation energy (eV/atom)",
    )


def draw_compounds(axes: Axes, hull: ReferenceHull) -> None:
    """Draw the hull between its first and its last compound, with their names.

    The frame reaches as far above the hull as a crystal may lie that still has a class.

    Parameters
    ----------
    axes
        Panel: formation energy over anion fraction.
    hull
        The hull; of elements alone the whole is drawn.
    """
    if all(len(reference.structure.composition) == 1 for reference in hull.vertices):
        draw_hull(axes, hull)
        return
    line = _draw_phases(axes, hull)
    inner = line[(line[:, 0] > 0) & (line[:, 0] < 1)]
    left, right = inner[:, 0].min() - COMPOUND_MARGIN, inner[:, 0].max() + COMPOUND_MARGIN
    low, high = inner[:, 1].min(), inner[:, 1].max() + METASTABLE_LIMIT
    level = low - 0.1 * (high - low)
    _name_compounds(axes, hull, line, gap=0.075 * (right - left), level=level)
    axes.set(
        xlim=(left, right),
        ylim=(low - 0.36 * (high - low), high),
        xlabel=f"Atomic fraction of {hull.system.anion}, x",
    )


def _draw_phases(axes: Axes, hull: ReferenceHull) -> np.ndarray:
    """Draw the hull and its reference phases; points of the hull, shape (n, 2)."""
    points, line = hull_points(hull, hull.references), hull_points(hull, hull.vertices)
    axes.plot(line[:, 0], line[:, 1], color="black", linewidth=1.0, zorder=1)
    axes.scatter(points[:, 0], points[:, 1], s=13, zorder=6, label="reference phase", **_REFERENCE)
    return line


def _name_compounds(
    axes: Axes, hull: ReferenceHull, line: np.ndarray, *, gap: float, level: float
) -> None:
    """Write names of compounds on the hull below it, side by side, each with a line to its point."""
    inner = [i for i, (x, _) in enumerate(line) if 0 < x < 1]
    for slot, i in zip(spread(line[inner, 0], gap=gap), inner, strict=True):
        axes.annotate(
            latexify(hull.vertices[i].formula),
            xy=line[i],
            xytext=(slot, level),
            ha="center",
            va="top",
            rotation=90,
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "relpos": (0.5, 1.0)},
        )


def spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Move positions apart to at least `gap`, order and centre of mass kept.

    Parameters
    ----------
    positions
        Ascending, shape (n,).
    gap
        Least distance of neighbours.

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    from scipy.optimize import isotonic_regression

    if len(positions) == 0:
        return positions
    steps = gap * np.arange(len(positions))
    return isotonic_regression(np.asarray(positions) - steps).x + steps


def draw_candidates(axes: Axes, stability: Sequence[StabilityDoc], system: OxideSystem) -> None:
    """Draw candidates by class on the panel of `draw_hull`.

    What lies above the frame is cut off here; `draw_distances` draws or counts it.

    Parameters
    ----------
    axes
        Panel with the hull.
    stability
        Judged candidates; only ranked ones are drawn.
    system
        The oxide.
    """
    chosen = ranked(stability)
    top = max([0.2, *(1.08 * formation_energies(chosen))])
    axes.set_ylim(axes.get_ylim()[0], max(axes.get_ylim()[1], min(top, 1.0)))
    for order, kind in enumerate(PaperClass):
        members = [document for document in chosen if document.paper_class is kind]
        x = [anion_fraction(Composition(document.formula), system) for document in members]
        axes.scatter(
            x,
            formation_energies(members),
            s=26,
            linewidth=0.5,
            alpha=0.85,
            zorder=5 - order,
            label=f"{kind.value} ({len(members)})",
            **PAPER_CLASS_STYLE[kind],
        )


def draw_distances(
    axes: Axes, stability: Sequence[StabilityDoc], system: OxideSystem, size: float = 22.0
) -> None:
    """Draw energies above hull by formula, spread sideways where crystals would overlap.

    Parameters
    ----------
    axes
        Empty panel.
    stability
        Judged candidates; only ranked ones are drawn, those above the frame are counted.
    system
        The oxide.
    size
        Area of a marker in square points; distances between markers go with it.
    """
    by_formula = ranked_by_formula(stability, system)
    width = (size / 22.0) ** 0.5
    axes.set_ylabel("Energy above hull (eV/atom)")
    draw_limits(axes)
    if not by_formula:
        axes.set(ylim=(-0.05, 1.0))
        say_empty(axes)
        axes.set(xticks=[], yticks=[])
        return
    everything = energies_above_hull([d for documents in by_formula.values() for d in documents])
    top = float(np.clip(1.08 * everything.max(), 0.6, 1.2))
    bottom = min(-0.05, 1.15 * float(everything.min()))
    axes.set(
        ylim=(bottom, top),
        xlim=(-0.5, len(by_formula) - 0.5),
        xticks=range(len(by_formula)),
        xticklabels=[f"{latexify(f)}\nn = {len(d)}" for f, d in by_formula.items()],
    )
    for column, documents in enumerate(by_formula.values()):
        documents.sort(key=lambda d: (energies_above_hull([d])[0], d.stability_id))
        heights = energies_above_hull(documents)
        x = column + swarm(heights, 0.03 * width * (top - bottom), 0.075 * width)
        for kind, style in PAPER_CLASS_STYLE.items():
            chosen = np.array([d.paper_class is kind for d in documents]) & (heights <= top)
            axes.scatter(
                x[chosen], heights[chosen], s=size, linewidth=0.5 * width, alpha=0.9, **style
            )
        if beyond := int((heights > top).sum()):
            axes.annotate(
                f"↑ {beyond} above",
                (column, top),
                ha="center",
                va="bottom",
                fontsize=7,
                color="0.3",
            )


def swarm(heights: np.ndarray, near: float, step: float) -> np.ndarray:
    """Find sideways offsets that keep points within `near` of each other `step` apart.

    Parameters
    ----------
    heights
        Ascending, shape (n,).
    near
        Difference of heights from which points cannot overlap.
    step
        Width of a lane.

    Returns
    -------
    numpy.ndarray
        Offsets in [-0.42, 0.42], shape (n,); crowds that need more room overlap there.
    """
    half = int(0.42 / step)
    lanes = [lane for k in range(half + 1) for lane in ((k, -k) if k else (0,))]
    last = dict.fromkeys(lanes, -np.inf)
    offsets = np.empty(len(heights))
    for index, height in enumerate(heights):
        free = [lane for lane in lanes if height - last[lane] >= near]
        lane = free[0] if free else min(lanes, key=lambda k: last[k])
        last[lane] = height
        offsets[index] = lane * step
    return offsets
