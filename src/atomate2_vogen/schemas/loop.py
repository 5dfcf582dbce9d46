"""Rounds of a closed loop: what was sampled, found and learnt in each."""

from __future__ import annotations

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import VogenDoc
from atomate2_vogen.schemas.candidates import CandidateDoc
from atomate2_vogen.schemas.jobs import JobLink
from atomate2_vogen.schemas.stability import StabilityDoc
from atomate2_vogen.schemas.training import Artefact


class Learning(BaseModel):
    """What the sampler of a round had learnt from the rounds before.

    Examples
    --------
    >>> Learning(kind="parents", n_learnt=4).cpu_time is None
    True
    """

    kind: str = Field(description="parents, potential or networks")
    n_learnt: int = Field(
        description="crystals of earlier rounds that were learnt from; frames of a potential"
    )
    n_rehearsed: int = Field(0, description="earlier examples that were learnt again beside them")
    model_id: str | None = Field(None, description="of the potential or networks")
    errors: dict[str, float] = Field(
        default_factory=dict, description="on examples that were held out"
    )
    first_round: int | None = Field(
        None, description="number of the first round whose sampler had learnt it"
    )
    cpu_time: float | None = Field(
        None, description="seconds; None in later rounds, which go on with it"
    )


class LearntDoc(VogenDoc):
    """What a sampler is given after it has learnt: one of parents, a potential, networks.

    Examples
    --------
    >>> LearntDoc(summary=Learning(kind="parents", n_learnt=0)).artefact is None
    True
    """

    summary: Learning
    parents: list[StabilityDoc | CandidateDoc | Structure] | None = Field(
        None, description="crystals that others are made of"
    )
    artefact: Artefact | None = Field(None, description="file of a potential or of networks")


class RoundDoc(VogenDoc):
    """One round of a closed loop.

    A *new* crystal of a round is ranked, novel, the lowest of those of its round that match it,
    and matches no new crystal of an earlier round. New crystals within the threshold are *finds*;
    what matches a new crystal of an earlier round is a *replay*.

    Examples
    --------
    >>> RoundDoc(
    ...     number=1, seed=7, sampler="evolution", model_id="ase-ga", scheme="CHGNet-0.3.0",
    ...     chemsys="O-V", threshold=0.1, requested={"VO2": 8}, attempts={"VO2": 11}, rejected={},
    ...     n_sampled=8, n_relaxed=8, n_ranked=7,
    ... ).finds
    []
    """

    number: int = Field(description="from 1")
    seed: int = Field(description="of the sampler in this round")
    sampler: str
    model_id: str
    scheme: str = Field(description="energy model that chose the finds")
    chemsys: str
    hull_id: str | None = Field(None, description="None where nothing was sampled")
    threshold: float = Field(description="eV/atom above hull")

    requested: dict[str, int] = Field(description="crystals asked for, by reduced formula")
    attempts: dict[str, int]
    rejected: dict[str, dict[str, int]] = Field(
        description="number of rejections by formula and reason; `known crystal` counts those "
        "that resemble an earlier find too"
    )
    n_sampled: int
    n_relaxed: int = Field(description="without those whose calculation failed")
    n_ranked: int
    learnt: Learning | None = Field(
        None, description="what this round's sampler had learnt; None: nothing"
    )

    replays: dict[str, str] = Field(
        default_factory=dict, description="earlier crystal that one matches, by candidate id"
    )
    new: dict[str, int] = Field(
        default_factory=dict, description="new crystals by largest energy above hull, eV/atom"
    )
    new_ids: list[str] = Field(default_factory=list, description="candidate ids of new crystals")
    finds: list[str] = Field(default_factory=list, description="candidate ids")
    n_p1: int = Field(0, description="finds without any symmetry (space group 1)")

    cpu_seconds: dict[str, float] = Field(default_factory=dict, description="by stage")
    n_untimed: int = Field(0, description="calculations that told no time")
    warnings: list[str] = Field(default_factory=list)

    stability: list[StabilityDoc] = Field(
        default_factory=list, description="one document per crystal; in the data store"
    )
    tasks: dict[str, dict[str, JobLink]] = Field(
        default_factory=dict,
        description="jobs with the calculations by candidate id and stage; in the data store",
    )

    @property
    def cpu_hours(self) -> float:
        """Of all stages."""
        return sum(self.cpu_seconds.values()) / 3600

    @property
    def learns(self) -> bool:
        """Whether something was learnt before this very round."""
        return self.learnt is not None and self.learnt.first_round in {None, self.number}

    def chosen(self, names: list[str]) -> list[StabilityDoc]:
        """Stability documents of some candidates of the round."""
        wanted = set(names)
        return [document for document in self.stability if document.candidate_id in wanted]


class LoopDoc(VogenDoc):
    """A closed loop: its settings, its rounds, and why it ended.

    Its rounds are without stability documents, which those of the rounds' jobs have.

    Examples
    --------
    >>> LoopDoc(
    ...     chemsys="O-V", scheme="CHGNet-0.3.0", sampler="evolution", seed=0, threshold=0.1,
    ...     counts={"VO2": 8}, rounds=[], stopped_by="rounds",
    ... ).n_finds
    0
    """

    chemsys: str
    scheme: str = Field(description="energy model that chose the finds of every round")
    sampler: str
    seed: int
    threshold: float = Field(description="largest energy above hull of a find, eV/atom")
    counts: dict[str, int] = Field(description="crystals asked for in each round, by formula")
    rounds: list[RoundDoc]
    stopped_by: str = Field(description="rounds, CPU-hours or finds")

    @property
    def n_finds(self) -> int:
        """Of all rounds."""
        return sum(len(one.finds) for one in self.rounds)

    @property
    def cpu_hours(self) -> float:
        """Of all rounds."""
        return sum(one.cpu_hours for one in self.rounds)
