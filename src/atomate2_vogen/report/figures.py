"""The charts of a report: the hull, energies above it, and what relaxation changed."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
from pymatgen.core import Composition

from atomate2_vogen.plotting.documents import energies_above_hull, ranked_by_formula
from atomate2_vogen.plotting.panels import spread, swarm
from atomate2_vogen.report.charts import Axis, Chart, Figure
from atomate2_vogen.report.distributions import make_distributions
from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.numbers import formula_text, number
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc, StabilityState
from atomate2_vogen.stability.judging import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT
from atomate2_vogen.stability.phases import anion_fraction

CLASS_MARKERS = {
    PaperClass.STABLE: "circle",
    PaperClass.METASTABLE: "triangle",
    PaperClass.UNSTABLE: "cross",
}
"""Marker of each class; its colour is in the style sheet."""


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
        figures.append(_distances(documents, rows))
    return figures + make_distributions(documents)


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
             tuple((v, f"{v:.1f}") for v in (0, 0.2, 0.4, 0.6, 0.8, 1))),
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
            shape=CLASS_MARKERS[document.paper_class],
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
        f"Formation energies by {documents.scheme} at 0 K. The paper’s classes, stable and metastable: formation "
        f"energy "
        f"< 0 and ≤ {STABLE_LIMIT:g}, ≤ {METASTABLE_LIMIT:g} eV/atom above the hull of the "
        f"reference phases.{f' {beyond} candidates lie above the frame.' if beyond else ''}",
        (
            ("square", "reference", f"reference phase ({len(known)})"),
            *((CLASS_MARKERS[k], k.value, f"{k.value} ({n})") for k, n in counts.items() if n),
        ),
        zoomable=True,
    )


def _name_vertices(
    chart: Chart, vertices: Sequence[ReferenceDoc], points: Sequence[tuple[float, float]]
) -> None:
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
    size = 1.0 if max(len(group) for group in by_formula.values()) <= 40 else 0.65
    chart.level(0, "zero")
    for limit in (NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT):
        chart.level(limit, "limit", f"{limit:g}")
    for column, group in enumerate(by_formula.values()):
        ordered = sorted(group, key=lambda d: (d.energy_above_hull or 0.0, d.stability_id))
        heights = energies_above_hull(ordered)
        lane = 9.5 * size * number_of / (chart.right - chart.left)
        near = 8.5 * size * (top - bottom) / (chart.bottom - chart.top)
        for document, height, offset in zip(
            ordered, heights, swarm(heights, near, lane), strict=True
        ):
            if height > top or document.paper_class is None:
                continue
            chart.marker(
                column + float(offset),
                float(height),
                shape=CLASS_MARKERS[document.paper_class],
                kind=document.paper_class.value,
                text=_tip(document),
                link=page_link(document.candidate_id) if document.candidate_id in rows else None,
                index=rows.get(document.candidate_id),
                size=size,
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


def _tip(document: StabilityDoc) -> str:
    """Text shown for a marker."""
    kind = "" if document.paper_class is None else document.paper_class.value
    lines = [
        f"{formula_text(document.formula)}  {document.candidate_id}",
        f"{number(document.energy_above_hull)} eV/atom above hull, {kind}",
        f"formation {number(document.formation_energy_per_atom)} eV/atom",
    ]
    if document.space_group_symbol:
        lines.append(f"{document.space_group_symbol} ({document.space_group_number})")
    parts = [
        text
        for flag, text in ((document.is_unique, "unique"), (document.is_novel, "novel"))
        if flag
    ]
    return "\n".join([*lines, ", ".join(parts)] if parts else lines)
