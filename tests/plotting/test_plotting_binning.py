"""No bar stands where no crystal is, least of all below the hull."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_documents import document
from matplotlib.figure import Figure
from plots_comparison import plot_formation_comparison

from atomate2_vogen.plotting.binning import draw_bars, edges_of
from atomate2_vogen.plotting.formation import plot_formation_energies

WIDTHS = st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5])
MEV = st.integers(-900, 3000).map(lambda number: number / 1000)


@given(MEV, MEV, WIDTHS)
def test_edges_are_multiples_around_the_range(first, second, width):
    low, high = sorted((first, second))
    edges = edges_of(low, high, width)
    assert edges / width == pytest.approx(np.round(edges / width), abs=1e-9)
    assert edges[0] <= low < edges[0] + width + 1e-9
    assert edges[-2] <= high < edges[-1]
    assert np.diff(edges) == pytest.approx(width)
    if low <= 0 <= high:
        assert 0.0 in edges


@pytest.mark.parametrize("width", [0.05, 0.1, 0.3])
def test_what_lies_on_an_edge_is_counted_from_there_on(width):
    """0.15, which is not 3 times 0.05 in floats, lies in the bin that begins there."""
    for k in range(-20, 40):
        value = round(k * width, 3)
        edges = edges_of(min(0.0, value), max(0.0, value), width)
        counts, _ = np.histogram([value], edges)
        assert edges[counts.argmax()] == pytest.approx(value, abs=1e-12)
        assert edges[counts.argmax()] <= value


noise = st.floats(-4e-7, 4e-7)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-300, 900), noise), min_size=1, max_size=12),
    st.floats(-3, -1),
)
def test_every_bar_holds_a_crystal(crystals, hull):
    """Heights in meV/atom with rounding noise, above a hull at any energy."""
    above = [height / 1000 + error for height, error in crystals]
    documents = [document("VO2", energy, i) for i, energy in enumerate(above)]
    printed = np.array([float(f"{energy:.3f}") for energy in above])
    edges = edges_of(min(0.0, printed.min()), printed.max(), 0.05)
    axes = Figure().subplots()
    draw_bars(axes, documents, edges, hull, colour="b", line=0.1)
    assert sum(bar.get_height() for bar in axes.patches) == len(documents)
    for bar in axes.patches:
        left = bar.get_x() - hull
        held = (printed >= left - 1e-9) & (printed < left + bar.get_width() - 1e-9)
        assert bar.get_height() == held.sum()
    below = [bar for bar in axes.patches if bar.get_x() < hull - 1e-9 and bar.get_height()]
    assert bool(below) is bool((printed < 0).any())


def bars(axes):
    """Ends of the bars that hold something."""
    return [
        (bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches if bar.get_height()
    ]


@pytest.mark.parametrize("draw", ["one", "several"])
def test_figures_begin_at_the_hull(draw, tmp_path, figures):
    """The hulls lie at -2.5, -2.45 and -2.25 eV/atom, in bins of 0.05 or more."""
    docs = [
        document(formula, above - 3e-7, f"{formula}{i}")
        for formula in ("V2O3", "VO2", "V2O5")
        for i, above in enumerate((0.0, 0.0, 0.07, 0.41))
    ]
    if draw == "one":
        plot_formation_energies(docs, tmp_path / "f.png")
    else:
        plot_formation_comparison({"a": docs}, tmp_path / "f.png")
    for axes, hull in zip(figures[0].axes, (-2.5, -2.45, -2.25), strict=True):
        assert min(left for left, _ in bars(axes)) == pytest.approx(hull)
        assert len(bars(axes)) == 3


def test_a_crystal_below_the_hull_has_its_bar_there(tmp_path, figures):
    docs = [document("VO2", above, i) for i, above in enumerate((-0.03, 0.2))]
    plot_formation_energies(docs, tmp_path / "f.png")
    (axes,) = figures[0].axes
    (first, second) = bars(axes)
    assert first == pytest.approx((-2.5, -2.45))
    assert second[0] == pytest.approx(-2.25)
