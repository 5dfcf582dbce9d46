"""Groups of duplicate crystals, each led by its crystal of lowest energy, updated incrementally.

The crystals of one formula are processed in the order of rising energy. A crystal that matches
leaders is a duplicate of the lowest of them; one that matches none becomes a leader, and is unique.
This is what pymatgen's `StructureMatcher.group_structures` does when the lowest comes first. The
result does not depend on the order of the input; a chain of crystals each of which matches the
next does not become one group; and each crystal is compared with leaders only, whose number levels
off while the number of crystals grows.

So that nothing is compared twice, each crystal keeps the name of its leader and a digest of the
leaders that it was compared with. A crystal whose digest does not fit the present leaders is
compared again, so a build that was killed, or two builds at once, leave no result that was never
tested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import xor

import numpy as np

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
    """

    name: str
    formula: str
    energy: float
    crystal: ReducedCrystal
    leader: str | None = None
    compared: str | None = None

    @property
    def leads(self) -> bool:
        """Whether the crystal is the leader of its group."""
        return self.leader == self.name


def compare_crystals(crystals: Sequence[Comparable]) -> None:
    """Set `leader` and `compared` of all crystals, comparing only those that are not up to date."""
    matcher = default_matcher()
    for shelf in _shelves(crystals):
        known = _ends(shelf)
        led = np.array([one.leads for one in shelf])
        edges = np.array([one.crystal.edges for one in shelf])
        places = np.empty(len(shelf), dtype=int)  # of leaders, ascending
        digests = [0]
        for place, (one, end) in enumerate(zip(shelf, known, strict=True)):
            count = len(digests) - 1
            held = places[:count]
            # whom it is known to differ from, and whom it is known to match
            asked = ~(led[held] & (held < end)) & edges_may_fit(edges[held], edges[place])
            its_own = next(iter(np.flatnonzero(held == end)), count)
            found = next(
                (
                    int(index)
                    for index in np.flatnonzero(asked[:its_own])
                    if same(shelf[held[index]].crystal, one.crystal, matcher)
                ),
                its_own,
            )
            if found < count:
                one.leader, one.compared = shelf[held[found]].name, _text(digests[found + 1])
                continue
            one.leader, one.compared = one.name, _text(digests[-1])
            places[count] = place
            digests.append(digests[-1] ^ _token(one))


def unsettled(crystals: Sequence[Comparable]) -> list[Comparable]:
    """Those whose digest does not vouch for what they say, given who leads."""
    return [
        one
        for shelf in _shelves(crystals)
        for one, end in zip(shelf, _ends(shelf), strict=True)
        if end < 0
    ]


def _shelves(crystals: Sequence[Comparable]) -> list[list[Comparable]]:
    """Crystals that can match at all, the lowest first."""
    shelves: dict[tuple[str, int], list[Comparable]] = {}
    for one in sorted(crystals, key=lambda one: (one.energy, one.name)):
        shelves.setdefault((one.formula, one.crystal.n_sites), []).append(one)
    return list(shelves.values())


def _ends(shelf: Sequence[Comparable]) -> list[int]:
    """Place of each one's leader, if it was compared with all that led below; else -1."""
    places = {one.name: place for place, one in enumerate(shelf)}
    seen = list(accumulate((_token(one) if one.leads else 0 for one in shelf), xor, initial=0))
    ends = []
    for place, one in enumerate(shelf):
        end = -1 if one.leader is None else places.get(one.leader, -1)
        upto = end if one.leads else end + 1
        ends.append(end if 0 <= end <= place and one.compared == _text(seen[upto]) else -1)
    return ends


def _token(crystal: Comparable) -> int:
    """Number of a crystal; a digest is the exclusive or of those of several."""
    cell = crystal.crystal.cell
    content = f"{crystal.name}|{crystal.energy!r}|{cell.lengths!r}|{cell.angles!r}"
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")


def _text(digest: int) -> str:
    return f"{digest:016x}"
