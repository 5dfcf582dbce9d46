"""Training stages before the WGAN: both autoencoders, and the energy CNN on their latents.

Each stage gives a `TrainedStage`, the input of the next one, and resumes from its checkpoint if
it was interrupted; `models.training.pipeline` runs all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.relaxed import RelaxedSet
from atomate2_vogen.errors import TrainingError
from atomate2_vogen.models.networks.backend import backend_name, run
from atomate2_vogen.models.networks.building import without_optimizers
from atomate2_vogen.models.networks.energy import EnergyScale
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import conditions
from atomate2_vogen.models.networks.vae import VAE
from atomate2_vogen.models.training.assessment import (
    check_gate,
    encode_pool,
    energy_errors,
    peak_height,
    reconstruction,
)
from atomate2_vogen.models.training.augmentation import LatticeBatches, SitesBatches
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.models.training.crystal_pool import Pool, lattice_grids, sites_grids
from atomate2_vogen.models.training.fitting import Progress, fit_energy, fit_vae
from atomate2_vogen.models.training.setup import Setup, make_setup, recipe
from atomate2_vogen.models.training.trained_stage import TrainedStage
from atomate2_vogen.voxels.codec import VoxelCodec

WIDTH_FLOOR = 0.1
"""Smallest standard deviation that a latent is divided by: a dimension that the decoder does
not use must not be blown up to one that looks important."""

N_VALIDATION = 100
"""Most held-out crystals whose grids are kept in memory during training."""


def train_vae(
    crystals: CrystalSet,
    preset: str | Preset = "quick",
    seed: int = 0,
    progress: Progress | None = None,
    *,
    checkpoint: str | Path | None = None,
) -> TrainedStage:
    """Train the autoencoders of sites and of lattices.

    Parameters
    ----------
    crystals
        Data set with splits; energy labels are not used.
    preset
        Hyperparameters: key of `PRESETS`, or a preset.
    seed
        Random seed for initial weights, batch order and noise.
    progress
        Function that is called with network, finished epochs, all epochs and the latest metrics.
    checkpoint
        Folder for the state after every epoch. An interrupted training resumes from it and ends
        with the same history and weights. None saves nothing.

    Raises
    ------
    TrainingError
        If the training diverges or the boxes stay blank.
    InputError
        If there is no such preset.
    OutputFolderError
        If the folder holds another training or cannot be written, for example on a full disk.
    ArtefactError
        If a file in the folder is damaged.

    Examples
    --------
    >>> from atomate2_vogen.data.dataset import load_dataset
    >>> stage = train_vae(load_dataset(), "quick", checkpoint="training")  # doctest: +SKIP
    >>> stage.metrics["test_match"]  # doctest: +SKIP
    """
    setup = make_setup(crystals, preset, seed, progress, checkpoint)
    preset = setup.preset
    finished = setup.checkpoint("vae", preset=recipe(preset, "sites", "lattice"))
    if (state := finished.load()) is not None:
        return TrainedStage.from_archive(state)
    seconds, history, codec = {}, {}, setup.codec
    watched = setup.validation.take(_some(len(setup.validation), N_VALIDATION, seed))
    few = setup.train.take(_some(len(setup.train), 50, seed))
    seconds["pools"] = finished.seconds

    current = setup.checkpoint("sites", preset=recipe(preset, "sites"))
    setup.reseed(1)
    sites = VAE(preset.sites, 2, "sites", seed)
    sigma = codec.sigma_sites
    history["sites"] = fit_vae(
        sites,
        SitesBatches(setup.train, preset.sites, seed, sigma, preset),
        sites_grids(watched, preset.sites.grid, sigma),
        progress,
        current,
    )
    height = peak_height(sites, few, sites_grids(few, preset.sites.grid, sigma), codec)
    check_gate(height, preset.sites)
    seconds["sites"], memory = current.seconds, current.peak_memory

    current = setup.checkpoint("lattice", preset=recipe(preset, "lattice"))
    setup.reseed(2)
    lattice = VAE(preset.lattice, 1, "lattice", seed)
    history["lattice"] = fit_vae(
        lattice,
        LatticeBatches(setup.train, preset.lattice, seed, codec, preset.strain),
        lattice_grids(watched, codec),
        progress,
        current,
    )
    seconds["lattice"], memory = current.seconds, max(memory, current.peak_memory)

    current = Checkpoint(None)  # measures time and memory of the metrics
    networks = without_optimizers(
        preset,
        setup.system,
        {
            "sites_encoder": sites.encoder,
            "sites_decoder": sites.decoder,
            "lattice_encoder": lattice.encoder,
            "lattice_decoder": lattice.decoder,
        },
    )
    means, _ = posteriors(networks, setup.train, codec)
    stage = TrainedStage(
        "vae",
        preset,
        setup.system,
        seed,
        crystals.dataset_id,
        networks,
        mean=means.mean(axis=0),
        width=np.maximum(means.std(axis=0), WIDTH_FLOOR),
        history=history,
        backend=backend_name(),
    )
    metrics = {"train_peak_height": height, "n_train": float(len(setup.train))}
    if setup.test is not None:
        some = setup.test.take(_some(len(setup.test), N_VALIDATION, seed))
        found = reconstruction(stage.codec_model(), some)
        metrics.update({f"test_{key}": value for key, value in found.items()})
    seconds["vae_metrics"] = current.seconds
    memory = max(memory, current.peak_memory)
    stage = replace(stage, metrics=metrics, seconds=seconds, peak_memory=memory)
    content = stage.archive()
    finished.save(content.arrays, content.header)
    return stage


def train_energy(
    crystals: CrystalSet,
    vae: TrainedStage,
    preset: str | Preset = "quick",
    *,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    relaxations: RelaxedSet | None = None,
) -> TrainedStage:
    """Train the energy CNN on the latents of trained autoencoders.

    Parameters
    ----------
    crystals
        Labelled data set with splits, the same that the autoencoders were trained on.
    vae
        Trained autoencoders, the result of `train_vae`.
    preset, seed, progress, checkpoint
        As for `train_vae`.
    relaxations
        Relaxations of crystals, required by a preset with ``relaxed=True``; `data.ends` chooses
        those that are used.

    Raises
    ------
    TrainingError
        If labels or relaxations are missing or the training diverges.
    InputError
        If there is no such preset, or the autoencoders are of another data set or preset.
    OutputFolderError, ArtefactError
        As `train_vae`.

    Examples
    --------
    >>> from atomate2_vogen.data.dataset import load_dataset
    >>> crystals = load_dataset()
    >>> vae = train_vae(crystals, "quick")  # doctest: +SKIP
    >>> energy = train_energy(crystals, vae, "quick")  # doctest: +SKIP
    """
    setup = make_setup(crystals, preset, seed, progress, checkpoint, relaxations=relaxations)
    setup.check_labels()
    setup.check_relaxations()
    setup.check_stage(vae, "vae", "sites", "lattice")
    asked = {"vae": vae.model_id, "ends": setup.ends_id, "preset": recipe(setup.preset, "energy")}
    finished = setup.checkpoint("energy", **asked)
    if (state := finished.load()) is not None:
        return TrainedStage.from_archive(state)
    current = setup.checkpoint("energy_epochs", **asked)
    train = setup.labelled
    held, _ = setup.learned("validation")
    held = held.take(np.isfinite(_targets(setup, held)[:, 0]))
    if not len(held):
        raise TrainingError("no validation crystal has an energy label; label the data set first")
    means, widths = latents(setup, vae)
    labels = _targets(setup, train)
    scales = [
        EnergyScale.fit(column[known], train.counts[known], seed)
        for column in labels.T
        if (known := np.isfinite(column)).any()
    ]
    labelled = np.isfinite(labels).any(axis=1)
    setup.reseed(3)
    network, history = fit_energy(
        setup.preset.energy,
        means[labelled],
        widths[labelled],
        conditions(train.counts, setup.system)[labelled],
        targets=_standard(labels, train.counts, scales)[labelled],
        validation=(
            encode_pool(vae.codec_model(), held),
            conditions(held.counts, setup.system),
            _standard(_targets(setup, held), held.counts, scales),
        ),
        seed=seed,
        progress=progress,
        checkpoint=current,
    )
    metrics = _energy_metrics(setup, vae, network, scales)
    stage = TrainedStage(
        "energy",
        setup.preset,
        setup.system,
        seed,
        crystals.dataset_id,
        without_optimizers(setup.preset, setup.system, {"energy": network}),
        numbers=scales[0].as_dict(),
        parent=vae.model_id,
        history={"energy": history},
        metrics=metrics,
        seconds={"energy": current.seconds},
        peak_memory=current.peak_memory,
        backend=backend_name(),
    )
    content = stage.archive()
    finished.save(content.arrays, content.header)
    return stage


def latents(setup: Setup, vae: TrainedStage) -> tuple[np.ndarray, np.ndarray]:
    """Standardised posterior means and widths (n, L) of ``setup.labelled``, from disk if saved."""
    kept = setup.checkpoint(
        "latents", vae=vae.model_id, ends=setup.ends_id, preset=recipe(setup.preset)
    )
    if (state := kept.load()) is not None:
        return state.arrays["means"], state.arrays["widths"]
    means, widths = posteriors(vae.networks, setup.labelled, setup.codec)
    means, widths = (means - vae.mean) / vae.width, widths / vae.width
    kept.save({"means": means, "widths": widths}, {})
    return means, widths


def posteriors(
    networks: Mapping[str, Any], pool: Pool, codec: VoxelCodec
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and standard deviations (n, L) of a pool, not standardised."""
    means, widths = [], []
    for start in range(0, len(pool), 64):
        part = pool.take(np.arange(start, min(start + 64, len(pool))))
        sites = sites_grids(part, codec.n_sites, codec.sigma_sites)
        first = run(networks["sites_encoder"], sites, compiled=True)
        second = run(networks["lattice_encoder"], lattice_grids(part, codec), compiled=True)
        means.append(np.concatenate([first[0], second[0]], axis=1))
        widths.append(np.exp(0.5 * np.concatenate([first[1], second[1]], axis=1)))
    return np.concatenate(means), np.concatenate(widths)


