"""The generator's memory against a lookup by hand, and the box error against counted boxes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import eager

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.backend import run
from atomate2_vogen.models.networks.inputs import condition_length, conditions
from atomate2_vogen.models.networks.memory import UNUSED, LatentMemory, box_error, choose_entries
from atomate2_vogen.models.networks.wgan import Boxes, build_generator
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.pipeline import train_wgan
from atomate2_vogen.models.training.trained_stage import stages_of
from atomate2_vogen.voxels.sites import write_sites

COUNTS = np.array([[2, 4], [2, 4], [2, 4], [4, 6], [4, 6], [2, 5]], dtype=float)
COSTS = np.array([0.0, 1.5, 0.3, 2.0, 0.0, 0.0])


@pytest.fixture
def latents():
    return np.random.default_rng(0).standard_normal((len(COUNTS), 7)).astype(np.float32)


def _memory(latents, entries=8, sharpness=4.0, costs=COSTS):
    memory = LatentMemory(entries, latents.shape[1], sharpness)
    memory.build(((None, 5), (None, condition_length(VANADIUM))))
    memory.fill(latents, COUNTS, costs)
    return memory


def test_lookup_is_attention_over_entries_with_the_counts_asked_for(latents):
    memory = _memory(latents)
    rng = np.random.default_rng(1)
    query = rng.standard_normal((9, 5)).astype(np.float32)
    asked = COUNTS[rng.integers(0, len(COUNTS), 9)]
    keys = np.asarray(memory.keys)
    found = run(memory, (query, conditions(asked, VANADIUM)))[0]
    for row, (q, counts) in enumerate(zip(query, asked, strict=True)):
        members = np.flatnonzero((counts == COUNTS).all(axis=1))
        logits = keys[members] @ q * 4.0 / np.sqrt(5) - COSTS[members]
        weights = np.exp(logits - logits.max())
        expected = weights / weights.sum() @ latents[members]
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


def test_a_sharp_memory_gives_back_one_entry(latents):
    memory = _memory(latents, sharpness=1e4)
    query = np.random.default_rng(2).standard_normal((20, 5)).astype(np.float32)
    found = run(memory, (query, conditions(np.tile([2, 4], (20, 1)), VANADIUM)))[0]
    nearest = np.abs(found[:, None] - latents[None, :3]).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-3


@pytest.mark.parametrize("n", [0, 9])
def test_a_memory_refuses_what_it_has_no_room_for(latents, n):
    memory = _memory(latents)
    with pytest.raises(InputError, match=f"{n} latents for a memory of 8"):
        memory.fill(np.zeros((n, 7), np.float32), np.zeros((n, 2)), np.zeros(n))


def test_target_formulas_are_stored_first():
    formulas = np.array(["a"] * 30 + ["b"] * 5 + ["c"] * 5)
    even = np.zeros(40)
    chosen = choose_entries(formulas, ("b", "c"), 12, 0, even)
    assert np.isin(np.arange(30, 40), chosen).all()
    assert len(chosen) == 12
    assert (choose_entries(formulas, ("b",), 100, 0, even) == np.arange(40)).all()
    assert (choose_entries(formulas, ("b", "c"), 12, 0, even) == chosen).all()


def test_costly_crystals_are_seldom_stored():
    formulas, costs = np.array(["a"] * 20), np.repeat([0.0, np.log(4.0)], 10)
    first = [choose_entries(formulas, ("a",), 1, seed, costs)[0] for seed in range(400)]
    # one draw: each of the first ten is four times as likely as each of the last
    assert np.mean(np.array(first) < 10) == pytest.approx(0.8, abs=0.06)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1.0, 1.5]))
def test_a_voxelised_box_has_no_error_and_a_blurred_one_has(n_metal, n_anion, sigma):
    n = 32
    # corners and centres of a coarse mesh: no two Gaussians overlap
    mesh = np.array([(x, y, z) for x in (0.1, 0.6) for y in (0.2, 0.7) for z in (0.05, 0.55)])
    coords = mesh[: n_metal + n_anion]
    channels = np.repeat([0, 1], [n_metal, n_anion])
    grid = write_sites(coords, channels, n, sigma)[None]
    counts = np.array([[n_metal, n_anion]], np.float32)
    assert float(np.asarray(box_error(grid, counts, sigma))[0]) < 1e-3 * (n_metal + n_anion)
    # half the height everywhere: half the atoms in the first sum, a quarter in the second
    expected = (0.5 + 0.75) * (n_metal + n_anion)
    assert float(np.asarray(box_error(grid / 2, counts, sigma))[0]) == pytest.approx(
        expected, rel=1e-3
    )
    missing = write_sites(coords[:-1], channels[:-1], n, sigma)[None]
    assert float(np.asarray(box_error(missing, counts, sigma))[0]) == pytest.approx(2, rel=1e-2)


def test_boxes_undo_the_standardisation(tiny):
    seen = []

    def decoder(latents, *, training):
        assert training is False
        seen.append(np.asarray(latents))
        return np.full((len(latents), 16, 16, 16, 2), -30.0, np.float32)

    mean, width = np.arange(3.0), np.array([1.0, 2.0, 3.0])
    boxes = Boxes(decoder, mean, width, sigma=1.0, weight=1.0)
    latents = np.random.default_rng(3).standard_normal((2, 5)).astype(np.float32)
    asked = np.array([[2, 4], [4, 6]])
    error = np.asarray(boxes.error(latents, conditions(asked, VANADIUM)))
    np.testing.assert_allclose(seen[0], latents[:, :3] * width + mean, rtol=1e-6)
    # empty boxes lack every atom, in both sums
    np.testing.assert_allclose(error, 2 * asked.sum(axis=1), rtol=1e-5)


def test_a_generator_with_a_memory_stays_near_its_entries(tiny):
    preset = dataclasses.replace(tiny.wgan, memory=8, sharpness=1e4, remainder=0.0)
    generator = build_generator(preset, 30, condition_length(VANADIUM))
    latents = np.random.default_rng(4).standard_normal((3, 30)).astype(np.float32)
    asked = np.array([[2, 4], [4, 6], [2, 5]])
    generator.get_layer("memory").fill(latents, asked.astype(np.float32), np.zeros(3))
    noise = np.random.default_rng(5).standard_normal((3, preset.noise)).astype(np.float32)
    made = run(generator, [noise, conditions(asked, VANADIUM)])[0]
    np.testing.assert_allclose(made, latents, atol=0.05)


@pytest.mark.slow
def test_training_with_memory_and_boxes_survives_its_file(tiny, crystals, trained):
    wgan = dataclasses.replace(tiny.wgan, memory=40, box_weight=0.1)
    preset = dataclasses.replace(tiny, wgan=wgan)
    vae, energy = stages_of(trained.model)
    vae = dataclasses.replace(vae, metrics={"n_train": trained.metrics["n_train"]})
    with eager():
        result = train_wgan(crystals, preset, seed=3, vae=vae, energy=energy)
    assert all(np.isfinite(result.history["wgan"]["box"]))
    copy = TrainedModel.from_bytes(result.model.to_bytes())
    asked = np.tile([2, 4], (5, 1))
    first, second = (
        model.generate(asked, np.random.default_rng(6)) for model in (result.model, copy)
    )
    np.testing.assert_array_equal(first, second)
    memory = copy.networks["generator"].get_layer("memory")
    stored = np.asarray(memory.counts)
    assert (stored < UNUSED).all(axis=1).sum() == min(40, result.metrics["n_train"])
