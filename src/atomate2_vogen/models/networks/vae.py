"""A β-VAE on voxel grids (paper section 2.4).

Encoder: strided 3D convolutions, batch norm, Leaky ReLU, dropout. Decoder: its mirror image
with transposed convolutions; to every level the level before it is added, upsampled. The
output is a logit per voxel and the reconstruction term a cross-entropy summed over voxels:
with the squared error of the paper's eq. (1) the box stays blank while the loss falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.hyperparameters import VAEPreset
from atomate2_vogen.models.networks.layers import (
    CircularPad3D,
    ClampedLogVariance,
    DepthToSpace3D,
    Reparameterise,
    SpaceToDepth3D,
    VoxelNorm,
    cross_entropy,
    kl_divergence,
)

layers = keras.layers
ops = keras.ops

SLOPE = 0.2
"""Negative slope of the Leaky ReLU."""

NORM_MOMENTUM = 0.95
"""Momentum of the moving averages of batch norm; short trainings need fast averages."""

BLANK_LOGIT = -5.0
"""Initial bias of the output: most voxels are empty."""


def activate(x: Any, dtype: str) -> Any:
    """Batch norm and Leaky ReLU of feature maps; the layer before needs no bias."""
    return _leak(VoxelNorm(momentum=NORM_MOMENTUM, dtype=dtype)(x), dtype)


def _leak(x: Any, dtype: str) -> Any:
    return layers.LeakyReLU(negative_slope=SLOPE, dtype=dtype)(x)


def _plain(x: Any, filters: int, edge: int, dtype: str, **kwargs: Any) -> Any:
    """Convolution without bias."""
    return layers.Conv3D(filters, edge, use_bias=False, dtype=dtype, **kwargs)(x)


def _convolve(x: Any, filters: int, preset: VAEPreset, stride: int = 1) -> Any:
    """3³ convolution with the padding of the preset."""
    if preset.periodic and x.shape[1] <= preset.circular_max:
        x, padding = CircularPad3D(1, 1, dtype=preset.precision)(x), "valid"
    else:
        padding = "same"
    return _plain(x, filters, 3, preset.precision, strides=stride, padding=padding)


def _expand(x: Any, filters: int, preset: VAEPreset) -> Any:
    """Twice the edge: a transposed convolution, plus the map before it, upsampled.

    A transposed convolution of kernel 4³ and stride 2 answers, for every voxel of its input,
    2³ voxels from that voxel and its neighbours one step back. It is computed as that: a
    convolution of kernel 2³ that puts the 2³ voxels in channels, then unfolds them (Shi et
    al., arXiv:1609.05158, section 2.2). The upsampled map is the same in all of the 2³.
    """
    n, dtype = x.shape[1], preset.precision
    earlier = _plain(x, filters, 1, dtype)
    if preset.periodic and n <= preset.circular_max:
        x = CircularPad3D(1, 0, dtype=dtype)(x)
    else:
        x = layers.ZeroPadding3D(((1, 0),) * 3, dtype=dtype)(x)
    main = _plain(x, 8 * filters, 2, dtype)
    # the sum broadcasts over one axis in the middle: quicker than repeating along three
    main = layers.Reshape((n**3, 8, filters), dtype=dtype)(main)
    earlier = layers.Reshape((n**3, 1, filters), dtype=dtype)(earlier)
    x = layers.Add(dtype=dtype)([main, earlier])
    return DepthToSpace3D(2, dtype=dtype)(layers.Reshape((n, n, n, 8 * filters), dtype=dtype)(x))


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
    _edges(preset)
    dtype = preset.precision
    inputs = keras.Input((*(preset.grid,) * 3, n_channels))
    x = SpaceToDepth3D(preset.patch, name="fold", dtype="float32")(inputs)
    x = _leak(layers.Conv3D(preset.channels[0], 1, dtype=dtype)(x), dtype)
    x = activate(_convolve(x, preset.channels[0], preset), dtype)
    for filters in preset.channels[1:]:
        x = activate(_convolve(x, filters, preset, stride=2), dtype)
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
    for filters in reversed(preset.channels[:-1]):
        x = activate(_expand(x, filters, preset), dtype)
    main = _convolve(x, preset.channels[0], preset)
    x = activate(layers.Add(dtype=dtype)([main, x]), dtype)
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
        Hyperparameters.
    n_channels
        Number of channels of the grid.
    name
        ``sites`` or ``lattice``.
    seed
        Random seed for the latent noise; weights are drawn from Keras' global seed.
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
        """Mark the model as built: both networks are built already."""
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
        mean, log_variance = run(self.encoder, grids, rows=batch, compiled=True)
        return mean, log_variance

    def decode(self, latents: np.ndarray, batch: int = 64) -> np.ndarray:
        """Grids (B, N, N, N, C) of occupancies in [0, 1] of latents (B, L)."""
        logits = run(self.decoder, latents, rows=batch, compiled=True)[0]
        # tanh never overflows, unlike exp
        return 0.5 + 0.5 * np.tanh(0.5 * logits)
