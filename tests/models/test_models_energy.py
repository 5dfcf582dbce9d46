"""Scale of the energy target and the composition-only baseline."""

from __future__ import annotations

import numpy as np
import pytest

from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.energy import EnergyScale, composition_baseline

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
    standard = (target - scale.mean) / scale.width
    assert standard.mean() == pytest.approx(0, abs=1e-9)
    assert standard.std() == pytest.approx(1)


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
