"""The pictures of phonons: written, deterministic, and showing what the documents say."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pymatgen.io.phonopy import get_pmg_structure
from toy_solids import springs

from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.phonons.harmonic import phonon_bands, phonon_dos, summarise_phonons
from atomate2_vogen.plotting.phonons import plot_phonon_series, plot_phonons
from atomate2_vogen.schemas import PhononDoc


def document(stiffness=5.0, supercell=(4, 1, 1), **changes):
    phonon = springs(stiffness, supercell=supercell)
    bands = phonon_bands(phonon, points=11)
    name = "x".join(str(n) for n in supercell)
    fields = {
        "phonon_id": f"a|x|{name}",
        "candidate_id": "a",
        "scheme": "springs-1",
        "engine": "springs",
        "known_weakness": "holds nothing sideways",
        "requested_supercell": name,
        "state": "completed",
        "formula": "VO2",
        "structure": get_pmg_structure(phonon.unitcell),
        "phonons": summarise_phonons(phonon, bands, mesh_length=30.0),
        "phonon_bands": bands,
        "phonon_dos": phonon_dos(phonon, mesh_length=30.0),
    }
    return PhononDoc(**(fields | changes))


@pytest.fixture
def figures(monkeypatch):
    """The figures as they are when they are written."""
    caught = []
    save = Figure.savefig

    def spy(self, *args, **options):
        caught.append(self)
        return save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return caught


def test_every_branch_is_drawn_and_the_dos_beside_it(tmp_path, figures):
    one = document()
    path = tmp_path / "new" / "ph.png"
    plot_phonons(one, path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    left, right = figures[0].axes
    lines = [line for line in left.lines if len(line.get_xdata()) == 11]
    drawn = np.concatenate([line.get_ydata() for line in lines])
    assert np.sort(drawn) == pytest.approx(np.sort(np.asarray(one.phonon_bands.bands).ravel()))
    assert right.lines[0].get_xdata() == pytest.approx(one.phonon_dos.densities)
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "springs-1, supercell 4x1x1 (8 atoms): stable" in caption
    assert "holds nothing sideways." in caption
    assert "GAMMA" not in " ".join(t.get_text() for t in left.get_xticklabels())
    assert len(left.collections) == 0  # no imaginary mode, no mark


def test_an_imaginary_mode_is_marked(tmp_path, figures):
    one = document(-2.0)
    plot_phonons(one, tmp_path / "ph.png")
    left, _ = figures[0].axes
    (mark,) = left.collections
    assert mark.get_offsets()[0][1] == pytest.approx(one.phonons.lowest_frequency, abs=0.01)
    assert left.get_ylim()[0] < one.phonons.lowest_frequency
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert f"unstable; lowest frequency −{abs(one.phonons.lowest_frequency):.2f} THz" in caption


def test_a_series_is_drawn_over_each_other(tmp_path, figures):
    series = [document(supercell=(n, 1, 1)) for n in (2, 4)]
    failed = document(phonons=None, requested_supercell="8x1x1", state="failed", error="too large")
    plot_phonon_series([*series, failed], tmp_path / "s.png")
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert labels == ["2x1x1", "4x1x1"]
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "2x1x1: lowest" in caption
    assert "Failed: 8x1x1." in caption


def test_pictures_are_deterministic_and_take_what_a_store_gives(tmp_path):
    one = document()
    stored = one.model_copy(
        update={name: getattr(one, name).as_dict() for name in ("phonon_bands", "phonon_dos")}
    )
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    plot_phonons(one, first)
    plot_phonons(stored, second)
    assert first.read_bytes() == second.read_bytes()


def test_what_cannot_be_drawn_is_said(tmp_path):
    path = tmp_path / "x.png"
    failed = document(phonons=None, error="too large")
    with pytest.raises(InputError, match="a has no phonons to draw: too large"):
        plot_phonons(failed, path)
    with pytest.raises(InputError, match="no completed"):
        plot_phonon_series([failed], path)
    with pytest.raises(InputError, match="a and b are not one crystal"):
        plot_phonon_series([document(), document(candidate_id="b")], path)
    with pytest.raises(SchemeMismatchError, match="other"):
        plot_phonon_series([document(), document(scheme="other")], path)
    assert not path.exists()
