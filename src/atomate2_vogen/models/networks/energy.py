"""Energy CNN on joint latents: the property term in the generator's loss (paper section 2.5).

Labels are energies per atom of one scheme. Within one composition the
formation energy differs from them by a constant, and across compositions by a linear function
of the metal share x that only the elements' references fix. The network therefore learns the
energy above a *composition line*

.. math:: t = E - (p + q x),

with p and q fitted to the training labels by Theil-Sen's robust slopes; its gradient with
respect to a crystal of given composition is that of the formation energy. Substituted copies
have outliers of many eV, so t is clipped to quantiles of the training labels, and training
uses the Huber loss.

Most of t is still a matter of composition. The output of the network is therefore t minus
its smooth mean over x among the training labels, in units of the residuals' standard deviation,
so that it learns differences between crystals only and predicts the mean where it knows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import EnergyPreset

layers, ops = keras.layers, keras.ops

KNOTS = np.linspace(0.0, 1.0, 41)
"""Metal fractions at which the smooth mean by composition is tabulated."""

BANDWIDTH = 0.03
"""Standard deviation, in metal fraction, of the Gaussian weights of that mean."""

QUANTILES = (0.005, 0.95)
"""Quantiles of the training labels at which the target is clipped."""

OUTPUTS = ("target", "as it stands")
"""Outputs of the network in order."""

MIN_LABELS = 20
"""Smallest number of labels that a network can be trained on."""


@dataclass(frozen=True)
class EnergyScale:
    """Composition line, clipping, mean by composition and unit of the energy target.

    Parameters
    ----------
    intercept, slope
        p and q of the composition line in eV/atom.
    low, high
        Clipping limits of the energy above the line in eV/atom.
    means
        Smooth mean of the clipped energy at the metal fractions `KNOTS` in eV/atom.
    width
        Standard deviation of the residuals in eV/atom.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[2, 4], [4, 6]] * 10)  # V2O4 and V4O6
    >>> energies = np.tile([-8.0, -7.5], 10)  # eV/atom
    >>> scale = EnergyScale.fit(energies, counts)
    >>> scale.line(counts[:2]).round(3).tolist()
    [-8.0, -7.5]
    """

    intercept: float
    slope: float
    low: float
    high: float
    means: tuple[float, ...]
    width: float

    @classmethod
    def fit(cls, energies: np.ndarray, counts: np.ndarray, seed: int = 0) -> EnergyScale:
        """Fit to labels.

        Parameters
        ----------
        energies
            Finite energies in eV/atom, shape (n,).
        counts
            Numbers of metal and anion atoms, shape (n, 2).
        seed
            Random seed for the subset that the slope is fitted to.

        Raises
        ------
        TrainingError
            If there are fewer than `MIN_LABELS`.
        """
        if len(energies) < MIN_LABELS:
            raise TrainingError(
                f"only {len(energies)} crystals have energy labels; label the data set first"
            )
        share = metal_share(counts)
        some = np.random.default_rng([seed, 2]).permutation(len(energies))[:1000]
        if np.ptp(share[some]) > 0:
            slope, intercept, *_ = theilslopes(energies[some], share[some])
        else:
            slope, intercept = 0.0, float(np.median(energies[some]))
        above = energies - (intercept + slope * share)
        low, high = np.quantile(above, QUANTILES)
        clipped = np.clip(above, low, high)
        # the floor keeps the weights from vanishing far from any label
        weights = np.exp(-0.5 * ((KNOTS[:, None] - share) / BANDWIDTH) ** 2) + 1e-12
        means = weights @ clipped / weights.sum(axis=1)
        left = clipped - np.interp(share, KNOTS, means)
        return cls(
            float(intercept),
            float(slope),
            float(low),
            float(high),
            tuple(means.tolist()),
            float(max(left.std(), 1e-3)),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EnergyScale:
        """Inverse of `as_dict`.

        Raises
        ------
        TypeError, ValueError
            If a value is missing, unknown or of the wrong kind.
        """
        means = tuple(float(mean) for mean in values["means"]) if "means" in values else ()
        if len(means) != len(KNOTS):
            raise ValueError(f"{len(means)} means of the energy by composition, not {len(KNOTS)}")
        return cls(means=means, **{k: float(v) for k, v in values.items() if k != "means"})

    @property
    def is_finite(self) -> bool:
        """Whether every value is a finite number."""
        values = (self.intercept, self.slope, self.low, self.high, self.width, *self.means)
        return bool(np.isfinite(values).all())

    def line(self, counts: np.ndarray) -> np.ndarray:
        """Composition line at atom counts (n, 2), eV/atom."""
        return self.intercept + self.slope * metal_share(counts)

    def target(self, energies: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Clipped energy above the line (n,), eV/atom."""
        return np.clip(energies - self.line(counts), self.low, self.high)

    def standard(self, targets: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Standardised targets, the training data of the network, shape (n,)."""
        return (targets - self._mean(counts)) / self.width

    def above_line(self, outputs: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Energy above the line (n,) in eV/atom of outputs (n,) of the network."""
        return outputs * self.width + self._mean(counts)

    def _mean(self, counts: np.ndarray) -> np.ndarray:
        return np.interp(metal_share(counts), KNOTS, self.means)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "means": list(self.means)}


