"""Training of all networks of a model, from the data set to the acceptance network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.relaxed import RelaxedSet
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.backend import backend_name
from atomate2_vogen.models.networks.building import without_optimizers
from atomate2_vogen.models.networks.energy import EnergyScale
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import conditions
from atomate2_vogen.models.networks.memory import choose_entries
from atomate2_vogen.models.networks.wgan import Boxes, boltzmann_costs, draw_probabilities
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.acceptance import draw_outcomes, fit_acceptance
from atomate2_vogen.models.training.adversarial import fit_wgan
from atomate2_vogen.models.training.fitting import History, Progress
from atomate2_vogen.models.training.setup import Setup, make_setup, recipe
from atomate2_vogen.models.training.stages import latents, train_energy, train_vae
from atomate2_vogen.models.training.trained_stage import TrainedStage


@dataclass(frozen=True)
class TrainingResult:
    """Trained model with the history, metrics and cost of its training.

    Parameters
    ----------
    model
        Trained model.
    history
        Values per epoch by network and metric (for the WGAN: per fiftieth of its steps).
    metrics
        Metrics on held-out crystals by name; energies in eV/atom.
    seconds
        Wall time in s by stage, summed over all runs of a resumed training.
    peak_memory
        Peak resident memory of the process in GiB.

    Examples
    --------
    >>> from atomate2_vogen.models import load_shipped
    >>> result = TrainingResult(
    ...     load_shipped(), history={"wgan": {"critic": [-0.4]}}, metrics={}, seconds={}, peak_memory=2.1
    ... )
    >>> result.model.preset.name, result.history["wgan"]["critic"]
    ('paper', [-0.4])
    """

    model: TrainedModel
    history: Mapping[str, History]
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    peak_memory: float


def train_wgan(
    crystals: CrystalSet,
    preset: str | Preset = "quick",
    seed: int = 0,
    progress: Progress | None = None,
    *,
    checkpoint: str | Path | None = None,
    vae: TrainedStage | None = None,
    energy: TrainedStage | None = None,
    relaxations: RelaxedSet | None = None,
) -> TrainingResult:
    """Train a model: autoencoders and energy network unless given, WGAN, acceptance network.

    Parameters
    ----------
    crystals
        Labelled data set with the splits ``train``, ``validation`` and ``test``.
    preset
        Hyperparameters: key of `PRESETS`, or a preset.
    seed
        Random seed for initial weights, batch order and noise.
    progress
        Function that is called with stage, finished steps, all steps and the latest metrics.
    checkpoint
        Folder for the state after every epoch, for the WGAN after every fiftieth of its steps.
        An interrupted training resumes from it and ends with the same history and weights. None
        saves nothing.
    vae, energy
        Stages that `train_vae` and `train_energy` have trained with the same data set and
        preset; the energy network must have been trained on these autoencoders. Missing ones
        are trained here.
    relaxations
        Relaxations of crystals, required by a preset with ``relaxed=True``.

    Returns
    -------
    TrainingResult
        Model, history and metrics. Reconstruction and energy errors are those of crystals of
        the split ``test``, which no stage has seen.

    Raises
    ------
    TrainingError
        If labels or relaxations are missing, a training diverges or the boxes stay blank.
    InputError
        If there is no such preset, or a given stage is of another data set, preset or
        autoencoder.
    OutputFolderError
        If the folder holds another training or cannot be written, for example on a full disk.
    ArtefactError
        If a file in the folder is damaged.

    Examples
    --------
    >>> from atomate2_vogen.data.dataset import load_dataset
    >>> result = train_wgan(load_dataset(), "quick", seed=0)  # doctest: +SKIP
    >>> result.model.save("model.zip")  # doctest: +SKIP
    """
    setup = make_setup(crystals, preset, seed, progress, checkpoint, relaxations=relaxations)
    preset, system = setup.preset, setup.system
    setup.check_labels()
    setup.check_relaxations()
    if vae is None:
        if energy is not None:
            raise InputError(
                "an energy network can be used only with the autoencoders it was trained on; give both"
            )
        vae = train_vae(crystals, preset, seed, progress, checkpoint=checkpoint)
    setup.check_stage(vae, "vae", "sites", "lattice")
    if energy is None:
        energy = train_energy(
            crystals,
            vae,
            preset,
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
            relaxations=relaxations,
        )
    setup.check_stage(energy, "energy", "energy")
    if energy.parent != vae.model_id:
        raise InputError(
            f"the energy network {energy.model_id} was trained on the latents of the autoencoders "
            f"{energy.parent}, not of {vae.model_id}; give stages of one training"
        )

    asked = {
        "vae": vae.model_id,
        "energy": energy.model_id,
        "ends": setup.ends_id,
        "preset": recipe(preset, "wgan"),
    }
    current = setup.checkpoint("wgan", **asked)
    train, n_start = setup.learned("train")
    # the crystals behind these are training data of the energy network alone
    means, widths = (values[: len(train)] for values in latents(setup, vae))
    counts, targets = train.counts, system.target_formulas
    formulas = np.array([_formula(system, pair) for pair in counts])
    costs = boltzmann_costs(formulas, train.energies, preset.wgan.temperature)
    kept = choose_entries(formulas, targets, preset.wgan.memory, seed, costs)
    boxes = None
    if preset.wgan.box_weight:
        size, sigma = preset.sites.latent, setup.codec.sigma_sites
        decoder, mean, width = vae.networks["sites_decoder"], vae.mean[:size], vae.width[:size]
        boxes = Boxes(decoder, mean, width, sigma, preset.wgan.box_weight)
    setup.reseed(4)
    generator, critic, history = fit_wgan(
        preset.wgan,
        energy.networks["energy"],
        means,
        widths,
        conditions(counts, system),
        chance=draw_probabilities(formulas, targets, preset.wgan.target_share, costs),
        seed=seed,
        remembered=(means[kept], counts[kept], costs[kept]),
        boxes=boxes,
        progress=progress,
        checkpoint=current,
    )
    model = TrainedModel(
        preset,
        system,
        {
            **vae.networks,
            **energy.networks,
            **without_optimizers(preset, system, {"critic": critic, "generator": generator}),
        },
        mean=vae.mean,
        width=vae.width,
        energy_scale=EnergyScale.from_dict(energy.numbers),
        cells=_cells(formulas[:n_start], counts[:n_start], system),
        provenance={
            "seed": seed,
            "dataset_id": crystals.dataset_id,
            "ends_id": setup.ends_id,
            "backend": backend_name(),
        },
    )
    result = TrainingResult(
        model,
        {**vae.history, **energy.history, "wgan": history},
        {**vae.metrics, **energy.metrics},
        {**vae.seconds, **energy.seconds, "wgan": current.seconds},
        max(vae.peak_memory, energy.peak_memory, current.peak_memory),
    )
    return _with_acceptance(setup, result)


def _with_acceptance(setup: Setup, result: TrainingResult) -> TrainingResult:
    """Add the acceptance network, whose training data are latents of the other networks."""
    model, seed = result.model, setup.seed
    asked = {"wgan": model.model_id, "preset": recipe(setup.preset, "acceptance")}
    draws = setup.checkpoint("draws", **asked)
    outcomes = draw_outcomes(model, seed, setup.progress, draws)
    current = setup.checkpoint("acceptance", **asked)
    setup.reseed(5)
    network, history, metrics = fit_acceptance(model, outcomes, seed, setup.progress, current)
    trained = without_optimizers(setup.preset, setup.system, {"acceptance": network})
    return replace(
        result,
        model=model.with_networks(trained),
        history={**result.history, "acceptance": history},
        metrics={**result.metrics, **metrics},
        seconds={**result.seconds, "draws": draws.seconds, "acceptance": current.seconds},
        peak_memory=max(result.peak_memory, draws.peak_memory, current.peak_memory),
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
