"""Charts: everything where its data say, and text that stays text."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import reported
from pymatgen.core import Composition

from atomate2_vogen.report.charts import Axis, Chart, bent
from atomate2_vogen.report.figures import make_figures


@pytest.fixture(scope="module")
def whole():
    return reported.whole()


@pytest.fixture(scope="module")
def figures(whole):
    return {figure.title: figure for figure in make_figures(whole, whole.candidates)}


def places(svg, kind):
    """Data and drawn coordinates of markers of a class."""
    found = []
    for holder in ET.fromstring(svg).iter():
        path = holder.find("path")
        if holder.get("class") == "point" and kind in path.get("class").split():
            drawn = [float(v) for v in re.findall(r"-?[\d.]+", path.get("transform"))]
            found.append((float(holder.get("data-x")), float(holder.get("data-y")), *drawn))
    return np.array(found).reshape(-1, 4)


def test_the_hull_has_every_reference_and_every_ranked_candidate(whole, figures):
    svg = figures["Convex hull"].svg
    references = places(svg, "reference")
    expected = {
        Composition(r.formula).get_atomic_fraction("O"): r.energy_per_atom
        for r in reported.REFERENCES
    }
    assert {round(x, 4): round(y, 4) for x, y, *_ in references} == pytest.approx(
        {round(x, 4): y for x, y in expected.items()}, abs=1e-4
    )
    stable, metastable, unstable = (
        places(svg, kind) for kind in ("stable", "metastable", "unstable")
    )
    assert (len(stable), len(metastable), len(unstable)) == (3, 1, 2)
    everything = np.concatenate([references, stable, metastable, unstable])
    # what is drawn is linear in the data, both ways
    for data, drawn in ((0, 2), (1, 3)):
        slope, cut = np.polyfit(everything[:, data], everything[:, drawn], 1)
        assert np.abs(slope * everything[:, data] + cut - everything[:, drawn]).max() < 0.11
        assert (slope > 0) == (data == 0)
    assert "candidates lie above" not in figures["Convex hull"].caption


def test_markers_lead_to_pages_and_tell_what_they_are(whole, figures):
    root = ET.fromstring(figures["Energy above hull"].svg)
    links = {a.get("href"): a.get("aria-label") for a in root.iter("a")}
    assert len(links) == 5  # one of six lies above the frame
    first = whole.candidates[1]
    text = links[f"#c={first.candidate_id}"]
    assert "VO₂" in text
    assert "0.020 eV/atom above hull, stable" in text
    assert "↑ 1 above" in figures["Energy above hull"].svg
    short = make_figures(whole, whole.listed(1))
    assert len(list(ET.fromstring(short[1].svg).iter("a"))) == 2
    assert short[1].svg.count('class="point"') == 5


def test_distributions_hold_every_crystal(whole, figures):
    for title in ("Volume per atom", "Shortest distance of two atoms"):
        heights = figures[title].svg
        for kind in ("relaxed", "generated"):
            (outline,) = re.findall(rf'class="line {kind}" data-xy="([^"]*)"', heights)
            points = np.array([pair.split(",") for pair in outline.split()], dtype=float)
            counts = points[1:-1:2, 1]
            assert counts.sum() == 8  # of nine calculations one has no relaxed crystal
    steps = figures["Before and after relaxation"].svg
    (outline,) = re.findall(r'class="line relaxed" data-xy="([^"]*)"', steps)
    points = np.array([pair.split(",") for pair in outline.split()], dtype=float)
    assert points[-1, 1] == 1
    jumps = points[1:-1, 0][np.diff(points[:-1, 1]) > 0]
    energies = [d.energy_above_hull for d in whole.stability if d.paper_class]
    assert jumps == pytest.approx(sorted(energies), abs=1e-4)
    assert "Median 1.235 → 0.235 eV/atom over 6" in (figures["Before and after relaxation"].caption)


def test_a_bent_axis_rises_and_is_linear_near_zero():
    values = [bent(v) for v in np.linspace(-1, 5, 200)]
    assert np.all(np.diff(values) > 0)
    assert bent(0.01) == pytest.approx(0.1, rel=2e-3)
    assert bent(10) - bent(1) == pytest.approx(math.log(10), rel=1e-2)
    axis = Axis(0, 2, bend=bent)
    assert (axis.share(0), axis.share(2)) == (0, 1)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 0.3), (7.95, 23.1), (0, 1e-3)])
def test_ticks_are_round_and_within(low, high):
    ticks = Axis(low, high).marks(6)
    values = [value for value, _ in ticks]
    assert 3 <= len(values) <= 8
    assert low - 1e-9 <= min(values) <= max(values) <= high + 1e-9
    for value, text in ticks:
        assert float(text.replace("−", "-")) == pytest.approx(value, abs=1e-12)


def test_text_cannot_become_markup():
    chart = Chart("x", reported.EVIL, Axis(0, 1, reported.EVIL), Axis(0, 1))
    chart.marker(0.5, 0.5, shape="circle", kind="stable", text=reported.EVIL, link="#c=a")
    chart.text(1, 1, reported.EVIL, "note")
    root = ET.fromstring(chart.svg())
    assert {element.tag for element in root.iter()} <= {
        "svg", "defs", "clipPath", "rect", "g", "path", "text", "a",
    }  # fmt: skip
    assert root.find(".//a").get("aria-label") == reported.EVIL
