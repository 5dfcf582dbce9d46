r"""Memory of training latents for the generator, and the error of generated sites grids.

Latents of crystals are isolated regions: a dense generator fills the space between them, where
hardly any latent decodes to the requested composition. A generator with a memory starts from the
regions themselves: it looks up latents of training crystals with the requested counts and mixes a few of them, as in attention (arXiv:1706.03762),

.. math:: z = \sum_m w_m v_m + r, \quad
          w = \mathrm{softmax}_m \left[ s \left(\frac{q \cdot k_m}{\sqrt K} - p\, d_m\right)
          - \frac{E_m}{T} \right]

with a query q from noise and condition, keys k that are learned, values v, the difference
:math:`d_m` in counts between entry m and the request, the entry's energy :math:`E_m` in units of
a temperature T, so that low ones are looked up more often, and a remainder r from the
generator's dense and convolutional path. Keys and query start as unit normals, so that the logits start with
a standard deviation of s: the larger s, the closer a sample is to one single entry, and the less
new it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.backend import keras

ops = keras.ops

UNUSED = 1e3
"""Counts of an empty entry: too far from any request to be looked up."""

PER_ATOM = 8.0
"""p: eight standard deviations of the logits per atom, so that entries with other counts than
the requested ones are looked up only if no entry has those."""


def atom_counts(condition: Any) -> Any:
    """Counts (B, 2) of metal and anion from condition vectors (B, 2A + 3)."""
    largest = (condition.shape[-1] - 3) // 2
    return condition[:, 2 * largest : 2 * largest + 2] * float(largest)


@keras.saving.register_keras_serializable("vogen")
class LatentMemory(keras.layers.Layer):
    """Query (B, K), condition (B, C) -> mixture of the stored latents (B, L).

    Parameters
    ----------
    entries
        Number M of stored latents.
    latent
        Length L of a latent.
    sharpness
        Initial standard deviation s of the logits.
    """

    def __init__(self, entries: int, latent: int, sharpness: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entries, self.latent, self.sharpness = entries, latent, sharpness

    def build(self, input_shape: Any) -> None:
        """Make an empty memory: no entry is near any request."""
        size = input_shape[0][-1]
        self.keys = self.add_weight(
            shape=(self.entries, size),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="keys",
        )
        self.values = self.add_weight(
            shape=(self.entries, self.latent),
            initializer="zeros",
            trainable=False,
            name="values",
        )
        self.counts = self.add_weight(
            shape=(self.entries, 2),
            initializer=keras.initializers.Constant(UNUSED),
            trainable=False,
            name="counts",
        )
        self.costs = self.add_weight(
            shape=(self.entries,), initializer="zeros", trainable=False, name="costs"
        )

    def fill(self, latents: np.ndarray, counts: np.ndarray, costs: np.ndarray) -> None:
        """Store latents (m, L), their counts (m, 2) and costs (m,), which are E/T.

        m is at most the number of entries.

        Raises
        ------
        InputError
            If there are no latents, or more than entries.
        """
        if not 0 < len(latents) <= self.entries:
            raise InputError(f"{len(latents)} latents for a memory of {self.entries} entries")
        values = np.zeros((self.entries, self.latent), np.float32)
        kept = np.full((self.entries, 2), UNUSED, np.float32)
        values[: len(latents)], kept[: len(latents)] = latents, counts
        paid = np.zeros(self.entries, np.float32)
        paid[: len(latents)] = costs
        self.costs.assign(paid)
        self.values.assign(values)
        self.counts.assign(kept)

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Look up and mix."""
        query, condition = inputs
        counts = atom_counts(condition)
        logits = ops.matmul(query, ops.transpose(self.keys))
        apart = ops.sum(ops.abs(counts[:, None] - self.counts[None]), axis=-1)
        logits = logits / math.sqrt(query.shape[-1]) - PER_ATOM * apart
        weights = ops.softmax(self.sharpness * logits - self.costs, axis=-1)
        return ops.matmul(weights, self.values)


@keras.saving.register_keras_serializable("vogen")
class Gain(keras.layers.Layer):
    """Multiplication by one learned number with the initial value `start`."""

    def __init__(self, start: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        """Make the number."""
        del input_shape
        self.gain = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.start), name="gain"
        )

    def call(self, inputs: Any) -> Any:
        """Multiply."""
        return inputs * self.gain


def choose_entries(
    formulas: np.ndarray, targets: tuple[str, ...], most: int, seed: int, costs: np.ndarray
) -> np.ndarray:
    """Choose the training crystals to store: target formulas first, then others.

    Within both groups, crystals are drawn without replacement with weights exp(-cost).

    Parameters
    ----------
    formulas
        Reduced formulas, shape (n,).
    targets
        Formulas whose crystals come first.
    most
        Largest number of crystals.
    seed
        Random seed for the draw.
    costs
        Energies in units of the temperature (`models.networks.wgan.boltzmann_costs`), shape (n,).
    """
    # the largest of log-weights plus Gumbel noise are such a draw
    draw = costs - np.random.default_rng([seed, 7]).gumbel(size=len(formulas))
    order = np.lexsort((draw, ~np.isin(formulas, targets)))
    return np.sort(order[:most])


def box_error(occupancies: Any, counts: Any, sigma: float) -> Any:
    r"""Deviation of sites grids from sharp Gaussians of the requested atoms, shape (B,).

    n Gaussians of height 1 and width σ that do not overlap have

    .. math:: \sum_x p_x = n (2\pi)^{3/2} \sigma^3, \qquad \sum_x p_x^2 = n \pi^{3/2} \sigma^3.

    A blurred grid has the first sum, but a smaller second one. The error is the sum over both
    elements of the two differences, each in atoms; it is differentiable, and 0 for the
    grid of a crystal.

    Parameters
    ----------
    occupancies
        Occupancies in [0, 1], shape (B, N, N, N, 2).
    counts
        Requested numbers of metal and anion atoms, shape (B, 2).
    sigma
        Width of the Gaussians in voxels.
    """
    first = ops.sum(occupancies, axis=(1, 2, 3)) / ((2 * math.pi) ** 1.5 * sigma**3)
    second = ops.sum(ops.square(occupancies), axis=(1, 2, 3)) / (math.pi**1.5 * sigma**3)
    return ops.sum(ops.abs(first - counts) + ops.abs(second - counts), axis=-1)
