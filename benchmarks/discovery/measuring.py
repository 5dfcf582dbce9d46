"""One run: an arm with one seed, round by round, until its CPU-hours are spent.

A round asks the sampler for a batch, then relaxes and judges its crystals one by one; before it, the
samplers of some arms learn from the rounds so far. Everything happens in one process with one thread,
so that its CPU clock tells what it cost.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from atomate2_vogen.potential.frames import Frames
from atomate2_vogen.samplers.base import seed_of_round
from atomate2_vogen.stability.hull import Judged
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures
from discovery.arms import Arm
from discovery.counting import RANKED, new_crystals
from discovery.judging import (
    EXACT,
    GrowingPool,
    Judge,
    before_refinement,
    prepare,
    refinement_seconds,
    space_group,
)
from discovery.learning import learner_of
from discovery.raw import (
    CrystalRow,
    Header,
    Round,
    RoundRow,
    check_identity,
    locked,
    read_rounds,
    rounded,
    total_seconds,
    write_header,
    write_round,
)

EMPTY_ROUNDS = 3
"""Rounds in a row without any crystal after which a sampler has nothing left to give."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    cpu_seconds
        In the rows so far.
    n_crystals, n_new
        Crystals calculated, and new ones within 0.1 eV/atom.
    """

    cpu_seconds: float
    n_crystals: int
    n_new: int


def has_run_dry(rounds: Sequence[Round]) -> bool:
    """Whether the last rounds delivered nothing, so that a run ended before its time."""
    last = rounds[-EMPTY_ROUNDS:]
    return len(last) == EMPTY_ROUNDS and not any(one.row.delivered for one in last)


class Stopwatch:
    """CPU seconds of this process and of its children that have ended.

    The first lap begins with the process, so that it holds the imports.
    """

    def __init__(self) -> None:
        self._last = 0.0  # the process began then

    def lap(self) -> float:
        """Seconds since the last call."""
        before, self._last = self._last, self._now()
        return self._last - before

    @staticmethod
    def _now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime


class Found:
    """Ranked crystals of a run of which no two match, as relaxed and by their last outcome.

    A refined crystal is a replay if it matches an earlier one, or did before it was refined.
    """

    def __init__(self) -> None:
        self._relaxed = DistinctStructures()
        self._ranked: list[tuple[str, Structure]] = []
        # the same until something is refined
        self._final: DistinctStructures | None = None
        self._firsts: dict[str, str] = {}
        """By candidate id the first one of its kind by last outcomes."""

    def add(self, row: CrystalRow, relaxed: Structure | None, refined: Structure | None) -> bool:
        """Take a crystal in; fills in the replays of its row.

        Returns
        -------
        bool
            Whether its last outcome is a ranked crystal that had not been found before.
        """
        name = row.candidate_id
        if row.refined is not None and self._final is None:
            self._final = DistinctStructures()
            for earlier, crystal in self._ranked:
                self._final.twin_or_add(earlier, crystal)
        row.replay_of = row.final_replay_of = None
        if row.relaxed.state == RANKED and relaxed is not None:
            row.replay_of = self._relaxed.twin_or_add(name, relaxed)
            self._ranked.append((name, relaxed))
        last = relaxed if row.refined is None else refined
        if row.final.state != RANKED or last is None:
            return False
        twin = None if self._final is None else self._final.twin_or_add(name, last)
        twin = twin or row.replay_of
        # the twin may be a replay itself, or not be ranked as refined
        row.final_replay_of = None if twin is None else self._firsts.get(twin)
        self._firsts[name] = row.final_replay_of or name
        return row.final_replay_of is None


class Session:
    """Rounds of one folder: what is there, and what is added to it.

    Parameters
    ----------
    arm
        What is measured.
    folder
        Of the run, locked by the caller; what an earlier session left there is gone on with.
    identity
        What must be as in the earlier session.
    judge
        Energy model.
    watch
        Begun before the energy model was loaded.

    Raises
    ------
    InputError
        If the folder is of another run.
    """

    def __init__(
        self, arm: Arm, folder: Path, identity: Mapping[str, Any], judge: Judge, watch: Stopwatch
    ) -> None:
        self.arm, self.folder, self.judge, self.watch = arm, folder, judge, watch
        self.learner = learner_of(arm, folder, judge)
        whole = {
            **identity,
            "options": arm.options,
            # None is as good as nothing: folders that were begun before samplers could learn
            "learns": None if self.learner is None else self.learner.settings,
            "scheme": judge.engine.scheme,
            "hull_id": judge.hull.hull_id,
            "novelty_pool": judge.known.pool_id,
            "stages": judge.stages,
        }
        earlier = check_identity(folder, whole)
        self.header = earlier or Header(whole, {}, training_seconds=arm.training_seconds())
        self.header.versions = _versions(judge)
        self.rounds = read_rounds(folder)
        self.spent = total_seconds(self.rounds)
        """CPU seconds in all rows."""
        self.new: set[str] = set()
        """Candidate ids of ranked crystals that nothing before them matches."""
        self._found = Found()

    def load(self, formulas: Sequence[str]) -> None:
        """Do everything that is done once, and take in what the earlier session found."""
        if self.learner is not None:
            self.learner.resume(self.rounds)
        self._load_sampler()
        self.judge.load(formulas)
        for one in self.rounds:
            for row in one.crystals:
                self._take_in(one, row)

    def loaded(self) -> None:
        """Write down what was spent so far."""
        self.header.loading_seconds.append(self.watch.lap())
        write_header(self.folder, self.header)

    def sample(
        self, counts: Mapping[str, int], seed: int, known: GrowingPool | None = None
    ) -> Round:
        """Learn from the rounds so far, if the sampler does, and ask for the batch of a new one."""
        learnt, earlier, learning = None, 0.0, 0.0
        if self.learner is not None:
            earlier = self.watch.lap()
            learnt = self.learner.learn(self.rounds, seed)
            if learnt is not None:
                self._load_sampler()
            learning = self.watch.lap()
        before = known.seconds if known is not None else 0.0
        sample = self.sampler.sample(counts, seed, known=known)
        # formulas and the lowest in energy come first; a run that ends within a round should not
        # have seen these only
        candidates = sorted(
            sample.candidates, key=lambda one: one.candidate_id.rpartition("-")[::-1]
        )
        row = RoundRow(
            round=len(self.rounds) + 1,
            seed=seed,
            requested=sample.requested,
            attempts=sample.attempts,
            rejected=sample.rejected,
            delivered=len(candidates),
            sampling_seconds=0.0,
            single_point_seconds=sample.judge_cpu_time or 0.0,
            matching_seconds=known.seconds - before if known is not None else 0.0,
            training_seconds=learning,
            learnt=learnt and learnt.model_dump(mode="json", exclude={"first_round", "cpu_time"}),
        )
        sampling = earlier + self.watch.lap()
        row.sampling_seconds = max(0.0, sampling - row.single_point_seconds - row.matching_seconds)
        frames = Frames(self.judge.engine.scheme) if self._keeps_frames else None
        made = Round(row, candidates, frames=frames)
        write_round(self.folder, made)
        self.rounds.append(made)
        self.spent += row.cpu_seconds
        return made

    def calculate(self, current: Round) -> CrystalRow:
        """Relax and judge the next crystal of a round, and write its row."""
        candidate = current.candidates[len(current.crystals)]
        if current.frames is None:
            calculation = self.judge.calculate(candidate)
        else:
            calculation, frames = self.judge.calculate_with_frames(candidate)
            current.frames.frames += frames
        unrefined = before_refinement(calculation)
        relaxed, judged = self.judge.outcome(unrefined or calculation)
        refining = refinement_seconds(calculation)
        whole = calculation.cpu_time
        name = candidate.candidate_id
        row = CrystalRow(
            candidate_id=name,
            formula=candidate.formula,
            n_atoms=len(candidate.structure),
            space_group_exact=space_group(candidate.structure, EXACT),
            space_group=space_group(candidate.structure),
            above_hull=judged.document.initial_energy_above_hull,
            n_steps=calculation.n_steps,
            relaxation_seconds=None if whole is None else whole - (refining or 0.0),
            refinement_seconds=refining,
            cpu_seconds=0.0,
            relaxed=relaxed,
        )
        _keep(current.relaxed, name, judged)
        if unrefined is not None:
            row.refined, judged = self.judge.outcome(calculation)
            _keep(current.refined, name, judged)
        self._take_in(current, row)
        row.cpu_seconds = self.watch.lap()
        self.spent += row.cpu_seconds
        current.crystals.append(row)
        write_round(self.folder, current)
        return row

    def finds_of(self, finished: Round) -> dict[str, Structure]:
        """Crystals that a round was the first to find, as last calculated."""
        last = finished.relaxed | finished.refined
        return {name: last[name] for name in last if name in self.new}

    @property
    def _keeps_frames(self) -> bool:
        return self.learner is not None and self.learner.keeps_frames

    def _load_sampler(self) -> None:
        """Load the sampler with what it has learnt."""
        self.sampler = self.arm.load(**({} if self.learner is None else self.learner.given))

    def _take_in(self, current: Round, row: CrystalRow) -> None:
        name = row.candidate_id
        if self._found.add(row, current.relaxed.get(name), current.refined.get(name)):
            self.new.add(name)


def measure_run(
    arm: Arm,
    seed: int,
    folder: Path,
    *,
    counts: Mapping[str, int],
    cpu_hours: float,
    load_judge: Callable[[], Judge],
    progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Measure until the rows hold these CPU-hours, or the sampler delivers nothing any more.

    Parameters
    ----------
    arm, seed
        What is measured.
    folder
        Of the run; what an earlier call left there is gone on with.
    counts
        Crystals of a round by formula.
    cpu_hours
        CPU-hours of everything in the rows, those of earlier calls included.
    load_judge
        Loads the energy model.
    progress
        Called after each round's sample and after each crystal.

    Raises
    ------
    InputError
        If the folder is of another run, or another process is at work there.
    """
    watch = Stopwatch()
    identity = {
        "arm": arm.name,
        "seed": seed,
        "refuse_known": arm.refuse_known,
        "counts": dict(counts),
        "novelty_margin": arm.novelty_margin,
    }
    with locked(folder):
        session = Session(arm, folder, identity, load_judge(), watch)
        rounds = session.rounds

        def is_over() -> bool:
            return session.spent >= cpu_hours * 3600 or has_run_dry(rounds)

        def tell() -> None:
            crystals = [row for one in rounds for row in one.crystals]
            n_new = sum(new_crystals(crystals, NEAR_HULL_LIMIT))
            progress(Progress(session.spent, len(crystals), n_new))

        if is_over():
            return
        session.load(list(counts))
        pool = _pool(arm, list(counts), session.judge)
        for one in rounds:
            if one.is_finished:
                pool.add(session.finds_of(one))
        session.loaded()
        while not is_over():
            if not rounds or rounds[-1].is_finished:
                session.sample(counts, seed_of_round(seed, len(rounds) + 1), pool)
                tell()
            while not (rounds[-1].is_finished or is_over()):
                session.calculate(rounds[-1])
                tell()
            if rounds[-1].is_finished:
                pool.add(session.finds_of(rounds[-1]))


def _pool(arm: Arm, formulas: Sequence[str], judge: Judge) -> GrowingPool:
    """Crystals that are refused as generated, before anything was found."""
    if not arm.refuse_known:
        return GrowingPool(KnownStructures({}, arm.novelty_margin))
    refused = judge.refused(formulas, arm.novelty_margin)
    prepare(refused, formulas, judge.references[0].structure)
    return GrowingPool(refused)


def _keep(crystals: dict[str, Structure], name: str, judged: Judged) -> None:
    """Keep what can be read back and compared."""
    structure: Any = judged.document.structure
    if structure is not None:
        crystals[name] = rounded(structure)


def _versions(judge: Judge) -> dict[str, str]:
    from importlib.metadata import version

    names = ("atomate2-vogen", "pymatgen", "spglib", "numpy", "ase")
    return {name: version(name) for name in names} | judge.engine.engine_versions
