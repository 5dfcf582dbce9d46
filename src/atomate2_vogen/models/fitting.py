"""Training loops of the single networks: autoencoders, energy CNN, WGAN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from atomate2_vogen.errors import GridError, TrainingError
from atomate2_vogen.models.backend import keras
from atomate2_vogen.models.batches import Batches, Pool
from atomate2_vogen.models.energy import EnergyScale, build_energy, composition_baseline
from atomate2_vogen.models.presets import EnergyPreset, VAEPreset, WGANPreset
from atomate2_vogen.models.vae import VAE
from atomate2_vogen.models.wgan import Composite, CriticUpdate, build_critic, build_generator
from atomate2_vogen.voxels.codec import VoxelCodec

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with stage, done, total and the latest figures."""

History = dict[str, list[float]]

CLIP_NORM = 50.0
"""Largest norm of a VAE's gradient: of a loss that sums over voxels, hence not near one."""

WARMUP_STEPS = 30

GATE_HEIGHT = 0.5
"""Median peak height, in nominal heights, below which a reconstructed box counts as blank."""


def schedule(peak: float, steps: int) -> Any:
    """Learning rate: linear warm-up, then a cosine to zero."""
    warmup = min(WARMUP_STEPS, max(steps // 10, 1))
    return keras.optimizers.schedules.CosineDecay(
        peak / 20, max(steps - warmup, 1), warmup_target=peak, warmup_steps=warmup
    )


class _Watch(keras.callbacks.Callback):
    """Anneals β, reports progress, stops on a loss that is no number."""

    def __init__(self, stage: str, epochs: int, progress: Progress | None) -> None:
        super().__init__()
        self.stage, self.epochs, self.progress = stage, epochs, progress
        self.history: History = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set β."""
        del logs
        if isinstance(self.model, VAE):
            preset = self.model.preset
            share = min(1.0, (epoch + 1) / max(preset.anneal_epochs, 1))
            self.model.beta.assign(preset.beta * share)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record, report."""
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
        if self.progress:
            self.progress(self.stage, epoch + 1, self.epochs, figures)


def fit_vae(
    vae: VAE,
    batches: Batches,
    validation: np.ndarray,
    progress: Progress | None = None,
) -> History:
    """Train an autoencoder; the weights of the best validation epoch stay.

    Parameters
    ----------
    vae
        Untrained.
    batches
        Training grids.
    validation
        (n, N, N, N, C) grids of held-out crystals.
    progress
        Told after each epoch.

    Returns
    -------
    dict
        Metric -> value per epoch.

    Raises
    ------
    TrainingError
        If the loss is no longer finite.
    """
    preset = vae.preset
    vae.compile(
        optimizer=keras.optimizers.Adam(
            schedule(preset.learning_rate, preset.steps * preset.epochs),
            global_clipnorm=CLIP_NORM,
        ),
        jit_compile=False,
    )
    watch = _Watch(vae.name, preset.epochs, progress)
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_reconstruction",
        mode="min",
        patience=preset.patience,
        restore_best_weights=True,
        start_from_epoch=preset.anneal_epochs,
    )
    vae.fit(
        batches,
        epochs=preset.epochs,
        validation_data=(validation,),
        validation_batch_size=len(validation),
        verbose=0,
        callbacks=[watch, stopping],
    )
    return watch.history


def peak_height(vae: VAE, pool: Pool, grids: np.ndarray, codec: VoxelCodec) -> float:
    """Median height of the peaks that a sites autoencoder gives back, in nominal heights.

    As many peaks as the crystal has atoms are asked for; a box that lacks them counts as 0.
    """
    heights = []
    for grid, counts in zip(vae.decode(vae.encode(grids)[0]), pool.counts, strict=True):
        try:
            heights.extend(codec.decode_sites(grid, counts.tolist())[2].tolist())
        except GridError:
            heights.extend([0.0] * int(counts.sum()))
    return float(np.median(heights))


def check_gate(height: float, preset: VAEPreset) -> None:
    """Refuse an autoencoder that gives back blank boxes.

    Raises
    ------
    TrainingError
        If the median peak height is not over `GATE_HEIGHT` although training was long enough.
    """
    if preset.steps * preset.epochs >= preset.gate_steps and height <= GATE_HEIGHT:
        raise TrainingError(
            f"the sites autoencoder gives back blank boxes (median peak height {height:.2f} "
            f"after {preset.steps * preset.epochs} steps); train longer or lower beta"
        )


class _LatentBatches(keras.utils.PyDataset):
    """Posterior samples with their conditions and standardised targets."""

    def __init__(
        self,
        means: np.ndarray,
        widths: np.ndarray,
        condition: np.ndarray,
        targets: np.ndarray,
        *,
        preset: EnergyPreset,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        self.data = (means, widths, condition, targets)
        self.preset, self.seed, self.epoch = preset, seed, 0

    def __len__(self) -> int:
        return self.preset.steps

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        rng = np.random.default_rng([self.seed, 4, self.epoch, index])
        means, widths, condition, targets = self.data
        chosen = rng.choice(len(means), self.preset.batch)
        noise = rng.standard_normal((self.preset.batch, means.shape[1]))
        latents = (means[chosen] + widths[chosen] * noise).astype(np.float32)
        return (latents, condition[chosen]), targets[chosen]


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
) -> tuple[Any, History]:
    """Train the energy CNN on posterior samples.

    Parameters
    ----------
    means, widths
        (n, L) of the standardised latents.
    condition
        (n, C).
    targets
        (n,) standardised energies above the composition line.
    validation
        Latents, conditions and standardised targets of held-out crystals.
    seed
        Of the draws.
    progress
        Told after each epoch.

    Returns
    -------
    network : keras.Model
        With the weights of the best validation epoch.
    history : dict
        Metric -> value per epoch.
    """
    network = build_energy(preset, means.shape[1], condition.shape[1])
    network.compile(
        optimizer=keras.optimizers.AdamW(
            schedule(preset.learning_rate, preset.steps * preset.epochs), global_clipnorm=1.0
        ),
        loss=keras.losses.Huber(1.0),
        metrics=["mae"],
        jit_compile=False,
    )
    watch = _Watch("energy", preset.epochs, progress)
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_mae", mode="min", patience=preset.patience, restore_best_weights=True
    )
    network.fit(
        _LatentBatches(
            means, widths, condition, targets.astype(np.float32), preset=preset, seed=seed
        ),
        epochs=preset.epochs,
        validation_data=((validation[0], validation[1]), validation[2]),
        validation_batch_size=len(validation[2]),
        verbose=0,
        callbacks=[watch, stopping],
    )
    return network, watch.history


