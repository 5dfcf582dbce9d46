"""The job that makes candidates, whatever the sampler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import read_artefact
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import Sampler
from atomate2_vogen.schemas import Artefact, SampleDoc, TrainingDoc

SAMPLERS = ("wgan", "substitution", "random")


@dataclass
class SampleMaker(Maker):
    """Run a sampler in a job.

    Parameters
    ----------
    name
        Name of the job.
    sampler
        ``wgan`` (needs a training), ``substitution`` or ``random``.
    options
        Further arguments of the sampler's constructor.
    system
        The two elements.

    Raises
    ------
    InputError
        If there is no such sampler.
    """

    name: str = "sample"
    sampler: str = "wgan"
    options: dict[str, Any] = field(default_factory=dict)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)

    def __post_init__(self) -> None:
        """Refuse a name that could only fail later."""
        if self.sampler not in SAMPLERS:
            raise InputError(f"unknown sampler {self.sampler!r}; take one of {', '.join(SAMPLERS)}")

    @job(output_schema=SampleDoc)
    def make(
        self,
        counts: dict[str, int],
        seed: int = 0,
        training: TrainingDoc | Artefact | None = None,
    ) -> SampleDoc:
        """Job whose output is a `SampleDoc`.

        Parameters
        ----------
        counts
            Crystals wanted per formula.
        seed
            The same seed gives the same crystals.
        training
            Trained networks, as `TrainWGANMaker` gives them, or their file; for ``wgan`` only.

        Raises
        ------
        InputError
            If the sampler needs a training and has none, its model is of another system, or an
            option is unknown; also as the sampler's `sample`.
        ArtefactError
            If the model's file is damaged.
        """
        return build_sampler(self.sampler, self.system, self.options, training).sample(counts, seed)


def build_sampler(
    name: str,
    system: OxideSystem,
    options: dict[str, Any],
    training: TrainingDoc | Artefact | None = None,
) -> Sampler:
    """A sampler by name.

    Raises
    ------
    InputError, ArtefactError
        As `SampleMaker.make`.
    """
    try:
        if name == "substitution":
            from atomate2_vogen.samplers.substitution import SubstitutionSampler

            return SubstitutionSampler(system=system, **options)
        if name == "random":
            from atomate2_vogen.samplers.random_symmetric import RandomSampler

            return RandomSampler(system=system, **options)
        from atomate2_vogen.samplers.wgan import WGANSampler

        return WGANSampler(_load_model(training, system), **options)
    except TypeError as error:
        raise InputError(f"options of the sampler {name}: {error}") from error


def _load_model(training: TrainingDoc | Artefact | None, system: OxideSystem) -> Any:
    from atomate2_vogen.models.artefact import TrainedModel

    if training is None:
        raise InputError(
            "the sampler wgan needs trained networks; give `training` the output of TrainWGANMaker"
        )
    artefact = training.artefact if isinstance(training, TrainingDoc) else training
    model = TrainedModel.from_bytes(read_artefact(artefact), artefact.filename)
    if model.system.chemsys != system.chemsys:
        raise InputError(
            f"the model {artefact.filename} is of {model.system.chemsys}, asked for is "
            f"{system.chemsys}"
        )
    return model
