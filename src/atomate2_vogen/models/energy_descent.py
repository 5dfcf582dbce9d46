"""Gradient descent of the predicted energy in the latent.

Keras 3 has no gradient function that runs on every backend, but
its training step has one inside. So the latents' displacement is made the only trainable
weight of a small model around the frozen energy network, whose loss is the sum of predicted
energies; one step of plain gradient descent with rate 1 from zero leaves minus the gradient in
that weight, exactly. No tape is written by hand and TensorFlow, JAX and PyTorch behave alike.
Finite differences would take one evaluation per latent dimension (225 at the paper's sizes)
where this takes one, and random directions would need tens for a poor estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.inputs import conditions
from atomate2_vogen.models.trained_model import TrainedModel


class _Displaced(keras.Model):
    """Predicted energies of displaced latents; only the displacement can be trained."""

    def __init__(self, energy: Any, shape: tuple[int, int]) -> None:
        super().__init__(name="displaced")
        self.energy = energy
        self.energy.trainable = False
        self.displacement = self.add_weight(
            shape=shape, initializer="zeros", trainable=True, name="displacement"
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Energies (n, 1); the network always runs as in inference."""
        del training
        latents, condition = inputs
        return self.energy([latents + self.displacement, condition], training=False)[:, :1]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Sum of the energies, whose gradient with respect to a latent is that of its energy."""
        del x, y, sample_weight, training
        return keras.ops.sum(y_pred)


class EnergyDescent:
    """Gradient descent of latents in the energy that a model predicts.

    Parameters
    ----------
    model
        Trained model, which is not changed.
    batch
        Latents per evaluation.
    """

    def __init__(self, model: TrainedModel, batch: int = 64) -> None:
        self.model, self.batch = model, batch
        network = keras.models.clone_model(model.networks["energy"])
        network.set_weights(model.networks["energy"].get_weights())
        self._shape = (batch, len(model.mean))
        self._displaced = _Displaced(network, self._shape)
        self._displaced.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)

    def gradient(self, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Gradient of the predicted energy.

        Parameters
        ----------
        latents
            Standardised joint latents, shape (n, L).
        counts
            Numbers of metal and anion atoms, shape (n, 2).

        Returns
        -------
        np.ndarray
            Shape (n, L), in eV/atom per unit of the standardised latent.
        """
        condition = conditions(counts, self.model.system)
        parts = [
            self._of_batch(latents[start : start + self.batch], condition[start:][: self.batch])
            for start in range(0, len(latents), self.batch)
        ]
        empty = np.empty((0, self._shape[1]), dtype=np.float32)
        return np.concatenate([empty, *parts]) * self.model.energy_scale.width

    def _of_batch(self, latents: np.ndarray, condition: np.ndarray) -> np.ndarray:
        n = len(latents)
        fill = np.arange(self.batch) % n  # the weight has a fixed shape
        weight = self._displaced.displacement
        weight.assign(np.zeros(self._shape, dtype=np.float32))
        target = np.zeros((self.batch, 1), dtype=np.float32)
        self._displaced.train_on_batch([latents[fill].astype(np.float32), condition[fill]], target)
        return -np.asarray(keras.ops.convert_to_numpy(weight))[:n]

    def descend(
        self, latents: np.ndarray, counts: np.ndarray, steps: int, length: float
    ) -> np.ndarray:
        """Latents after some steps along the negative gradient.

        Every latent moves by `length` per step, so that none can leave the neighbourhood in
        which the network was trained: after k steps it is at most k times `length` away. A
        step that does not lower the prediction is not taken, and the latent's next one is half
        as long.

        Parameters
        ----------
        latents
            Standardised joint latents, shape (n, L).
        counts
            Numbers of metal and anion atoms, shape (n, 2).
        steps
            Number of steps.
        length
            Euclidean length of the first step in units of the standardised latent (whose
            typical norm is √L).

        Returns
        -------
        np.ndarray
            Shape (n, L); no predicted energy is higher than before.
        """
        latents = np.array(latents, dtype=np.float32)
        energies = self.model.predict_energy(latents, counts)
        lengths = np.full((len(latents), 1), length)
        for _ in range(steps):
            slope = self.gradient(latents, counts)
            norm = np.linalg.norm(slope, axis=1, keepdims=True)
            trial = latents - lengths * slope / np.maximum(norm, 1e-12)
            trial = trial.astype(np.float32)
            reached = self.model.predict_energy(trial, counts)
            lower = reached < energies
            latents[lower], energies[lower] = trial[lower], reached[lower]
            lengths[~lower] /= 2
        return latents
