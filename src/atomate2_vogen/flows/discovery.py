"""From a request for compositions to a stability table: sample, relax, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jobflow import Flow, Job, Maker, OutputReference
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.electronic import ElectronicFlowMaker, check_bands
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.references import references_for
from atomate2_vogen.flows.sampling import SamplingFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs.characterisation import characterise_best
from atomate2_vogen.jobs.known import known_jobs
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.refinement import RefineMaker, refine_maker
from atomate2_vogen.jobs.stability import summarise
from atomate2_vogen.samplers.loading import DEFAULT
from atomate2_vogen.schemas import Artefact, KnownDoc, ReferenceDoc, TrainingDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.selection import best_per_formula


@dataclass
class DiscoveryFlowMaker(Maker):
    """Generate crystals, relax them, place them on the hull of the reference phases.

    Parameters
    ----------
    name
        Name of the flow.
    sampler
        ``search``, ``evolution``, ``wgan``, ``substitution``, ``random`` or a Maker, as of
        `SamplingFlowMaker`.
    engine
        Engine that judges; the default is CHGNet.
    system
        Oxide system.
    preset
        Which of the shipped networks ``wgan`` uses, for a sampler that is given by name.
    training
        Other networks for ``wgan``, or the Maker that trains them, as of `SamplingFlowMaker`.
    references
        Relaxed reference phases in the engine's scheme, by default those that are shipped; or
        a Maker that relaxes them first, such as `ReferencesFlowMaker`.
    refine
        Maker that makes relaxed crystals symmetric where that costs no energy, None or
        ``default``, as of `ScreeningFlowMaker`.
    electronic, phonons
        Flows that the best crystals go on to, each with an engine of its own; None leaves the
        stage out.
    top
        Most crystals per formula that go on.
    threshold
        Largest energy above hull of those in eV/atom.
    known
        Further known crystals, of yours: what matches one of them is not novel. What samplers
        refuse before it is relaxed are only those that the package knows.

    Examples
    --------
    One Maker makes flows of any number of requests:

    >>> from atomate2_vogen import DiscoveryFlowMaker
    >>> maker = DiscoveryFlowMaker(sampler="substitution")
    >>> [step.name for step in maker.make({"VO2": 2}, seed=1).jobs]
    ['sampling', 'screening', 'summarise']
    """

    name: str = "discovery"
    sampler: str | Maker = DEFAULT
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = VANADIUM
    preset: str = "paper"
    training: TrainingDoc | Artefact | OutputReference | Maker | None = None
    references: list[ReferenceDoc] | Maker | None = None
    refine: RefineMaker | Literal["default"] | None = "default"
    electronic: ElectronicFlowMaker | None = None
    phonons: PhononFlowMaker | None = None
    top: int = 1
    threshold: float = NEAR_HULL_LIMIT
    known: Sequence[Structure | KnownDoc] = ()

    def __post_init__(self) -> None:
        """Refuse what is no engine, and an engine where a flow is expected."""
        check_engine(self.engine, self)
        refine_maker(self.refine, self.engine)
        for name, flow in (("electronic", ElectronicFlowMaker), ("phonons", PhononFlowMaker)):
            given = getattr(self, name)
            if not (given is None or isinstance(given, flow)):
                raise InputError(
                    f"{name} of {type(self).__name__} is {type(given).__name__}; give "
                    f"{flow.__name__}(engine=...)"
                )

    def make(
        self,
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        parents: Sequence[Crystal] | OutputReference | None = None,
        potential: Artefact | OutputReference | None = None,
    ) -> Flow:
        """Flow whose output is a `DiscoveryDoc`.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula, e.g. ``{"VO2": 8}``; by default eight of each
            target formula of the system.
        seed
            Random seed for sampling, and for training where networks are trained. The same
            counts and seed give the same crystals.
        parents
            Crystals that ``evolution`` makes others of, as of `SamplingFlowMaker`.
        potential
            Learned potential that ``search`` relaxes crystals on, as of `SamplingFlowMaker`.

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
        MissingReferenceError
            If no references are shipped for the engine's scheme and none are given.
        SchemeMismatchError
            If references, or the engine of their Maker, are of another scheme than the engine.
        ElementError
            If the Maker of the references is of another oxide.
        EngineCapabilityError, SupercellError
            If an engine cannot do the stage that it is given for.
        """
        sampling = SamplingFlowMaker(
            sampler=self.sampler,
            system=self.system,
            preset=self.preset,
            training=self.training,
        ).make(counts, seed, parents, potential=potential)
        relaxing, references = references_for(self.references, self.engine, self.system)
        if self.electronic is not None:
            check_bands(self.electronic.engine)
        if self.phonons is not None:
            self.phonons.check()
        best_per_formula([], self.top, self.threshold)  # refuses what is no number
        # crystals of one formula are relaxed while those of the next are generated
        screening = ScreeningFlowMaker(engine=self.engine, refine=self.refine)
        screenings = [screening.make(sample) for sample in sampling.output]
        own, kept = known_jobs(self.known, self.system)
        summary = summarise(
            sampling.output,
            [made.output for made in screenings],
            references,
            self.engine.scheme,
            self.system,
            own=own,
        )
        summary.update_metadata({"scheme": self.engine.scheme, "stage": "summary"})
        place(summary, ANALYSIS)
        jobs: list[Job | Flow] = [*relaxing, *kept, sampling, *screenings, summary]
        output = summary.output
        if self.electronic is not None or self.phonons is not None:
            best = characterise_best(
                summary.output, self.electronic, self.phonons, self.top, self.threshold
            )
            # the jobs that it makes have stages of their own
            best.update_metadata({"stage": "characterisation"}, dynamic=False)
            place(best, ANALYSIS, inherited=False)
            jobs.append(best)
            output = best.output
        flow = Flow(jobs, output=output, name=self.name)
        flow.update_metadata({"discovery": self.name})
        return flow