def energy_errors(
    predicted: np.ndarray,
    pool: Pool,
    scale: EnergyScale,
    train: Pool,
) -> dict[str, float]:
    """Errors of the energy network and of the composition-only mean on held-out crystals.

    Both are judged on the clipped energy above the composition line, eV/atom.

    Parameters
    ----------
    predicted
        (n,) predictions for the labelled crystals of `pool`, eV/atom.
    pool
        Held-out crystals.
    scale
        Of the target.
    train
        Crystals whose means the baseline uses.
    """
    known, learned = np.isfinite(pool.energies), np.isfinite(train.energies)
    truth = scale.target(pool.energies[known], pool.counts[known])
    baseline = composition_baseline(
        scale.target(train.energies[learned], train.counts[learned]),
        train.counts[learned],
        pool.counts[known],
    )
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "energy_mae": float(np.abs(predicted - truth).mean()),
        "energy_mae_composition_mean": float(np.abs(baseline - truth).mean()),
        "energy_r2": 1 - float(((predicted - truth) ** 2).sum()) / spread if spread else 0.0,
        "energy_n": float(known.sum()),
    }


def fit_wgan(
    preset: WGANPreset,
    energy: Any,
    means: np.ndarray,
    widths: np.ndarray,
    condition: np.ndarray,
    *,
    chance: np.ndarray,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Any, Any, History]:
    """Train generator and critic on posterior samples.

    Parameters
    ----------
    preset
        Sizes and steps.
    energy
        Trained energy network; it stays as it is.
    means, widths
        (n, L) of the standardised latents.
    condition
        (n, C).
    chance
        (n,) chance of each crystal to be drawn.
    seed
        Of noise and draws.
    progress
        Told every fiftieth of the way.

    Returns
    -------
    generator, critic : keras.Model
        Trained.
    history : dict
        Metric -> mean over each fiftieth of the way.

    Raises
    ------
    TrainingError
        If a loss is no longer finite.
    """
    n_latent, n_condition = means.shape[1], condition.shape[1]
    generator = build_generator(preset, n_latent, n_condition)
    generator.compile(jit_compile=False)
    critic = build_critic(preset, n_latent, n_condition, "critic")
    critic_update = CriticUpdate(critic)
    critic_update.compile(optimizer=keras.optimizers.RMSprop(preset.critic_rate), jit_compile=False)
    twin = build_critic(preset, n_latent, n_condition, "critic_twin")
    composite = Composite(generator, twin, energy, preset.energy_weight)
    composite.compile(
        optimizer=keras.optimizers.RMSprop(schedule(preset.generator_rate, preset.steps)),
        jit_compile=False,
    )
    rng = np.random.default_rng([seed, 5])
    parts = min(50, preset.steps)
    history: History = {}
    sums: dict[str, list[float]] = {}
    ends = {round(preset.steps * (part + 1) / parts): part + 1 for part in range(parts)}
    size = preset.batch
    for step in range(1, preset.steps + 1):
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
            if progress:
                progress("wgan", step, preset.steps, latest)
    return generator, critic, history
