"""From a data set to a trained model: both autoencoders, the energy CNN, the WGAN."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from atomate2_vogen.analysis.matching import default_matcher
from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.errors import TrainingError, VogenError
from atomate2_vogen.models.artefact import TrainedModel, build_networks
from atomate2_vogen.models.backend import backend_name, keras
from atomate2_vogen.models.batches import (
    LatticeBatches,
    Pool,
    SitesBatches,
    conditions,
    lattice_grids,
    make_pool,
    pool_structure,
    sites_grids,
)
from atomate2_vogen.models.energy import EnergyScale
from atomate2_vogen.models.fitting import (
    History,
    Progress,
    check_gate,
    energy_errors,
    fit_energy,
    fit_vae,
    fit_wgan,
    peak_height,
)
from atomate2_vogen.models.presets import Preset, get_preset
from atomate2_vogen.models.vae import VAE
from atomate2_vogen.models.wgan import draw_probabilities
from atomate2_vogen.voxels.codec import VoxelCodec

WIDTH_FLOOR = 0.1
"""Smallest standard deviation that a latent is divided by: a dimension that the decoder does
not use must not be blown up to one that looks important."""

N_VALIDATION = 100
"""Most held-out crystals whose grids are kept in memory during training."""


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how the training went.

    Parameters
    ----------
    model
        Ready to generate.
    history
        Network -> metric -> value per epoch (for the WGAN: per fiftieth of its steps).
    metrics
        On held-out crystals; energies in eV/atom.
    seconds
        Wall time per stage.
    peak_memory
        GiB, of the whole process.
    """

    model: TrainedModel
    history: dict[str, History]
    metrics: dict[str, float]
    seconds: dict[str, float]
    peak_memory: float


