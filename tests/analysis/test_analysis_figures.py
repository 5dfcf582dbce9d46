"""The frame: what is written, when, and what is left alone."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import matplotlib.image
import pytest
from drawn_figures import caption

from atomate2_vogen.analysis import figures as frame


def test_figure_is_written_with_its_caption(tmp_path, figures):
    path = tmp_path / "new" / "x.png"
    words = "a caption that is longer than the figure is wide " * 3
    with frame.drawing(path, words, width=3.0, height=2.0) as figure:
        figure.subplots()
        assert not path.exists()
    assert figures == [figure]
    assert caption(figure) == words.strip()
    assert "\n" in figure.get_supxlabel()
    assert matplotlib.image.imread(path).shape[:2] == (2 * frame.DPI, 3 * frame.DPI)


def test_nothing_is_written_where_drawing_fails(tmp_path):
    size = mpl.rcParams["font.size"]

    def draw():
        with frame.drawing(tmp_path / "x.png", "", width=1, height=1):
            assert mpl.rcParams["font.size"] != size
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw()
    assert not list(tmp_path.iterdir())
    assert mpl.rcParams["font.size"] == size


def test_one_legend_for_all_panels(tmp_path):
    with frame.drawing(tmp_path / "x.png", "", width=4, height=2) as figure:
        left, right = figure.subplots(1, 2)
        (first,) = left.plot([0, 1], label="both")
        right.plot([1, 0], label="both")
        right.plot([1, 1], label="right")
        right.plot([0, 0])
        entries = frame.legend_entries([left, right])
        frame.legend_above(figure, entries)
    assert list(entries) == ["both", "right"]
    assert entries["both"] is first
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["both", "right"]


def test_colours_of_series_differ():
    assert len(set(frame.SERIES)) == len(frame.SERIES)


def test_matplotlib_is_imported_only_to_draw():
    # the other modules get it from pymatgen's phase diagram, whether they draw or not
    code = (
        "import sys\n"
        "import atomate2_vogen.analysis.figures\n"
        "import atomate2_vogen.analysis.plots_training\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
