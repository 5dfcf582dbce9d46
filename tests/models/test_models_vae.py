"""The sites autoencoder: its convolutions against numpy and Keras, its precisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atomate2_vogen.models.networks import layers
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.hyperparameters import VAEPreset
from atomate2_vogen.models.networks.presets import PRESETS
from atomate2_vogen.models.networks.vae import VAE, build_decoder, build_encoder

SMALL = VAEPreset(
    grid=16,
    latent=6,
    patch=2,
    channels=(4, 8),
    periodic=True,
    circular_max=8,
    head=6,
    dropout=0.0,
    beta=0.5,
)


def boxes(preset, n=4):
    """Gaussians of the preset's width at random places."""
    from atomate2_vogen.voxels.sites import write_sites

    rng = np.random.default_rng(0)
    channels = np.array([0, 0, 1, 1, 1])
    return np.stack(
        [write_sites(rng.random((5, 3)), channels, preset.grid, preset.sigma) for _ in range(n)]
    ).clip(max=1.0)


def test_padded_convolution_is_the_sum_of_rolled_arrays():
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 4, 3)).astype("f4")
    conv = keras.layers.Conv3D(5, 3, use_bias=False)
    got = np.asarray(conv(layers.CircularPad3D(1, 1)(x)))
    kernel = np.asarray(conv.kernel)
    expected = np.zeros(got.shape)
    for i, j, k in np.ndindex(3, 3, 3):
        expected += np.roll(x, (1 - i, 1 - j, 1 - k), axis=(1, 2, 3)) @ kernel[i, j, k]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_doubling_is_a_transposed_convolution():
    """A 2³ convolution into 2³ channels, unfolded, is a transposed one of 4³ and stride 2."""
    n, c_in, c_out = 4, 3, 5
    x = np.random.default_rng(1).normal(size=(2, n, n, n, c_in)).astype("f4")
    conv = keras.layers.Conv3D(8 * c_out, 2, use_bias=False)
    padded = layers.CircularPad3D(1, 0)(x)
    got = np.asarray(layers.DepthToSpace3D(2)(conv(padded)))
    # tap t of the kernel reaches back by 1 - t voxels; phase p writes output voxel 2 i + p:
    # as one kernel, tap t and phase p are voxel 2 (1 - t) + p of 4
    kernel = np.asarray(conv.kernel).reshape(2, 2, 2, c_in, 2, 2, 2, c_out)[::-1, ::-1, ::-1]
    kernel = kernel.transpose(0, 4, 1, 5, 2, 6, 7, 3).reshape(4, 4, 4, c_out, c_in)
    transposed = keras.layers.Conv3DTranspose(c_out, 4, strides=2, use_bias=False)
    transposed.build((None, n + 1, n + 1, n + 1, c_in))
    transposed.set_weights([kernel])
    expected = np.asarray(transposed(padded))[:, 2 : 2 + 2 * n, 2 : 2 + 2 * n, 2 : 2 + 2 * n]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_decoding_of_a_periodic_grid_knows_no_border():
    """Rolling the coarsest map by one voxel rolls all that the decoder makes of it."""
    decoder = build_decoder(SMALL, 2, "sites")
    reshape = next(x for x in decoder.layers if isinstance(x, keras.layers.Reshape))
    after = keras.Model(reshape.output, decoder.output)
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 4, 8)).astype("f4")
    rolled = run(after, np.roll(x, (1, -1, 2), axis=(1, 2, 3)))[0]
    expected = np.roll(run(after, x)[0], (4, -4, 8), axis=(1, 2, 3))
    np.testing.assert_allclose(rolled, expected, atol=1e-4)


def test_training_in_the_folded_form_is_the_loss_of_the_grids():
    keras.utils.set_random_seed(0)
    vae, x = VAE(SMALL, 2, "sites"), boxes(SMALL)
    mean, log_variance = run(vae.encoder, x)
    logits = run(vae.decoder, mean)[0].astype(float)
    cross = (np.logaddexp(0, logits) - x * logits).sum(axis=(1, 2, 3, 4)).mean()
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1).mean()
    got = vae.compute_loss(x=x, y_pred=vae(x, training=False))
    assert float(got) == pytest.approx(cross + SMALL.beta * kl, rel=1e-5)


def pair(preset):
    """The same weights in single precision and in mixed precision."""
    single = VAE(replace(preset, precision="float32"), 2, "sites", seed=1)
    mixed = VAE(replace(preset, precision="mixed_bfloat16"), 2, "sites", seed=1)
    mixed.set_weights(single.get_weights())
    return single, mixed


def test_mixed_precision_changes_the_loss_by_less_than_a_percent():
    keras.utils.set_random_seed(0)
    x = boxes(SMALL, 8)
    losses = [float(vae.compute_loss(x=x, y_pred=vae(x, training=True))) for vae in pair(SMALL)]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]


def test_mixed_precision_keeps_weights_latents_and_output_single():
    _, mixed = pair(SMALL)
    assert {weight.dtype for weight in mixed.weights} <= {"float32", "uint32", "int64"}
    outputs = [*mixed.encoder.outputs, *mixed.decoder.outputs]
    assert {output.dtype for output in outputs} == {"float32"}
    inner = {layer.compute_dtype for layer in mixed.decoder.layers}
    assert inner == {"float32", "bfloat16"}


def test_mixed_precision_learns_as_single_does():
    keras.utils.set_random_seed(0)
    x = boxes(SMALL, 8)
    curves = []
    for vae in pair(SMALL):
        vae.compile(optimizer=keras.optimizers.Adam(2e-2), run_eagerly=True)
        curve = []
        for _ in range(8):
            curve.append(float(vae.train_on_batch(x, return_dict=True)["reconstruction"]))
            vae.reset_metrics()
        curves.append(curve)
    single, mixed = np.array(curves)
    assert single[-1] < 0.95 * single[0]
    np.testing.assert_allclose(mixed[1:], single[1:], rtol=0.05)


def test_weights_of_either_precision_fit_the_other():
    preset = PRESETS["paper"].sites
    assert preset.precision == "mixed_bfloat16"
    for build in (build_encoder, build_decoder):
        shapes = [
            [weight.shape for weight in build(replace(preset, precision=kind), 2, "sites").weights]
            for kind in ("float32", "mixed_bfloat16")
        ]
        assert shapes[0] == shapes[1]
