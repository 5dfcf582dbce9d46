"""Groups of duplicate crystals, each led by its crystal of lowest energy, updated incrementally.

The crystals of one formula are processed in the order of rising energy. A crystal that matches
leaders is a duplicate of the lowest of them; one that matches none becomes a leader, and is unique.
This is what pymatgen's `StructureMatcher.group_structures` does when the lowest comes first. The
result does not depend on the order of the input; a chain of crystals each of which matches the
next does not become one group; and each crystal is compared with leaders only, whose number levels
off while the number of crystals grows.

A crystal that was refined has two forms, refined and unrefined, and matches another one if any form
of it matches any form of the other. Forms can match only if their primitive cells have equally many
sites, so a crystal is compared with those leaders alone that have such a form.

So that nothing is compared twice, each crystal keeps the name of its leader and a digest of the
leaders that it was compared with. A crystal whose digest does not fit the present leaders is
compared again, so a build that was killed, or two builds at once, leave no result that was never
tested.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations, product
from operator import xor

import numpy as np
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.structures.reduction import (
    ReducedCrystal,
    default_matcher,
    edges_may_fit,
)
from atomate2_vogen.structures.sameness import same


@dataclass
class Comparable:
    """One crystal in the search for duplicates.

    Parameters
    ----------
    name
        Name of the crystal, unique in the search.
    formula
        Reduced formula.
    energy
        Energy that decides which crystal leads: the lowest, or the first by name where equal.
    crystal
        Its reduced cell.
    leader
        Name of the lowest leader that the crystal matches, or its own name if it matches none;
        None before the comparison.
    compared
        Digest of the leaders of lower energy that the crystal was compared with.
    unrefined
        Reduced cell of the crystal before its refinement; None where it was not changed.
    """

    name: str
    formula: str
    energy: float
    crystal: ReducedCrystal
    leader: str | None = None
    compared: str | None = None
    unrefined: ReducedCrystal | None = None

    @property
    def leads(self) -> bool:
        """Whether the crystal is the leader of its group."""
        return self.leader == self.name

    @property
    def forms(self) -> list[ReducedCrystal]:
        """Refined form, and the unrefined one if there is any."""
        return [self.crystal] if self.unrefined is None else [self.crystal, self.unrefined]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Different numbers of sites of its forms, ascending."""
        return tuple(sorted({form.n_sites for form in self.forms}))


def compare_crystals(crystals: Sequence[Comparable]) -> None:
    """Set `leader` and `compared` of all crystals, comparing only those that are not up to date."""
    matcher = default_matcher()
    for shelf in _shelves(crystals):
        known = _ends(shelf)
        led = np.array([one.leads for one in shelf])
        forms = _Forms.of(shelf)
        leaders = _Leaders()
        for place, (one, end) in enumerate(zip(shelf, known, strict=True)):
            held = leaders.places(one.sizes)
            # whom it is known to differ from, and whom it is known to match
            asked = ~(led[held] & (held < end)) & forms.may_fit(held, place)
            its_own = next(iter(np.flatnonzero(held == end)), len(held))
            found = next(
                (
                    int(index)
                    for index in np.flatnonzero(asked[:its_own])
                    if _match(shelf[held[index]], one, matcher)
                ),
                its_own,
            )
            if found < len(held):
                leader = int(held[found])
                one.leader = shelf[leader].name
                one.compared = leaders.digest(one.sizes, leader + 1)
                continue
            one.leader, one.compared = one.name, leaders.digest(one.sizes, place)
            leaders.add(place, one)


def unsettled(crystals: Sequence[Comparable]) -> list[Comparable]:
    """Those whose digest does not vouch for what they say, given who leads."""
    return [
        one
        for shelf in _shelves(crystals)
        for one, end in zip(shelf, _ends(shelf), strict=True)
        if end < 0
    ]


def _match(first: Comparable, second: Comparable, matcher: StructureMatcher) -> bool:
    """Whether any form of one crystal is the same as any form of the other."""
    return any(same(a, b, matcher) for a, b in product(first.forms, second.forms))


