"""The charts of a report: the hull, energies above it, and what relaxation changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from pymatgen.core import Composition, Structure

from atomate2_vogen.analysis.geometry import shortest_distance
from atomate2_vogen.analysis.hull import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT
from atomate2_vogen.analysis.phases import anion_fraction
from atomate2_vogen.analysis.plots_documents import energies_above_hull, ranked_by_formula
from atomate2_vogen.analysis.plots_panels import spread, swarm
from atomate2_vogen.errors import VogenError
from atomate2_vogen.report.charts import Axis, Chart, bent
from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.numbers import formula_text, number
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc, StabilityState

SHAPES = {
    PaperClass.STABLE: "circle",
    PaperClass.METASTABLE: "triangle",
    PaperClass.UNSTABLE: "cross",
}
"""Marker of each class; its colour is in the style sheet."""


@dataclass(frozen=True)
class Figure:
    """A chart, with what stands above and below it."""

    title: str
    svg: str
    caption: str
    legend: tuple[tuple[str, str, str], ...] = ()
    """Shape of the marker or ``line``, its class, its meaning."""
    zoomable: bool = False


def page_link(candidate_id: str) -> str:
    """Address of a candidate's page within the file."""
    return f"#c={quote(candidate_id, safe='')}"


def make_figures(documents: ReportDocuments, listed: Sequence[StabilityDoc]) -> list[Figure]:
    """Draw every chart for which there is something to draw.

    Parameters
    ----------
    documents
        Of the report.
    listed
        Candidates with a page, in the order of their rows: their markers lead there.

    Returns
    -------
    list of Figure
        The hull first.
    """
    rows = {document.candidate_id: index for index, document in enumerate(listed)}
    figures = [_hull(documents, rows)]
    if any(document.state is StabilityState.RANKED for document in documents.stability):
        figures += [_distances(documents, rows), _before_and_after(documents)]
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
                "rmsd", "How far relaxation moved the atoms", "RMSD to the relaxed crystal (Å)",
                None, moved,
                remark=f"{len(moved)} of {len(documents.stability)} crystals still match "
                "themselves after relaxation; the others have no RMSD.",
            )  # fmt: skip
        )
    return figures


def _hull(documents: ReportDocuments, rows: dict[str, int]) -> Figure:
    hull, system = documents.hull, documents.system

    def point(reference: ReferenceDoc) -> tuple[float, float]:
        composition = reference.structure.composition
        position = hull.position(composition, reference.energy_per_atom)
        return anion_fraction(composition, system), position.formation_energy

    known = [(reference, *point(reference)) for reference in hull.references]
    vertices = [point(reference) for reference in hull.vertices]
    lowest = min(-0.2, *(y for _, y in vertices))
    candidates = [d for d in documents.candidates if d.state is StabilityState.RANKED]
    energies = [d.formation_energy_per_atom or 0.0 for d in candidates]
    top = min(max([0.3, *(energy + 0.15 for energy in energies)]), 1.0)
    bottom = 1.3 * min([lowest, *energies])
    chart = Chart(
        "hull",
        f"Formation energy over atomic fraction of {system.anion}: the hull of the reference "
        "phases, the phases, and the candidates",
        Axis(-0.03, 1.03, f"Atomic fraction of {system.anion}",
             tuple((v, f"{v:g}") for v in (0, 0.2, 0.4, 0.6, 0.8, 1))),
        Axis(bottom, top, "Formation energy (eV/atom)"),
        width=560, height=410, zoomable=True,
    )  # fmt: skip
    chart.level(0, "gridline")
    chart.line(vertices, "hull-line")
    for reference, x, y in known:
        above = hull.position(
            reference.structure.composition, reference.energy_per_atom
        ).energy_above_hull
        chart.marker(
            x, y, shape="square", kind="reference",
            text=f"reference phase {reference.name}\nformation {number(y)} eV/atom\n"
            f"{number(above)} eV/atom above hull",
        )  # fmt: skip
    # the best are drawn last, on top
    for document in reversed(candidates):
        if document.formation_energy_per_atom is None or document.paper_class is None:
            continue
        listed = document.candidate_id in rows
        chart.marker(
            anion_fraction(Composition(document.formula), system),
            document.formation_energy_per_atom,
            shape=SHAPES[document.paper_class],
            kind=document.paper_class.value,
            text=_tip(document),
            link=page_link(document.candidate_id) if listed else None,
            index=rows.get(document.candidate_id),
        )
    _name_vertices(chart, hull.vertices, vertices)
    counts = {
        kind: sum(d.paper_class is kind for d in candidates) for kind in PaperClass
    }  # fmt: skip
    beyond = sum(energy > top for energy in energies)
    return Figure(
        "Convex hull",
        chart.svg(),
        f"Formation energies by {documents.scheme} at 0 K. Stable, metastable: formation energy "
        f"< 0 and ≤ {STABLE_LIMIT:g}, ≤ {METASTABLE_LIMIT:g} eV/atom above the hull of the "
        f"reference phases.{f' {beyond} candidates lie above the frame.' if beyond else ''}",
        (
            ("square", "reference", f"reference phase ({len(known)})"),
            *((SHAPES[k], k.value, f"{k.value} ({n})") for k, n in counts.items() if n),
        ),
        zoomable=True,
    )


