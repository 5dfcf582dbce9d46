"""The hull's picture: it shows what the documents say."""

import matplotlib.image
import numpy as np
import pytest
from drawn_figures import caption
from judged_documents import REFERENCES, SCHEME, document, documents, offsets
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.plotting.hull import plot_hull
from atomate2_vogen.plotting.panels import hull_points
from atomate2_vogen.schemas import PaperClass
from atomate2_vogen.stability.judging import METASTABLE_LIMIT
from atomate2_vogen.stability.phases import ReferenceHull


def test_hull_draws_every_ranked_candidate_and_reference(tmp_path, figures):
    docs = documents()
    path = tmp_path / "new" / "hull.png"
    plot_hull(docs, REFERENCES, path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    left, zoom, right = figures[0].axes
    ranked = [d for d in docs if d.state == "ranked"]
    assert len(offsets(left)) == len(ranked) + len(REFERENCES)
    drawn = np.sort(offsets(left)[:, 1])
    expected = np.sort(
        [d.formation_energy_per_atom for d in ranked] + [r.energy_per_atom for r in REFERENCES]
    )
    assert drawn == pytest.approx(expected, abs=1e-9)
    assert len(offsets(zoom)) == len(offsets(left))  # what lies outside its frame is cut off
    # in panel c the one far above the frame is counted instead
    heights = np.sort(offsets(right)[:, 1])
    assert heights == pytest.approx(np.sort([d.energy_above_hull for d in ranked])[:-1])
    assert any("1 above" in t.get_text() for t in right.texts)
    labels = [t.get_text() for t in figures[0].legends[0].get_texts()]
    for kind in PaperClass:
        n = sum(d.paper_class is kind for d in ranked)
        assert f"{kind.value} ({n})" in labels
    assert f"Energy model: {SCHEME}. 37 of 38 candidates ranked (1 collapsed)" in caption(
        figures[0]
    )


def test_zoom_shows_and_names_every_compound_on_the_hull():
    """Above each there is room for crystals of every class; the whole has the names of elements."""
    whole, zoom, _ = plot_hull(documents(), REFERENCES).axes
    hull = ReferenceHull(REFERENCES, VANADIUM)
    compounds = [one for one in hull.vertices if len(one.structure.composition) > 1]
    names = {latexify(one.formula) for one in compounds}
    assert {text.get_text() for text in zoom.texts} == names
    assert {text.get_text() for text in whole.texts} == {"V", "O$_{2}$"}
    (left, right), (bottom, top) = zoom.get_xlim(), zoom.get_ylim()
    for x, y in hull_points(hull, compounds):
        assert left < x < right
        assert bottom < y < top - METASTABLE_LIMIT + 1e-9


def test_zoom_of_elements_alone_is_the_whole():
    elements = [one for one in REFERENCES if len(one.structure.composition) == 1]
    whole, zoom, _ = plot_hull([], elements).axes
    assert zoom.get_xlim() == whole.get_xlim()


def test_picture_is_deterministic_and_does_not_depend_on_order(tmp_path):
    docs = documents()
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    plot_hull(docs, REFERENCES, first)
    plot_hull(docs[::-1], REFERENCES[::-1], second)
    assert first.read_bytes() == second.read_bytes()


def test_size_is_that_of_print(tmp_path):
    plot_hull([], REFERENCES, tmp_path / "hull.png")
    image = matplotlib.image.imread(tmp_path / "hull.png")
    assert image.shape[:2] == (1200, 2160)


def test_nothing_ranked_is_said(tmp_path, figures):
    plot_hull([document("VO2", 0.1, 0, state="failed")], REFERENCES, tmp_path / "hull.png")
    texts = [text.get_text() for text in figures[0].axes[2].texts]
    assert "no ranked candidate" in texts


def test_schemes_do_not_meet_in_a_picture(tmp_path):
    stranger = document("VO2", 0.1, 1, scheme="other")
    with pytest.raises(SchemeMismatchError, match="other"):
        plot_hull([stranger], REFERENCES, tmp_path / "hull.png")
    assert not list(tmp_path.iterdir())
