"""Training loops of autoencoders and energy CNN, which resume from a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.archive import Archive, named
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.energy import build_energy, masked_huber, target_mae
from atomate2_vogen.models.networks.hyperparameters import AcceptancePreset, EnergyPreset
from atomate2_vogen.models.networks.vae import VAE
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.models.training.random_batches import RandomBatches

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Function of the stage's name, finished steps, all steps and the latest metrics."""

History = dict[str, list[float]]

CLIP_NORM = 50.0
"""Largest norm of a VAE's gradient at sigma 1: of a loss that sums over voxels, hence not near
one, and grows with sigma³."""

WARMUP_STEPS = 30


def schedule(peak: float, steps: int) -> Any:
    """Learning rate: linear warm-up, then a cosine to zero."""
    warmup = min(WARMUP_STEPS, max(steps // 10, 1))
    return keras.optimizers.schedules.CosineDecay(
        peak / 20, max(steps - warmup, 1), warmup_target=peak, warmup_steps=warmup
    )


class _Watch(keras.callbacks.Callback):
    """Callback that anneals β, records metrics and stops a diverged training."""

    def __init__(self, stage: str, history: History) -> None:
        super().__init__()
        self.stage, self.history = stage, history

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set β."""
        del logs
        if isinstance(self.model, VAE):
            preset = self.model.preset
            share = min(1.0, (epoch + 1) / max(preset.anneal_epochs, 1))
            self.model.beta.assign(preset.beta * share)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record."""
        figures = {key: float(value) for key, value in (logs or {}).items()}
        if not all(math.isfinite(value) for value in figures.values()):
            raise TrainingError(
                f"the training of the {self.stage} network diverged in epoch {epoch + 1}; "
                "lower its learning rate"
            )
        if isinstance(self.model, VAE):
            figures["beta"] = float(self.model.beta)
        for key, value in figures.items():
            self.history.setdefault(key, []).append(value)


class _Stopping(keras.callbacks.EarlyStopping):
    """Early stopping whose state can be saved and restored."""

    def __init__(self, state: Archive | None, **kwargs: Any) -> None:
        super().__init__(mode="min", restore_best_weights=True, **kwargs)
        self.state = state

    def on_train_begin(self, logs: Any = None) -> None:
        """Reset, or restore the saved state."""
        super().on_train_begin(logs)
        if self.state is not None:
            for key, value in self.state.header["stopping"].items():
                setattr(self, key, value)
            self.best_weights = self.state.group("best") or None
            # again: on some backends Keras has drawn random numbers to build the model
            self.state.assign("variables", self.model.variables)
            self.state.assign("optimizer", self.model.optimizer.variables)

    def memory(self) -> dict[str, Any]:
        """State that `on_train_begin` restores, except the weights."""
        best = None if self.best is None else float(self.best)
        return {"best": best, "best_epoch": int(self.best_epoch), "wait": int(self.wait)}


class _Saver(keras.callbacks.Callback):
    """Callback that saves a checkpoint after every epoch.

    It must come after the callbacks whose state it saves.
    """

    def __init__(
        self, checkpoint: Checkpoint, watch: _Watch, stopping: _Stopping, progress: Progress | None
    ) -> None:
        super().__init__()
        self.checkpoint, self.watch, self.stopping = checkpoint, watch, stopping
        self.progress = progress

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, then report."""
        del logs
        epochs = self.params["epochs"]
        arrays = {
            **named("variables", self.model.variables),
            **named("optimizer", self.model.optimizer.variables),
            **named("best", self.stopping.best_weights or ()),
        }
        record = {
            "epoch": epoch + 1,
            "finished": bool(self.model.stop_training or epoch + 1 == epochs),
            "history": self.watch.history,
            "stopping": self.stopping.memory(),
        }
        self.checkpoint.save(arrays, record)
        _report(self.progress, self.watch.stage, epoch + 1, epochs, self.watch.history)


def _report(progress: Progress | None, stage: str, done: int, total: int, history: History) -> None:
    if progress:
        progress(stage, done, total, {key: values[-1] for key, values in history.items()})


def fit_network(
    network: Any,
    stage: str,
    batches: Any,
    validation: tuple[Any, ...],
    *,
    epochs: int,
    stopping: dict[str, Any],
    checkpoint: Checkpoint,
    progress: Progress | None,
) -> History:
    """Train a compiled network from its checkpoint on; it keeps the best epoch's weights."""
    network.optimizer.build(network.trainable_variables)
    state = checkpoint.load()
    record: dict[str, Any] = {"epoch": 0, "finished": False, "history": {}}
    if state is not None:
        record = state.header
        state.assign("variables", network.variables)
        _report(progress, stage, record["epoch"], epochs, record["history"])
        if record.get("done"):
            return dict(record["history"])
        state.assign("optimizer", network.optimizer.variables)
    watch = _Watch(stage, record["history"])
    stop = _Stopping(state, **stopping)
    if not record["finished"]:
        # batches are drawn by the number of the epoch
        batches.epoch = record["epoch"]
        network.fit(
            batches,
            initial_epoch=record["epoch"],
            epochs=epochs,
            # they are random already, and Keras would shuffle by Python's own random numbers
            shuffle=False,
            validation_data=validation,
            validation_batch_size=len(validation[-1]),
            verbose=0,
            callbacks=[watch, stop, _Saver(checkpoint, watch, stop, progress)],
        )
    elif state is not None and (best := state.group("best")):
        network.set_weights(best)
    epoch = len(next(iter(watch.history.values())))
    checkpoint.save(
        named("variables", network.variables),
        {"epoch": epoch, "finished": True, "done": True, "history": watch.history},
    )
    return watch.history


def fit_vae(
    vae: VAE,
    batches: RandomBatches,
    validation: np.ndarray,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train an autoencoder, which keeps the weights of the best validation epoch.

    Parameters
    ----------
    vae
        Untrained autoencoder.
    batches
        Training grids.
    validation
        (n, N, N, N, C) grids of held-out crystals.
    progress
        Function that is called after each epoch.
    checkpoint
        File for the training's state after each epoch; an interrupted training resumes from it.

    Returns
    -------
    dict
        Values per epoch by metric.

    Raises
    ------
    TrainingError
        If the loss is no longer finite.
    OutputFolderError, ArtefactError
        If the checkpoint is of another training, cannot be written, or is damaged.
    """
    preset = vae.preset
    vae.compile(
        optimizer=keras.optimizers.Adam(
            schedule(preset.learning_rate, preset.steps * preset.epochs),
            global_clipnorm=CLIP_NORM * preset.sigma**3,
        ),
        jit_compile=False,
    )
    return fit_network(
        vae,
        vae.name,
        batches,
        (validation,),
        epochs=preset.epochs,
        stopping={
            "monitor": "val_reconstruction",
            "patience": preset.patience,
            "start_from_epoch": preset.anneal_epochs,
        },
        checkpoint=checkpoint or Checkpoint(None),
        progress=progress,
    )


class _LatentBatches(RandomBatches):
    """Random posterior samples with their conditions and standardised targets."""

    stream = (4,)

    def __init__(self, data: tuple[np.ndarray, ...], preset: EnergyPreset, seed: int) -> None:
        super().__init__(preset, seed)
        self.data = data

    def draw(self, rng: np.random.Generator) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Latents and conditions; targets."""
        means, widths, condition, targets = self.data
        # half of each batch has a label of the first kind, however few of them there are
        labelled = np.flatnonzero(np.isfinite(targets[:, 0]))
        half = self.preset.batch // 2
        chosen = np.concatenate(
            [rng.choice(labelled, half), rng.choice(len(means), self.preset.batch - half)]
        )
        noise = rng.standard_normal((self.preset.batch, means.shape[1]))
        latents = (means[chosen] + widths[chosen] * noise).astype(np.float32)
        return (latents, condition[chosen]), targets[chosen]


def fit_supervised(
    network: Any,
    batches: RandomBatches,
    validation: tuple[Any, Any],
    *,
    preset: EnergyPreset | AcceptancePreset,
    loss: Any,
    metrics: list[Any],
    monitor: str,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> History:
    """Train a network in the joint latent on targets; its name is that of the stage."""
    network.compile(
        optimizer=keras.optimizers.AdamW(
            schedule(preset.learning_rate, preset.steps * preset.epochs), global_clipnorm=1.0
        ),
        loss=loss,
        metrics=metrics,
        jit_compile=False,
    )
    return fit_network(
        network,
        network.name,
        batches,
        validation,
        epochs=preset.epochs,
        stopping={"monitor": monitor, "patience": preset.patience},
        checkpoint=checkpoint or Checkpoint(None),
        progress=progress,
    )


def fit_energy(
    preset: EnergyPreset,
    means: np.ndarray,
    widths: np.ndarray,
    condition: np.ndarray,
    *,
    targets: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Any, History]:
    """Train the energy CNN on posterior samples.

    Parameters
    ----------
    means, widths
        Posterior means and standard deviations of the standardised latents, shape (n, L).
    condition
        Condition vectors, shape (n, C).
    targets
        Standardised energies (`EnergyScale.standard`), shape (n, 2); not-a-number where
        unlabelled.
    validation
        Latents, conditions and standardised targets of held-out crystals.
    seed
        Random seed for the batches.
    progress
        Function that is called after each epoch.
    checkpoint
        As for `fit_vae`.

    Returns
    -------
    network : keras.Model
        Network with the weights of the best validation epoch.
    history : dict
        Values per epoch by metric.

    Raises
    ------
    TrainingError, OutputFolderError, ArtefactError
        As `fit_vae`.
    """
    network = build_energy(preset, means.shape[1], condition.shape[1])
    data = (means, widths, condition, targets.astype(np.float32))
    history = fit_supervised(
        network,
        _LatentBatches(data, preset, seed),
        ((validation[0], validation[1]), validation[2]),
        preset=preset,
        loss=masked_huber,
        metrics=[keras.metrics.MeanMetricWrapper(target_mae, name="mae")],
        monitor="val_mae",
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, history