def metal_share(counts: np.ndarray) -> np.ndarray:
    """Metal fraction of the atoms (n,), of atom counts (n, 2)."""
    return np.asarray(counts[:, 0] / counts.sum(axis=1))


def build_energy(preset: EnergyPreset, n_latent: int, n_condition: int) -> Any:
    """Joint latent (L,), condition (C,) -> energies (2,) on `EnergyScale`'s.

    The first is the target, the energy that the crystal relaxes to where such labels were
    there to learn from, else the energy as it stands. The second is the energy as it stands,
    an auxiliary task without use once the network is trained. A dense layer mixes the latent
    into a row of feature maps, which strided 1D convolutions shorten.
    """
    latent = keras.Input((n_latent,))
    condition = keras.Input((n_condition,))
    x = layers.Concatenate()([latent, condition])
    decay = keras.regularizers.L2(preset.l2)
    start = 8
    x = layers.Dense(preset.width * start, kernel_regularizer=decay)(x)
    x = layers.Reshape((preset.width, start))(layers.LeakyReLU(negative_slope=0.2)(x))
    for filters in preset.channels:
        x = layers.Conv1D(filters, 5, strides=2, padding="same", kernel_regularizer=decay)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.Dropout(preset.dropout)(layers.Flatten()(x))
    x = layers.Concatenate()([x, condition])
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(preset.width)(x))
    return keras.Model([latent, condition], layers.Dense(len(OUTPUTS))(x), name="energy")


def composition_baseline(
    targets: np.ndarray, counts: np.ndarray, held_out: np.ndarray
) -> np.ndarray:
    """Baseline that knows the composition only: mean target of equal metal fraction.

    A fraction without training crystals gets the mean of the nearest one.

    Parameters
    ----------
    targets
        Training targets in eV/atom, shape (n,).
    counts
        Atom counts of the training crystals, shape (n, 2).
    held_out
        Atom counts of the crystals to predict, shape (m, 2).
    """
    share = np.round(metal_share(counts), 6)
    known, inverse = np.unique(share, return_inverse=True)
    means = np.bincount(inverse, weights=targets) / np.bincount(inverse)
    asked = metal_share(held_out)
    return means[np.abs(asked[:, None] - known[None]).argmin(axis=1)]


def masked_huber(y_true: Any, y_pred: Any) -> Any:
    """Huber loss over the known targets with equal weights, shape (B,).

    Parameters
    ----------
    y_true
        Standardised targets, shape (B, 2); not-a-number where unlabelled.
    y_pred
        Outputs of the network, shape (B, 2).
    """
    known = ops.isfinite(y_true)
    apart = ops.abs(ops.where(known, y_pred - ops.where(known, y_true, 0.0), 0.0))
    loss = ops.where(apart < 1.0, 0.5 * ops.square(apart), apart - 0.5)
    share = ops.maximum(ops.mean(ops.cast(known, "float32")), 1e-6)
    return ops.mean(loss, axis=-1) / share


def target_mae(y_true: Any, y_pred: Any) -> Any:
    """Mean absolute error of the first output over the rows where its target is known."""
    known = ops.isfinite(y_true[:, 0])
    apart = ops.abs(ops.where(known, y_pred[:, 0] - ops.where(known, y_true[:, 0], 0.0), 0.0))
    return ops.sum(apart) / ops.maximum(ops.sum(ops.cast(known, "float32")), 1.0)
