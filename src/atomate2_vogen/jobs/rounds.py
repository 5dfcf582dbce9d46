"""What earlier rounds of a closed loop left in the job store, for the jobs of a later one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobflow import CURRENT_JOB, OutputReference
from monty.json import MSONable

from atomate2_vogen.schemas import LearntDoc, RoundDoc, StabilityDoc
from atomate2_vogen.structures.matching import GrowingStructures, KnownStructures


@dataclass(frozen=True)
class EarlierRounds(MSONable):
    """Names of the jobs of earlier rounds, and a hash of what they left.

    A job that is given them reads them from the job store. An output reference would do, but
    FireWorks takes none to a job outside of a flow; and a job whose earlier rounds were made anew
    with another result must be another job, which the hash makes it.

    Parameters
    ----------
    jobs
        Identifiers of the jobs with a `RoundDoc`, by number of the round.
    digest
        Of candidates, states, energies and finds; times are no part of it.
    """

    jobs: list[str]
    digest: str

    @classmethod
    def of(cls, jobs: Sequence[str], documents: Sequence[RoundDoc]) -> EarlierRounds:
        """Names of rounds, with the hash of their documents."""
        digest = hashlib.sha256()
        for document in documents:
            content: list[Any] = [document.number, document.finds, document.new_ids]
            content += [
                (one.candidate_id, one.state.value, one.energy_per_atom)
                for one in document.stability
            ]
            digest.update(json.dumps(content).encode())
        return cls(list(jobs), digest.hexdigest()[:16])

    def read(self) -> list[RoundDoc]:
        """The documents; only inside a job that sees its store."""
        return read_rounds(self.jobs)

    def finds(self) -> list[StabilityDoc]:
        """Finds of all rounds; only inside a job that sees its store."""
        return [one for document in self.read() for one in document.chosen(document.finds)]

    def new(self) -> list[StabilityDoc]:
        """New crystals of all rounds, those above the threshold too; only inside such a job."""
        return [one for document in self.read() for one in document.chosen(document.new_ids)]


@dataclass(frozen=True)
class EarlierLearnt(MSONable):
    """Name of a job in which the sampler of an earlier round learnt what a later one goes on with.

    By name and not by reference, as `EarlierRounds`.

    Parameters
    ----------
    job
        Identifier of the job with the `LearntDoc`.
    holder
        Field of that document.
    """

    job: str
    holder: str

    def read(self) -> Any:
        """What was learnt; only inside a job that sees its store."""
        document = LearntDoc.model_validate(OutputReference(self.job).resolve(CURRENT_JOB.store))
        return getattr(document, self.holder)


def read_rounds(jobs: Sequence[str]) -> list[RoundDoc]:
    """Documents of rounds; only inside a job that sees its store."""
    found = [OutputReference(name).resolve(CURRENT_JOB.store) for name in jobs]
    return [RoundDoc.model_validate(document) for document in found]


def with_finds(known: KnownStructures, finds: Sequence[StabilityDoc]) -> GrowingStructures:
    """Known crystals and finds, which are named by their candidate ids.

    A find is there as refined and as it was before: what matches either is the same crystal.
    """
    grown = GrowingStructures(known)
    for form in ("structure", "unrefined_structure"):
        structures = {one.candidate_id: getattr(one, form) for one in finds}
        grown.add({name: crystal for name, crystal in structures.items() if crystal is not None})
    return grown