def _labels(setup: Setup, pool: Pool) -> np.ndarray:
    """Reference energies (n, 2) of the two outputs in eV/atom; not-a-number where unknown."""
    if setup.ends is None:
        return np.stack([pool.energies, np.full(len(pool), np.nan)], axis=1)
    return np.stack([pool.relaxed, pool.energies], axis=1)


def _targets(setup: Setup, pool: Pool) -> np.ndarray:
    """Training energies (n, 2) of the two outputs, which the preset may restrict to one kind."""
    labels = _labels(setup, pool)
    if setup.ends is not None and setup.preset.energy.labels != "both":
        kept = 0 if setup.preset.energy.labels == "relaxed" else 1
        labels = np.stack([labels[:, kept], np.full(len(pool), np.nan)], axis=1)
    return labels


def _energy_metrics(
    setup: Setup, vae: TrainedStage, network: Any, scales: Sequence[EnergyScale]
) -> dict[str, float]:
    """Errors on the split ``test``, of crystals as substituted and of ends of relaxations."""
    if setup.test is None:
        return {}
    pool, n = setup.learned("test")
    learned, _ = setup.learned("train")
    inputs = [encode_pool(vae.codec_model(), pool), conditions(pool.counts, setup.system)]
    outputs = run(network, inputs)[0]
    truth, training = _labels(setup, pool), _labels(setup, learned)
    is_end = np.arange(len(pool)) >= n
    parts = {"energy": (0, ~is_end), "energy_of_ends": (0, is_end)}
    if len(scales) > 1:
        parts["energy_as_it_stands"] = (1, ~is_end)
    metrics = {}
    for name, (column, rows) in parts.items():
        known, trained = rows & np.isfinite(truth[:, column]), np.isfinite(training[:, column])
        if not known.any():
            continue
        errors = energy_errors(
            outputs[known, column],
            truth[known, column],
            pool.counts[known],
            scales[column],
            (training[trained, column], learned.counts[trained]),
        )
        metrics.update({f"test_{name}_{key}": value for key, value in errors.items()})
    return metrics


def _standard(labels: np.ndarray, counts: np.ndarray, scales: Sequence[EnergyScale]) -> np.ndarray:
    """Standardised targets (n, 2) of labels (n, 2), not-a-number where there is none."""
    targets = np.full(labels.shape, np.nan, dtype=np.float32)
    for column, scale in enumerate(scales):
        above = scale.target(labels[:, column], counts)
        targets[:, column] = scale.standard(above, counts)
    return targets


def _some(n: int, most: int, seed: int) -> np.ndarray:
    """Sorted random sample of at most `most` of n indices."""
    return np.sort(np.random.default_rng([seed, 6]).permutation(n)[:most])
