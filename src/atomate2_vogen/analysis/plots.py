"""Figures: the hull with the candidates on it, and the distribution of formation energies.

Counterparts of the paper's Figs. 7-9 and Fig. 6. Colours are Okabe & Ito's, each class has
a marker of its own and a brightness of its own, so the figures survive grey printing and
colour blindness. Matplotlib is used without pyplot: no display, no global state, and the same
documents give the same file.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Composition
from pymatgen.util.string import latexify

from atomate2_vogen.analysis.hull import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT
from atomate2_vogen.analysis.phases import ReferenceHull, anion_fraction
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc, StabilityState

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200

_STYLE: dict[PaperClass, dict[str, Any]] = {
    PaperClass.STABLE: {"marker": "o", "facecolor": "#0072B2", "edgecolor": "black"},
    PaperClass.METASTABLE: {"marker": "^", "facecolor": "#E69F00", "edgecolor": "black"},
    PaperClass.UNSTABLE: {"marker": "X", "facecolor": "#BBBBBB", "edgecolor": "#555555"},
}
_CLASSES = (
    f"Stable, metastable: formation energy < 0 and ≤ {STABLE_LIMIT:g}, "
    f"{METASTABLE_LIMIT:g} eV/atom above hull."
)
_REFERENCE: dict[str, Any] = {
    "marker": "s",
    "facecolor": "white",
    "edgecolor": "black",
    "linewidth": 0.9,
}
_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "mathtext.fontset": "dejavusans",
}


def plot_hull(
    stability: Sequence[StabilityDoc],
    references: Sequence[ReferenceDoc],
    path: str | PathLike[str],
    system: OxideSystem = VANADIUM,
) -> Path:
    """Draw candidates on the reference hull, as in the paper's Figs. 7-9.

    Panel a: formation energy over anion fraction, with the hull and the names of its phases.
    Panel b: energy above hull by formula, where crystals of one composition can be told
    apart; what lies above the frame is counted at its upper edge.

    Parameters
    ----------
    stability
        Judged candidates; only ranked ones are drawn, the others are counted in the caption.
    references
        The phases that they were judged against.
    path
        PNG to write.
    system
        The oxide.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SchemeMismatchError
        If documents and references are of different schemes.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.
    """
    from matplotlib import rc_context

    hull = ReferenceHull(references, system)
    _check_scheme(stability, hull.scheme)
    with rc_context(_RC):
        figure = _figure(7.2, 4.0)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        _draw_hull(left, hull)
        _draw_candidates(left, stability, system)
        _draw_distances(right, stability, system)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        return _save(figure, f"{_caption(stability, hull.scheme)} {_CLASSES}", path)


def plot_formation_energies(
    stability: Sequence[StabilityDoc],
    path: str | PathLike[str],
    system: OxideSystem = VANADIUM,
) -> Path:
    """Draw the distribution of formation energies by formula, as in the paper's Fig. 6.

    One row per formula: histogram with bins shared by all rows, every crystal as a tick, and
    the energy of the hull at that composition as a dashed line.

    Parameters
    ----------
    stability
        Judged candidates of one scheme; only ranked ones are drawn.
    path
        PNG to write.
    system
        The oxide.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SchemeMismatchError
        If the documents are of several schemes.
    """
    from matplotlib import rc_context

    scheme = stability[0].scheme if stability else "-"
    _check_scheme(stability, scheme)
    by_formula = _by_formula(stability, system)
    with rc_context(_RC):
        figure = _figure(5.2, 1.2 + 1.35 * max(1, len(by_formula)))
        rows = figure.subplots(max(1, len(by_formula)), 1, sharex=True, squeeze=False)[:, 0]
        if by_formula:
            _draw_histograms(rows, by_formula)
        else:
            _say_empty(rows[0])
        rows[-1].set_xlabel("Formation energy after relaxation (eV/atom)")
        figure.supylabel("Crystals", fontsize=9)
        return _save(figure, _caption(stability, scheme), path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, caption: str, path: str | PathLike[str]) -> Path:
    lines = textwrap.fill(caption, width=int(17 * figure.get_figwidth()))
    figure.supxlabel(lines, fontsize=7.5, color="#444444", x=0.01, ha="left")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=DPI, format="png", metadata={"Software": None})
    return target


def _ranked(stability: Sequence[StabilityDoc]) -> list[StabilityDoc]:
    """Ranked documents in an order that does not depend on the caller's."""
    ranked = [document for document in stability if document.state is StabilityState.RANKED]
    return sorted(ranked, key=lambda document: document.stability_id)


