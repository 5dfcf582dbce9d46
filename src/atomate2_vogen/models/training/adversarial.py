"""The adversarial training loop: critic and generator in the joint latent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.archive import named
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import WGANPreset
from atomate2_vogen.models.networks.wgan import (
    Boxes,
    Composite,
    CriticUpdate,
    build_critic,
    build_generator,
)
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.models.training.fitting import History, Progress, schedule

PARTS = 50
"""Number of entries in the history; the state is saved after each."""


def fit_wgan(
    preset: WGANPreset,
    energy: Any,
    means: np.ndarray,
    widths: np.ndarray,
    condition: np.ndarray,
    *,
    chance: np.ndarray,
    seed: int,
    remembered: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    boxes: Boxes | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Any, Any, History]:
    """Train generator and critic on posterior samples.

    Parameters
    ----------
    preset
        Hyperparameters.
    energy
        Trained energy network, which is not changed.
    means, widths
        Posterior means and standard deviations of the standardised latents, shape (n, L).
    condition
        Condition vectors, shape (n, C).
    chance
        Probability of each crystal to be drawn, shape (n,).
    seed
        Random seed for noise and batches.
    remembered
        Latents (m, L), atom counts (m, 2) and costs E/T (m,) for the generator's memory.
    boxes
        Decoder for the error of generated grids; None leaves this term out of the loss.
    progress
        Function that is called after every fiftieth of the steps.
    checkpoint
        File for the training's state after every fiftieth of the steps; an interrupted training
        resumes from it.

    Returns
    -------
    generator, critic : keras.Model
        Trained networks.
    history : dict
        Means over each fiftieth of the steps by metric.

    Raises
    ------
    TrainingError
        If a loss is no longer finite.
    OutputFolderError, ArtefactError
        If the checkpoint is of another training, cannot be written, or is damaged.
    """
    n_latent, n_condition = means.shape[1], condition.shape[1]
    generator = build_generator(preset, n_latent, n_condition)
    if preset.memory and remembered is not None:
        generator.get_layer("memory").fill(*remembered)
    generator.compile(jit_compile=False)
    critic = build_critic(preset, n_latent, n_condition, "critic")
    critic_update = CriticUpdate(critic, preset.loss, preset.penalty, preset.penalty_weight, seed)
    critic_update.compile(optimizer=keras.optimizers.RMSprop(preset.critic_rate), jit_compile=False)
    twin = build_critic(preset, n_latent, n_condition, "critic_twin")
    composite = Composite(
        generator, twin, energy, preset.energy_weight, loss=preset.loss, boxes=boxes
    )
    composite.compile(
        optimizer=keras.optimizers.RMSprop(schedule(preset.generator_rate, preset.steps)),
        jit_compile=False,
    )
    for update in (critic_update, composite):
        update.optimizer.build(update.trainable_variables)
    variables = [*critic_update.variables, *composite.variables]
    moments = [*critic_update.optimizer.variables, *composite.optimizer.variables]
    checkpoint = checkpoint or Checkpoint(None)
    begin, history = 0, dict[str, list[float]]()
    if (state := checkpoint.load()) is not None:
        begin, history = state.header["step"], state.header["history"]
        if begin < preset.steps:
            # at the first update Keras builds more, and on some backends draws random numbers
            # for it: one update on anything, before everything that it changes is set
            any_condition = np.repeat(condition[:1], preset.batch, axis=0)
            blank = np.zeros((preset.batch, n_latent), dtype=np.float32)
            critic_update.train_on_batch((blank, blank, any_condition))
            composite.train_on_batch((blank[:, :1].repeat(preset.noise, axis=1), any_condition))
        state.assign("variables", variables)
        state.assign("optimizer", moments)
        if progress:
            progress("wgan", begin, preset.steps, {k: v[-1] for k, v in history.items()})
    parts = min(PARTS, preset.steps)
    sums: dict[str, list[float]] = {}
    ends = {round(preset.steps * (part + 1) / parts) for part in range(parts)}
    size = preset.batch
    for step in range(begin + 1, preset.steps + 1):
        # by number, so that a resumed training draws what it would have drawn
        rng = np.random.default_rng([seed, 5, step])
        chosen = rng.choice(len(means), (preset.critic_steps + 1, size), p=chance)
        noise = rng.standard_normal((*chosen.shape, preset.noise)).astype(np.float32)
        shake = rng.standard_normal((*chosen.shape, n_latent)).astype(np.float32)
        flat = chosen[:-1].reshape(-1)
        fakes = np.asarray(
            generator.predict_on_batch([noise[:-1].reshape(len(flat), -1), condition[flat]])
        )
        for k in range(preset.critic_steps):
            real = means[chosen[k]] + widths[chosen[k]] * shake[k]
            loss = critic_update.train_on_batch(
                (real, fakes[k * size : (k + 1) * size], condition[chosen[k]])
            )
        distance = float(np.ravel(loss)[0])
        composite.follow(critic, distance)
        figures = composite.train_on_batch((noise[-1], condition[chosen[-1]]), return_dict=True)
        figures = {key: float(value) for key, value in figures.items()}
        figures["critic"] = distance
        for key, value in figures.items():
            sums.setdefault(key, []).append(value)
        if step in ends:
            latest = {key: float(np.mean(values)) for key, values in sums.items()}
            sums = {}
            if not all(math.isfinite(value) for value in latest.values()):
                raise TrainingError(f"the WGAN diverged near step {step}; lower its rates")
            for key, value in latest.items():
                history.setdefault(key, []).append(value)
            arrays = named("variables", variables) | named("optimizer", moments)
            checkpoint.save(arrays, {"step": step, "history": history})
            if progress:
                progress("wgan", step, preset.steps, latest)
    return generator, critic, history
