"""What becomes of generated latents, and the training of the acceptance network on it."""

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
from atomate2_vogen.models.training.fitting import History, Progress, fit_network, schedule

PART = 256
"""Latents decoded between two checkpoints."""

HELD_OUT = 8
"""One latent in so many is kept for validation."""


def draw_outcomes(
    model: TrainedModel,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate latents, decode them, and see which become crystals as asked for.

    Target formulas evenly, formula units per cell as the sampler draws them, every box
    projected once.

    Parameters
    ----------
    model
        Whose other networks are trained.
    seed
        Of the draws.
    progress
        Told after each `PART`.
    checkpoint
        Holds the outcomes so far; draws that were cut off go on from there.

    Returns
    -------
    latents : np.ndarray
        (n, L) as generated.
    counts : np.ndarray
        (n, 2) atoms of metal and anion asked for.
    sound : np.ndarray
        (n,) 1 where a latent was accepted, 0 elsewhere.

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
    """Train the network on what became of latents.

    Parameters
    ----------
    model
        Of the latents.
    outcomes
        As `draw_outcomes`.
    seed
        Of the batches.
    progress, checkpoint
        As `fitting.fit_energy`.

    Returns
    -------
    network : keras.Model
        With the weights of the best validation epoch.
    history : dict
        Metric -> value per epoch.
    metrics : dict
        On the latents held out: how many they are, the share accepted, and that share among
        the eighth that the network thinks likeliest, both within one composition and size.

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
    network.compile(
        optimizer=keras.optimizers.AdamW(
            schedule(preset.learning_rate, preset.steps * preset.epochs), global_clipnorm=1.0
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    history = fit_network(
        network,
        "acceptance",
        _Outcomes(latents[~held], condition[~held], sound[~held], preset=preset, seed=seed),
        ((latents[held], condition[held]), sound[held].astype(np.float32)),
        epochs=preset.epochs,
        stopping={"monitor": "val_loss", "patience": preset.patience},
        checkpoint=checkpoint or Checkpoint(None),
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
    """Atoms of metal and anion of a cell to ask for."""
    formula = str(rng.choice(model.system.target_formulas))
    units, chance = model.formula_units(formula)
    return rng.choice(units, p=chance) * np.array(model.system.formula_unit(formula))


def _outcomes(model: TrainedModel, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Whether each latent becomes a crystal as asked for, (n,) of 0 and 1."""
    sites, lattices = model.decode(latents)
    project_boxes(model, latents.copy(), sites, counts)
    return np.array(
        [
            is_sound(model.codec, box, cell, (int(metal), int(anion)))
            for box, cell, (metal, anion) in zip(sites, lattices, counts, strict=True)
        ],
        dtype=np.uint8,
    )


class _Outcomes(keras.utils.PyDataset):
    """Latents with their conditions and outcomes, drawn at random."""

    def __init__(
        self,
        latents: np.ndarray,
        condition: np.ndarray,
        sound: np.ndarray,
        *,
        preset: AcceptancePreset,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        self.data = (latents, condition, sound.astype(np.float32))
        self.preset, self.seed, self.epoch = preset, seed, 0

    def __len__(self) -> int:
        return self.preset.steps

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        rng = np.random.default_rng([self.seed, 8, self.epoch, index])
        latents, condition, sound = self.data
        chosen = rng.integers(len(sound), size=self.preset.batch)
        return (latents[chosen], condition[chosen]), sound[chosen]