def train_wgan(
    crystals: CrystalSet,
    preset: str | Preset = "quick",
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train all networks on the split ``train``; the number of steps is fixed by the preset.

    Parameters
    ----------
    crystals
        Labelled data set with splits.
    preset
        Name or preset.
    seed
        Of weights, batches and noise.
    progress
        Called with stage, done, total and the latest figures.

    Returns
    -------
    TrainingResult
        Model, history and metrics. Reconstruction and energy errors are those of crystals of
        the split ``test``, which no stage has seen.

    Raises
    ------
    TrainingError
        If labels are missing, a training diverges or the boxes stay blank.
    InputError
        If there is no such preset.
    """
    preset = get_preset(preset)
    clock = _Clock()
    keras.utils.set_random_seed(seed)
    system = crystals.system
    codec = VoxelCodec(system, n_sites=preset.sites.grid, n_lattice=preset.lattice.grid)
    if not np.isfinite(crystals.energies[crystals.splits == "train"]).any():
        raise TrainingError("no training crystal has an energy label; label the data set first")
    train = make_pool(crystals, "train", preset, codec, seed)
    validation = make_pool(crystals, "validation", preset, codec, seed)
    watched = validation.take(_some(len(validation), N_VALIDATION, seed))
    clock.lap("pools")

    sigma = codec.sigma_sites
    sites = VAE(preset.sites, 2, "sites", seed)
    history = {}
    history["sites"] = fit_vae(
        sites,
        SitesBatches(train, preset.sites, seed, sigma, preset),
        sites_grids(watched, preset.sites.grid, sigma),
        progress,
    )
    few = train.take(_some(len(train), 50, seed))
    height = peak_height(sites, few, sites_grids(few, preset.sites.grid, sigma), codec)
    check_gate(height, preset.sites)
    clock.lap("sites")
    lattice = VAE(preset.lattice, 1, "lattice", seed)
    history["lattice"] = fit_vae(
        lattice,
        LatticeBatches(train, preset.lattice, seed, codec, preset.strain),
        lattice_grids(watched, codec),
        progress,
    )
    clock.lap("lattice")

    means, widths = _encode(sites, lattice, train, codec)
    centre = means.mean(axis=0)
    scale = np.maximum(means.std(axis=0), WIDTH_FLOOR)
    means, widths = (means - centre) / scale, widths / scale
    condition = conditions(train.counts, system)
    clock.lap("latents")

    labelled = np.isfinite(train.energies)
    energy_scale = EnergyScale.fit(train.energies[labelled], train.counts[labelled], seed)
    held = validation.take(np.isfinite(validation.energies))
    energy, history["energy"] = fit_energy(
        preset.energy,
        means[labelled],
        widths[labelled],
        condition[labelled],
        targets=_standard(train.take(labelled), energy_scale),
        validation=(
            (_encode(sites, lattice, held, codec)[0] - centre) / scale,
            conditions(held.counts, system),
            _standard(held, energy_scale),
        ),
        seed=seed,
        progress=progress,
    )
    clock.lap("energy")

    formulas = np.array([_formula(system, counts) for counts in train.counts])
    generator, critic, history["wgan"] = fit_wgan(
        preset.wgan,
        energy,
        means,
        widths,
        condition,
        chance=draw_probabilities(formulas, system.target_formulas, preset.wgan.target_share),
        seed=seed,
        progress=progress,
    )
    clock.lap("wgan")

    model = TrainedModel(
        preset,
        system,
        _bare(
            preset,
            system,
            {
                "sites_encoder": sites.encoder,
                "sites_decoder": sites.decoder,
                "lattice_encoder": lattice.encoder,
                "lattice_decoder": lattice.decoder,
                "energy": energy,
                "critic": critic,
                "generator": generator,
            },
        ),
        mean=centre,
        width=scale,
        energy_scale=energy_scale,
        cells=_cells(formulas, train.counts, system),
        provenance={"seed": seed, "dataset_id": crystals.dataset_id, "backend": backend_name()},
    )
    metrics = {"train_peak_height": height, "n_train": float(len(train))}
    metrics.update(_held_out(model, crystals, train, seed))
    clock.lap("metrics")
    return TrainingResult(model, history, metrics, clock.laps, peak_memory())


def _bare(preset: Preset, system: OxideSystem, trained: dict[str, Any]) -> dict[str, Any]:
    """The same networks without optimizers, whose slots would triple the file."""
    networks = build_networks(preset, system)
    for name, network in networks.items():
        network.set_weights(trained[name].get_weights())
    return networks


def _held_out(
    model: TrainedModel, crystals: CrystalSet, train: Pool, seed: int
) -> dict[str, float]:
    """Reconstruction and energy errors on crystals of the split ``test``."""
    if not (crystals.splits == "test").any():
        return {}
    test = make_pool(crystals, "test", model.preset, model.codec, seed)
    metrics = {}
    known = test.take(np.isfinite(test.energies))
    if len(known):
        latents = encode_pool(model, known)
        metrics = energy_errors(
            model.predict_energy(latents, known.counts), known, model.energy_scale, train
        )
    some = test.take(_some(len(test), N_VALIDATION, seed))
    metrics.update(reconstruction(model, some))
    return {f"test_{key}": value for key, value in metrics.items()}


def reconstruction(model: TrainedModel, pool: Pool) -> dict[str, float]:
    """How well crystals survive encoding and decoding by both networks, counts untold.

    Returns
    -------
    dict
        ``exact_composition`` and ``match`` (StructureMatcher at pymatgen's defaults) as
        shares, ``length_mae`` in Å and ``angle_mae`` in degrees, ``reconstruction_n``.
    """
    sites, lattices = model.decode(encode_pool(model, pool))
    matcher = default_matcher()
    exact = match = 0
    lengths, angles = [], []
    for i in range(len(pool)):
        truth = pool_structure(pool, i)
        try:
            decoded = model.codec.decode(sites[i], lattices[i])
        except VogenError:
            continue
        lengths.append(np.abs(np.subtract(decoded.lattice.abc, truth.lattice.abc)).mean())
        angles.append(np.abs(np.subtract(decoded.lattice.angles, truth.lattice.angles)).mean())
        same = decoded.composition == truth.composition
        exact += same
        match += bool(same and matcher.fit(truth, decoded))
    return {
        "exact_composition": exact / len(pool),
        "match": match / len(pool),
        "length_mae": float(np.mean(lengths)) if lengths else float("inf"),
        "angle_mae": float(np.mean(angles)) if angles else float("inf"),
        "reconstruction_n": float(len(pool)),
    }


def encode_pool(model: TrainedModel, pool: Pool) -> np.ndarray:
    """Standardised joint latents (n, L) of a pool."""
    parts = []
    for start in range(0, len(pool), 64):
        part = pool.take(np.arange(start, min(start + 64, len(pool))))
        parts.append(
            model.encode(
                sites_grids(part, model.codec.n_sites, model.codec.sigma_sites),
                lattice_grids(part, model.codec),
            )
        )
    return np.concatenate(parts)


def _encode(
    sites: VAE, lattice: VAE, pool: Pool, codec: VoxelCodec
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and widths (n, L) of a pool."""
    means, widths = [], []
    for start in range(0, len(pool), 64):
        part = pool.take(np.arange(start, min(start + 64, len(pool))))
        first = sites.encode(sites_grids(part, codec.n_sites, codec.sigma_sites))
        second = lattice.encode(lattice_grids(part, codec))
        means.append(np.concatenate([first[0], second[0]], axis=1))
        widths.append(np.exp(0.5 * np.concatenate([first[1], second[1]], axis=1)))
    if not means:
        length = sites.preset.latent + lattice.preset.latent
        return np.empty((0, length), np.float32), np.empty((0, length), np.float32)
    return np.concatenate(means), np.concatenate(widths)


def _standard(pool: Pool, scale: EnergyScale) -> np.ndarray:
    """Standardised energy targets (n,) of a labelled pool."""
    return ((scale.target(pool.energies, pool.counts) - scale.mean) / scale.width).astype(
        np.float32
    )


def _formula(system: OxideSystem, counts: np.ndarray) -> str:
    return system.reduced_formula(f"{system.metal}{counts[0]}{system.anion}{counts[1]}")


def _cells(
    formulas: np.ndarray, counts: np.ndarray, system: OxideSystem
) -> dict[str, dict[int, int]]:
    """Reduced formula -> formula units per cell -> number of training crystals."""
    cells: dict[str, dict[int, int]] = {}
    for formula, (n_metal, _) in zip(formulas.tolist(), counts.tolist(), strict=True):
        units = n_metal // system.formula_unit(formula)[0]
        table = cells.setdefault(formula, {})
        table[units] = table.get(units, 0) + 1
    return {formula: dict(sorted(cells[formula].items())) for formula in sorted(cells)}


def _some(n: int, most: int, seed: int) -> np.ndarray:
    """At most `most` of n indices, drawn by seed, sorted."""
    return np.sort(np.random.default_rng([seed, 6]).permutation(n)[:most])


def peak_memory() -> float:
    """Largest resident memory of this process so far, GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


class _Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now
