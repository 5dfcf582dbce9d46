"""A β-VAE on voxel grids (paper section 2.4).

Encoder: 3D convolutions, some strided, batch norm, Leaky ReLU, dropout. Decoder: its mirror
image with transposed convolutions; around every 3³ convolution the map before it goes on too,
upsampled. The
output is a logit per voxel and the reconstruction term a cross-entropy summed over voxels:
with the squared error of the paper's eq. (1) the box stays blank while the loss falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atomate2_vogen.errors import InputError
from atomate2_vogen.models.backend import keras, run
from atomate2_vogen.models.layers import (
    CircularPad3D,
    ClampedLogVariance,
    DepthToSpace3D,
    Reparameterise,
    SpaceToDepth3D,
    VoxelNorm,
    cross_entropy,
    kl_divergence,
)
from atomate2_vogen.models.presets import VAEPreset

layers = keras.layers
ops = keras.ops

SLOPE = 0.2
"""Of the Leaky ReLU."""

NORM_MOMENTUM = 0.95
"""Of the moving averages of batch norm; short trainings need a quick one."""

BLANK_LOGIT = -5.0
"""Start of the output's bias: most voxels are empty."""


def activate(x: Any, dtype: str) -> Any:
    """Batch norm and Leaky ReLU of feature maps; what stands before needs no bias."""
    return _leak(VoxelNorm(momentum=NORM_MOMENTUM, dtype=dtype)(x), dtype)


def _leak(x: Any, dtype: str) -> Any:
    return layers.LeakyReLU(negative_slope=SLOPE, dtype=dtype)(x)


def _convolve(x: Any, preset: VAEPreset) -> Any:
    """3³ convolution, padded circularly where the preset says so."""
    padding = "same"
    if preset.periodic and x.shape[1] <= preset.circular_max:
        x, padding = CircularPad3D(1, 1, dtype=preset.precision)(x), "valid"
    return layers.Conv3D(x.shape[4], 3, padding=padding, use_bias=False, dtype=preset.precision)(x)


def _halve(x: Any, filters: int, preset: VAEPreset) -> Any:
    """Half the edge by a strided convolution; its windows do not overlap and need no padding."""
    return layers.Conv3D(filters, 2, strides=2, use_bias=False, dtype=preset.precision)(x)


def _double(maps: list[Any], filters: int, preset: VAEPreset) -> Any:
    """Twice the edge: the sum of the maps, each upsampled by a transposed convolution.

    One transposed convolution of all channels together is that sum.
    """
    x = layers.Concatenate(dtype=preset.precision)(maps) if len(maps) > 1 else maps[0]
    return layers.Conv3DTranspose(filters, 2, strides=2, use_bias=False, dtype=preset.precision)(x)


def _edges(preset: VAEPreset) -> tuple[int, int]:
    """Edge of the finest and of the coarsest level."""
    fine = preset.grid // preset.patch
    coarse = fine // 2 ** (len(preset.channels) - 1)
    if coarse < 2 or coarse * preset.patch * 2 ** (len(preset.channels) - 1) != preset.grid:
        raise InputError(
            f"a grid of {preset.grid} cannot be folded by {preset.patch} and halved "
            f"{len(preset.channels) - 1} times; change patch or channels"
        )
    return fine, coarse


def build_encoder(preset: VAEPreset, n_channels: int, name: str) -> Any:
    """Grid (N, N, N, C) -> mean (L,) and log-variance (L,), both float32."""
    _, coarse = _edges(preset)
    dtype = preset.precision
    inputs = keras.Input((*(preset.grid,) * 3, n_channels))
    x = SpaceToDepth3D(preset.patch, name="fold", dtype="float32")(inputs)
    x = _leak(layers.Conv3D(preset.channels[0], 1, dtype=dtype)(x), dtype)
    x = activate(_convolve(x, preset), dtype)
    for filters in preset.channels[1:]:
        x = activate(_halve(x, filters, preset), dtype)
        if x.shape[1] > coarse:  # the dense layers mix what the coarsest level holds
            x = activate(_convolve(x, preset), dtype)
    x = layers.Flatten(dtype="float32")(x)
    x = layers.Dropout(preset.dropout, dtype="float32")(x)
    mean = layers.Dense(preset.latent, name="mean", dtype="float32")(x)
    spread = layers.Dense(
        preset.latent, name="spread", kernel_initializer="zeros", dtype="float32"
    )(x)
    log_variance = ClampedLogVariance(dtype="float32")(spread)
    return keras.Model(inputs, [mean, log_variance], name=f"{name}_encoder")


