"""Conditional Wasserstein GAN in the joint latent of both autoencoders (paper section 2.5).

Generator: dense, upsampling, convolution, batch norm. Critic: strided convolution, Leaky
ReLU, dropout, L2, weights clipped after every update (arXiv:1701.07875) or, as an option, kept
smooth by a penalty. The generator's loss is composite: the Wasserstein term of a frozen critic
plus the predicted energy. Both are trained by ordinary Keras updates, the generator through a
frozen twin of the critic, so that nothing here depends on the backend. The loss of a plain GAN
is there for comparison (paper Fig. 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import WGANPreset
from atomate2_vogen.models.networks.layers import ClipWeights
from atomate2_vogen.models.networks.memory import Gain, LatentMemory, atom_counts, box_error

layers = keras.layers
ops = keras.ops

STEP = 0.1
"""Length h of finite differences, in standard deviations of a latent dimension."""


def build_generator(preset: WGANPreset, n_latent: int, n_condition: int) -> Any:
    """Noise (Z,), condition (C,) -> standardised joint latent (L,).

    The convolutions shape a row of L numbers; a dense path beside them is added, since
    neighbours in a latent vector have nothing in common. With a memory, the sum of both is
    added to a mixture of stored latents (`models.networks.memory`).
    """
    noise = keras.Input((preset.noise,))
    condition = keras.Input((n_condition,))
    x = layers.Concatenate()([noise, condition])
    for _ in range(2):
        x = layers.Dense(preset.width)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    dense = layers.Dense(n_latent)(x)
    quarter = -(-n_latent // 4)
    first, *others = preset.generator_channels
    row = layers.Dense(quarter * first)(x)
    row = layers.Reshape((quarter, first))(row)
    for filters in (first, *others)[:2]:
        row = layers.BatchNormalization(momentum=0.9)(row)
        row = layers.LeakyReLU(negative_slope=0.2)(row)
        row = layers.Conv1D(filters, 5, padding="same")(layers.UpSampling1D(2)(row))
    row = layers.BatchNormalization(momentum=0.9)(row)
    row = layers.LeakyReLU(negative_slope=0.2)(row)
    row = layers.Conv1D(1, 5, padding="same")(row)
    row = layers.Flatten()(layers.Cropping1D((0, 4 * quarter - n_latent))(row))
    # standardised like the latents it imitates: a clipped critic alone lets it run away
    made = layers.BatchNormalization(momentum=0.95)(layers.Add()([dense, row]))
    if preset.memory:
        query = layers.Add()([noise, layers.Dense(preset.noise, kernel_initializer="zeros")(x)])
        memory = LatentMemory(preset.memory, n_latent, preset.sharpness, name="memory")
        made = layers.Add()([memory([query, condition]), Gain(preset.remainder)(made)])
    return keras.Model([noise, condition], made, name="generator")


def build_critic(preset: WGANPreset, n_latent: int, n_condition: int, name: str) -> Any:
    """Standardised joint latent (L,), condition (C,) -> score (1,); clipped weights with penalty ``clip``.

    One limit for all layers makes scores vanish or explode with depth and width. Here the
    limit of a layer is ``preset.clip`` / √(its inputs), so that every layer passes signals on
    at about their size.
    """
    latent = keras.Input((n_latent,))
    condition = keras.Input((n_condition,))
    x = layers.Concatenate()([latent, condition])
    start = preset.critic_channels[0]
    length = preset.width // 4
    x = layers.Dense(length * start, **_clipped(preset, x.shape[-1]))(x)
    x = layers.Reshape((length, start))(layers.LeakyReLU(negative_slope=0.2)(x))
    for filters in preset.critic_channels[1:]:
        rules = _clipped(preset, 5 * x.shape[-1])
        x = layers.Conv1D(filters, 5, strides=2, padding="same", **rules)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.Dropout(preset.dropout)(x)
    x = layers.Concatenate()([layers.Flatten()(x), condition])
    x = layers.Dense(preset.width, **_clipped(preset, x.shape[-1]))(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    score = layers.Dense(1, **_clipped(preset, preset.width))(x)
    return keras.Model([latent, condition], score, name=name)


def _clipped(preset: WGANPreset, n_inputs: int) -> dict[str, Any]:
    """Arguments of a layer with `n_inputs` inputs: start, clipping and decay of its weights."""
    if preset.penalty != "clip":
        return {"kernel_regularizer": keras.regularizers.L2(preset.l2)}
    limit = preset.clip / n_inputs**0.5
    return {
        "kernel_constraint": ClipWeights(limit),
        "bias_constraint": ClipWeights(limit),
        "kernel_initializer": keras.initializers.RandomUniform(-limit, limit),
        "kernel_regularizer": keras.regularizers.L2(preset.l2),
    }


class CriticUpdate(keras.Model):
    r"""Trains the critic to score real latents above generated ones.

    Input: real latents (B, L), generated latents (B, L), conditions (B, C).

    Parameters
    ----------
    critic
        Critic made by `build_critic`.
    loss
        ``wasserstein``: mean score of generated minus mean score of real latents; ``gan``: mean
        cross-entropy of the scores as logits (arXiv:1406.2661, eq. 1).
    penalty
        ``lipschitz`` adds a penalty on slopes over 1; the other kinds add nothing here.
    weight
        Weight of the penalty.
    seed
        Random seed for the points of the penalty.

    Notes
    -----
    The gradient penalty (arXiv:1704.00028) needs the gradient of the score with respect to its
    input inside the loss, which Keras can only give with the tape of one backend. Finite
    differences need none. With a and b two random points on the line between a real and a
    generated latent of equal condition, and :math:`\varepsilon \sim N(0, h^2)` per dimension,

    .. math::
        P = \big\langle (s_{ab} - 1)_+^2 \big\rangle + (g - 1)_+^2, \quad
        s_{ab} = \frac{|D(a) - D(b)|}{|a - b|}, \quad
        g^2 = \big\langle (D(a + \varepsilon) - D(a))^2 \big\rangle / h^2

    The slope along the line is what an optimal critic has 1 of; :math:`g^2` is, to first order
    in h, an unbiased estimate of the mean squared gradient in all directions. Both are
    one-sided, as in arXiv:1709.08894: slopes below 1 cost nothing. Dropout is off in P, which
    would take its noise for slope.
    """

    def __init__(
        self,
        critic: Any,
        loss: str = "wasserstein",
        penalty: str = "clip",
        weight: float = 10.0,
        seed: int = 0,
    ) -> None:
        super().__init__(name="critic_update")
        self.critic = critic
        self.kind, self.penalty, self.weight = loss, penalty, weight
        self.random = keras.random.SeedGenerator(seed)

    def call(self, inputs: tuple[Any, Any, Any], training: bool | None = None) -> tuple[Any, ...]:
        """Scores of real and of generated latents, and the penalty of kind ``lipschitz``."""
        real, fake, condition = inputs
        scores = (
            self.critic([real, condition], training=training),
            self.critic([fake, condition], training=training),
        )
        if self.penalty != "lipschitz":
            return scores
        return (*scores, self._steepness(real, fake, condition))

    def _steepness(self, real: Any, fake: Any, condition: Any) -> Any:
        """Penalty P on slopes over 1, a number."""
        shape = (ops.shape(real)[0], 1)
        first = keras.random.uniform(shape, seed=self.random)
        second = keras.random.uniform(shape, seed=self.random)
        nudge = STEP * keras.random.normal(ops.shape(real), seed=self.random)
        a, b = real + first * (fake - real), real + second * (fake - real)
        at_a, at_b, beside = (
            self.critic([point, condition], training=False) for point in (a, b, a + nudge)
        )
        apart = ops.sqrt(ops.sum(ops.square(a - b), axis=-1, keepdims=True) + STEP**2)
        along = ops.abs(at_a - at_b) / apart
        around = ops.sqrt(ops.mean(ops.square(beside - at_a)) / STEP**2 + 1e-12)
        return ops.mean(ops.square(ops.relu(along - 1.0))) + ops.square(ops.relu(around - 1.0))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Minus the estimated Wasserstein distance or the cross-entropy, plus L2 and penalty."""
        del x, y, sample_weight, training
        real, fake, *steepness = y_pred
        if self.kind == "gan":
            loss = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
        else:
            loss = ops.mean(fake) - ops.mean(real)
        for penalty in (*self.critic.losses, *(self.weight * part for part in steepness)):
            loss = loss + penalty
        return loss


