"""Acceptance network: probability that a generated latent decodes to a sound crystal.

Most generated latents decode to another composition than the requested one, or to atoms that
touch, and decoding takes most of the time of sampling. This small network is trained on latents
that were decoded (`models.training.acceptance`), so that of several latents only the likeliest
need be decoded: rejection sampling by a discriminator (Azadi et al., arXiv:1810.06758) that is
trained on the outcome itself. All decoded crystals are checked as without it; a wrong prediction
costs time only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import AcceptancePreset


def build_acceptance(preset: AcceptancePreset, n_latent: int, n_condition: int) -> Any:
    """Joint latent (L,), condition (C,) -> logit (1,) of the probability to be accepted."""
    layers = keras.layers
    latent, condition = keras.Input((n_latent,)), keras.Input((n_condition,))
    x = layers.Concatenate()([latent, condition])
    for _ in range(2):
        x = layers.Dense(preset.width, kernel_regularizer=keras.regularizers.L2(preset.l2))(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.Dropout(preset.dropout)(x)
    return keras.Model([latent, condition], layers.Dense(1)(x), name="acceptance")


def share_of_likeliest(logits: np.ndarray, counts: np.ndarray, sound: np.ndarray) -> float:
    """Accepted fraction of the likeliest eighth of each composition and size.

    Parameters
    ----------
    logits, sound
        Predicted logits and outcomes (0 or 1), shape (n,).
    counts
        Numbers of metal and anion atoms, shape (n, 2). Of a group of fewer than eight, the one
        likeliest counts.
    """
    taken = []
    for pair in np.unique(counts, axis=0):
        rows = np.flatnonzero((counts == pair).all(axis=1))
        order = rows[np.argsort(-logits[rows], kind="stable")]
        taken.append(order[: max(1, len(rows) // 8)])
    return float(sound[np.concatenate(taken)].mean())
