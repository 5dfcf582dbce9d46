"""Training data of the acceptance network (outcomes of decoding), and its training."""

from __future__ import annotations

from typing import Any

import numpy as np

from atomate2_vogen.models.networks.acceptance import build_acceptance, share_of_likeliest
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import AcceptancePreset
from atomate2_vogen.models.networks.inputs import conditions
from atomate2_vogen.models.projection import is_sound, project_boxes
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.models.training.fitting import History, Progress, fit_supervised
from atomate2_vogen.models.training.random_batches import RandomBatches

PART = 256
"""Number of latents decoded between two checkpoints."""

HELD_OUT = 8
"""One in this number of latents is a validation latent."""


def draw_outcomes(
    model: TrainedModel,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate and decode latents, and check which become crystals of the requested composition.

    Target formulas are drawn evenly, formula units per cell as the sampler draws them, and every
    grid is projected once.

    Parameters
    ----------
    model
        Model whose other networks are trained.
    seed
        Random seed for compositions and noise.
    progress
        Function that is called after every `PART` latents.
    checkpoint
        File for the outcomes so far; an interrupted run resumes from it.

    Returns
    -------
    latents : np.ndarray
        Generated latents, shape (n, L).
    counts : np.ndarray
        Requested numbers of metal and anion atoms, shape (n, 2).
    sound : np.ndarray
        1 for accepted latents, 0 for others, shape (n,).

    Raises
    ------
    OutputFolderError, ArtefactError
        If the checkpoint is of another training, cannot be written, or is damaged.
    """
    preset, checkpoint = model.preset.acceptance, checkpoint or Checkpoint(None)
    state = checkpoint.load()
    sound = [] if state is None else [state.arrays["sound"]]
    known = sum(len(part) for part in sound)
    latents, counts = [], []
    for start in range(0, preset.latents, PART):
        rng = np.random.default_rng([seed, 7, start])
        size = min(PART, preset.latents - start)
        asked = np.array([_atoms(model, rng) for _ in range(size)])
        made = model.generate(asked, rng, latent_noise=preset.latent_noise)
        latents.append(made)
        counts.append(asked)
        if start >= known:
            sound.append(_outcomes(model, made, asked))
            checkpoint.save({"sound": np.concatenate(sound)}, {})
        if progress:
            share = float(np.concatenate(sound)[: start + size].mean())
            progress("draws", start + size, preset.latents, {"accepted": share})
    return np.concatenate(latents), np.concatenate(counts), np.concatenate(sound)


def fit_acceptance(
    model: TrainedModel,
    outcomes: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Any, History, dict[str, float]]:
    """Train the acceptance network on the outcomes of decoding.

    Parameters
    ----------
    model
        Model that has generated the latents.
    outcomes
        Latents, counts and acceptance, the result of `draw_outcomes`.
    seed
        Random seed for the batches.
    progress, checkpoint
        As for `fitting.fit_energy`.

    Returns
    -------
    network : keras.Model
        Network with the weights of the best validation epoch.
    history : dict
        Values per epoch by metric.
    metrics : dict
        Metrics on the validation latents: their number, the accepted fraction, and the accepted
        fraction of the eighth with the highest predictions within each composition and size.

    Raises
    ------
    TrainingError
        If the loss is no longer finite.
    OutputFolderError, ArtefactError
        If the checkpoint is of another training, cannot be written, or is damaged.
    """
    preset = model.preset.acceptance
    latents, counts, sound = outcomes
    condition = conditions(counts, model.system)
    held = np.arange(len(sound)) % HELD_OUT == 0
    network = build_acceptance(preset, latents.shape[1], condition.shape[1])
    history = fit_supervised(
        network,
        _Outcomes((latents[~held], condition[~held], sound[~held]), preset, seed),
        ((latents[held], condition[held]), sound[held].astype(np.float32)),
        preset=preset,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[],
        monitor="val_loss",
        checkpoint=checkpoint,
        progress=progress,
    )
    logits = np.asarray(network.predict_on_batch((latents[held], condition[held])))[:, 0]
    metrics = {
        "acceptance_n": float(held.sum()),
        "acceptance_share": float(sound[held].mean()),
        "acceptance_share_of_likeliest": share_of_likeliest(logits, counts[held], sound[held]),
    }
    return network, history, metrics


def _atoms(model: TrainedModel, rng: np.random.Generator) -> np.ndarray:
    """Random numbers of metal and anion atoms of a cell."""
    formula = str(rng.choice(model.system.target_formulas))
    units, chance = model.formula_units(formula)
    return rng.choice(units, p=chance) * np.array(model.system.formula_unit(formula))


def _outcomes(model: TrainedModel, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Whether each latent becomes a crystal of the requested composition, (n,) of 0 and 1."""
    sites, lattices = model.decode(latents)
    project_boxes(model, latents.copy(), sites, counts)
    return np.array(
        [
            is_sound(model.codec, box, cell, (int(metal), int(anion)))
            for box, cell, (metal, anion) in zip(sites, lattices, counts, strict=True)
        ],
        dtype=np.uint8,
    )


class _Outcomes(RandomBatches):
    """Random batches of latents with their conditions and outcomes."""

    stream = (8,)

    def __init__(self, data: tuple[np.ndarray, ...], preset: AcceptancePreset, seed: int) -> None:
        super().__init__(preset, seed)
        self.data = data

    def draw(self, rng: np.random.Generator) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Latents and conditions; outcomes."""
        latents, condition, sound = self.data
        chosen = rng.integers(len(sound), size=self.preset.batch)
        return (latents[chosen], condition[chosen]), sound[chosen].astype(np.float32)
