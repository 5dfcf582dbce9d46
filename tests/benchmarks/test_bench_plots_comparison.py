"""Samplers side by side: every ranked crystal is drawn once, on axes that are shared."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_figures import caption
from judged_documents import REFERENCES, document, offsets
from made_entries import judgement, made
from plots_comparison import (
    plot_formation_comparison,
    plot_hull_comparison,
)

from atomate2_vogen.errors import InputError, SchemeMismatchError


@pytest.fixture
def judged():
    rng = np.random.default_rng(0)

    def of(number, scale):
        return [
            document(formula, float(above), index)
            for formula in ("VO2", "V2O3", "V2O5")
            for index, above in enumerate(rng.gamma(1.2, scale, number))
        ]

    return {
        "wgan": [*of(9, 0.1), document("VO2", -5.0, 91, state="collapsed")],
        "random": of(5, 0.3)[:10],
        "substitution": [],
    }


def test_formation_energies_by_formula_and_sampler(judged, tmp_path, figures):
    path = tmp_path / "f.png"
    plot_formation_comparison(judged, path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    (figure,) = figures
    grid = np.array(figure.axes).reshape(3, 3)
    counts = [[sum(p.get_height() for p in axes.patches) for axes in row] for row in grid]
    # V2O3, VO2, V2O5 by rising oxygen; random has ten, none of them V2O5
    assert counts == [[9, 5, 0], [9, 5, 0], [9, 0, 0]]
    assert [axes.get_title() for axes in grid[0]] == ["wgan", "random", "substitution"]
    for row, formula in zip(grid, ("V2O3", "VO2", "V2O5"), strict=True):
        at_hull = document(formula, 0.0, 0).formation_energy_per_atom
        for axes in row:
            assert axes.lines[0].get_xdata()[0] == pytest.approx(at_hull)
            assert axes.get_ylim() == row[0].get_ylim()
            assert axes.get_xlim() == grid[0, 0].get_xlim()
    # an empty column takes no ticks from the others
    assert len(grid[0, 0].get_yticks()) > 1
    assert len(grid[2, 0].get_xticks()) > 1
    assert "wgan 27 of 28, random 10 of 10, substitution 0 of 0" in caption(figure)


def test_hulls_hold_every_ranked_crystal(judged, tmp_path, figures):
    plot_hull_comparison(judged, REFERENCES, tmp_path / "h.png")
    (figure,) = figures
    grid = np.array(figure.axes).reshape(2, 3)
    for axes, number in zip(grid[0], (27, 10, 0), strict=True):
        assert len(offsets(axes)) == number + len(REFERENCES)
    heights = np.sort(offsets(grid[1, 1])[:, 1])
    above = np.sort([doc.energy_above_hull for doc in judged["random"]])
    assert heights == pytest.approx(above[above <= grid[1, 1].get_ylim()[1]])
    for row in grid:
        assert len({axes.get_ylim() for axes in row}) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["reference phase", "stable", "metastable", "unstable"]


def test_what_cannot_be_compared(judged, tmp_path):
    with pytest.raises(InputError, match="no sampler"):
        plot_formation_comparison({}, tmp_path / "x.png")
    stranger = {**judged, "other": [judgement(made(1)[0], 0.1)]}
    with pytest.raises(SchemeMismatchError, match="J cannot be drawn"):
        plot_formation_comparison(stranger, tmp_path / "x.png")
    with pytest.raises(SchemeMismatchError):
        plot_hull_comparison(stranger, REFERENCES, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_nothing_ranked_is_said(tmp_path, figures):
    plot_formation_comparison({"wgan": []}, tmp_path / "f.png")
    plot_hull_comparison({"wgan": []}, REFERENCES, tmp_path / "h.png")
    for figure in figures:
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert "no ranked candidate" in texts
