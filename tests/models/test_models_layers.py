"""Layers and losses against numpy, scipy and closed forms."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from scipy.integrate import quad
from scipy.stats import norm

from atomate2_vogen.models.networks import layers
from atomate2_vogen.models.networks.backend import keras

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


def gradient(function, inputs):
    """Gradient of the sum of a function's answer, by the backend that runs."""
    tf = pytest.importorskip("tensorflow")
    x = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        answer = function(x)
    return np.asarray(tape.gradient(answer, x))


def test_gradient_of_the_cross_entropy_is_share_minus_target():
    logits = RNG.normal(0, 6, (2, 2, 3, 2, 2)).astype("f4")
    targets = RNG.random(logits.shape).astype("f4")
    weights = np.array([1.0, -2.0], "f4")
    got = gradient(lambda x: layers.cross_entropy(targets, x) * weights, logits)
    expected = (1 / (1 + np.exp(-logits.astype(float))) - targets) * weights.reshape(2, 1, 1, 1, 1)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("size", [-1e4, -100.0, -30.0, 0.0, 30.0, 100.0, 1e4])
def test_cross_entropy_of_any_logit(size):
    logits = np.full((1, 1, 1, 1, 2), size, "f4")
    targets = np.array([0.0, 1.0], "f4").reshape(logits.shape)
    limited = max(size, layers.LOWEST_LOGIT)
    expected = np.logaddexp(0, limited) + np.logaddexp(0, -limited)
    assert float(layers.cross_entropy(targets, logits)[0]) == pytest.approx(expected, rel=1e-6)


def norms(channels, **kwargs):
    """`VoxelNorm` and Keras' layer with the same weights, none of them trivial."""
    ours = layers.VoxelNorm(momentum=0.9, **kwargs)
    theirs = keras.layers.BatchNormalization(momentum=0.9)
    weights = RNG.normal(1, 0.3, (4, channels)).astype("f4") ** 2
    for layer in (ours, theirs):
        layer.build((None, 2, 2, 2, channels))
        layer.set_weights(weights)
    return ours, theirs


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    hnp.array_shapes(min_dims=5, max_dims=5, min_side=1, max_side=5).filter(
        lambda shape: np.prod(shape[:4]) > 1
    ),
    st.integers(0, 1000),
    st.floats(-3, 3),
)
def test_voxel_norm_is_keras_batch_norm(shape, seed, shift):
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, rng.uniform(0.5, 2), shape).astype("f4")
    upstream = rng.normal(size=shape).astype("f4")
    ours, theirs = norms(shape[-1])
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-4)
    for training in (True, False):
        got, expected = (
            gradient(
                lambda v, layer=layer, training=training: layer(v, training=training) * upstream, x
            )
            for layer in (ours, theirs)
        )
        np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max() + 1e-5)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-3)


def test_voxel_norm_learns_scale_and_shift_as_keras_does():
    tf = pytest.importorskip("tensorflow")
    x, upstream = RNG.normal(1, 2, (2, 3, 4, 3, 4, 5)).astype("f4")
    answers = []
    for layer in norms(5):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=True) * upstream)
        answers.append(tape.gradient(loss, layer.trainable_weights))
    for mine, other in zip(*answers, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)


def test_voxel_norm_keeps_statistics_in_single_precision():
    x = RNG.normal(3, 1, (4, 8, 8, 8, 6)).astype("f4")
    layer, reference = norms(6, dtype="mixed_bfloat16")
    answer = layer(x, training=True)
    assert keras.backend.standardize_dtype(answer.dtype) == "bfloat16"
    expected = np.asarray(reference(x, training=True))
    np.testing.assert_allclose(np.asarray(answer, "f4"), expected, atol=0.2)
    for mine, other in zip(layer.weights, reference.weights, strict=True):
        assert mine.dtype == "float32"
        # a variance of 1 beside a mean of 3, from numbers of 8 bits
        np.testing.assert_allclose(mine, other, rtol=0.02)
    again = layers.VoxelNorm.from_config(layer.get_config())
    assert (again.momentum, again.epsilon) == (layer.momentum, layer.epsilon)


@pytest.mark.parametrize(
    "layer",
    [
        layers.CircularPad3D(1, 1, dtype="mixed_bfloat16"),
        layers.SpaceToDepth3D(2, dtype="mixed_bfloat16"),
        layers.DepthToSpace3D(2, dtype="mixed_bfloat16"),
        layers.VoxelNorm(dtype="mixed_bfloat16"),
    ],
)
def test_layers_run_in_bfloat16(layer):
    answer = layer(np.zeros((1, 4, 4, 4, 8), "f4"))
    assert keras.backend.standardize_dtype(answer.dtype) == "bfloat16"


def test_latents_stay_single_precision():
    sample = layers.Reparameterise(dtype="float32")
    clamp = layers.ClampedLogVariance(dtype="float32")
    half = keras.ops.zeros((2, 3), dtype="bfloat16")
    assert keras.backend.standardize_dtype(sample((half, half)).dtype) == "float32"
    assert keras.backend.standardize_dtype(clamp(half).dtype) == "float32"
