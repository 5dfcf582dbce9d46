"""Formation energies by formula: every ranked crystal is counted once."""

import pytest
from judged_documents import document, documents

from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.plotting.formation import plot_formation_energies


def test_formation_energies_count_every_ranked_candidate(tmp_path, figures):
    docs = documents()
    plot_formation_energies(docs, tmp_path / "e.png")
    rows = figures[0].axes
    assert [axes.get_title(loc="left").split()[0] for axes in rows] == [
        "V$_{2}$O$_{3}$", "VO$_{2}$", "V$_{2}$O$_{5}$",
    ]  # fmt: skip
    counts = [sum(patch.get_height() for patch in axes.patches) for axes in rows]
    assert counts == [12, 13, 12]
    markers = [axes.lines[-1].get_xdata()[0] for axes in rows]
    assert markers == pytest.approx([-2.5, -2.45, -2.25])


def test_picture_is_deterministic_and_does_not_depend_on_order(tmp_path):
    docs = documents()
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    plot_formation_energies(docs, first)
    plot_formation_energies(docs[::-1], second)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_ranked_is_said(tmp_path, figures):
    plot_formation_energies([], tmp_path / "e.png")
    texts = [text.get_text() for text in figures[0].axes[0].texts]
    assert "no ranked candidate" in texts


def test_schemes_do_not_meet_in_a_picture(tmp_path):
    stranger = document("VO2", 0.1, 1, scheme="other")
    with pytest.raises(SchemeMismatchError):
        plot_formation_energies([document("VO2", 0.1, 0), stranger], tmp_path / "e.png")
    assert not list(tmp_path.iterdir())
