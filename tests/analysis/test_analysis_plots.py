"""The pictures: written, deterministic, and showing what the documents say."""

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from atomate2_vogen.analysis import plots
from atomate2_vogen.analysis.hull import ReferenceHull, field_class, paper_class
from atomate2_vogen.analysis.plots import plot_formation_energies, plot_hull
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.schemas import PaperClass, ReferenceDoc, StabilityDoc

SCHEME = "CHGNet-0.3.0"


def reference(formula, formation):
    symbols = [e.symbol for e, n in Composition(formula).items() for _ in range(int(n))]
    structure = Structure(
        Lattice.cubic(9), symbols, np.linspace(0, 0.9, 3 * len(symbols)).reshape(-1, 3)
    )
    return ReferenceDoc(
        reference_id=formula,
        name=formula,
        scheme=SCHEME,
        formula=structure.composition.reduced_formula,
        structure=structure,
        energy_per_atom=formation,
    )


REFERENCES = [
    reference(f, e)
    for f, e in {"V": 0, "O2": 0, "VO": -2.0, "V2O3": -2.5, "VO2": -2.45, "V2O5": -2.25}.items()
]
HULL = ReferenceHull(REFERENCES, VANADIUM)


def document(formula, above, index, state="ranked", scheme=SCHEME):
    formation = above - HULL.position(Composition(formula), 0.0).energy_above_hull
    ranked = state == "ranked"
    return StabilityDoc(
        stability_id=f"{formula}-{index}",
        candidate_id=f"{formula}-{index}",
        scheme=scheme,
        hull_id=HULL.hull_id,
        chemsys="O-V",
        formula=formula,
        natoms=6,
        sampler="test",
        model_id="m",
        state=state,
        is_converged=True,
        formation_energy_per_atom=formation,
        energy_above_hull=above,
        paper_class=paper_class(formation, above) if ranked else None,
        field_class=field_class(above) if ranked else None,
    )


def documents():
    rng = np.random.default_rng(0)
    made = [
        document(formula, float(above), i)
        for formula in ("VO2", "V2O3", "V2O5")
        for i, above in enumerate(rng.gamma(1.2, 0.25, 12) - 0.03)
    ]
    return [*made, document("VO2", 2.7, 90), document("VO2", -5.0, 91, state="collapsed")]


@pytest.fixture
def figures(monkeypatch):
    """The figures as they are when they are written."""
    caught = []
    save = plots._save

    def spy(figure, caption, path):
        result = save(figure, caption, path)
        caught.append(figure)
        return result

    monkeypatch.setattr(plots, "_save", spy)
    return caught


def offsets(axes):
    points = [c.get_offsets().data for c in axes.collections if hasattr(c, "get_offsets")]
    return np.concatenate([np.asarray(p).reshape(-1, 2) for p in points])


def test_hull_draws_every_ranked_candidate_and_reference(tmp_path, figures):
    docs = documents()
    path = plot_hull(docs, REFERENCES, tmp_path / "new" / "hull.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    left, right = figures[0].axes
    ranked = [d for d in docs if d.state == "ranked"]
    assert len(offsets(left)) == len(ranked) + len(REFERENCES)
    drawn = np.sort(offsets(left)[:, 1])
    expected = np.sort(
        [d.formation_energy_per_atom for d in ranked] + [r.energy_per_atom for r in REFERENCES]
    )
    assert drawn == pytest.approx(expected, abs=1e-9)
    # in panel b the one far above the frame is counted instead
    heights = np.sort(offsets(right)[:, 1])
    assert heights == pytest.approx(np.sort([d.energy_above_hull for d in ranked])[:-1])
    assert any("1 above" in t.get_text() for t in right.texts)
    labels = [t.get_text() for t in figures[0].legends[0].get_texts()]
    for kind in PaperClass:
        n = sum(d.paper_class is kind for d in ranked)
        assert f"{kind.value} ({n})" in labels
    caption = figures[0]._supxlabel.get_text()
    assert f"Judge: {SCHEME}. 37 of 38 candidates ranked (1 collapsed)" in caption


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


def test_pictures_are_deterministic_and_do_not_depend_on_order(tmp_path):
    docs = documents()
    for name, order in (("a", 1), ("b", -1)):
        plot_hull(docs[::order], REFERENCES[::order], tmp_path / f"{name}-hull.png")
        plot_formation_energies(docs[::order], tmp_path / f"{name}-e.png")
    for kind in ("hull", "e"):
        first, second = (tmp_path / f"{name}-{kind}.png" for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_size_is_that_of_print(tmp_path):
    image = matplotlib.image.imread(plot_hull([], REFERENCES, tmp_path / "hull.png"))
    assert image.shape[:2] == (800, 1440)


def test_nothing_ranked_is_said(tmp_path, figures):
    plot_hull([document("VO2", 0.1, 0, state="failed")], REFERENCES, tmp_path / "hull.png")
    plot_formation_energies([], tmp_path / "e.png")
    for axes in (figures[0].axes[1], figures[1].axes[0]):
        assert any("no ranked candidate" in t.get_text() for t in axes.texts)


def test_schemes_do_not_meet_in_a_picture(tmp_path):
    stranger = document("VO2", 0.1, 1, scheme="other")
    with pytest.raises(SchemeMismatchError, match="other"):
        plot_hull([stranger], REFERENCES, tmp_path / "hull.png")
    with pytest.raises(SchemeMismatchError):
        plot_formation_energies([document("VO2", 0.1, 0), stranger], tmp_path / "e.png")
    assert not list(tmp_path.iterdir())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_are_spread_without_changing_order_or_centre(positions):
    positions = np.sort(positions)
    spread = plots._spread(positions, 0.06)
    assert (np.diff(spread) >= 0.06 - 1e-9).all()
    assert spread.mean() == pytest.approx(positions.mean())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_points_near_each_other_are_set_apart(heights):
    heights = np.sort(heights)
    x = plots._swarm(heights, 0.02, 0.075)
    assert (np.abs(x) <= 0.42).all()
    for i in range(len(heights)):
        crowd = np.abs(heights - heights[i]) < 0.02
        if crowd.sum() <= 6:
            assert (np.abs(x[crowd] - x[i]) < 0.07).sum() == 1
