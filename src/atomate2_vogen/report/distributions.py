"""Charts of what relaxation changed: energies, volumes, distances, displacements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.errors import VogenError
from atomate2_vogen.plotting.binning import edges_of
from atomate2_vogen.plotting.documents import energies_above_hull
from atomate2_vogen.report.charts import Axis, Chart, Figure, bent
from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.numbers import number
from atomate2_vogen.schemas import StabilityState
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.structures.geometry import shortest_distance


def make_distributions(documents: ReportDocuments) -> list[Figure]:
    """Draw every distribution for which there is something to draw."""
    ranked = any(document.state is StabilityState.RANKED for document in documents.stability)
    figures = [_before_and_after(documents)] if ranked else []
    pairs = [
        (document.candidate.structure, document.structure)
        for document in documents.calculations
        if document.structure is not None
    ]
    if pairs:
        figures.append(
            _histogram(
                "volume",
                "Volume per atom",
                "Volume (Å³/atom)",
                [a.volume / len(a) for a, _ in pairs],
                [b.volume / len(b) for _, b in pairs],
            )
        )
        figures.append(
            _histogram(
                "distance",
                "Shortest distance of two atoms",
                "Distance (Å)",
                _known(shortest_distance, [a for a, _ in pairs]),
                _known(shortest_distance, [b for _, b in pairs]),
            )
        )
    moved = [d.rmsd_to_relaxed for d in documents.stability if d.rmsd_to_relaxed is not None]
    if moved:
        figures.append(
            _histogram(
                "rmsd",
                "How far relaxation moved the atoms",
                "RMSD to the relaxed crystal (Å)",
                None,
                moved,
                remark=f"{len(moved)} of {len(documents.stability)} crystals still match "
                "themselves after relaxation; the others have no RMSD.",
            )
        )
    return figures


def _before_and_after(documents: ReportDocuments) -> Figure:
    """Share of the ranked candidates up to each energy."""
    ranked = [d for d in documents.candidates if d.state is StabilityState.RANKED]
    before = [d.initial_energy_above_hull for d in ranked]
    first = sorted(e for e in before if e is not None)
    last = sorted(energies_above_hull(ranked))
    high = max(1.0, 1.05 * max([*first, *last]))
    low = min(-0.03, *last)
    ticks = [0, 0.03, 0.1, 0.3, 1, 3, 10, 30]
    chart = Chart(
        "relaxation",
        "Share of the ranked candidates up to each energy above hull, as generated and relaxed",
        Axis(low, high, "Energy above hull (eV/atom)",
             tuple((t, f"{t:g}") for t in ticks if t <= high), bent),
        Axis(0, 1.03, "Share of ranked candidates",
             tuple((v, f"{100 * v:.0f} %") for v in (0, 0.25, 0.5, 0.75, 1))),
    )  # fmt: skip
    chart.level(NEAR_HULL_LIMIT, "limit", upright=True)
    for energies, kind in ((first, "generated"), (last, "relaxed")):
        if energies:
            chart.line(_steps(energies, low, high), kind)
    medians = " → ".join(number(float(np.median(e))) if e else "–" for e in (first, last))
    return Figure(
        "Before and after relaxation",
        chart.svg(),
        f"Median {medians} eV/atom over {len(ranked)} ranked candidates. The axis is linear to "
        "about 0.1 eV/atom and logarithmic beyond.",
        (("line", "generated", "as generated"), ("line", "relaxed", "relaxed")),
    )


def _steps(values: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    points, share = [(low, 0.0)], 0.0
    for index, value in enumerate(values, 1):
        points += [(float(value), share), (float(value), index / len(values))]
        share = index / len(values)
    return [*points, (high, share)]


def _histogram(
    name: str,
    title: str,
    label: str,
    generated: Sequence[float] | None,
    relaxed: Sequence[float],
    *,
    remark: str = "",
) -> Figure:
    """Crystals by a quantity, with bins that are round numbers."""
    everything = np.array([*(generated or []), *relaxed])
    axis = Axis(float(everything.min()), float(everything.max()) + 1e-6, label)
    width = np.diff([place for place, _ in axis.marks(14)] or [0, 1])
    step = float(width.min()) if len(width) else 1.0
    bins = edges_of(axis.low, axis.high, step)
    if len(bins) < 3:
        bins = edges_of(axis.low - step, axis.high + step, step)
    counts = {
        kind: np.histogram(values, bins)[0]
        for kind, values in (("relaxed", relaxed), ("generated", generated))
        if values
    }
    top = max(int(c.max()) for c in counts.values())
    chart = Chart(
        name,
        f"Histogram: {title}",
        Axis(float(bins[0]), float(bins[-1]), label),
        Axis(
            0,
            1.08 * top,
            "Crystals",
            tuple((v, t) for v, t in Axis(0, top).marks(5) if v == int(v)),
        ),
    )
    for kind, values in counts.items():
        outline = [
            (float(edge), float(count))
            for left, right, count in zip(bins, bins[1:], values, strict=False)
            for edge in (left, right)
        ]
        if kind == "relaxed":
            chart.area(outline, kind)
        chart.line([(outline[0][0], 0.0), *outline, (outline[-1][0], 0.0)], kind)
    unit = label[label.rindex("(") + 1 : -1]
    medians = " → ".join(
        number(float(np.median(values)), 2) for values in (generated, relaxed) if values
    )
    return Figure(
        title,
        chart.svg(),
        f"Median {medians} {unit}, {len(relaxed)} crystals. {remark}".strip(),
        (("line", "generated", "as generated"), ("line", "relaxed", "relaxed"))
        if generated
        else (),
    )


def _known(measure: Callable[..., float], structures: Sequence[Structure]) -> list[float]:
    """Finite values; a crystal with atoms at the same place has no distance."""
    found = []
    for structure in structures:
        try:
            found.append(float(measure(structure)))
        except VogenError:
            continue
    return found