def build_decoder(preset: VAEPreset, n_channels: int, name: str) -> Any:
    """Latent (L,) -> logits (N, N, N, C), float32."""
    _, coarse = _edges(preset)
    dtype = preset.precision
    inputs = keras.Input((preset.latent,))
    x = layers.Dense(coarse**3 * preset.channels[-1], use_bias=False, dtype="float32")(inputs)
    x = layers.BatchNormalization(momentum=NORM_MOMENTUM, dtype="float32")(x)
    x = _leak(x, "float32")
    x = layers.Reshape((*(coarse,) * 3, preset.channels[-1]), dtype=dtype)(x)
    maps = [x]
    for filters in reversed(preset.channels[:-1]):
        x = activate(_double(maps, filters, preset), dtype)
        maps = [activate(_convolve(x, preset), dtype), x]
    x = layers.Add(dtype=dtype)(maps)
    x = _leak(layers.Conv3D(preset.head, 1, dtype=dtype)(x), dtype)
    x = layers.Conv3D(
        preset.patch**3 * n_channels,
        1,
        bias_initializer=keras.initializers.Constant(BLANK_LOGIT),
        name="folded",
        dtype=dtype,
    )(x)
    x = DepthToSpace3D(preset.patch, dtype="float32")(x)
    return keras.Model(inputs, x, name=f"{name}_decoder")


class VAE(keras.Model):
    """Encoder, decoder and their loss: cross-entropy + β · Kullback-Leibler, both sums.

    Parameters
    ----------
    preset
        Sizes.
    n_channels
        Channels of the grid.
    name
        ``sites`` or ``lattice``.
    seed
        Of the latent noise; weights are drawn from Keras' global seed.
    """

    def __init__(self, preset: VAEPreset, n_channels: int, name: str, seed: int = 0) -> None:
        super().__init__(name=name)
        self.preset = preset
        self.encoder = build_encoder(preset, n_channels, name)
        self.decoder = build_decoder(preset, n_channels, name)
        # training stays in the folded form: moving 64³ voxels about costs as much as the loss
        self.fold = self.encoder.get_layer("fold")
        self.inner_encoder = keras.Model(self.fold.output, self.encoder.outputs)
        self.inner_decoder = keras.Model(
            self.decoder.inputs, self.decoder.get_layer("folded").output
        )
        self.sample = Reparameterise(seed, scale=1.0 + preset.latent_noise, dtype="float32")
        self.beta = keras.Variable(preset.beta, trainable=False, dtype="float32", name="beta")
        self.reconstruction_tracker = keras.metrics.Mean("reconstruction")
        self.kl_tracker = keras.metrics.Mean("kl")
        self.build((None, *(preset.grid,) * 3, n_channels))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Nothing is left to build: both networks are."""
        del input_shape
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any, Any]:
        """Folded logits, mean and log-variance; only training samples the latent."""
        mean, log_variance = self.inner_encoder(self.fold(inputs), training=training)
        latent = self.sample((mean, log_variance)) if training else mean
        return self.inner_decoder(latent, training=training), mean, log_variance

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Mean over the batch of cross-entropy + β · KL."""
        del y, sample_weight, training
        logits, mean, log_variance = y_pred
        reconstruction = ops.mean(cross_entropy(self.fold(x), logits))
        divergence = ops.mean(kl_divergence(mean, log_variance))
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(divergence)
        return reconstruction + self.beta * divergence

    def encode(self, grids: np.ndarray, batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log-variance, (B, L) each, of grids (B, N, N, N, C)."""
        parts = [run(self.encoder, grids[i : i + batch]) for i in range(0, len(grids), batch)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def decode(self, latents: np.ndarray, batch: int = 64) -> np.ndarray:
        """Grids (B, N, N, N, C) of occupancies in [0, 1] of latents (B, L)."""
        parts = [
            run(self.decoder, latents[i : i + batch])[0] for i in range(0, len(latents), batch)
        ]
        # tanh never overflows, unlike exp
        return 0.5 + 0.5 * np.tanh(0.5 * np.concatenate(parts))