@dataclass(frozen=True, eq=False)
class Boxes:
    """Decoder of latents to sites grids, for their error in the generator's loss.

    Parameters
    ----------
    decoder
        Decoder of the sites autoencoder: latent (B, S) -> logits (B, N, N, N, 2).
    mean, width
        Mean and standard deviation of the first S entries of a joint latent, shape (S,) each.
    sigma
        Width of the Gaussians in voxels.
    weight
        Weight of the error in the generator's loss.
    """

    decoder: Any
    mean: np.ndarray
    width: np.ndarray
    sigma: float
    weight: float

    def error(self, latents: Any, condition: Any) -> Any:
        """`box_error` of joint latents (B, L), shape (B,)."""
        sites = latents[:, : len(self.mean)] * self.width + self.mean
        occupancies = ops.sigmoid(self.decoder(sites, training=False))
        return box_error(occupancies, atom_counts(condition), self.sigma)


class Composite(keras.Model):
    """Trains the generator against a frozen critic, energy network and, if given, decoder.

    Input: noise (B, Z), conditions (B, C).

    Parameters
    ----------
    generator
        Generator, the only trainable part.
    critic
        Twin of the trained critic; `follow` copies the trained weights into it.
    energy
        Energy CNN.
    energy_weight
        Weight of the predicted (standardised) energy.
    loss
        ``wasserstein``: minus the mean score; ``gan``: the cross-entropy that is low where the
        critic takes generated latents for real (the non-saturating loss of arXiv:1406.2661).
    boxes
        Decodes latents to sites grids; their `box_error` is added with its weight.
    """

    def __init__(
        self,
        generator: Any,
        critic: Any,
        energy: Any,
        energy_weight: float,
        *,
        loss: str = "wasserstein",
        boxes: Boxes | None = None,
    ) -> None:
        super().__init__(name="composite")
        self.kind = loss
        self.generator, self.critic, self.energy = generator, critic, energy
        self.critic.trainable = False
        self.energy.trainable = False
        self.energy_weight = energy_weight
        self.scale = keras.Variable(1.0, trainable=False, dtype="float32", name="scale")
        self.score_tracker = keras.metrics.Mean("score")
        self.energy_tracker = keras.metrics.Mean("energy")
        self.boxes = boxes
        if boxes is not None:
            boxes.decoder.trainable = False
            self.box_tracker = keras.metrics.Mean("box")

    def call(self, inputs: tuple[Any, Any], training: bool | None = None) -> tuple[Any, ...]:
        """Score and energy of generated latents, and the error of their sites grids, if given."""
        noise, condition = inputs
        fake = self.generator([noise, condition], training=training)
        judged = (
            self.critic([fake, condition], training=False),
            self.energy([fake, condition], training=False)[:, :1],
        )
        if self.boxes is None:
            return judged
        return (*judged, self.boxes.error(fake, condition))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Wasserstein term, in units of `scale`, or cross-entropy; plus the energy's term."""
        del x, y, sample_weight, training
        score, energy, *box = (ops.mean(part) for part in y_pred)
        self.score_tracker.update_state(score)
        self.energy_tracker.update_state(energy)
        loss = self.energy_weight * energy
        if self.boxes is not None:
            self.box_tracker.update_state(box[0])
            loss = loss + self.boxes.weight * box[0]
        if self.kind == "gan":
            return loss + ops.mean(ops.softplus(-y_pred[0]))
        return loss - score / self.scale

    def follow(self, critic: Any, distance: float) -> None:
        """Copy the weights of the trained critic, and update the unit of its scores.

        Scores have arbitrary units; divided by the running mean of the estimated distance
        between real and generated they can be weighed against an energy.
        """
        self.scale.assign(0.95 * self.scale + 0.05 * max(abs(distance), 1e-3))
        for mine, its in zip(self.critic.variables, critic.variables, strict=True):
            mine.assign(its)


