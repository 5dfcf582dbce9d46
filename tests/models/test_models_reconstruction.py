"""Reconstruction on a mirror that loses nothing, on spoilt mirrors, and on bad input."""

from __future__ import annotations

import numpy as np
import pytest
from bare_model import MirrorModel, bare_model
from pymatgen.core import Lattice, Structure

from atomate2_vogen.errors import (
    ElementError,
    GridError,
    InputError,
    NonFiniteError,
    OverlapError,
)
from atomate2_vogen.models.reconstruction import (
    encode_grids,
    prepare,
    reconstruct,
    summarise_reconstruction,
)

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.554, 2.857), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
CORUNDUM = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.3463], [0.3116, 0, 0.25]]
)
CRYSTALS = {"rutile": RUTILE, "rock salt": ROCK_SALT, "corundum": CORUNDUM}


def test_a_mirror_gives_everything_back():
    found = list(reconstruct(MirrorModel(), CRYSTALS))
    assert [r.name for r in found] == list(CRYSTALS)
    # primitive cells, whatever was given
    assert [r.natoms for r in found] == [6, 2, 10]
    for r in found:
        assert r.error is None
        assert r.exact
        assert r.match
        assert r.default_match
        assert r.rmsd < 0.02
        assert r.displacement < 0.02
        assert r.length_error < 0.01
        assert r.angle_error < 0.2
        assert r.decoded.composition == r.truth.composition


def test_errors_are_those_that_were_made():
    """A sites box shifted by one voxel along a, and the cell of another crystal."""
    model = MirrorModel()
    cut = int(np.prod(model.codec.sites_shape))
    longer = model.codec.encode_lattice(
        prepare(model, RUTILE).lattice.matrix @ np.diag([1.0, 1.0, 1.0]) * 1.1
    )

    def spoil(latents):
        sites = latents[:, :cut].reshape(-1, *model.codec.sites_shape)
        latents[:, :cut] = np.roll(sites, 1, axis=1).reshape(len(latents), -1)
        latents[:, cut:] = longer.reshape(-1)
        return latents

    (r,) = reconstruct(MirrorModel(spoil), {"rutile": RUTILE})
    edge = r.truth.lattice.a / 32
    assert r.displacement == pytest.approx(edge, abs=0.005)
    assert r.length_error == pytest.approx(0.1 * np.mean(r.truth.lattice.abc), abs=0.02)
    # the matcher takes the shift out, and its default scales volumes
    assert r.match
    assert r.exact


def test_blank_and_wrong_boxes():
    model = MirrorModel()
    cut = int(np.prod(model.codec.sites_shape))

    def blank(latents):
        latents[:, :cut] = 0
        return latents

    (r,) = reconstruct(MirrorModel(blank), {"rutile": RUTILE})
    assert (r.exact, r.match, r.rmsd, r.displacement, r.decoded) == (False, False, None, None, None)
    assert r.error
    assert r.length_error < 0.01

    def no_cell(latents):
        latents[:, cut:] = 0
        return latents

    (r,) = reconstruct(MirrorModel(no_cell), {"rutile": RUTILE})
    assert r.exact
    assert not r.match
    assert r.length_error is None
    assert r.displacement < 0.02

    def no_anions(latents):
        latents[:, 1:cut:2] = 0
        return latents

    (r,) = reconstruct(MirrorModel(no_anions), {"rutile": RUTILE})
    assert not r.exact
    assert not r.match
    assert r.displacement is None


def test_summary_counts_by_size():
    model = MirrorModel()
    cut = int(np.prod(model.codec.sites_shape))

    def spoil_first(latents):
        latents[0, :cut] = 0
        return latents

    found = list(reconstruct(MirrorModel(spoil_first), CRYSTALS))
    summary = summarise_reconstruction(found)
    assert list(summary) == ["1-8 atoms", "9-14 atoms", "all"]
    assert summary["1-8 atoms"]["n"] == 2
    assert summary["1-8 atoms"]["exact_composition"] == 0.5
    assert summary["9-14 atoms"]["match"] == 1
    assert summary["all"]["match"] == pytest.approx(2 / 3)
    assert summary["all"]["median_displacement"] < 0.02
    assert summarise_reconstruction([]) == {}


def test_a_real_model_of_random_weights_reads_nothing_but_runs(tiny):
    (r,) = reconstruct(bare_model(tiny), {"rutile": RUTILE})
    assert r.error or not r.match
    assert r.row()["natoms"] == 6


def test_bad_crystals_are_named():
    model = MirrorModel()
    bad = RUTILE.copy()
    bad.replace(0, "Fe")
    with pytest.raises(ElementError, match=r"^iron: .*Fe"):
        list(reconstruct(model, {"rutile": RUTILE, "iron": bad}))
    close = Structure(
        Lattice.cubic(4), ["V", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.6]]
    )
    with pytest.raises(OverlapError, match=r"^close: "):
        prepare(model, close, "close")
    rng = np.random.default_rng(0)
    grid = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)]) / 3
    large = Structure(
        Lattice.cubic(9), ["V"] * 9 + ["O"] * 18, grid + rng.normal(0, 0.01, grid.shape)
    )
    with pytest.raises(GridError, match=r"^large: .*27 atoms.*20"):
        prepare(model, large, "large")
    lost = RUTILE.copy()
    lost.translate_sites([0], [np.nan, 0, 0], to_unit_cell=False)
    with pytest.raises(NonFiniteError, match=r"^lost: "):
        prepare(model, lost, "lost")
    long = Structure(Lattice.orthorhombic(2.9, 2.9, 31), ["V", "O"], [[0, 0, 0], [0, 0, 0.5]])
    with pytest.raises(GridError, match=r"^long: "):
        prepare(model, long, "long")


def test_bad_grids_and_latents_are_named(tiny):
    model = bare_model(tiny)
    sites = np.zeros((2, *model.codec.sites_shape), np.float32)
    lattices = np.zeros((2, *model.codec.lattice_shape), np.float32)
    assert encode_grids(model, sites, lattices).shape == (2, len(model.mean))
    with pytest.raises(GridError, match="sites grids have shape"):
        encode_grids(model, sites[..., :1], lattices)
    with pytest.raises(GridError, match="lattice grids have shape"):
        encode_grids(model, sites, lattices[:, :8])
    with pytest.raises(GridError, match="2 sites grids but 1"):
        encode_grids(model, sites, lattices[:1])
    sites[1, 0, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"^b: its sites grid"):
        encode_grids(model, sites, lattices, ["a", "b"])
    with pytest.raises(InputError, match="latents have shape"):
        model.decode(np.zeros((1, 3)))
    with pytest.raises(InputError, match="NaN"):
        model.decode(np.full((1, len(model.mean)), np.nan))


def test_a_network_that_gives_nan_is_found_out():
    model = MirrorModel()
    model.encode = lambda sites, lattices: np.full((len(sites), 4), np.nan)
    with pytest.raises(NonFiniteError, match=r"^rutile: its latent"):
        list(reconstruct(model, {"rutile": RUTILE}))
