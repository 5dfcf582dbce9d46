"""Jobs in which a sampler learns from the rounds before: the part of a closed loop that differs.

Each Maker here is of one kind of sampler. It always begins with what the sampler had in the first
round and takes all rounds so far, so that nothing is learnt twice and no round's result depends on
how often the loop was stopped. A round before which nothing is learnt goes on with what the last one
had.

The computation is a separate method beside each job (`choose`, `fit`), which takes finds or frames
and needs no job store.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jobflow import CURRENT_JOB, Job, JobConfig, Maker, job
from monty.json import MSONable

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.errors import (
    InputError,
    MissingModelError,
    MissingTaskError,
    NonFiniteError,
)
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.placement import ANALYSIS, TRAINING, place
from atomate2_vogen.jobs.rounds import EarlierRounds
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.potential.frames import Frame, Frames, frames_path
from atomate2_vogen.samplers.base import check_number, check_whole
from atomate2_vogen.samplers.loading import SAMPLERS
from atomate2_vogen.schemas import (
    Artefact,
    CandidateDoc,
    Learning,
    LearntDoc,
    RoundDoc,
    StabilityDoc,
)
from atomate2_vogen.schemas.jobs import JobLink, task_of
from atomate2_vogen.stability.selection import diverse_parents

if TYPE_CHECKING:
    from atomate2_vogen.potential.potential import Potential

logger = logging.getLogger(__name__)

LEARN_STAGE = "learn"
"""Value of ``metadata.stage`` of the jobs in which samplers learn."""

LEARNT = [["output", "parents"], ["output", "artefact"]]
"""Places in a `LearntDoc` whose content goes to the ``data`` store."""


FRAME_STAGES = ("initial", "static", "unrefined static")
"""Jobs of a calculation that leave energy, forces and stress of one crystal each."""

FEWEST_REHEARSED = 200
"""Earlier frames that are fitted again beside however few new ones."""


@dataclass
class Start(MSONable):
    """What learning begins with.

    Parameters
    ----------
    system
        Oxide system.
    seed
        Random seed, where something is trained or drawn.
    given
        What the sampler was given in the first round, None for what is shipped.
    """

    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    seed: int = 0
    given: Any = None


@dataclass
class LearnMaker(Maker):
    """Base of the Makers of this module: a subclass has a job `learn` and names what it gives.

    Parameters
    ----------
    name
        Name of the job.

    Examples
    --------
    >>> from atomate2_vogen.jobs import ParentsMaker
    >>> from atomate2_vogen.jobs.rounds import EarlierRounds
    >>> job = ParentsMaker(most=20).make(EarlierRounds(jobs=[], digest=""))
    >>> job.name, ParentsMaker.argument
    ('choose parents', 'parents')
    """

    name: str = "learn"

    argument: ClassVar[str]
    """Argument of `SampleMaker.make` that takes what was learnt."""
    holder: ClassVar[str]
    """Field of the `LearntDoc` that holds it."""
    category: ClassVar[str] = ANALYSIS
    """Of the job."""

    def make(self, rounds: EarlierRounds, start: Start | None = None) -> Job:
        """Job whose output is a `LearntDoc`.

        Parameters
        ----------
        rounds
            All rounds so far.
        start
            What it begins with.
        """
        made: Job = self.learn(rounds, start or Start())
        made.name = self.name
        made.config = JobConfig(expose_store=True)
        made.update_metadata({"stage": LEARN_STAGE})
        place(made, self.category)
        return made

    def learn(self, rounds: EarlierRounds, start: Start) -> Any:
        """The job; each kind has another one."""
        raise NotImplementedError

    def learns_from(self, rounds: Sequence[RoundDoc]) -> bool:
        """Whether the sampler learns after these rounds: if there is a find.

        If not, the next round goes on with what was learnt last, if anything was.
        """
        return any(document.finds for document in rounds)

    def check(self, sampler: SampleMaker) -> None:
        """Refuse a sampler that cannot take what is learnt.

        Raises
        ------
        InputError
            If it has no use for it.
        """
        if not _takes(sampler.sampler, self.argument):
            takers = [name for name in SAMPLERS if _takes(name, self.argument)]
            raise InputError(
                f"{type(self).__name__} is for the sampler {' or '.join(takers)}, not for "
                f"{sampler.sampler}"
            )


def _takes(name: str, argument: str) -> bool:
    entry = SAMPLERS[name]
    return {
        "parents": entry.has_parents,
        "potential": entry.has_potential,
        "training": entry.has_networks,
    }[argument]


@dataclass
class ParentsMaker(LearnMaker):
    """Choose the parents of the next generation: finds of all rounds, no two of which are alike.

    Crystals that the first round was given stay among them.

    Parameters
    ----------
    name
        Name of the job.
    most
        Most parents per formula, the lowest in energy; None for all.
    margin
        Factor on the tolerances within which parents count as alike, from 1 to 3.

    Examples
    --------
    >>> from atomate2_vogen.flows import LoopFlowMaker
    >>> from atomate2_vogen.jobs import ParentsMaker
    >>> LoopFlowMaker(sampler="evolution", learn=ParentsMaker(most=20)).learn.most
    20
    """

    name: str = "choose parents"
    most: int | None = None
    margin: float = 2.0

    argument: ClassVar[str] = "parents"
    holder: ClassVar[str] = "parents"

    def __post_init__(self) -> None:
        """Refuse numbers that are out of range."""
        diverse_parents([], most=self.most, margin=self.margin)

    @job(data=LEARNT, output_schema=LearntDoc)
    def learn(self, rounds: EarlierRounds, start: Start) -> LearntDoc:
        """Job of `make`."""
        documents = rounds.read()
        finds = [one for document in documents for one in document.chosen(document.finds)]
        parents, summary = self.choose(finds, start.given or [])
        summary.first_round = len(documents) + 1
        return LearntDoc(summary=summary, parents=parents)

    def choose(
        self, finds: Sequence[StabilityDoc], given: Sequence[Any] = ()
    ) -> tuple[list[Any], Learning]:
        """Parents of the next generation.

        Parameters
        ----------
        finds
            Of all rounds.
        given
            Crystals that the first round was given.

        Returns
        -------
        tuple
            Documents, or crystals without energies where some of those given have none; and how
            many of them are finds.
        """
        judged = [one for one in given if isinstance(one, StabilityDoc)]
        all_judged = len(judged) == len(given)
        chosen = diverse_parents(
            [*finds, *judged] if all_judged else finds,
            # finds are within the threshold of the loop, parents that are given within any
            threshold=max((one.energy_above_hull or 0.0 for one in (*finds, *judged)), default=0.0),
            most=self.most,
            margin=self.margin,
        )
        parents: list[Any] = list(chosen)
        if not all_judged:
            # energies of some cannot be compared with none of others: all are chosen equally often
            parents = [*map(_without_energy, chosen), *map(_without_energy, given)]
        names = {one.candidate_id for one in finds}
        n_learnt = sum(getattr(one, "candidate_id", None) in names for one in parents)
        return parents, Learning(
            kind="parents", n_learnt=n_learnt, n_rehearsed=len(parents) - n_learnt
        )


def _without_energy(crystal: Any) -> Any:
    """A crystal or candidate in the place of a document with an energy."""
    if not hasattr(crystal, "energy_per_atom"):
        return crystal
    candidate = getattr(crystal, "candidate", None)
    if candidate is not None:
        return candidate.model_copy(update={"structure": crystal.structure})
    return CandidateDoc(
        candidate_id=crystal.candidate_id,
        sampler=crystal.sampler,
        model_id=crystal.model_id,
        formula=crystal.formula,
        seed=0,
        index=0,
        structure=crystal.structure,
    )


@dataclass
class RefitPotentialMaker(LearnMaker):
    """Fit the potential of ``search`` to the crystals that were relaxed, found or not.

    Each relaxation leaves energy, forces and stress of the crystal as generated and as relaxed;
    nothing is computed again. The fit begins with the potential of the first round, and earlier
    frames are fitted again beside the new ones, so that nothing is forgotten.

    A fit takes the frames of all rounds, so its cost grows with them: measured on one core, 22 CPU
    seconds for 60 new frames, 55 for 240 and 114 for 1,000, where a round of 60 crystals, which
    leaves some 150 frames, takes about 6 CPU minutes. Made before each of 25 rounds, fits would
    take a quarter of the CPU time, and more in a longer loop. They are therefore made only when
    the number of relaxed crystals has grown by half: before rounds 2, 3, 4, 6, 9, 13, 19, 28, … of
    equal size. All of them together then fit at most three times the frames of the last one, and
    take about a tenth of the CPU time of a short loop and less of a long one. Fewer epochs instead
    would leave the latest frames hardly learnt, for every fit begins with the first potential.

    Parameters
    ----------
    name
        Name of the job.
    rehearsal
        File of earlier frames (`potential.frames.Frames`); by default those that are shipped for
        the system and energy model.
    rehearsed
        Earlier frames per new one, drawn at random; at least `FEWEST_REHEARSED` in all.
    epochs
        Passes through the frames.
    learning_rate
        At the start.
    growth
        The potential is fitted again when the relaxed crystals of all rounds number so many times
        those of the last fit; 1 fits before every round.

    Examples
    --------
    >>> from atomate2_vogen.jobs import RefitPotentialMaker
    >>> RefitPotentialMaker(epochs=20).name
    'refit potential'
    """

    name: str = "refit potential"
    rehearsal: str | None = None
    rehearsed: int = 4
    epochs: int = 12
    learning_rate: float = 1e-3
    growth: float = 1.5

    argument: ClassVar[str] = "potential"
    holder: ClassVar[str] = "artefact"
    category: ClassVar[str] = TRAINING

    def __post_init__(self) -> None:
        """Refuse numbers that are out of range."""
        check_whole("rehearsed", self.rehearsed)
        check_whole("epochs", self.epochs)
        check_number("learning_rate", self.learning_rate)
        if check_number("growth", self.growth) < 1:
            raise InputError(f"growth is {self.growth!r}; give a number from 1 on")

    def learns_from(self, rounds: Sequence[RoundDoc]) -> bool:
        """Whether the potential is fitted after these rounds; see `is_due`."""
        return self.is_due([document.n_relaxed for document in rounds])

    def is_due(self, n_relaxed: Sequence[int]) -> bool:
        """Whether the relaxed crystals have grown enough since the last fit.

        Parameters
        ----------
        n_relaxed
            Relaxed crystals of each round so far.

        Examples
        --------
        >>> from atomate2_vogen.jobs import RefitPotentialMaker
        >>> maker = RefitPotentialMaker()
        >>> [maker.is_due([60] * n_rounds) for n_rounds in range(7)]
        [False, True, True, True, False, True, False]
        """
        total = fitted = 0
        due = False
        for number in n_relaxed:
            total += number
            due = total > fitted and total >= self.growth * fitted
            if due:
                fitted = total
        return due

    def check_files(self, sampler: SampleMaker, scheme: str) -> None:
        """Refuse to learn without a potential to begin with, or without earlier frames."""
        from atomate2_vogen.potential.shipped import potential_path

        system = sampler.system
        places = {
            "potential": (sampler.options.get("potential"), potential_path(system, scheme)),
            "frames": (self.rehearsal, frames_path(system, scheme)),
        }
        how = {
            "potential": 'give its file, SampleMaker(options={"potential": ...})',
            "frames": f"give their file, {type(self).__name__}(rehearsal=...)",
        }
        for kind, (given, shipped) in places.items():
            if not Path(given or shipped).is_file():
                missing = (
                    f"{given} is no file"
                    if given
                    else (f"no {kind} of {system.chemsys} in {scheme} are shipped")
                )
                raise MissingModelError(
                    f"{missing}: {how[kind]}, or learn=None for a potential that stays as it is"
                )

    @job(data=LEARNT, output_schema=LearntDoc)
    def learn(self, rounds: EarlierRounds, start: Start) -> LearntDoc:
        """Job of `make`; what is given is the file of the first potential."""
        documents = rounds.read()
        potential, summary = self.fit(Frames(documents[-1].scheme, frames_of(documents)), start)
        summary.first_round = len(documents) + 1
        name = f"potential-{start.system.chemsys}-{potential.potential_id}.npz"
        return LearntDoc(summary=summary, artefact=make_artefact(name, potential.to_bytes()))

    def fit(self, new: Frames, start: Start) -> tuple[Potential, Learning]:
        """The potential, fitted again.

        Parameters
        ----------
        new
            Frames of all rounds.
        start
            Its `given` is the first potential, as its file or an artefact; None is the one that
            is shipped for the system and the scheme of the frames.

        Returns
        -------
        tuple
            The potential, and what it was fitted to.
        """
        from atomate2_vogen.potential.potential import Potential
        from atomate2_vogen.potential.shipped import load_potential
        from atomate2_vogen.potential.training import FitSettings, train_potential

        if isinstance(start.given, Artefact):
            first = Potential.from_bytes(read_artefact(start.given), start.given.filename)
        elif start.given is not None:
            first = Potential.load(start.given)
        else:
            first = load_potential(start.system, new.scheme)
        earlier = Frames.load(self.rehearsal or frames_path(start.system, new.scheme))
        most = max(FEWEST_REHEARSED, self.rehearsed * len(new))
        drawn = np.random.default_rng(start.seed).permutation(len(earlier))[:most]
        kept = [earlier.frames[at] for at in sorted(drawn.tolist())]
        frames = Frames(earlier.scheme, kept).joined(new)
        settings = FitSettings(
            epochs=self.epochs, learning_rate=self.learning_rate, seed=start.seed
        )
        potential, report = train_potential(frames, first.system, settings=settings, start=first)
        return potential, Learning(
            kind="potential",
            n_learnt=len(new),
            n_rehearsed=len(drawn),
            model_id=potential.potential_id,
            errors={
                error: value
                for error in ("energy_mae", "low_energy_rmse", "force_mae")
                # not a number where no frame of the kind was held out
                if math.isfinite(value := getattr(report, error))
            },
            cpu_time=report.cpu_time,
        )


def frames_of(rounds: Sequence[RoundDoc]) -> list[Frame]:
    """Frames of all calculations of some rounds; only inside a job that sees its store."""
    return [
        frame
        for document in rounds
        for links in document.tasks.values()
        for frame in frames_of_crystal(CURRENT_JOB.store, links, f"round {document.number}")
    ]


def frames_of_crystal(store: Any, links: Mapping[str, JobLink], source: str) -> list[Frame]:
    """Frames that the calculations of one crystal left.

    Calculations that failed, or left no forces or stress, have none.

    Parameters
    ----------
    store
        Job store that they ran with.
    links
        Their jobs by stage, as in `CalculationDoc.jobs`.
    source
        What the frames are of; the stage is added.
    """
    found = []
    for stage in FRAME_STAGES:
        if stage not in links:
            continue
        try:
            found.append(results.frame(task_of(store, links[stage], stage), f"{source}, {stage}"))
        except (MissingTaskError, NonFiniteError, AttributeError) as error:
            logger.info("no frame of %s, %s: %s", source, stage, error)
    return found


LEARNING_BY_SAMPLER: dict[str, type[LearnMaker]] = {
    "evolution": ParentsMaker,
    "search": RefitPotentialMaker,
}
"""How samplers learn, by name; one that is not here does not."""
