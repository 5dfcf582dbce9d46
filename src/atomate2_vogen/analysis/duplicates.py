"""Groups of crystals that match, found once and kept up to date.

Two crystals of one formula are in a group if they match directly or through others: groups are
the connected components of the relation "match", so they do not depend on who came first. To
know the components not every pair must be compared: two that are in one component already need
not be, and a newcomer is compared with the others alone. So each crystal keeps

- which earlier crystals it was found to match, one for each component that it joined, and
- a rank: it was compared with all of its formula that have a lower one.

Whatever that does not vouch for is compared again: two crystals of equal rank (two builders at
once), and all of a component that has lost or changed a member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from atomate2_vogen.analysis.reduction import (
    ReducedCrystal,
    default_matcher,
    edges_may_fit,
)
from atomate2_vogen.analysis.sameness import same


@dataclass
class Comparable:
    """A crystal among which duplicates are looked for.

    Parameters
    ----------
    name
        Unique among those that are compared.
    formula
        Reduced formula.
    energy
        Of which the lowest leads a group; the first by name where energies are equal.
    crystal
        Its reduced cell.
    matches, rank
        From an earlier comparison; a `rank` of None says that there was none.
    """

    name: str
    formula: str
    energy: float
    crystal: ReducedCrystal
    matches: list[str] = field(default_factory=list)
    rank: int | None = None


class _Components:
    """Disjoint sets of names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        parent = self._parent
        root = name
        while (above := parent.setdefault(root, root)) != root:
            root = above
        while parent[name] != root:
            parent[name], name = root, parent[name]
        return root

    def join(self, first: str, second: str) -> None:
        self._parent[self.find(first)] = self.find(second)


def unsettle(
    crystals: Sequence[Comparable], gone: Mapping[str, Iterable[str]] | None = None
) -> int:
    """Forget what earlier comparisons found wherever it cannot be relied on; how many it was.

    Parameters
    ----------
    crystals
        All that are there now.
    gone
        Crystals that were compared and have left or changed since, with what they matched.
    """
    gone = gone or {}
    there = {crystal.name for crystal in crystals if crystal.rank is not None}
    ranks = Counter((c.formula, c.rank) for c in crystals if c.rank is not None)
    components = _Components()
    for name, matches in gone.items():
        for other in matches:
            components.join(name, other)
    lost = set(gone)
    for crystal in crystals:
        if crystal.rank is not None:
            for other in crystal.matches:
                components.join(crystal.name, other)
                if other not in there:
                    lost.add(other)
    broken = {components.find(name) for name in lost}
    doubtful = [
        crystal
        for crystal in crystals
        if crystal.rank is not None
        and (components.find(crystal.name) in broken or ranks[crystal.formula, crystal.rank] > 1)
    ]
    # who matched a doubtful one by its rank alone still does; its own matches are found anew
    for crystal in doubtful:
        crystal.rank, crystal.matches = None, []
    return len(doubtful)


def compare(crystals: Sequence[Comparable]) -> None:
    """Compare those without a rank with all of their formula; sets `matches` and `rank`."""
    matcher = default_matcher()
    buckets: dict[str, list[Comparable]] = {}
    for crystal in crystals:
        buckets.setdefault(crystal.formula, []).append(crystal)
    for members in buckets.values():
        waiting = [crystal for crystal in members if crystal.rank is None]
        if not waiting:
            continue
        settled = [crystal for crystal in members if crystal.rank is not None]
        components = _joined(settled)
        shelves: dict[int, _Shelf] = {}
        for crystal in settled:
            shelves.setdefault(crystal.crystal.n_sites, _Shelf()).add(crystal)
        next_rank = 1 + max((c.rank for c in settled if c.rank is not None), default=-1)
        # low energies first: they are found again most often
        for rank, crystal in enumerate(sorted(waiting, key=_by_energy), next_rank):
            shelf = shelves.setdefault(crystal.crystal.n_sites, _Shelf())
            mine = components.find(crystal.name)
            for other in shelf.near(crystal.crystal):
                if components.find(other.name) == mine:
                    continue
                if same(other.crystal, crystal.crystal, matcher):
                    crystal.matches.append(other.name)
                    components.join(crystal.name, other.name)
                    mine = components.find(crystal.name)
            crystal.rank = rank
            shelf.add(crystal)


def group_leaders(crystals: Sequence[Comparable]) -> dict[str, str]:
    """Name of the leader of each one's group, by name."""
    there = {crystal.name for crystal in crystals}
    components = _joined(crystals, there)
    leaders: dict[str, Comparable] = {}
    for crystal in crystals:
        root = components.find(crystal.name)
        if root not in leaders or _by_energy(crystal) < _by_energy(leaders[root]):
            leaders[root] = crystal
    return {c.name: leaders[components.find(c.name)].name for c in crystals}


def _joined(crystals: Sequence[Comparable], there: set[str] | None = None) -> _Components:
    """Components by the matches that are known."""
    components = _Components()
    for crystal in crystals:
        for other in crystal.matches:
            if there is None or other in there:
                components.join(crystal.name, other)
    return components


def _by_energy(crystal: Comparable) -> tuple[float, str]:
    return crystal.energy, crystal.name


class _Shelf:
    """Crystals with equally many sites, whose edges are compared all at once."""

    def __init__(self) -> None:
        self._crystals: list[Comparable] = []
        self._edges = np.empty((16, 3))

    def add(self, crystal: Comparable) -> None:
        count = len(self._crystals)
        if count == len(self._edges):
            self._edges = np.concatenate([self._edges, np.empty_like(self._edges)])
        self._edges[count] = crystal.crystal.edges
        self._crystals.append(crystal)

    def near(self, crystal: ReducedCrystal) -> list[Comparable]:
        """Those that may match."""
        held = self._edges[: len(self._crystals)]
        return [self._crystals[i] for i in np.flatnonzero(edges_may_fit(held, crystal.edges))]
