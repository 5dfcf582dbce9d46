"""Shares and cells: curves end where the counts say."""

from __future__ import annotations

import numpy as np
import plots_distributions
import pytest
from made_entries import judgement, made
from plots_distributions import plot_above_hull, plot_cells
from pymatgen.core import Lattice, Structure

from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import StabilityState


def share_at(line, energy):
    """Height of a step curve."""
    x, y = line.get_data()
    return y[np.searchsorted(x, energy, side="right") - 1]


def test_shares_are_of_those_asked_for(tmp_path, figures):
    crystals = made(4)
    judged = [judgement(c, a) for c, a in zip(crystals, (0.05, 0.2, 0.25), strict=False)]
    judged.append(judgement(crystals[3], 0.01, state=StabilityState.COLLAPSED))
    requested = {"wgan": {"VO2": 5, "V2O5": 5}, "random": {"VO2": 5, "V2O5": 5}}
    plot_above_hull(
        {"wgan": judged, "random": []},
        requested,
        tmp_path / "a.png",
        {"VO2": {0.3: 0.304}, "all": {0.3: 0.202}},
    )
    (figure,) = figures
    vo2, v2o5, whole = [axes for axes in figure.axes if axes.get_visible()]
    solid, dotted = vo2.get_lines()[:2]
    assert share_at(solid, 0.1) == pytest.approx(1 / 5)
    assert share_at(solid, 0.3) == pytest.approx(3 / 5)
    # the collapsed one has an energy as generated and none after
    assert share_at(solid, 50) == pytest.approx(3 / 5)
    assert share_at(dotted, 50) == pytest.approx(4 / 5)
    assert share_at(dotted, 1.1) == pytest.approx(2 / 5)
    assert share_at(whole.get_lines()[0], 0.3) == pytest.approx(3 / 10)
    assert share_at(v2o5.get_lines()[0], 50) == 0
    stars = [
        line for axes in (vo2, v2o5, whole) for line in axes.get_lines() if line.get_marker() == "*"
    ]
    assert [line.get_xydata().tolist() for line in stars] == [[[0.3, 0.304]], [[0.3, 0.202]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["wgan", "random"]


def test_cells_are_reduced_and_all_counted(tmp_path, figures):
    # the same lattice twice: as it is, and in a skewed cell
    plain = Lattice.orthorhombic(3.0, 4.0, 5.0)
    skewed = Lattice(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ plain.matrix)
    crystals = [
        Structure(lattice, ["V", "O"], [[0, 0, 0], [0.5] * 3]) for lattice in (plain, skewed)
    ]
    large = Structure(Lattice.cubic(40), ["V"], [[0, 0, 0]])
    plot_cells(
        {"wgan": [(crystals[0], crystals[1]), (large, None)], "random": []}, tmp_path / "c.png"
    )
    (figure,) = figures
    edges, angles, volumes = (
        plots_distributions._cells([crystal]) for crystal in (*crystals, large)
    )
    for first, second in zip(edges, angles, strict=True):
        assert first == pytest.approx(second)
    assert volumes[2] == pytest.approx([64000])
    for axes in figure.axes:
        for patch in axes.patches:
            heights = patch.get_xy()[:, 1]
            widths = np.diff(patch.get_xy()[:, 0])
            total = (heights[:-1] * (widths > 0)).sum()
            assert total == pytest.approx(1.0)


def test_no_sampler(tmp_path):
    for draw in (lambda path: plot_above_hull({}, {}, path), lambda path: plot_cells({}, path)):
        with pytest.raises(InputError, match="no sampler"):
            draw(tmp_path / "x.png")
