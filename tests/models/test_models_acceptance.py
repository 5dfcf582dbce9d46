"""The acceptance network: what it learns from, and what it then tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bare_model import bare_model
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.models.networks.acceptance import share_of_likeliest
from atomate2_vogen.models.networks.hyperparameters import AcceptancePreset
from atomate2_vogen.models.projection import is_sound
from atomate2_vogen.models.training import acceptance
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.voxels.codec import VoxelCodec


def drawing(tiny, latents):
    return bare_model(replace(tiny, acceptance=replace(tiny.acceptance, latents=latents)))


def test_a_box_is_sound_if_it_holds_the_atoms_asked_for_and_these_apart():
    codec = VoxelCodec(VANADIUM, n_sites=32, n_lattice=16)

    def grids(a):
        sites = [[0, 0, 0], [0.3, 0.3, 0]]
        return codec.encode(
            Structure.from_spacegroup("P4_2/mnm", Lattice.tetragonal(a, 2.9), ["V", "O"], sites)
        )

    sites, lattice = grids(4.6)
    assert is_sound(codec, sites, lattice, (2, 4))
    assert not is_sound(codec, sites, lattice, (2, 3))
    assert not is_sound(codec, sites, np.zeros_like(lattice), (2, 4))
    assert not is_sound(codec, np.zeros_like(sites), lattice, (2, 4))
    assert not is_sound(codec, *grids(3.2), (2, 4))


def test_draws_are_of_the_target_formulas_and_go_on_where_they_were_cut_off(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(acceptance, "PART", 8)
    model, decoded = drawing(tiny, 20), []

    def some(model, latents, counts):
        decoded.append(len(latents))
        return (latents[:, 0] > 0).astype(np.uint8)

    monkeypatch.setattr(acceptance, "_outcomes", some)
    latents, counts, sound = acceptance.draw_outcomes(model, 3)
    assert decoded == [8, 8, 4]
    assert latents.shape == (20, tiny.sites.latent + tiny.lattice.latent)
    formulas = {VANADIUM.reduced_formula(f"V{metal}O{anion}") for metal, anion in counts}
    assert formulas == set(VANADIUM.target_formulas)
    np.testing.assert_array_equal(sound, latents[:, 0] > 0)

    path, decoded[:] = tmp_path / "draws.npz", []

    def killed(stage, done, total, figures):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        acceptance.draw_outcomes(model, 3, killed, Checkpoint(path, {"of": "a"}))
    again = acceptance.draw_outcomes(model, 3, None, Checkpoint(path, {"of": "a"}))
    assert decoded == [8, 8, 4]  # none twice
    for first, second in zip((latents, counts, sound), again, strict=True):
        np.testing.assert_array_equal(first, second)
    with pytest.raises(OutputFolderError, match="another training"):
        acceptance.draw_outcomes(model, 3, None, Checkpoint(path, {"of": "b"}))


def test_outcomes_are_those_of_the_sampler(trained):
    """What is learned is what the sampler's own reading says of the same latents."""
    from atomate2_vogen.samplers.wgan import WGANSampler

    model = trained.model
    sampler = WGANSampler(model, preselect=1, min_atoms=1, max_attempts=64)
    made = []
    generate = model.generate
    try:
        model.generate = lambda *args: made.append((args[0], generate(*args))) or made[-1][1].copy()
        attempts = list(sampler._outcomes("VO2", 1, 5))
    finally:
        del model.generate
    (counts, latents), *_ = made
    names = [str(getattr(outcome, "reason", "sound")) for outcome in attempts]
    expected = [name in {"sound", "duplicate"} for name in names]
    assert acceptance._outcomes(model, latents, counts).tolist() == expected


def test_network_learns_what_decides(tiny):
    """Outcomes that one direction of the latent decides, by size in opposite senses."""
    model = drawing(tiny, 2)
    preset = AcceptancePreset(width=32, steps=40, epochs=10, dropout=0.0, learning_rate=5e-3)
    model.preset = replace(tiny, acceptance=preset)
    rng = np.random.default_rng(0)
    counts = np.array([[2, 4], [4, 8]])[rng.integers(2, size=1600)]
    latents = rng.standard_normal((1600, len(model.mean))).astype("f4")
    sign = np.where(counts[:, 0] == 2, 1.0, -1.0)
    sound = (sign * latents[:, 1] > 0.8).astype(np.uint8)
    network, history, metrics = acceptance.fit_acceptance(model, (latents, counts, sound), 0)
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert metrics["acceptance_n"] == 200
    assert 0.12 < metrics["acceptance_share"] < 0.32  # 0.21 of a normal
    assert metrics["acceptance_share_of_likeliest"] > 0.8
    told = model.with_networks({"acceptance": network})
    odds = told.predict_acceptance(latents[:, :], counts)
    assert odds[sound == 1].mean() > odds[sound == 0].mean() + 2
    assert told.networks["generator"] is model.networks["generator"]


def test_share_of_the_likeliest_is_taken_within_each_size():
    counts = np.repeat([[2, 4], [4, 8]], 16, axis=0)
    logits = np.r_[np.arange(16), 100 + np.arange(16)]
    sound = np.zeros(32)
    sound[[14, 30, 31]] = 1  # one of the two likeliest of the first size, both of the second
    assert share_of_likeliest(logits, counts, sound) == 0.75
