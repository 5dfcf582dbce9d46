"""The closed loop: rounds of sampling, relaxing, judging, and learning from what was found."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jobflow import Flow, Job, Maker

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.flows.references import references_for
from atomate2_vogen.flows.sampling import SamplingFlowMaker, default_counts
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs.learning import LEARNING_BY_SAMPLER, LearnMaker, RefitPotentialMaker, Start
from atomate2_vogen.jobs.loop import judge_round, next_round
from atomate2_vogen.jobs.refinement import RefineMaker, refine_maker
from atomate2_vogen.jobs.rounds import EarlierLearnt, EarlierRounds
from atomate2_vogen.jobs.sampling import NEEDS_NOVEL_ONLY, SampleMaker
from atomate2_vogen.samplers.base import check_counts, check_number, check_seed, check_whole
from atomate2_vogen.samplers.base import seed_of_round as seed_of
from atomate2_vogen.samplers.loading import DEFAULT, SAMPLERS
from atomate2_vogen.samplers.parents import given_parents, require_parents
from atomate2_vogen.schemas import ReferenceDoc, RoundDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT

FEWEST_PARENTS = 8
"""Finds of a formula below which ``evolution`` takes crystals of the substitution pool too."""


@dataclass
class LoopFlowMaker(Maker):
    """Search in rounds, each of which learns from those before.

    A round samples crystals, relaxes, refines and judges them as `DiscoveryFlowMaker` does, and
    keeps as finds what is new and within the threshold. The sampler of the next round learns from
    all finds, and refuses what resembles one before it is relaxed. The energy model of `engine`
    chooses the finds: their energies are not an independent judgement of the loop.

    Parameters
    ----------
    name
        Name of the flow.
    sampler
        ``search``, ``evolution``, ``wgan``, ``random`` or ``substitution``; a `SampleMaker` with
        ``novel_only=True``; or a Maker whose ``make(counts, seed, finds)`` gives a `SampleDoc`
        and refuses the finds, a list of `StabilityDoc` or `jobs.rounds.EarlierRounds`.
    engine
        Engine that relaxes, and whose energies choose the finds; the default is CHGNet.
    system
        Oxide system.
    rounds
        Most rounds.
    threshold
        Largest energy above hull of a find in eV/atom.
    cpu_hours
        No round begins after so many CPU-hours of all rounds; None for no limit.
    finds
        No round begins after so many finds; None for no limit.
    learn
        Maker of `jobs.learning` by which the sampler learns; ``default`` is that of the sampler
        (new parents for ``evolution``, the potential for ``search``, nothing for ``random`` and
        ``substitution``); None for a sampler that stays as it is.
    references
        Relaxed reference phases in the engine's scheme, by default those that are shipped; or
        a Maker that relaxes them first, such as `ReferencesFlowMaker`.
    refine
        Maker that makes relaxed crystals symmetric, None or ``default``, as of
        `ScreeningFlowMaker`.

    Raises
    ------
    InputError
        If a number is out of range, or a sampler cannot learn or refuse what it is to.

    Examples
    --------
    >>> from atomate2_vogen.flows import LoopFlowMaker
    >>> flow = LoopFlowMaker(sampler="evolution", rounds=3).make({"VO2": 8}, seed=1)
    >>> [step.name for step in flow.jobs]
    ['round 1', 'after round 1']
    """

    name: str = "loop"
    sampler: str | Maker = DEFAULT
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = VANADIUM
    rounds: int = 4
    threshold: float = NEAR_HULL_LIMIT
    cpu_hours: float | None = None
    finds: int | None = None
    learn: LearnMaker | Literal["default"] | None = "default"
    references: list[ReferenceDoc] | Maker | None = None
    refine: RefineMaker | Literal["default"] | None = "default"

    def __post_init__(self) -> None:
        """Refuse what could only fail in a later round."""
        check_engine(self.engine, self)
        refine_maker(self.refine, self.engine)
        check_whole("rounds", self.rounds)
        check_number("threshold", self.threshold)
        if self.cpu_hours is not None:
            check_number("cpu_hours", self.cpu_hours)
        if self.finds is not None:
            check_whole("finds", self.finds)
        sampler = self._sampler()
        learn = self._learn()
        if isinstance(sampler, SampleMaker):
            if not sampler.novel_only:
                raise InputError(NEEDS_NOVEL_ONLY)
            if learn is not None:
                learn.check(sampler)
        elif "finds" not in inspect.signature(sampler.make).parameters:
            raise InputError(
                f"make of {type(sampler).__name__} takes no argument `finds`: a loop needs a "
                "sampler that refuses what was found before"
            )
        elif learn is not None:
            raise InputError(
                f"{type(learn).__name__} is for samplers of this package; {type(sampler).__name__} "
                "is none: give learn=None"
            )

    def make(
        self,
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        parents: Sequence[Crystal] | None = None,
    ) -> Flow:
        """Flow whose output is a `LoopDoc`.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula in each round, e.g. ``{"VO2": 8}``; by default
            eight of each target formula of the system.
        seed
            Random seed; each round has another one, which its document tells. The same counts and
            seed give the same crystals, however often the loop was stopped.
        parents
            Crystals that ``evolution`` begins with, as of `SamplingFlowMaker`.

        Raises
        ------
        UnknownFormulaError, CountsError
            If the counts cannot be asked for.
        InputError
            If the seed is negative or no whole number, or parents are given to a sampler that
            takes none, are of another system or lack a formula.
        MissingModelError
            If the sampler needs networks or a potential, and none are shipped for the system.
        MissingReferenceError
            If no references are shipped for the engine's scheme and none are given.
        SchemeMismatchError
            If references or energies of parents are of another scheme than the engine.
        """
        wanted = check_counts(
            default_counts(self.system) if counts is None else counts, self.system
        )
        seed = check_seed(seed)
        self._check_parents(parents, wanted)
        learn = self._learn()
        if isinstance(learn, RefitPotentialMaker) and self.rounds > 1:
            learn.check_files(self._sampler(), self.engine.scheme)
        relaxing, references = references_for(self.references, self.engine, self.system)
        flow = self.make_round(wanted, seed, references, parents)
        if relaxing:
            flow = Flow([*relaxing, flow], output=flow.output)
        flow.name = self.name
        flow.update_metadata({"loop": self.name})
        return flow

    def make_round(
        self,
        counts: dict[str, int],
        seed: int,
        references: Any,
        parents: Any = None,
        *,
        earlier: EarlierRounds | None = None,
        documents: Sequence[RoundDoc] = (),
        learnt_by: str | None = None,
    ) -> Flow:
        """Flow of one round and of all that follow it; its output is that of the loop.

        Parameters
        ----------
        counts, seed, parents
            As of `make`.
        references
            Relaxed reference phases, or a reference to them.
        earlier
            The rounds before.
        documents
            Their documents.
        learnt_by
            Identifier of the job in which the sampler learnt last.
        """
        before = earlier.jobs if earlier else []
        number = len(before) + 1
        round_seed = seed_of(seed, number)
        sampler = self._sampler(with_pool=parents is None)
        learn, given = self._learn(), {}
        learnt: Any = None
        jobs: list[Flow | Job] = []
        if parents is not None:
            given["parents"] = parents
        if learn is not None and earlier is not None:
            if learn.learns_from(documents):
                first = given.get(learn.argument, _options_of(sampler).get(learn.argument))
                learning = learn.make(earlier, Start(self.system, round_seed, first))
                given[learn.argument] = getattr(learning.output, learn.holder)
                learnt, learnt_by = learning.output.summary, learning.uuid
                jobs.append(learning)
            elif learnt_by is not None and (last := documents[-1].learnt) is not None:
                given[learn.argument] = EarlierLearnt(learnt_by, learn.holder)
                # its time is counted in the round that learnt
                learnt = last.model_copy(update={"cpu_time": None})
        sampling = SamplingFlowMaker(sampler=sampler, system=self.system).make(
            counts, round_seed, finds=earlier, **given
        )
        screening = ScreeningFlowMaker(engine=self.engine, refine=self.refine)
        screenings = [screening.make(sample) for sample in sampling.output]
        judged = judge_round(
            number,
            round_seed,
            sampling.output,
            [made.output for made in screenings],
            references,
            scheme=self.engine.scheme,
            system=self.system,
            threshold=self.threshold,
            earlier=earlier,
            learnt=learnt,
        )
        decided = next_round(
            self,
            counts,
            seed,
            rounds=[*before, judged.uuid],
            latest=judged.output.number,
            references=references,
            parents=parents,
            learnt_by=learnt_by,
        )
        this = Flow([*jobs, sampling, *screenings, judged], name=f"round {number}")
        this.update_metadata({"round": number})
        return Flow([this, decided], output=decided.output, name=f"from round {number}")

    def _sampler(self, *, with_pool: bool = False) -> Any:
        """The Maker of the sampler, which may be given by name.

        Where no parents are given, formulas with few finds or none go on with the pool.
        """
        maker = self.sampler
        if not isinstance(maker, Maker):
            # an unknown name is refused by the Maker
            margin = SAMPLERS[maker].margin if maker in SAMPLERS else 1.0
            maker = SampleMaker(
                sampler=maker, system=self.system, novel_only=True, novelty_margin=margin
            )
        if with_pool and isinstance(maker, SampleMaker) and SAMPLERS[maker.sampler].has_parents:
            options = {"fewest_parents": FEWEST_PARENTS} | maker.options
            maker = replace(maker, options=options)
        return maker

    def _learn(self) -> LearnMaker | None:
        """The Maker by which the sampler learns, or None."""
        if self.learn != "default":
            return self.learn
        maker = self._sampler()
        if not isinstance(maker, SampleMaker):
            return None
        made = LEARNING_BY_SAMPLER.get(maker.sampler)
        if made is None and SAMPLERS[maker.sampler].has_networks:
            raise InputError(
                f"the sampler {maker.sampler} cannot learn in a loop yet; give learn=None for "
                f"networks that stay as they are, or one of {', '.join(LEARNING_BY_SAMPLER)}"
            )
        return None if made is None else made()

    def _check_parents(self, parents: Sequence[Crystal] | None, counts: dict[str, int]) -> None:
        """Refuse parents that cannot be used, before anything is sampled."""
        if parents is None:
            return
        given_parents(parents, None, self.system)
        require_parents(parents, counts)
        schemes = {one.scheme for one in parents if hasattr(one, "scheme")}
        if others := sorted(schemes - {self.engine.scheme}):
            raise SchemeMismatchError(
                f"parents are of {', '.join(others)}, the engine is of {self.engine.scheme}; their "
                "energies cannot be compared with those of finds"
            )


def _options_of(sampler: Any) -> dict[str, Any]:
    """Options of a sampler of this package."""
    return sampler.options if isinstance(sampler, SampleMaker) else {}
