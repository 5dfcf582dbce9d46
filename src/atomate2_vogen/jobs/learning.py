"""Jobs in which a sampler learns from the rounds before: the part of a closed loop that differs.

Each Maker here is of one kind of sampler. It always begins with what the sampler had in the first
round and takes all rounds so far, so that nothing is learnt twice and no round's result depends on
how often the loop was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobflow import Job, JobConfig, Maker, job

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.rounds import EarlierRounds
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.samplers.loading import SAMPLERS
from atomate2_vogen.schemas import CandidateDoc, Learning, LearntDoc, StabilityDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.stability.selection import diverse_parents

LEARN_STAGE = "learn"
"""Value of ``metadata.stage`` of the jobs in which samplers learn."""

LEARNT = [["output", "parents"], ["output", "artefact"]]
"""Places in a `LearntDoc` whose content goes to the ``data`` store."""


@dataclass
class LearnMaker(Maker):
    """Base of the Makers of this module.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "learn"

    argument: ClassVar[str]
    """Argument of `SampleMaker.make` that takes what was learnt."""
    field: ClassVar[str]
    """Field of the `LearntDoc` that holds it."""
    category: ClassVar[str] = ANALYSIS
    """Of the job."""

    def make(self, rounds: EarlierRounds, seed: int = 0, before: Any = None) -> Job:
        """Job whose output is a `LearntDoc`.

        Parameters
        ----------
        rounds
            All rounds so far.
        seed
            Random seed, where something is trained.
        before
            What the sampler was given in the first round, None for what is shipped.
        """
        made: Job = self.learn(rounds, seed, before)
        made.name = self.name
        made.config = JobConfig(expose_store=True)
        made.update_metadata({"stage": LEARN_STAGE})
        place(made, self.category)
        return made

    def learn(self, rounds: EarlierRounds, seed: int, before: Any) -> Job:
        """The job; each kind has another one."""
        raise NotImplementedError

    def check(self, sampler: SampleMaker, engine: Engine) -> None:
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
    field: ClassVar[str] = "parents"

    def __post_init__(self) -> None:
        """Refuse numbers that are out of range."""
        diverse_parents([], most=self.most, margin=self.margin)

    @job(data=LEARNT, output_schema=LearntDoc)
    def learn(
        self, rounds: EarlierRounds, seed: int = 0, before: Sequence[Crystal] | None = None
    ) -> LearntDoc:
        """Job of `make`."""
        finds, given = rounds.finds(), list(before or [])
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
        return LearntDoc(
            summary=Learning(
                kind="parents", n_learnt=n_learnt, n_rehearsed=len(parents) - n_learnt
            ),
            parents=parents,
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


LEARNING_BY_SAMPLER: dict[str, type[LearnMaker]] = {"evolution": ParentsMaker}
"""How samplers learn, by name; one that is not here does not."""
