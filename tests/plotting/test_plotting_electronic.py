"""The picture of bands and DOS: written, deterministic, and showing what the document says."""

import made_bands
import numpy as np
import pytest
from made_bands import gapped, metallic
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Orbital, Spin
from pymatgen.electronic_structure.dos import CompleteDos, Dos

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.electronic import _channel_text, plot_electronic, valence_shells
from atomate2_vogen.schemas import BandEdge, SpinChannel

document = made_bands.electronic
HALF_METAL = [metallic(0.0), gapped(-0.8, 1.2)]


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


def test_every_band_of_both_spins_is_drawn_from_the_fermi_level(tmp_path, figures):
    moved = [[(c + 3, w, s) for c, w, s in bands] for bands in HALF_METAL]
    path = tmp_path / "new" / "bands.png"
    plot_electronic(document(moved, 3.0), path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    left, right = figures[0].axes
    lines = [line for line in left.lines if len(line.get_xdata()) == 8]
    assert len(lines) == 4 * (4 + 4)  # branches times bands
    drawn = np.concatenate([line.get_ydata() for line in lines])
    expected = np.concatenate(
        [made_bands.energies(bands, made_bands.path()).ravel() for bands in HALF_METAL]
    )
    assert np.sort(drawn) == pytest.approx(np.sort(expected), abs=1e-9)
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert labels == ["spin up", "spin down"]
    ticks = [text.get_text() for text in left.get_xticklabels()]
    assert ticks == ["$\\Gamma$", "X", "M", "R", "$\\Gamma$"]
    # up to the right, down to the left
    up, down = right.lines[:2]
    assert up.get_xdata().min() >= 0 >= down.get_xdata().max()
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "half-metal; gap up: none, gap down: 2.00 eV (indirect, Γ to R)" in caption
    assert "Moment 1.00 μB/cell" in caption
    edges = [c.get_offsets().data for c in left.collections]
    assert sorted(point[1] for points in edges for point in points) == pytest.approx(
        [-0.8, -0.8, 1.2, 1.2]
    )


def test_without_spin_polarisation_and_without_dos(tmp_path, figures):
    plot_electronic(document([gapped(-0.5, 0.6)], density_of_states=None), tmp_path / "b.png")
    left, right = figures[0].axes
    assert [t.get_text() for t in figures[0].legends[0].get_texts()] == ["both spins"]
    assert any("no DOS" in text.get_text() for text in right.texts)
    assert "Moment" not in figures[0]._supxlabel.get_text()
    assert left.get_ylim() == (-6, 6)


def test_pictures_are_deterministic_and_take_what_a_store_gives(tmp_path):
    one = document(HALF_METAL)
    stored = one.model_copy(
        update={name: getattr(one, name).as_dict() for name in ("line_bands", "density_of_states")}
    )
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    plot_electronic(one, first)
    plot_electronic(stored, second)
    assert first.read_bytes() == second.read_bytes()


def test_what_cannot_be_drawn_is_said(tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(InputError, match="a has no bands to draw: SCF went astray"):
        plot_electronic(document(HALF_METAL, electrons=None, error="SCF went astray"), path)
    with pytest.raises(InputError, match="no line bands"):
        plot_electronic(document(HALF_METAL, line_bands=None), path)
    with pytest.raises(InputError, match="load=True"):
        plot_electronic(document(HALF_METAL, line_bands={"blob_uuid": "1"}), path)
    with pytest.raises(InputError, match="window"):
        plot_electronic(document(HALF_METAL), path, window=(3, -3))
    assert not path.exists()


def test_an_edge_without_a_label_is_told_by_its_coordinates():
    edge = BandEdge(energy=0, band=3, k_point=[-1e-17, 0.30769, -0.5], label=None, mesh="line")
    other = edge.model_copy(update={"label": "\\Gamma"})
    channel = SpinChannel(spin="up", state="gapped", gap=1.05, is_direct=False, vbm=edge, cbm=other)
    text = _channel_text(channel)
    assert text == "gap up: 1.05 eV (indirect, (0.00, 0.31, -0.50) to Γ)"


def test_valence_shells_of_both_spins_are_drawn(tmp_path, figures):
    energies = np.linspace(-5, 5, 101)
    crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    def spins(up, down):
        return {Spin.up: up * np.ones(101), Spin.down: down * np.ones(101)}

    projected = {
        crystal[0]: {Orbital.dxy: spins(2, 1), Orbital.dz2: spins(1, 1), Orbital.s: spins(9, 9)},
        crystal[1]: {Orbital.px: spins(4, 3)},
    }
    dos = CompleteDos(crystal, Dos(0.0, energies, spins(10, 8)), projected)
    shells = valence_shells(dos)
    assert list(shells) == ["V 3d", "O 2p"]
    assert shells["V 3d"][Spin.up].tolist() == [3.0] * 101
    assert shells["V 3d"][Spin.down].tolist() == [2.0] * 101
    assert valence_shells(Dos(0.0, energies, spins(10, 8))) == {}
    made = document(HALF_METAL, 0.0).model_copy(update={"density_of_states": dos})
    plot_electronic(made, tmp_path / "bands.png")
    right = figures[0].axes[1]
    values = {line.get_label(): line.get_xdata()[0] for line in right.lines}
    assert (values["V 3d"], values["O 2p"]) == (3.0, 4.0)
    downs = [line.get_xdata()[0] for line in right.lines if line.get_xdata()[0] < 0]
    assert {-2.0, -3.0, -8.0} <= set(downs)
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert labels == ["spin up", "spin down", "V 3d", "O 2p"]
