"""Layers that Keras lacks: circular padding, folding of voxels, weight clipping, sampling.

All of them are written with `keras.ops` and run on any backend.
"""

from __future__ import annotations

import math
from typing import Any

from atomate2_vogen.models.networks.backend import keras

ops = keras.ops

LOG_VARIANCE_RANGE = (-10.0, 4.0)
"""Clamp of the log-variance: without it the Kullback-Leibler term can explode."""

LOG_VARIANCE_START = -4.0
"""Log-variance of an untrained encoder."""

LOWEST_LOGIT = -80.0
"""Lowest logit of the cross-entropy: e⁻⁸⁰ is still a normal number in single precision."""


@keras.saving.register_keras_serializable("vogen")
class CircularPad3D(keras.layers.Layer):
    """Pads the three spatial axes of (B, N, N, N, C) with their own other end.

    Parameters
    ----------
    before, after
        Voxels added at the low and at the high end of each axis; each at most its length.
    """

    def __init__(self, before: int = 1, after: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before, self.after = before, after

    def call(self, inputs: Any) -> Any:
        """Pad."""
        for axis in (1, 2, 3):
            n = inputs.shape[axis]
            # split, not slice: the gradient of a split is one concatenation, that of every
            # slice a whole array of zeros
            cuts = sorted({self.after, n - self.before} - {0, n})
            parts = ops.split(inputs, cuts, axis=axis)
            low = [
                part
                for part, start in zip(parts, [0, *cuts], strict=True)
                if start >= n - self.before
            ]
            high = [
                part for part, stop in zip(parts, [*cuts, n], strict=True) if stop <= self.after
            ]
            inputs = ops.concatenate([*low, *parts, *high], axis=axis)
        return inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape with the pads added."""
        extra = self.before + self.after
        return (
            input_shape[0],
            *(None if n is None else n + extra for n in input_shape[1:4]),
            input_shape[4],
        )


@keras.saving.register_keras_serializable("vogen")
class SpaceToDepth3D(keras.layers.Layer):
    """Folds cubes of p³ voxels into channels: (B, N, N, N, C) -> (B, N/p, N/p, N/p, p³C)."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: Any) -> Any:
        """Fold."""
        p, n, c = self.block, inputs.shape[1] // self.block, inputs.shape[4]
        x = ops.reshape(inputs, (-1, n, p, n, p, n, p * c))
        x = ops.transpose(x, (0, 1, 3, 5, 2, 4, 6))
        return ops.reshape(x, (-1, n, n, n, p**3 * c))


@keras.saving.register_keras_serializable("vogen")
class DepthToSpace3D(keras.layers.Layer):
    """Inverse of `SpaceToDepth3D`."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: Any) -> Any:
        """Unfold."""
        p, n = self.block, inputs.shape[1]
        c = inputs.shape[4] // p**3
        x = ops.reshape(inputs, (-1, n, n, n, p, p, p * c))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3, 6))
        return ops.reshape(x, (-1, n * p, n * p, n * p, c))


@keras.saving.register_keras_serializable("vogen")
class VoxelNorm(keras.layers.Layer):
    r"""Batch norm of (B, N, N, N, C) per channel (Ioffe & Szegedy, arXiv:1502.03167).

    The same function of the same weights as `keras.layers.BatchNormalization`. That one walks
    about twenty times through the whole tensor, forth and back, which on a CPU costs more than
    the convolutions; here every sum and every scaling is a matrix product, and the gradient is
    written out. With :math:`\hat x = (x - \bar x) / s` and the gradient :math:`g` that arrives,

    .. math:: \partial x = \frac{\gamma}{s}
              \left(g - \overline{g} - \hat x\,\overline{g \hat x}\right).

    Statistics are single precision, also for voxels in another one.

    Parameters
    ----------
    momentum
        Momentum of the moving averages for inference.
    epsilon
        Constant added to the variance.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make scale, shift and moving averages."""
        for name, start, learned in (
            ("gamma", "ones", True),
            ("beta", "zeros", True),
            ("moving_mean", "zeros", False),
            ("moving_variance", "ones", False),
        ):
            weight = self.add_weight(
                name=name,
                shape=(input_shape[-1],),
                initializer=start,
                trainable=learned,
                autocast=False,
            )
            setattr(self, name, weight)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalise."""
        if not training:
            scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
            shift = self.beta - self.moving_mean * scale
            return inputs * ops.cast(scale, inputs.dtype) + ops.cast(shift, inputs.dtype)
        n_voxels, n_channels = math.prod(inputs.shape[1:4]), inputs.shape[4]
        x = ops.reshape(inputs, (-1, n_voxels, n_channels))
        count = ops.cast(ops.shape(x)[0] * n_voxels, "float32")
        fixed = ops.stop_gradient(x)
        mean = _channel_sum(fixed) / count
        variance = ops.maximum(_channel_dot(fixed, fixed) / count - ops.square(mean), 0.0)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(self.momentum * average + (1.0 - self.momentum) * value)
        inverse = ops.rsqrt(variance + self.epsilon)

        # everything differentiable is an argument: JAX wants no closures over it
        @ops.custom_gradient
        def normalise(x: Any, scale: Any, shift: Any, mean: Any, inverse: Any) -> Any:
            def gradient(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
                (g,) = args if upstream is None else (upstream,)
                by_shift, by_scale = _channel_sum(g), _channel_dot(g, x)
                slope = -scale * ops.square(inverse) * (by_scale - mean * by_shift) / count
                start = -scale * by_shift / count - slope * mean
                by_x = _affine(g, scale) + _affine(x, slope, start)
                # how the statistics depend on x is in by_x already
                return by_x, by_scale, by_shift, ops.zeros_like(mean), ops.zeros_like(mean)

            return _affine(x, scale, shift), gradient

        scale = self.gamma * inverse
        answer = normalise(x, scale, self.beta - mean * scale, mean, inverse)
        return ops.reshape(answer, ops.shape(inputs))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


def _channel_sum(x: Any) -> Any:
    """Sum per channel of (B, n, C), single precision (C,).

    One product per crystal, so that half-precision results are rounded before the last sum
    only, each on its own.
    """
    ones = ops.ones((1, x.shape[1]), dtype=x.dtype)
    return ops.sum(ops.cast(ops.matmul(ones, x), "float32"), axis=(0, 1))


def _channel_dot(x: Any, y: Any) -> Any:
    """Sum of x · y per channel of (B, n, C), single precision (C,): a diagonal of xᵀy."""
    products = ops.sum(ops.cast(ops.matmul(ops.transpose(x, (0, 2, 1)), y), "float32"), axis=0)
    return ops.sum(products * ops.eye(x.shape[2]), axis=0)


def _affine(x: Any, scale: Any, shift: Any | None = None) -> Any:
    """The product of (B, n, C) with scale (C,), plus shift (C,), in the precision of x."""
    n_channels = x.shape[2]
    rows = ops.reshape(x, (-1, n_channels))
    rows = ops.matmul(rows, ops.cast(scale[:, None] * ops.eye(n_channels), x.dtype))
    if shift is not None:
        rows = rows + ops.cast(shift, x.dtype)
    return ops.reshape(rows, ops.shape(x))


@keras.saving.register_keras_serializable("vogen")
class ClampedLogVariance(keras.layers.Layer):
    """Shifts a log-variance to its start and clamps it to `LOG_VARIANCE_RANGE`."""

    def call(self, inputs: Any) -> Any:
        """Shift and clamp."""
        return ops.clip(inputs + LOG_VARIANCE_START, *LOG_VARIANCE_RANGE)


@keras.saving.register_keras_serializable("vogen")
class Reparameterise(keras.layers.Layer):
    r"""Samples :math:`z = \mu + s\,\sigma\,\varepsilon`, :math:`\varepsilon \sim N(0, 1)`.

    Parameters
    ----------
    seed
        Random seed.
    scale
        Factor s; 1 is the variational autoencoder (Kingma & Welling, arXiv:1312.6114).
    """

    def __init__(self, seed: int = 0, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Sample."""
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.generator)
        return mean + self.scale * ops.exp(0.5 * log_variance) * noise


@keras.saving.register_keras_serializable("vogen")
class ClipWeights(keras.constraints.Constraint):
    """Keeps weights within plus and minus `limit` (Arjovsky et al., arXiv:1701.07875)."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, w: Any) -> Any:
        """Clip."""
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self) -> dict[str, float]:
        """Arguments of the constructor."""
        return {"limit": self.limit}


def kl_divergence(mean: Any, log_variance: Any) -> Any:
    r"""Kullback-Leibler divergence from a standard normal, summed over the latent.

    .. math:: -\tfrac12 \sum_j (1 + \log\sigma_j^2 - \mu_j^2 - \sigma_j^2)

    Paper, eq. (2). Shapes (B, L), (B, L) -> (B,), in nats.
    """
    return -0.5 * ops.sum(1.0 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)


def cross_entropy(targets: Any, logits: Any) -> Any:
    r"""Binary cross-entropy of logits, summed over all voxels of a grid.

    .. math:: \sum_i \mathrm{softplus}(l_i) - t_i l_i
              = \sum_i l_i - \log \sigma(l_i) - t_i l_i, \qquad
              \partial l_i = \sigma(l_i) - t_i

    The second form and the gradient written out take half the time of the first. Computed in
    single precision. Logits below `LOWEST_LOGIT` count as that.

    Shapes (B, N, N, N, C) twice -> (B,), in nats.
    """
    targets = ops.cast(targets, "float32")

    @ops.custom_gradient
    def loss(logits: Any) -> Any:
        bounded = ops.maximum(ops.cast(logits, "float32"), LOWEST_LOGIT)
        share = ops.sigmoid(bounded)
        axes = (1, 2, 3, 4)
        value = (
            ops.sum(bounded, axis=axes)
            - ops.sum(ops.log(share), axis=axes)
            - ops.sum(targets * bounded, axis=axes)
        )

        def gradient(*args: Any, upstream: Any = None) -> Any:
            (g,) = args if upstream is None else (upstream,)
            g = ops.cast(ops.reshape(g, (-1, 1, 1, 1, 1)), logits.dtype)
            return ops.cast(share - targets, logits.dtype) * g

        return value, gradient

    return loss(logits)
