"""Comparison of crystals: duplicates, known phases, and displacements during a relaxation.

Two crystals are the same if pymatgen's `StructureMatcher` at its default tolerances says so
in either direction (its result depends on the order of the two). Taking either direction
calls fewer crystals unique or novel, never more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.errors import InputError
from atomate2_vogen.structures.duplicates import Comparable, compare_crystals
from atomate2_vogen.structures.reduction import (
    ReducedCrystal,
    default_matcher,
    edges_may_fit,
)
from atomate2_vogen.structures.sameness import same

MOST_MARGIN = 3.0
"""Largest factor on the tolerances; beyond it anything matches anything."""

RMSD_SETTINGS: dict[str, Any] = {
    "ltol": 0.5,
    "stol": 0.5,
    "angle_tol": 10.0,
    "scale": False,
    "primitive_cell": False,
}
"""StructureMatcher of `rmsd`: loose, so that it follows a crystal through its relaxation."""


def duplicate_groups(structures: Sequence[Structure], energies: Sequence[float]) -> list[int]:
    """Group crystals by the lowest-energy ones that they match.

    See `atomate2_vogen.structures.duplicates`. Where energies differ, groups do not depend on the
    order of the input.

    Parameters
    ----------
    structures
        Crystals, any formulas.
    energies
        Energy per atom of each, in one scheme (eV/atom).

    Returns
    -------
    list of int
        For each crystal the index of the lowest-energy member of its group (the first of them
        if energies are equal).

    Raises
    ------
    InputError
        If the two sequences differ in length.

    Examples
    --------
    >>> from atomate2_vogen.structures import duplicate_groups
    >>> from pymatgen.core import Lattice, Structure
    >>> first, second, third = (
    ...     Structure(Lattice.tetragonal(3.0, c), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    ...     for c in (3.0, 3.1, 6.0)
    ... )
    >>> duplicate_groups([first, second, third], energies=[-8.0, -8.1, -7.0])
    [1, 1, 2]
    """
    if len(structures) != len(energies):
        raise InputError(f"{len(structures)} structures but {len(energies)} energies")
    names = [f"{index:0{len(str(len(structures)))}d}" for index in range(len(structures))]
    comparable = [
        Comparable(name, structure.composition.reduced_formula, energy, ReducedCrystal(structure))
        for name, structure, energy in zip(names, structures, energies, strict=True)
    ]
    compare_crystals(comparable)
    return [int(str(one.leader)) for one in comparable]


@dataclass(frozen=True)
class _Pool:
    """Known crystals of one formula; edges and numbers of sites of all, to compare with at once."""

    names: list[str]
    crystals: list[ReducedCrystal]
    edges: np.ndarray
    n_sites: np.ndarray

    @classmethod
    def of(cls, known: Sequence[tuple[str, Structure]]) -> _Pool:
        crystals = [ReducedCrystal(structure) for _, structure in known]
        return cls(
            [name for name, _ in known],
            crystals,
            np.array([crystal.edges for crystal in crystals]),
            np.array([crystal.n_sites for crystal in crystals]),
        )


class KnownStructures:
    """Pool of known crystals with which candidates are compared for novelty.

    Parameters
    ----------
    structures
        Known crystals by name. The order matters where several match: the first is named, so
        put phases that have a common name before anonymous prototypes.
    margin
        Factor on the tolerances, from 1 to 3. Above 1 it finds what resembles a known crystal
        too: a generated crystal mostly relaxes into the one that it resembles. Claims of
        novelty are made with 1.
    pool_id
        Hash that names the pool in the documents of candidates compared with it.

    Raises
    ------
    InputError
        If `margin` is out of range.

    Examples
    --------
    >>> from atomate2_vogen.structures import KnownStructures
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> known = KnownStructures({"rock salt": rock_salt})
    >>> known.find(rock_salt.get_primitive_structure())
    'rock salt'
    """

    def __init__(
        self,
        structures: Mapping[str, Structure],
        margin: float = 1.0,
        pool_id: str | None = None,
    ) -> None:
        self.margin = _checked(margin)
        self.pool_id = pool_id
        self._waiting: dict[str, list[tuple[str, Structure]]] = {}
        self._pools: dict[str, _Pool] = {}
        self._matcher = default_matcher(margin)
        self._size = len(structures)
        for name, structure in structures.items():
            formula = structure.composition.reduced_formula
            self._waiting.setdefault(formula, []).append((name, structure))

    def __len__(self) -> int:
        return self._size

    def find(self, structure: Structure, reduced: ReducedCrystal | None = None) -> str | None:
        """Name of the first known crystal that this one matches, or None.

        Known crystals are reduced to primitive Niggli cells at the first query of their formula.

        Parameters
        ----------
        structure
            Crystal to look up.
        reduced
            The same, if it was reduced before.

        Returns
        -------
        str or None
            Name under which it is known.
        """
        formula = structure.composition.reduced_formula
        if formula in self._waiting:
            waiting = self._waiting.pop(formula)
            self._pools[formula] = _Pool.of(waiting)
        pool = self._pools.get(formula)
        if pool is None:
            return None
        query = reduced or ReducedCrystal(structure)
        near = edges_may_fit(pool.edges, query.edges, self.margin) & (pool.n_sites == query.n_sites)
        return next(
            (
                pool.names[index]
                for index in np.flatnonzero(near)
                if same(pool.crystals[index], query, self._matcher, self.margin)
            ),
            None,
        )


class GrowingStructures(KnownStructures):
    """Known crystals, and finds of earlier rounds of a search beside them.

    Parameters
    ----------
    known
        Known crystals; their margin is that of the finds too.

    Examples
    --------
    >>> from atomate2_vogen.structures import GrowingStructures, KnownStructures
    >>> from pymatgen.core import Lattice, Structure
    >>> find = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> known = GrowingStructures(KnownStructures({}))
    >>> known.find(find)
    >>> known.add({"VO-1": find})
    >>> known.find(find * (2, 1, 1))
    'VO-1'
    """

    def __init__(self, known: KnownStructures) -> None:
        super().__init__({}, known.margin)
        self._parts = [known]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, finds: Mapping[str, Structure]) -> None:
        """Add crystals by name; one may be added again in another form."""
        self._parts.append(KnownStructures(finds, self.margin))

    def find(self, structure: Structure, reduced: ReducedCrystal | None = None) -> str | None:
        """Name of the first crystal that this one matches, or None; see `KnownStructures.find`."""
        query = reduced or ReducedCrystal(structure)
        names = (part.find(structure, query) for part in self._parts)
        return next((name for name in names if name is not None), None)


def _checked(margin: float) -> float:
    if not 1.0 <= margin <= MOST_MARGIN:
        raise InputError(f"margin is {margin!r}; give a number from 1 to {MOST_MARGIN:g}")
    return margin


@dataclass
class _Member:
    """One of several distinct crystals, and how often it was found again."""

    name: str
    reduced: ReducedCrystal
    found: int = 0


class DistinctStructures:
    """Crystals of which no two match, collected one by one.

    A generator makes some crystals far more often than others, so a newcomer is compared with
    those first that were found most often.

    Parameters
    ----------
    margin
        Factor on the tolerances, from 1 to 3. Above 1 crystals that resemble each other match too.

    Raises
    ------
    InputError
        If `margin` is out of range.

    Examples
    --------
    >>> from atomate2_vogen.structures import DistinctStructures
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> distinct = DistinctStructures()
    >>> distinct.twin_or_add("first", crystal)
    >>> distinct.twin_or_add("second", crystal * (2, 1, 1))
    'first'
    """

    def __init__(self, margin: float = 1.0) -> None:
        self._margin = _checked(margin)
        self._members: dict[str, list[_Member]] = {}
        self._matcher = default_matcher(margin)

    def twin_or_add(
        self, name: str, structure: Structure, reduced: ReducedCrystal | None = None
    ) -> str | None:
        """Name of a member that a crystal matches; if there is none it becomes a member.

        Parameters
        ----------
        name
            Under which it is kept.
        structure
            The newcomer.
        reduced
            The same, if it was reduced before.

        Returns
        -------
        str or None
            Where several match, the one that was found most often; None for a new member.
        """
        members = self._members.setdefault(structure.composition.reduced_formula, [])
        newcomer = reduced or ReducedCrystal(structure)
        for member in members:
            if same(member.reduced, newcomer, self._matcher, self._margin):
                member.found += 1
                members.sort(key=lambda one: -one.found)  # stable
                return member.name
        members.append(_Member(name, newcomer))
        return None


def rmsd(generated: Structure, relaxed: Structure) -> float | None:
    """Root-mean-square move of the atoms during a relaxation.

    Loose tolerances (0.5, 0.5, 10°), no volume scaling and no reduction to primitive cells:
    the two have the same atoms, but a relaxation may gain or lose translations. A rigid shift
    is taken out, a change of cell is felt only through its shape. The matcher's value is in
    units of (V/n)^(1/3) of the averaged cell; the mean of the two cube roots converts it to Å
    (exact for equal cells and for uniform strain).

    Parameters
    ----------
    generated, relaxed
        Crystal before and after.

    Returns
    -------
    float or None
        Å; None if the two no longer match.

    Examples
    --------
    >>> from atomate2_vogen.structures import rmsd
    >>> from pymatgen.core import Lattice, Structure
    >>> generated = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.45]])
    >>> relaxed = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> round(rmsd(generated, relaxed), 3)
    0.065
    """
    matcher = StructureMatcher(**RMSD_SETTINGS)
    distances = matcher.get_rms_dist(generated, relaxed)
    if distances is None:
        return None
    lengths = [(cell.volume / len(cell)) ** (1 / 3) for cell in (generated, relaxed)]
    return float(distances[0]) * sum(lengths) / 2
