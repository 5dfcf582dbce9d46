"""Scale of the energy target and the composition-only baseline."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.energy import (
    EnergyScale,
    composition_baseline,
    masked_huber,
    target_mae,
)

RNG = np.random.default_rng(0)
COUNTS = np.stack([RNG.integers(1, 8, 400), RNG.integers(1, 12, 400)], axis=1)
SHARE = COUNTS[:, 0] / COUNTS.sum(axis=1)


def test_line_survives_outliers():
    energies = -7 - 2.5 * SHARE + RNG.normal(0, 0.05, 400)
    energies[:30] += 40
    scale = EnergyScale.fit(energies, COUNTS)
    assert scale.intercept == pytest.approx(-7, abs=0.15)
    assert scale.slope == pytest.approx(-2.5, abs=0.3)
    target = scale.target(energies, COUNTS)
    # the outliers are beyond the 95 % quantile, which the rest decides together with them
    assert target[:30].max() == scale.high
    assert scale.target(np.array([1e6]), COUNTS[:1])[0] == scale.high
    assert scale.target(np.array([-1e6]), COUNTS[:1])[0] == scale.low
    standard = scale.standard(target, COUNTS)
    # what is left has hardly a mean at any composition, and the unit is its spread
    assert standard.mean() == pytest.approx(0, abs=0.05)
    assert standard.std() == pytest.approx(1)
    np.testing.assert_allclose(scale.above_line(standard, COUNTS), target, atol=1e-12)


def test_network_learns_what_composition_does_not_tell():
    # a curve over composition, as formation energies have, and a spread of its own
    curve = -2 * SHARE * (1 - SHARE)
    energies = curve + RNG.normal(0, 0.05, 400)
    scale = EnergyScale.fit(energies, COUNTS)
    said = scale.above_line(np.zeros(400), COUNTS) + scale.line(COUNTS)
    assert np.abs(said - curve)[(SHARE > 0.2) & (SHARE < 0.8)].max() < 0.05
    assert scale.width == pytest.approx(0.05, abs=0.02)
    assert np.abs(energies - scale.line(COUNTS)).std() > 1.3 * scale.width


def test_plain_values_come_back():
    scale = EnergyScale.fit(RNG.normal(-8, 1, 400), COUNTS)
    values = scale.as_dict()
    assert EnergyScale.from_dict(json.loads(json.dumps(values))) == scale
    with pytest.raises(ValueError, match="0 means"):
        EnergyScale.from_dict({k: v for k, v in values.items() if k != "means"})
    with pytest.raises(TypeError):
        EnergyScale.from_dict(values | {"mean": 0.0})
    assert scale.is_finite
    assert not replace(scale, means=(float("nan"), *scale.means[1:])).is_finite


def test_one_composition_and_too_few_labels():
    same = np.tile([[2, 4]], (50, 1))
    scale = EnergyScale.fit(RNG.normal(-8, 1, 50), same)
    assert np.ptp(scale.line(same)) == 0
    with pytest.raises(TrainingError, match="19 crystals"):
        EnergyScale.fit(np.zeros(19), COUNTS[:19])


def test_baseline_is_the_mean_per_share():
    counts = np.array([[1, 2], [2, 4], [1, 1], [2, 3]])
    targets = np.array([1.0, 3.0, 10.0, 20.0])
    asked = np.array([[3, 6], [4, 4], [10, 11]])
    # one to two: mean of 1 and 3; equal: 10; the last is nearest to equal
    np.testing.assert_allclose(composition_baseline(targets, counts, asked), [2, 10, 10])


def test_loss_is_hubers_where_targets_are_known():
    truth = np.array([[0.0, np.nan], [1.0, 2.0], [np.nan, -1.0]], dtype="f4")
    found = np.array([[0.5, 9.0], [4.0, 2.0], [7.0, -1.2]], dtype="f4")
    # by hand: 0.5²/2; 3 - 0.5 and 0; 0.2²/2 - four of six are known
    expected = (0.125 + 2.5 + 0.0 + 0.02) / 4
    assert float(np.mean(masked_huber(truth, found))) == pytest.approx(expected, rel=1e-5)
    assert float(target_mae(truth, found)) == pytest.approx((0.5 + 3.0) / 2)
    nothing = np.full((2, 2), np.nan, dtype="f4")
    assert float(np.mean(masked_huber(nothing, found[:2]))) == 0
    assert float(target_mae(nothing, found[:2])) == 0


def test_unknown_targets_send_no_gradient():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    network.compile(optimizer=keras.optimizers.SGD(0.1), loss=masked_huber, jit_compile=False)
    before = network.get_weights()[0].copy()
    inputs = np.ones((4, 3), "f4")
    truth = np.stack([np.full(4, np.nan), np.full(4, 0.3)], axis=1).astype("f4")
    network.train_on_batch(inputs, truth)
    after = network.get_weights()[0]
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert (after[:, 1] != before[:, 1]).all()
