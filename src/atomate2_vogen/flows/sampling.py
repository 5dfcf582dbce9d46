"""The flow that generates crystals, formula by formula, with networks that are shipped or trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobflow import Flow, Job, JobConfig, Maker, OutputReference

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.jobs.placement import SAMPLING, TRAINING, place
from atomate2_vogen.jobs.rounds import EarlierLearnt, EarlierRounds
from atomate2_vogen.jobs.sampling import NO_PARENTS, NO_POTENTIAL, SampleMaker
from atomate2_vogen.models.shipped import require_shipped
from atomate2_vogen.potential.shipped import require_potential
from atomate2_vogen.samplers.base import check_counts, check_seed
from atomate2_vogen.samplers.loading import DEFAULT, SAMPLERS
from atomate2_vogen.samplers.parents import require_parents
from atomate2_vogen.schemas import Artefact, StabilityDoc, TrainingDoc
from atomate2_vogen.schemas.crystals import Crystal

DEFAULT_COUNT = 8
"""Crystals of each target formula where no counts are given."""


def default_counts(system: OxideSystem) -> dict[str, int]:
    """Crystals of each target formula where no counts are given."""
    return dict.fromkeys(system.target_formulas, DEFAULT_COUNT)


@dataclass
class SamplingFlowMaker(Maker):
    """Generate crystals of some formulas, one job per formula.

    Parameters
    ----------
    name
        Name of the flow.
    sampler
        ``search``, ``evolution``, ``wgan`` (with the networks that are shipped, unless `training`
        is given), ``substitution`` or ``random``; a `SampleMaker`; or a Maker whose
        ``make(counts, seed)`` gives a `SampleDoc`, which is called once for each formula.
    system
        Oxide system.
    preset
        Which of the shipped networks ``wgan`` uses, for a sampler that is given by name.
    training
        Other networks for ``wgan``: what `TrainWGANMaker` gave, its file, or a reference to
        either in the job store (`keep_artefact`); or a `TrainWGANMaker`, which trains them in
        the flow, on the data set of the system, before anything is sampled.

    Examples
    --------
    >>> from atomate2_vogen.flows import SamplingFlowMaker
    >>> flow = SamplingFlowMaker(sampler="substitution").make({"VO2": 2, "V2O3": 1}, seed=1)
    >>> [job.name for job in flow.jobs]
    ['sample VO2', 'sample V2O3']
    """

    name: str = "sampling"
    sampler: str | Maker = DEFAULT
    system: OxideSystem = VANADIUM
    preset: str = "paper"
    training: TrainingDoc | Artefact | OutputReference | EarlierLearnt | Maker | None = None

    def make(
        self,
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        parents: Sequence[Crystal] | OutputReference | EarlierLearnt | None = None,
        *,
        finds: EarlierRounds | Sequence[StabilityDoc] | None = None,
        potential: Artefact | OutputReference | EarlierLearnt | None = None,
        training: TrainingDoc | Artefact | OutputReference | EarlierLearnt | None = None,
    ) -> Flow:
        """Flow whose output is a list of `SampleDoc`, one for each formula.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula, e.g. ``{"VO2": 8}``; by default eight of each
            target formula of the system.
        seed
            Random seed for sampling, and for training where networks are trained. A formula's
            crystals depend on its count and the seed, not on the other formulas.
        parents
            Crystals that ``evolution`` makes others of, as of `EvolutionSampler`, or a reference to
            them; by default those of the substitution pool. Each formula needs at least one.
        finds
            Crystals of earlier rounds of a loop, which are refused as generated.
        potential
            File of the learned potential that ``search`` relaxes crystals on, or a reference to
            it in the job store (`keep_artefact`); by default the one that is shipped.
        training
            Networks for ``wgan`` in the place of the field of this name.

        In a loop, parents, potential and networks may be those that an earlier round had learnt.

        Raises
        ------
        UnknownFormulaError, CountsError
            If the counts cannot be asked for.
        InputError
            If the seed is negative or no whole number, the sampler's name is unknown, networks are
            given to a sampler that has none, the Maker that trains them is of another system,
            parents are given to a sampler that takes none or do not have a formula, or a potential
            is given to a sampler that takes none.
        MissingModelError
            If ``wgan`` is given no networks and none are shipped for the system and preset, or
            ``search`` is given no potential and none is shipped for the system.
        """
        if counts is None:
            counts = default_counts(self.system)
        if not isinstance(counts, Mapping):
            raise CountsError(
                f"counts are {type(counts).__name__}; give the number of crystals per formula when "
                'the flow is made, e.g. {"%s": 8}' % self.system.target_formulas[0]
            )
        wanted = check_counts(counts, self.system)
        seed = check_seed(seed)
        maker = self._maker()
        chosen = self if training is None else replace(self, training=training)
        before, options = chosen._networks(maker, seed)  # noqa: SLF001 - the same class
        if finds is not None:
            options["finds"] = finds
        if parents is not None:
            if not isinstance(maker, SampleMaker) or not SAMPLERS[maker.sampler].has_parents:
                raise InputError(NO_PARENTS)
            needs_all = not maker.options.get("fewest_parents")
            if not isinstance(parents, OutputReference | EarlierLearnt) and needs_all:
                require_parents(parents, wanted)
            # whole, for every formula: the model id is the same in all jobs
            options = options | {"parents": parents}
        options |= self._potential(maker, potential)
        jobs: list[Flow | Job] = [*before]
        samples: list[Job] = []
        for formula, count in wanted.items():
            parts = _relax_draws(maker, formula, count, seed, options.get("potential"))
            relaxed = {"relaxed": [part.output for part in parts]} if parts else {}
            sample = maker.make({formula: count}, seed, **options, **relaxed)
            sample.name = f"{sample.name} {formula}"
            sample.update_metadata({"stage": "sample", "formula": formula})
            samples.append(sample)
            jobs += [*parts, sample]
            for made in (*parts, sample):
                place(made, SAMPLING)
                # rounds, and what one of them had learnt, are read from the job store
                if isinstance(finds, EarlierRounds):
                    made.update_config(JobConfig(expose_store=True), attributes=["expose_store"])
        outputs = [sample.output for sample in samples]
        return Flow(jobs, output=outputs, name=self.name)

    def _maker(self) -> Any:
        """The Maker of a sampler, which may be given by name."""
        if isinstance(self.sampler, Maker):
            return self.sampler
        return SampleMaker(sampler=self.sampler, system=self.system, preset=self.preset)

    def _potential(
        self, maker: Any, potential: Artefact | OutputReference | EarlierLearnt | None
    ) -> dict[str, Any]:
        """The potential as an argument of the sampler's `make`."""
        if not isinstance(maker, SampleMaker) or not SAMPLERS[maker.sampler].has_potential:
            if potential is not None:
                raise InputError(NO_POTENTIAL)
            return {}
        if potential is not None:
            return {"potential": potential}
        # a potential among the options of a `SampleMaker` is a file that its worker finds
        if maker.options.get("potential") is None:
            require_potential(maker.system)
        return {}

    def _networks(self, maker: Any, seed: int) -> tuple[list[Job], dict[str, Any]]:
        """Jobs that train networks, and the networks as an argument of the sampler's `make`."""
        if not isinstance(maker, SampleMaker) or not SAMPLERS[maker.sampler].has_networks:
            if self.training is not None:
                raise InputError("training: only for the sampler wgan; leave it out")
            return [], {}
        if self.training is None:
            require_shipped(maker.preset, maker.system)
            return [], {}
        if not isinstance(self.training, Maker):
            return [], {"training": self.training}
        from atomate2_vogen.jobs.dataset import BuildDatasetMaker

        trainer: Any = self.training
        if trainer.system.chemsys != self.system.chemsys:
            raise InputError(
                f"training: its Maker is of {trainer.system.chemsys}, asked for is "
                f"{self.system.chemsys}"
            )
        dataset = BuildDatasetMaker(system=self.system).make()
        training = trainer.make(dataset.output, seed)
        for job in (dataset, training):
            place(job, TRAINING)
        return [dataset, training], {"training": training.output}


def _relax_draws(maker: Any, formula: str, wanted: int, seed: int, potential: Any) -> list[Job]:
    """Jobs that relax the draws of one formula side by side; none where one job can do it all."""
    if not isinstance(maker, SampleMaker) or (parts := maker.n_parts(wanted)) < 2:
        return []
    made = []
    for part in range(parts):
        drawn = maker.relax_draws(formula, wanted, seed, part, parts, potential=potential)
        drawn.name = f"draw {formula} {part + 1}/{parts}"
        drawn.update_metadata({"stage": "draw", "formula": formula})
        made.append(drawn)
    return made
