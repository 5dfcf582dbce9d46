"""One pair of chemical system and scheme: its documents, changes and outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monty.json import jsanitize
from pymatgen.core import Composition

from atomate2_vogen.builders.records import RELATIONS, ranked_record
from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError, VogenError, reason
from atomate2_vogen.schemas import CalculationDoc, KnownDoc, ReferenceDoc
from atomate2_vogen.stability.hull import Ranked, complete, relate
from atomate2_vogen.stability.judging import judge
from atomate2_vogen.stability.phases import ReferenceHull, hull_id
from atomate2_vogen.stores import moment, parse
from atomate2_vogen.structures.duplicates import Comparable, unsettled
from atomate2_vogen.structures.matching import KnownStructures

DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
    VogenError,
)
"""What reading a damaged document may raise."""


@dataclass(frozen=True)
class Source:
    """A calculation, as far as it must be known to see whether it changed."""

    formula: str
    updated: datetime


@dataclass
class Pair:
    """Documents of one system and scheme.

    Parameters
    ----------
    system, scheme
        The pair.
    references
        Of the scheme and system.
    own
        Known crystals of the user.
    pool
        Hash of what novelty is judged against; None if it is not judged.
    sources
        Calculations by id.
    built
        Stability documents by id, only the fields `records.KEPT`.
    changed
        Ids of calculations that are to be judged.
    kept
        Ranked documents that stay, by id.
    contents
        Calculations that are to be judged.
    """

    system: OxideSystem
    scheme: str
    references: list[ReferenceDoc]
    own: list[KnownDoc]
    pool: str | None
    sources: dict[str, Source]
    built: dict[str, dict[str, Any]]
    changed: set[str] = field(default_factory=set)
    kept: dict[str, Ranked] = field(default_factory=dict)
    contents: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """System and scheme, for messages."""
        return f"{self.system.chemsys} of scheme {self.scheme}"

    def find_changes(self) -> None:
        """Set `changed` and `kept`.

        A document is up to date if it was made from this version of the calculation (by the
        calculation's own clock, so that of the builder does not matter), with these references
        and this pool, states whether the crystal is bulk, and is not damaged.
        """
        current = hull_id(self.references)
        self.changed = set(self.sources) - set(self.built)
        for name in set(self.sources) & set(self.built):
            content = self.built[name]
            try:
                record = ranked_record(content)
            except DAMAGED:
                record = None
                self.changed.add(name)
            if (
                content.get("hull_id") != current
                or content.get("novelty_pool") != self.pool
                or content.get("formula") != self.sources[name].formula
                or moment(content, "calculation_updated") != self.sources[name].updated
                or "is_bulk" not in content  # judged before that was part of it
            ):
                self.changed.add(name)
            elif record is not None:
                self.kept[name] = record

    @property
    def doubtful(self) -> list[Comparable]:
        """What stays, and was not compared with all that it must be: some that led are gone."""
        return unsettled([one.comparable for one in self.kept.values()])

    @property
    def formulas(self) -> set[str]:
        """Reduced formulas among which crystals are to be compared."""
        return {self.sources[name].formula for name in self.changed} | {
            one.formula for one in self.doubtful
        }

    def is_up_to_date(self) -> bool:
        """Whether there is nothing to be judged, compared or written."""
        if self.changed or self.doubtful:
            return False
        hull = ReferenceHull(self.references, self.system)
        return not self.differences(relate(list(self.kept.values()), hull))

    def differences(self, relations: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Relations of documents that stay, where they are not as they are stored."""
        return {
            name: dict(relation)
            for name, relation in relations.items()
            if any(self.built[name].get(key) != relation[key] for key in RELATIONS)
        }


@dataclass
class Outcome:
    """What a pair comes to.

    Parameters
    ----------
    name
        Of the pair.
    documents
        Of what was judged, as they are stored.
    amendments
        Fields to be set in documents that were there, by id.
    malformed
        Reasons why calculations could not be judged, by id.
    failure
        Why the pair could not be built at all.
    """

    name: str
    documents: list[dict[str, Any]] = field(default_factory=list)
    amendments: dict[str, dict[str, Any]] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)
    failure: str | None = None


def build_pair(pair: Pair, known: KnownStructures | None) -> Outcome:
    """Judge what changed in a pair, compare it with the rest, and say what is to be written.

    Pure: nothing is read or written. Empties `pair.contents`.
    """
    outcome = Outcome(pair.name)
    hull = ReferenceHull(pair.references, pair.system)
    judged = []
    while pair.contents:
        content = pair.contents.pop()
        name = str(content.get("calculation_id"))
        try:
            calculation = parse(CalculationDoc, content)
            _check_formula(calculation)
            one = judge(calculation, hull, known)
        except DAMAGED as error:
            outcome.malformed[name] = reason(error).splitlines()[0]
            continue
        judged.append(one)
    relations = complete(judged, list(pair.kept.values()), hull)
    outcome.documents = [
        jsanitize(one.document, strict=True, enum_values=True, allow_bson=True) for one in judged
    ]
    outcome.amendments = pair.differences(relations)
    return outcome


def _check_formula(calculation: CalculationDoc) -> None:
    """The requested formula decides who is compared with whom."""
    candidate = calculation.candidate
    formula = candidate.structure.composition.reduced_formula
    if Composition(candidate.formula).reduced_formula != formula:
        raise InputError(f"its candidate is called {candidate.formula} and is {formula}")
