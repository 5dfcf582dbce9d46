"""The job that trains a generator as a plain GAN or as a Wasserstein GAN, and decodes its latents."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.training import training_reports
from atomate2_vogen.samplers.base import check_seed
from atomate2_vogen.schemas import GanDoc, Proportion

if TYPE_CHECKING:
    from atomate2_vogen.models.trained_model import TrainedModel

GENERATOR_LOSSES: dict[str, dict[str, Any]] = {
    "GAN": {"loss": "gan", "penalty": "none"},
    "WGAN": {"loss": "wasserstein", "penalty": "clip"},
}
"""Fields of the WGAN's hyperparameters by kind of generator; the paper clips the critic's weights."""


@dataclass
class TrainGanMaker(Maker):
    """Train a GAN or a WGAN on the latents of the shipped autoencoders, as in the paper's Fig. 5.

    Both kinds have the same networks, data, batches and number of steps, and make latents from
    noise alone: the memory of training latents that the presets give the generator is left out.

    Parameters
    ----------
    name
        Name of the job.
    kind
        ``GAN`` (cross-entropy) or ``WGAN`` (Wasserstein distance, clipped weights).
    steps
        Training steps of the generator; the paper takes 5,000.
    decoded
        Latents that are decoded of each target formula when the training is done.
    preset
        Preset whose shipped autoencoders and energy CNN are used.
    system
        Oxide system.
    show_progress
        Whether progress bars are drawn if standard error is a terminal.

    Raises
    ------
    InputError
        If the kind is unknown or a number is not positive.

    Examples
    --------
    >>> from atomate2_vogen.jobs import TrainGanMaker
    >>> TrainGanMaker(kind="GAN", steps=100).make(seed=1).name
    'train GAN'
    """

    name: str = "train GAN"
    kind: Literal["GAN", "WGAN"] = "WGAN"
    steps: int = 5000
    decoded: int = 64
    preset: str = "paper"
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    show_progress: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.kind not in GENERATOR_LOSSES:
            raise InputError(f"kind {self.kind!r} is none of {', '.join(GENERATOR_LOSSES)}")
        for name in ("steps", "decoded"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise InputError(f"{name} is {number}; give a whole number of at least 1")

    @job(output_schema=GanDoc)
    def make(self, seed: int = 0) -> GanDoc:
        """Job whose output is a `GanDoc`.

        Parameters
        ----------
        seed
            Random seed for initial weights, batch order, noise, and the latents that are decoded.

        Raises
        ------
        MissingModelError
            If no networks are shipped for the system and preset.
        InputError
            If the seed is negative or no whole number.
        TrainingError
            If the training diverges.
        """
        from atomate2_vogen.data.dataset import load_dataset
        from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
        from atomate2_vogen.models.shipped import load_shipped
        from atomate2_vogen.models.training.pipeline import train_wgan
        from atomate2_vogen.models.training.trained_stage import stages_of

        start = time.perf_counter()
        seed = check_seed(seed)
        model = load_shipped(self.preset, self.system)
        vae, energy = stages_of(model)
        preset = model.preset
        path = relaxed_path(self.system)
        # every training ends with an acceptance network, which nothing here asks
        hasty = replace(preset.acceptance, latents=64, steps=1, epochs=1)
        wgan = replace(preset.wgan, memory=0, steps=self.steps, **GENERATOR_LOSSES[self.kind])
        with training_reports(show=self.show_progress) as report:
            result = train_wgan(
                load_dataset(self.system),
                replace(preset, wgan=wgan, acceptance=hasty),
                seed,
                report,
                vae=vae,
                energy=energy,
                relaxations=RelaxedSet.load(path) if preset.relaxed else None,
            )
        return GanDoc(
            kind=self.kind,
            steps=self.steps,
            seed=seed,
            preset=self.preset,
            autoencoders=model.model_id,
            model_id=result.model.model_id,
            history={name: list(values) for name, values in result.history["wgan"].items()},
            decoded=decode_plainly(result.model, self.decoded, seed),
            wall_time=time.perf_counter() - start,
        )


def decode_plainly(model: TrainedModel, number: int, seed: int) -> dict[str, Proportion]:
    """Shares of unfiltered latents that read as asked for, and with atoms apart, too.

    Parameters
    ----------
    model
        Trained networks.
    number
        Latents of each target formula.
    seed
        Random seed.
    """
    from atomate2_vogen.samplers.wgan import WGANSampler
    from atomate2_vogen.stability.metrics import measure

    plain: dict[str, Any] = {"preselect": 1, "min_atoms": 1, "latent_noise": 0.0, "projections": 0}
    sampler = WGANSampler(model, max_attempts=number, **plain)
    sample = sampler.sample(dict.fromkeys(model.system.target_formulas, number), seed=seed)
    found = measure(sample).overall
    shares = {"exact_composition": found.exact_composition, "sound": found.sound}
    return {name: share for name, share in shares.items() if share is not None}
