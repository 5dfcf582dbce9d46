"""Metrics of trained networks: blank reconstructions, reconstruction rates, energy errors."""

from __future__ import annotations

import numpy as np

from atomate2_vogen.errors import GridError, TrainingError
from atomate2_vogen.models.networks.energy import EnergyScale, composition_baseline
from atomate2_vogen.models.networks.hyperparameters import VAEPreset
from atomate2_vogen.models.networks.vae import VAE
from atomate2_vogen.models.reconstruction import Reconstruction, compare, summarise_reconstruction
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.crystal_pool import (
    Pool,
    lattice_grids,
    pool_structure,
    sites_grids,
)
from atomate2_vogen.voxels.codec import VoxelCodec

GATE_HEIGHT = 0.5
"""Median peak height, in nominal heights, up to which reconstructions count as blank."""


def peak_height(vae: VAE, pool: Pool, grids: np.ndarray, codec: VoxelCodec) -> float:
    """Median height of the peaks of reconstructed sites grids, in nominal heights.

    As many peaks are read as the crystal has atoms; a grid with fewer counts as height 0.
    """
    heights = []
    for grid, counts in zip(vae.decode(vae.encode(grids)[0]), pool.counts, strict=True):
        try:
            heights.extend(codec.decode_sites(grid, counts.tolist())[2].tolist())
        except GridError:
            heights.extend([0.0] * int(counts.sum()))
    return float(np.median(heights))


def check_gate(height: float, preset: VAEPreset) -> None:
    """Refuse an autoencoder whose reconstructions are blank.

    Raises
    ------
    TrainingError
        If the median peak height is not over `GATE_HEIGHT` although training was long enough.
    """
    if preset.steps * preset.epochs >= preset.gate_steps and height <= GATE_HEIGHT:
        raise TrainingError(
            f"the reconstructions of the sites autoencoder are blank boxes (median peak height {height:.2f} "
            f"after {preset.steps * preset.epochs} steps); train longer or lower beta"
        )


def reconstruct_pool(model: TrainedModel, pool: Pool) -> list[Reconstruction]:
    """Reconstruct every crystal of a pool; the composition is not given to the decoder."""
    boxes = model.decode(encode_pool(model, pool))
    return [
        compare(model, f"crystal {i}", pool_structure(pool, i), sites, lattice)
        for i, (sites, lattice) in enumerate(zip(*boxes, strict=True))
    ]


def reconstruction(model: TrainedModel, pool: Pool) -> dict[str, float]:
    """Reconstruction metrics of a pool; the composition is not given to the decoder.

    Returns
    -------
    dict
        As `summarise_reconstruction` gives them for all crystals together: ``exact_composition``, ``match``
        (0.3 / 0.5 / 10°) and ``default_match`` (pymatgen's defaults) as shares, medians of
        ``rmsd`` and ``median_displacement`` in Å, ``length_mae`` in Å and ``angle_mae`` in
        degrees, each left out if no grid could be read for it, and ``reconstruction_n``.
    """
    found = summarise_reconstruction(reconstruct_pool(model, pool))["all"]
    number = float(found.pop("n"))
    there = {key: float(value) for key, value in found.items() if value is not None}
    return there | {"reconstruction_n": number}


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


def energy_errors(
    predicted: np.ndarray,
    energies: np.ndarray,
    counts: np.ndarray,
    scale: EnergyScale,
    train: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """Errors of the energy network and of the composition-only mean on held-out crystals.

    Both are judged on the clipped energy above the composition line, eV/atom; R² is of that
    energy too, so composition alone cannot earn it.

    Parameters
    ----------
    predicted
        (n,) standardised predictions.
    energies, counts
        (n,) labels in eV/atom and (n, 2) atom counts of the same crystals.
    scale
        Scale of the energy target.
    train
        Labels and counts of training crystals, whose means the baseline uses.
    """
    truth = scale.target(energies, counts)
    predicted = scale.above_line(predicted, counts)
    baseline = composition_baseline(scale.target(*train), train[1], counts)
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(predicted - truth).mean()),
        "mae_composition_mean": float(np.abs(baseline - truth).mean()),
        "r2": 1 - float(((predicted - truth) ** 2).sum()) / spread if spread else 0.0,
        "r2_composition_mean": 1 - float(((baseline - truth) ** 2).sum()) / spread
        if spread
        else 0.0,
        "n": float(len(truth)),
    }
