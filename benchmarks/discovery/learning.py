"""What the sampler of an arm learns between rounds, by the Makers of the closed loop itself.

As in a loop, learning begins with what the first round had and takes all rounds so far, and a round
before which nothing is learnt goes on with what was learnt last. What is learnt depends on the rows
and files of the run alone, so that a run that was stopped goes on to the same crystals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from pymatgen.core import Composition

from atomate2_vogen.flows.loop import FEWEST_PARENTS
from atomate2_vogen.jobs import ParentsMaker, RefitPotentialMaker, SampleMaker
from atomate2_vogen.jobs.learning import LearnMaker, Start
from atomate2_vogen.potential.frames import Frames
from atomate2_vogen.schemas import Learning, StabilityDoc, StabilityState
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from discovery.arms import Arm
from discovery.counting import new_crystals
from discovery.judging import Judge
from discovery.raw import CrystalRow, Round, potential_file, read_frames, write_potential


class Learner:
    """Base for a sampler that learns.

    Parameters
    ----------
    arm
        Its sampler.
    maker
        How it learns.
    folder
        Of the run.
    judge
        Energy model.
    """

    keeps_frames = False
    """Whether energies, forces and stresses of the relaxations are kept for it."""

    def __init__(self, arm: Arm, maker: Any, folder: Path, judge: Judge) -> None:
        self.arm, self.maker, self.folder, self.judge = arm, maker, folder, judge
        self.given: dict[str, Any] = {}
        """Arguments of the sampler: what it has learnt so far."""

    @property
    def settings(self) -> dict[str, Any]:
        """How it learns, for the identity of the run."""
        return {name: value for name, value in asdict(self.maker).items() if name != "name"}

    def resume(self, rounds: Sequence[Round]) -> None:
        """Take in what was learnt last, before these rounds or between them."""

    def learn(self, rounds: Sequence[Round], seed: int) -> Learning | None:
        """Learn from all rounds so far, if it is time; None if nothing was learnt."""
        raise NotImplementedError


class PotentialLearner(Learner):
    """Fits the potential of ``search`` again."""

    keeps_frames = True

    def __init__(self, arm: Arm, maker: RefitPotentialMaker, folder: Path, judge: Judge) -> None:
        super().__init__(arm, maker, folder, judge)
        potential = {name: arm.options[name] for name in ("potential",) if name in arm.options}
        sampler = SampleMaker(sampler=arm.sampler, options=potential, system=judge.system)
        maker.check_files(sampler, judge.engine.scheme)

    def resume(self, rounds: Sequence[Round]) -> None:
        """Read the potential that was fitted last."""
        numbers = [one.row.round for one in rounds if one.row.learnt is not None]
        if numbers:
            self._take(numbers[-1])

    def learn(self, rounds: Sequence[Round], seed: int) -> Learning | None:
        """Fit it if the relaxed crystals have grown enough."""
        failed = StabilityState.FAILED.value
        n_relaxed = [sum(row.relaxed.state != failed for row in one.crystals) for one in rounds]
        if not self.maker.is_due(n_relaxed):
            return None
        # from the files, in whose digits a run that was stopped has them too
        new = Frames(self.judge.engine.scheme)
        for one in rounds:
            new = new.joined(read_frames(self.folder, one.row.round, one.crystals))
        start = Start(self.judge.system, seed, self.arm.options.get("potential"))
        potential, summary = self.maker.fit(new, start)
        number = len(rounds) + 1
        write_potential(self.folder, number, potential.to_bytes())
        self._take(number)
        return cast("Learning", summary)

    def _take(self, number: int) -> None:
        from atomate2_vogen.potential import Potential

        self.given = {"potential": Potential.load(potential_file(self.folder, number))}


class ParentsLearner(Learner):
    """Chooses the parents of ``evolution`` from the finds within 0.1 eV/atom."""

    def __init__(self, arm: Arm, maker: ParentsMaker, folder: Path, judge: Judge) -> None:
        super().__init__(arm, maker, folder, judge)
        self.fewest = int(arm.options.get("fewest_parents", FEWEST_PARENTS))
        self.given = {"fewest_parents": self.fewest}

    @property
    def settings(self) -> dict[str, Any]:
        """How it learns, for the identity of the run."""
        return super().settings | {"fewest_parents": self.fewest}

    def learn(self, rounds: Sequence[Round], seed: int) -> Learning | None:
        """Choose them anew."""
        del seed  # nothing is drawn
        finds = self._finds(rounds)
        if not finds:
            return None
        parents, summary = self.maker.choose(finds)
        self.given = {"fewest_parents": self.fewest, "parents": parents}
        return cast("Learning", summary)

    def _finds(self, rounds: Sequence[Round]) -> list[StabilityDoc]:
        """Crystals that are counted as new, as last calculated."""
        pairs = [(one, row) for one in rounds for row in one.crystals]
        new = new_crystals([row for _, row in pairs], NEAR_HULL_LIMIT, final=True)
        return [
            self._document(one, row)
            for (one, row), is_new in zip(pairs, new, strict=True)
            if is_new
        ]

    def _document(self, one: Round, row: CrystalRow) -> StabilityDoc:
        """What a row tells of a find, as a document."""
        hull, name = self.judge.hull, row.candidate_id
        candidate = next(made for made in one.candidates if made.candidate_id == name)
        structure = one.relaxed[name] if row.refined is None else one.refined[name]
        above = cast("float", row.final.above_hull)  # every find has one
        zero = hull.position(Composition(row.formula), 0.0)
        return StabilityDoc(
            stability_id=f"{name}|{hull.scheme}",
            candidate_id=name,
            scheme=hull.scheme,
            hull_id=hull.hull_id,
            chemsys=self.judge.system.chemsys,
            formula=row.formula,
            natoms=len(structure),
            sampler=candidate.sampler,
            model_id=candidate.model_id,
            state=StabilityState.RANKED,
            is_converged=True,
            energy_per_atom=above - zero.energy_above_hull,
            energy_above_hull=above,
            structure=structure,
        )


KINDS: dict[type[LearnMaker], type[Learner]] = {
    ParentsMaker: ParentsLearner,
    RefitPotentialMaker: PotentialLearner,
}


def learner_of(arm: Arm, folder: Path, judge: Judge) -> Learner | None:
    """How the sampler of an arm learns; None for one that stays as it is."""
    maker = arm.learn_maker()
    return None if maker is None else KINDS[type(maker)](arm, maker, folder, judge)
