"""Gradient of the predicted energy against finite differences, and the walk down it."""

from __future__ import annotations

import numpy as np
import pytest
from bare_model import bare_model

from atomate2_vogen.models.energy_descent import EnergyDescent


@pytest.fixture(scope="module")
def model(tiny):
    return bare_model(tiny)


@pytest.fixture(scope="module")
def start(model):
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(5, len(model.mean))).astype(np.float32)
    return latents, np.array([[2, 4], [1, 2], [4, 6], [2, 5], [3, 3]])


def test_gradient_is_that_of_finite_differences(model, start):
    latents, counts = start
    gradient = EnergyDescent(model, batch=4).gradient(latents, counts)
    assert gradient.shape == latents.shape
    rng = np.random.default_rng(1)
    for _ in range(6):
        direction = rng.normal(size=latents.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        step = 0.003
        up, down = (
            model.predict_energy((latents + s * direction).astype("f4"), counts)
            for s in (step, -step)
        )
        slope = (gradient * direction).sum(axis=1)
        assert slope == pytest.approx((up - down) / (2 * step), abs=0.03 * np.abs(slope).max())


def test_a_latents_gradient_does_not_depend_on_its_company(model, start):
    latents, counts = start
    descent = EnergyDescent(model, batch=4)
    every = descent.gradient(latents, counts)
    for i in range(len(latents)):
        alone = descent.gradient(latents[i : i + 1], counts[i : i + 1])
        assert alone[0] == pytest.approx(every[i], rel=1e-4, abs=1e-6)
    assert descent.gradient(latents[:0], counts[:0]).shape == (0, latents.shape[1])


def test_descent_lowers_every_energy_within_its_reach_and_leaves_the_model(model, start):
    latents, counts = start
    weights = [w.copy() for w in model.networks["energy"].get_weights()]
    untouched = latents.copy()
    descent = EnergyDescent(model, batch=3)
    before = model.predict_energy(latents, counts)
    reached = descent.descend(latents, counts, steps=4, length=0.3)
    assert (model.predict_energy(reached, counts) < before).all()
    moved = np.linalg.norm(reached - latents, axis=1)
    assert (moved <= 4 * 0.3 + 1e-5).all()
    assert (latents == untouched).all()
    for was, now in zip(weights, model.networks["energy"].get_weights(), strict=True):
        assert (was == now).all()
    assert (descent.descend(latents, counts, 0, 0.3) == latents).all()
