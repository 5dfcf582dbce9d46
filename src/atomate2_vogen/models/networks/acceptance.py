"""Acceptance network: which generated latents are worth decoding.

Most latents that a generator makes decode to a crystal of another composition than the one
asked for, or to atoms that touch, and decoding is what sampling spends its time on. This small
network learns from latents that were decoded (`models.training.acceptance`) the probability that one is
accepted, so that of several only the likeliest need be decoded: rejection sampling by a
discriminator (Azadi et al., arXiv:1810.06758) that is trained on the outcome itself. What it
lets pass is decoded, read and judged like any other; a wrong guess costs time and nothing else.
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
    """Share accepted among the likeliest eighth of each composition and size.

    Parameters
    ----------
    logits, sound
        (n,) predictions and outcomes.
    counts
        (n, 2) atoms of metal and anion; groups of fewer than eight count by their one likeliest.
    """
    taken = []
    for pair in np.unique(counts, axis=0):
        rows = np.flatnonzero((counts == pair).all(axis=1))
        order = rows[np.argsort(-logits[rows], kind="stable")]
        taken.append(order[: max(1, len(rows) // 8)])
    return float(sound[np.concatenate(taken)].mean())