def _shelves(crystals: Sequence[Comparable]) -> list[list[Comparable]]:
    """Crystals of one formula, the lowest first."""
    shelves: dict[str, list[Comparable]] = {}
    for one in sorted(crystals, key=lambda one: (one.energy, one.name)):
        shelves.setdefault(one.formula, []).append(one)
    return list(shelves.values())


def _ends(shelf: Sequence[Comparable]) -> list[int]:
    """Place of each one's leader, if it was compared with all that led below; else -1."""
    places = {one.name: place for place, one in enumerate(shelf)}
    leaders = _Leaders()
    for place, one in enumerate(shelf):
        if one.leads:
            leaders.add(place, one)
    ends = []
    for place, one in enumerate(shelf):
        end = -1 if one.leader is None else places.get(one.leader, -1)
        upto = end if one.leads else end + 1
        vouched = 0 <= end <= place and one.compared == leaders.digest(one.sizes, upto)
        ends.append(end if vouched else -1)
    return ends


@dataclass(frozen=True)
class _Forms:
    """Edges and numbers of sites of the forms of many crystals; NaN and 0 where there is none.

    Parameters
    ----------
    edges
        Shape (2, n, 3): of refined and unrefined forms.
    n_sites
        Shape (2, n).
    """

    edges: np.ndarray
    n_sites: np.ndarray

    @classmethod
    def of(cls, shelf: Sequence[Comparable]) -> _Forms:
        edges, n_sites = np.full((2, len(shelf), 3), np.nan), np.zeros((2, len(shelf)), dtype=int)
        for place, one in enumerate(shelf):
            for number, form in enumerate(one.forms):
                edges[number, place], n_sites[number, place] = form.edges, form.n_sites
        return cls(edges, n_sites)

    def may_fit(self, held: np.ndarray, place: int) -> np.ndarray:
        """Whether a form of each of those held can match a form of the one at a place."""
        found = np.zeros(len(held), dtype=bool)
        for ours, theirs in product(range(2), range(2)):
            if size := self.n_sites[ours, place]:
                equal = self.n_sites[theirs, held] == size
                if equal.any():
                    found |= equal & edges_may_fit(
                        self.edges[theirs, held], self.edges[ours, place]
                    )
        return found


@dataclass
class _Column:
    """Places of leaders, ascending, and the exclusive or of the tokens up to each."""

    places: array[int] = field(default_factory=lambda: array("q"))
    digests: list[int] = field(default_factory=lambda: [0])

    def add(self, place: int, token: int) -> None:
        self.places.append(place)
        self.digests.append(self.digests[-1] ^ token)

    def upto(self, place: int) -> int:
        """Digest of the leaders before a place."""
        return self.digests[bisect_left(self.places, place)]


class _Leaders:
    """Leaders by the numbers of sites of their forms."""

    def __init__(self) -> None:
        self._columns: dict[tuple[int, ...], _Column] = {}

    def add(self, place: int, leader: Comparable) -> None:
        """One more, of higher energy than those before."""
        token = _token(leader)
        for key in _subsets(leader.sizes):
            self._columns.setdefault(key, _Column()).add(place, token)

    def places(self, sizes: tuple[int, ...]) -> np.ndarray:
        """Places of those with a form of one of these sizes, ascending."""
        columns = [self._columns[(size,)].places for size in sizes if (size,) in self._columns]
        if len(columns) == 1:
            return np.array(columns[0])
        return np.unique(np.concatenate([np.zeros(0, dtype=int), *columns]))

    def digest(self, sizes: tuple[int, ...], place: int) -> str:
        """Digest of those before a place with a form of one of these sizes."""
        # leaders with both sizes are in the columns of either, where they cancel, and of both
        found = (self._columns[key].upto(place) for key in _subsets(sizes) if key in self._columns)
        return f"{reduce(xor, found, 0):016x}"


def _subsets(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for length in range(1, len(sizes) + 1):
        yield from combinations(sizes, length)


def _token(crystal: Comparable) -> int:
    """Number of a crystal; a digest is the exclusive or of those of several."""
    content = f"{crystal.name}|{crystal.energy!r}"
    for form in crystal.forms:
        content += f"|{form.cell.lengths!r}|{form.cell.angles!r}"
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")