def _by_formula(
    stability: Sequence[StabilityDoc], system: OxideSystem
) -> dict[str, list[StabilityDoc]]:
    """Ranked documents by formula, by rising anion fraction."""
    groups: dict[str, list[StabilityDoc]] = {}
    for document in _ranked(stability):
        groups.setdefault(document.formula, []).append(document)
    return dict(sorted(groups.items(), key=lambda g: anion_fraction(Composition(g[0]), system)))


def _check_scheme(stability: Sequence[StabilityDoc], scheme: str) -> None:
    if others := sorted({document.scheme for document in stability} - {scheme}):
        raise SchemeMismatchError(f"{', '.join(others)} cannot be drawn on a hull of {scheme}")


def _caption(stability: Sequence[StabilityDoc], scheme: str) -> str:
    states = Counter(document.state for document in stability)
    ranked = states.pop(StabilityState.RANKED, 0)
    left_out = ", ".join(f"{states[s]} {s.value}" for s in StabilityState if states[s])
    return f"Judge: {scheme}. {ranked} of {len(stability)} candidates ranked" + (
        f" ({left_out})." if left_out else "."
    )


def _formation(documents: Sequence[StabilityDoc]) -> np.ndarray:
    return np.array([d.formation_energy_per_atom for d in documents], dtype=float)


def _above(documents: Sequence[StabilityDoc]) -> np.ndarray:
    return np.array([d.energy_above_hull for d in documents], dtype=float)


def _say_empty(axes: Axes) -> None:
    axes.text(0.5, 0.7, "no ranked candidate", transform=axes.transAxes, ha="center", color="0.4")
    axes.set(xticks=[], yticks=[])


def _draw_hull(axes: Axes, hull: ReferenceHull) -> None:
    """Hull line, reference phases, and the names of those on the hull below it."""

    def point(reference: ReferenceDoc) -> tuple[float, float]:
        composition = reference.structure.composition
        position = hull.position(composition, reference.energy_per_atom)
        return anion_fraction(composition, hull.system), position.formation_energy

    points = np.array([point(reference) for reference in hull.references])
    line = np.array([point(reference) for reference in hull.vertices])
    axes.plot(line[:, 0], line[:, 1], color="black", linewidth=1.0, zorder=1)
    axes.scatter(points[:, 0], points[:, 1], s=13, zorder=6, label="reference phase", **_REFERENCE)
    axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)

    lowest = float(line[:, 1].min()) or -1.0
    inner = [i for i, (x, _) in enumerate(line) if 0 < x < 1]
    slots = _spread(line[inner, 0], gap=0.062)
    for slot, i in zip(slots, inner, strict=True):
        axes.annotate(
            latexify(hull.vertices[i].formula),
            xy=line[i],
            xytext=(slot, lowest * 1.12),
            ha="center",
            va="top",
            rotation=90,
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "relpos": (0.5, 1.0)},
        )
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
        ylim=(lowest * 1.36, max(0.2, -0.12 * lowest)),
        xlabel=f"Atomic fraction of {hull.system.anion}, x",
        ylabel="Formation energy (eV/atom)",
    )
    axes.set_title("a", loc="left", fontweight="bold")


