"""The frame: what is written, when, and what is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import pytest
from drawn_figures import caption
from judged_documents import REFERENCES, documents

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting import figures as frame
from atomate2_vogen.plotting.hull import plot_hull


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


MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF-", ".svg": b"<?xml"}


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".PNG", ".Pdf"])
def test_the_suffix_decides_the_format(tmp_path, suffix):
    written = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}{suffix}"
        with frame.drawing(path, "caption", width=2, height=2) as figure:
            figure.subplots().plot([0, 1])
        written.append(path.read_bytes())
    assert written[0].startswith(MAGIC[suffix.lower()])
    assert written[0] == written[1]  # no date, no random names


@pytest.mark.parametrize("name", ["x.jpg", "x.eps", "x", "x.pdf.gz", ".png", "png"])
def test_other_suffixes_are_refused_before_anything_is_drawn(tmp_path, name):
    with (
        pytest.raises(InputError, match=r"\.png, \.pdf, \.svg"),
        frame.drawing(tmp_path / name, "", width=1, height=1),
    ):
        pytest.fail("drawn")
    assert not list(tmp_path.iterdir())


def test_every_plotting_function_writes_by_the_frame():
    """One place writes pictures, so that one rule holds for all."""
    folder = Path(frame.__file__).parents[1]
    writers = [p.name for p in folder.rglob("*.py") if ".savefig(" in p.read_text()]
    assert writers == ["figures.py"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_hull_in_every_format(tmp_path, suffix):
    path = plot_hull(documents(), REFERENCES, tmp_path / f"hull{suffix}")
    assert path.read_bytes().startswith(MAGIC[suffix])


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
        "import atomate2_vogen.plotting.figures\n"
        "import atomate2_vogen.plotting.training\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
