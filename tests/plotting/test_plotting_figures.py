"""The frame: what is written, when, and what is left alone."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import pytest
from drawn_figures import caption
from judged_documents import REFERENCES, documents
from matplotlib.figure import Figure

from atomate2_vogen import plotting
from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting import figures as frame
from atomate2_vogen.plotting.formation import plot_formation_energies
from atomate2_vogen.plotting.hull import plot_hull


def test_figure_is_written_with_its_caption(tmp_path, figures):
    path = tmp_path / "new" / "x.png"
    words = "a caption that is longer than the figure is wide " * 3
    with frame.drawing(path, words, width=3.0, height=2.0) as page:
        page.panels(1)
        assert not path.exists()
    assert figures == [page.figure]
    assert caption(page.figure) == words.strip()
    assert "\n" in page.figure.get_supxlabel()
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
        with frame.drawing(path, "caption", width=2, height=2) as page:
            page.panels(1)[0].plot([0, 1])
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
    assert writers == ["pictures.py"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_hull_in_every_format(tmp_path, suffix):
    path = tmp_path / f"hull{suffix}"
    plot_hull(documents(), REFERENCES, path)
    assert path.read_bytes().startswith(MAGIC[suffix])


def test_one_legend_for_all_panels(tmp_path):
    with frame.drawing(tmp_path / "x.png", "", width=4, height=2) as page:
        left, right = page.panels(2)
        (first,) = left.plot([0, 1], label="both")
        right.plot([1, 0], label="both")
        right.plot([1, 1], label="right")
        right.plot([0, 0])
        entries = frame.legend_entries([left, right])
        page.legend(entries)
    assert list(entries) == ["both", "right"]
    assert entries["both"] is first
    (legend,) = page.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["both", "right"]


def test_several_files_of_one_figure(tmp_path, figures):
    files = [tmp_path / "a" / "x.pdf", tmp_path / "b.PNG"]
    figure = plot_hull(documents(), REFERENCES, files)
    assert figures == [figure, figure]
    assert [file.read_bytes()[:4] for file in files] == [b"%PDF", b"\x89PNG"]
    with pytest.raises(InputError, match=r"c\.jpg"):
        plot_hull([], REFERENCES, [tmp_path / "c.png", tmp_path / "c.jpg"])
    assert not (tmp_path / "c.png").exists()


def test_no_file_without_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = plot_hull(documents(), REFERENCES)
    assert len(figure.axes) == 3
    assert not list(tmp_path.iterdir())


def test_panels_of_the_caller_are_drawn_into(tmp_path):
    """A user's figure of three rows: hull in two panels of it, nothing of ours around it."""
    own = Figure(figsize=(7, 9))
    grid = own.subplots(3, 3)
    returned = plot_hull(documents(), REFERENCES, tmp_path / "own.png", ax=grid[1])
    assert returned is own
    assert [bool(axes.has_data()) for axes in grid.flat] == [False] * 3 + [True] * 3 + [False] * 3
    assert own.get_supxlabel() == ""
    assert own.legends == []
    (alone,) = plot_hull(documents(), REFERENCES).legends
    words = [text.get_text() for text in grid[1, 0].get_legend().get_texts()]
    assert words == [text.get_text() for text in alone.get_texts()]
    assert grid[1, 1].get_legend() is None
    assert matplotlib.image.imread(tmp_path / "own.png").shape[:2] == (9 * frame.DPI, 7 * frame.DPI)


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_another_number_of_panels_is_refused(tmp_path, number):
    axes = [Figure().subplots() for _ in range(number)]
    with pytest.raises(InputError, match="ax is empty" if number == 0 else "give 3 Axes"):
        plot_hull(documents(), REFERENCES, tmp_path / "x.png", ax=axes)
    assert not list(tmp_path.iterdir())


def test_panels_left_over_in_a_grid_are_not_seen():
    with frame.drawing(None, "", width=4, height=4) as page:
        assert len(page.panels(3, 2)) == 3
    assert [axes.get_visible() for axes in page.figure.axes] == [True, True, True, False]


def test_separate_panels_of_the_caller_get_one_scale():
    """As the rows of our own figure, which share their axis."""
    panels = [Figure().subplots() for _ in range(3)]
    plot_formation_energies(documents(), ax=panels)
    ours = plot_formation_energies(documents()).axes
    assert [a.get_xlim() for a in panels] == [a.get_xlim() for a in ours]


def test_every_plotting_function_returns_its_figure_and_takes_panels():
    for name in plotting.__all__:
        if name.startswith("plot_"):
            signature = inspect.signature(getattr(plotting, name))
            assert signature.return_annotation == "Figure", name
            assert signature.parameters["path"].default is None, name
            assert signature.parameters["ax"].default is None, name


def test_a_notebook_shows_the_figure_in_screen_size():
    figure = plot_hull(documents(), REFERENCES)
    shown = matplotlib.image.imread(io.BytesIO(figure._repr_png_()))  # what IPython asks for
    inches = figure.get_size_inches()
    assert shown.shape[:2] == (inches[1] * frame.SCREEN_DPI, inches[0] * frame.SCREEN_DPI)


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
