"""Frames: what they hold, their file, and every way in which it can be bad."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_potential import random_cell

from atomate2_vogen.errors import ArtefactError, NonFiniteError, SchemeMismatchError
from atomate2_vogen.potential.frames import Frame, Frames


def frame(seed, n_anion=3):
    rng = np.random.default_rng(seed)
    crystal = random_cell(seed, 2, n_anion)
    forces, stress = rng.normal(size=(len(crystal), 3)), rng.normal(size=(3, 3))
    return Frame(crystal, float(rng.normal(-8, 1)), forces, stress, f"random {seed}")


def content_of(frames, tmp_path):
    frames.save(tmp_path / "frames.npz")
    with np.load(tmp_path / "frames.npz") as archive:
        return {name: archive[name] for name in archive.files}


@settings(max_examples=10, deadline=None)
@given(seeds=st.lists(st.integers(0, 1000), max_size=4))
def test_round_trip(tmp_path_factory, seeds):
    path = tmp_path_factory.mktemp("frames") / "frames.npz"
    frames = Frames("scale", [frame(seed, 1 + seed % 4) for seed in seeds])
    frames.save(path)
    again = Frames.load(path)
    assert again.scheme == "scale"
    assert len(again) == len(frames)
    for one, other in zip(again.frames, frames.frames, strict=True):
        assert one.structure.species == other.structure.species
        np.testing.assert_allclose(
            one.structure.lattice.matrix, other.structure.lattice.matrix, atol=1e-5
        )
        np.testing.assert_allclose(
            one.structure.frac_coords, other.structure.frac_coords, atol=1e-6
        )
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-5)
        np.testing.assert_allclose(one.stress, other.stress, atol=1e-5)
        assert one.energy == pytest.approx(other.energy, abs=1e-5)
        assert one.source == other.source


@pytest.mark.parametrize("part", ["energy", "forces", "stress"])
def test_what_is_not_finite_is_named(part):
    good = frame(1)
    values = {"energy": good.energy, "forces": good.forces, "stress": good.stress}
    values[part] = values[part] * np.inf
    bad = Frame(good.structure, **values, source="from a bad run")
    assert good.is_finite
    assert not bad.is_finite
    with pytest.raises(NonFiniteError, match=r"frame 1 \(V2O3, from a bad run\) has NaN"):
        Frames("scale", [good, bad])


def test_frames_of_two_schemes_never_meet():
    one, other = Frames("one", [frame(1)]), Frames("other", [frame(2)])
    with pytest.raises(SchemeMismatchError, match="frames of other cannot join those of one"):
        one.joined(other)
    joined = one.joined(Frames("one", [frame(2)]))
    assert [len(joined), len(one)] == [2, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", np.array(9)),
        ("format", np.array(np.inf)),
        ("offsets", np.array([0, 5, 5])),
        ("offsets", np.array([0, 7, 11])),
        ("offsets", np.array([1, 5, 10])),
        ("energies", np.array([1.0])),
        ("energies", np.array([np.nan, 1.0])),
        ("energies", np.array(["a", "b"])),
        ("forces", np.zeros((10, 2))),
        ("forces", np.full((10, 3), np.inf)),
        ("stresses", np.zeros((3, 3, 3))),
        ("numbers", np.full(10, 999)),
        ("numbers", np.zeros((10, 2))),
        ("lattices", np.zeros((2, 3))),
        ("coords", np.zeros((3, 3))),
        ("sources", np.array("text")),
        ("scheme", None),
    ],
)
def test_a_changed_file(tmp_path, name, value):
    arrays = content_of(Frames("scale", [frame(1), frame(2)]), tmp_path)
    arrays[name] = value
    np.savez_compressed(
        tmp_path / "bad.npz", **{key: array for key, array in arrays.items() if array is not None}
    )
    with pytest.raises(ArtefactError, match=r"bad\.npz is no file of frames"):
        Frames.load(tmp_path / "bad.npz")


def test_damage_raises_nothing_else(tmp_path):
    frames = Frames("scale", [frame(1), frame(2)])
    frames.save(tmp_path / "frames.npz")
    content = (tmp_path / "frames.npz").read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(len(content), size=200).tolist():
        bad = bytearray(content)
        bad[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.npz").write_bytes(bad)
        with contextlib.suppress(ArtefactError):
            found = Frames.load(tmp_path / "bad.npz")
            assert [one.energy for one in found.frames] == pytest.approx(
                [one.energy for one in frames.frames], abs=1e-5
            )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtefactError, match=r"none\.npz"):
        Frames.load(tmp_path / "none.npz")
