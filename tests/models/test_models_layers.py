"""Layers and losses against numpy, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from atomate2_vogen.models import layers
from atomate2_vogen.models.backend import keras

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 0), (2, 3), (0, 1)])
def test_circular_padding_is_numpys_wrap(before, after):
    x = RNG.normal(size=(2, 4, 4, 4, 3)).astype("f4")
    pads = ((0, 0), *((before, after),) * 3, (0, 0))
    layer = layers.CircularPad3D(before, after)
    np.testing.assert_array_equal(layer(x), np.pad(x, pads, mode="wrap"))
    assert layer.compute_output_shape(x.shape) == tuple(layer(x).shape)


def test_folding_is_a_permutation_that_unfolds():
    x = RNG.normal(size=(2, 8, 8, 8, 3)).astype("f4")
    folded = np.asarray(layers.SpaceToDepth3D(4)(x))
    assert folded.shape == (2, 2, 2, 2, 192)
    # a cube of the grid ends up in one cell
    np.testing.assert_array_equal(
        np.sort(folded[1, 0, 1, 1]), np.sort(x[1, :4, 4:, 4:].reshape(-1))
    )
    np.testing.assert_array_equal(layers.DepthToSpace3D(4)(folded), x)


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (0.7, -1.3), (-2.0, 1.1)])
def test_kl_is_the_integral(mean, log_variance):
    deviation = np.exp(0.5 * log_variance)

    def integrand(x):
        p = norm(mean, deviation)
        return p.pdf(x) * (p.logpdf(x) - norm.logpdf(x))

    expected, _ = quad(integrand, mean - 12 * deviation, mean + 12 * deviation)
    # two independent dimensions: twice as much, for a sum and not for a mean
    got = layers.kl_divergence(np.full((1, 2), mean, "f4"), np.full((1, 2), log_variance, "f4"))
    assert float(got[0]) == pytest.approx(2 * expected, rel=1e-4, abs=1e-6)


def test_cross_entropy_is_the_closed_form_summed_over_voxels():
    logits = RNG.normal(0, 4, (3, 2, 2, 2, 2)).astype("f4")
    targets = RNG.random((3, 2, 2, 2, 2)).astype("f4")
    p = 1 / (1 + np.exp(-logits.astype(float)))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).reshape(3, -1).sum(1)
    np.testing.assert_allclose(layers.cross_entropy(targets, logits), expected, rtol=1e-5)
    extreme = np.full((1, 2, 2, 2, 2), 300, "f4")
    assert np.isfinite(np.asarray(layers.cross_entropy(extreme * 0, extreme))).all()


def test_samples_have_the_posteriors_moments():
    mean, log_variance = np.full((4000, 2), 1.5, "f4"), np.full((4000, 2), -2.0, "f4")
    sample = np.asarray(layers.Reparameterise(seed=1, scale=2.0)((mean, log_variance)))
    assert sample.mean() == pytest.approx(1.5, abs=0.03)
    assert sample.std() == pytest.approx(2 * np.exp(-1.0), rel=0.03)


def test_log_variance_starts_low_and_stays_bounded():
    clamp = layers.ClampedLogVariance()
    values = np.asarray(clamp(np.array([0.0, 1e9, -1e9], "f4")))
    np.testing.assert_allclose(
        values, [layers.LOG_VARIANCE_START, *layers.LOG_VARIANCE_RANGE[::-1]]
    )


def test_clipping():
    clip = layers.ClipWeights(0.1)
    np.testing.assert_allclose(clip(np.array([-1, 0.05, 1], "f4")), [-0.1, 0.05, 0.1])
    assert clip.get_config() == {"limit": 0.1}
    layer = keras.layers.Dense(2, kernel_constraint=clip)
    layer.build((None, 3))
    assert layer.kernel.constraint is clip