def _name_vertices(chart: Chart, vertices: Sequence[ReferenceDoc], points: Sequence[tuple[float, float]]) -> None:
    """Names of the phases on the hull, side by side below it."""
    inner = [i for i, (x, _) in enumerate(points) if 0 < x < 1]
    slots = spread(np.array([points[i][0] for i in inner]), gap=0.055)
    for slot, i in zip(slots, inner, strict=True):
        x, y = chart.place(*points[i])
        foot, _ = chart.place(float(slot), points[i][1])
        chart.leader((x, y + 5), (foot, chart.bottom - 42))
        name = formula_text(vertices[i].formula)
        turned = f"translate({foot + 4:.1f} {chart.bottom - 39:.1f}) rotate(-90)"
        chart.text(0, 0, name, "note vertex end", transform=turned)
    for i, kind, shift in ((0, "note vertex", 6), (len(points) - 1, "note vertex end", -7)):
        x, y = chart.place(*points[i])
        chart.text(x + shift, y - 6, formula_text(vertices[i].formula), kind)


def _distances(documents: ReportDocuments, rows: dict[str, int]) -> Figure:
    """Energies above hull by formula."""
    by_formula = ranked_by_formula(documents.stability, documents.system)
    everything = energies_above_hull([d for group in by_formula.values() for d in group])
    top = float(np.clip(1.08 * everything.max(), 0.55, 1.2))
    bottom = min(0.0, float(everything.min())) - 0.035 * top
    number_of = len(by_formula)
    chart = Chart(
        "above",
        "Energy above hull of every ranked candidate, by formula",
        Axis(-0.5, number_of - 0.5, "", tuple(
            (i, f"{formula_text(f)}\nn = {len(d)}") for i, (f, d) in enumerate(by_formula.items())
        )),
        Axis(bottom, top, "Energy above hull (eV/atom)"),
        width=430, height=410,
    )  # fmt: skip
    chart.level(0, "zero")
    for limit in (NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT):
        chart.level(limit, "limit", f"{limit:g}")
    for column, group in enumerate(by_formula.values()):
        ordered = sorted(group, key=lambda d: (d.energy_above_hull or 0.0, d.stability_id))
        heights = energies_above_hull(ordered)
        lane = 9.5 * number_of / (chart.right - chart.left)
        near = 8.5 * (top - bottom) / (chart.bottom - chart.top)
        for document, height, offset in zip(
            ordered, heights, swarm(heights, near, lane), strict=True
        ):
            if height > top or document.paper_class is None:
                continue
            chart.marker(
                column + float(offset),
                float(height),
                shape=SHAPES[document.paper_class],
                kind=document.paper_class.value,
                text=_tip(document),
                link=page_link(document.candidate_id) if document.candidate_id in rows else None,
                index=rows.get(document.candidate_id),
            )
        if beyond := int((heights > top).sum()):
            x, y = chart.place(column, top)
            chart.text(x, y + 11, f"↑ {beyond} above", "note middle")
    return Figure(
        "Energy above hull",
        chart.svg(),
        f"After relaxation by {documents.scheme}. Dashed: 0.1 eV/atom, where the field draws the "
        "line of metastability, and the paper's limits of stable and metastable.",
    )


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
    remark: str = "",
) -> Figure:
    """Crystals by a quantity, with bins that are round numbers."""
    everything = np.array([*(generated or []), *relaxed])
    axis = Axis(float(everything.min()), float(everything.max()) + 1e-6, label)
    width = np.diff([place for place, _ in axis.marks(14)] or [0, 1])
    step = float(width.min()) if len(width) else 1.0
    low = np.floor(axis.low / step) * step
    bins = np.arange(low, axis.high + step, step)
    bins = bins if len(bins) > 2 else np.array([low - step, low, low + step, low + 2 * step])
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
        Axis(0, 1.08 * top, "Crystals", tuple((v, t) for v, t in Axis(0, top).marks(5) if v == int(v))),
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
    """What can be measured; a crystal whose atoms lie on each other has no distance."""
    found = []
    for structure in structures:
        try:
            found.append(float(measure(structure)))
        except VogenError:
            continue
    return found


def _tip(document: StabilityDoc) -> str:
    """What a marker tells."""
    kind = "" if document.paper_class is None else document.paper_class.value
    lines = [
        f"{formula_text(document.formula)}  {document.candidate_id}",
        f"{number(document.energy_above_hull)} eV/atom above hull, {kind}",
        f"formation {number(document.formation_energy_per_atom)} eV/atom",
    ]
    if document.space_group_symbol:
        lines.append(f"{document.space_group_symbol} ({document.space_group_number})")
    told = [
        text
        for flag, text in ((document.is_unique, "unique"), (document.is_novel, "novel"))
        if flag
    ]
    return "\n".join([*lines, ", ".join(told)] if told else lines)