MOST_COST = 20.0
"""E/T at which a crystal is practically never drawn."""


def boltzmann_costs(formulas: np.ndarray, energies: np.ndarray, temperature: float) -> np.ndarray:
    """(E - the lowest E of the formula)/T of each training crystal, at most `MOST_COST`, (n,).

    Parameters
    ----------
    formulas
        Reduced formulas, shape (n,).
    energies
        Energies in eV/atom, shape (n,); a crystal without an energy gets the highest cost.
    temperature
        Temperature T in eV/atom; 0 makes all costs 0.
    """
    costs = np.zeros(len(formulas))
    if not temperature:
        return costs
    for formula in np.unique(formulas):
        members = formulas == formula
        of = energies[members]
        low = np.nanmin(of) if np.isfinite(of).any() else 0.0
        costs[members] = np.nan_to_num((of - low) / temperature, nan=MOST_COST)
    return np.minimum(costs, MOST_COST)


def draw_probabilities(
    formulas: np.ndarray, targets: tuple[str, ...], share: float, costs: np.ndarray
) -> np.ndarray:
    """Probability of each training crystal to be drawn, shape (n,).

    Without weights the rarest formula would hardly be seen.

    Parameters
    ----------
    formulas
        Reduced formulas of the training crystals, shape (n,).
    targets
        Target formulas.
    share
        Fraction of the draws that is spread evenly over the target formulas that occur, and
        with weights exp(-cost) within each. The rest is spread evenly over all crystals.
    costs
        Energies in units of the temperature (`boltzmann_costs`), shape (n,).
    """
    chance = np.full(len(formulas), 1.0 / len(formulas))
    present = [target for target in targets if (formulas == target).any()]
    if present:
        chance *= 1 - share
        for target in present:
            members = formulas == target
            weights = np.exp(-costs[members])
            chance[members] += share / len(present) * weights / weights.sum()
    return chance / chance.sum()
