"""Layers that Keras lacks: circular padding, folding of voxels, weight clipping, sampling.

All of them are written with `keras.ops` and run on any backend.
"""

from __future__ import annotations

from typing import Any

from atomate2_vogen.models.backend import keras

ops = keras.ops

LOG_VARIANCE_RANGE = (-10.0, 4.0)
"""Clamp of the log-variance: without it the Kullback-Leibler term can explode."""

LOG_VARIANCE_START = -4.0
"""Log-variance that an untrained encoder answers."""


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
        Of the random numbers.
    scale
        s; 1 is the variational autoencoder (Kingma & Welling, arXiv:1312.6114).
    """

    def __init__(self, seed: int = 0, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Sample."""
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.generator)
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

    Shapes (B, N, N, N, C) twice -> (B,), in nats.
    """
    # `train_on_batch` hands numpy arrays on as they are, also inside a tuple
    targets = ops.reshape(ops.convert_to_tensor(targets, logits.dtype), ops.shape(logits))
    return ops.sum(ops.softplus(logits) - targets * logits, axis=(1, 2, 3, 4))