def _spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Positions moved apart to at least `gap`, order and centre of mass kept."""
    from scipy.optimize import isotonic_regression

    if len(positions) == 0:
        return positions
    steps = gap * np.arange(len(positions))
    return isotonic_regression(np.asarray(positions) - steps).x + steps


def _draw_candidates(axes: Axes, stability: Sequence[StabilityDoc], system: OxideSystem) -> None:
    """Candidates by class; what lies above the frame is left to panel b."""
    ranked = _ranked(stability)
    top = max([0.2, *(1.08 * _formation(ranked))])
    axes.set_ylim(axes.get_ylim()[0], max(axes.get_ylim()[1], min(top, 1.0)))
    for order, kind in enumerate(PaperClass):
        members = [document for document in ranked if document.paper_class is kind]
        x = [anion_fraction(Composition(document.formula), system) for document in members]
        axes.scatter(
            x,
            _formation(members),
            s=26,
            linewidth=0.5,
            alpha=0.85,
            zorder=5 - order,
            label=f"{kind.value} ({len(members)})",
            **_STYLE[kind],
        )


def _draw_distances(
    axes: Axes, stability: Sequence[StabilityDoc], system: OxideSystem, size: float = 22.0
) -> None:
    """Energy above hull by formula, spread sideways where crystals would overlap.

    `size` is the area of a marker in square points; distances between markers go with it.
    """
    by_formula = _by_formula(stability, system)
    width = (size / 22.0) ** 0.5
    axes.set_title("b", loc="left", fontweight="bold")
    axes.set_ylabel("Energy above hull (eV/atom)")
    for limit in (0.0, NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT):
        axes.axhline(
            limit,
            color="black" if limit == 0 else "0.6",
            linewidth=1.0 if limit == 0 else 0.7,
            linestyle="-" if limit == 0 else (0, (4, 3)),
            zorder=0,
        )
    if not by_formula:
        axes.set(ylim=(-0.05, 1.0))
        _say_empty(axes)
        return
    everything = _above([d for documents in by_formula.values() for d in documents])
    top = float(np.clip(1.08 * everything.max(), 0.6, 1.2))
    bottom = min(-0.05, 1.15 * float(everything.min()))
    axes.set(
        ylim=(bottom, top),
        xlim=(-0.5, len(by_formula) - 0.5),
        xticks=range(len(by_formula)),
        xticklabels=[f"{latexify(f)}\nn = {len(d)}" for f, d in by_formula.items()],
    )
    for column, documents in enumerate(by_formula.values()):
        documents.sort(key=lambda d: (_above([d])[0], d.stability_id))
        heights = _above(documents)
        x = column + _swarm(heights, 0.03 * width * (top - bottom), 0.075 * width)
        for kind, style in _STYLE.items():
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


def _swarm(heights: np.ndarray, near: float, step: float) -> np.ndarray:
    """Sideways offsets that keep points within `near` of each other `step` apart.

    Parameters
    ----------
    heights
        Ascending, shape (n,).

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


def _draw_histograms(
    rows: Sequence[Axes] | np.ndarray, by_formula: dict[str, list[StabilityDoc]]
) -> None:
    everything = _formation([d for documents in by_formula.values() for d in documents])
    on_hull = {
        formula: float((_formation(documents) - _above(documents)).mean())
        for formula, documents in by_formula.items()
    }
    low = min(*on_hull.values(), everything.min())
    low, high = float(low) - 0.1, float(everything.max()) + 0.1
    width = max(0.05, round((high - low) / 40, 2))
    bins = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    for axes, (formula, documents) in zip(rows, by_formula.items(), strict=True):
        energies = _formation(documents)
        axes.hist(energies, bins=bins, color="#56B4E9", edgecolor="white", linewidth=0.4)
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
        axes.axvline(on_hull[formula], color="#D55E00", linestyle=(0, (4, 2)), linewidth=1.2)
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
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
