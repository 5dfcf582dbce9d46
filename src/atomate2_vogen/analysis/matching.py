"""Which crystals are the same: duplicates, known phases, and how far a relaxation moved.

Two crystals are the same if pymatgen's `StructureMatcher` at its default tolerances says so
in either direction (its result depends on the order of the two). Taking either direction
calls fewer crystals unique or novel, never more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.errors import InputError

LENGTH_TOLERANCE = 0.2
SITE_TOLERANCE = 0.3
ANGLE_TOLERANCE = 5.0

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

# slack on the necessary conditions, relative and in degrees, well above the noise of cell reduction
_SLACK = 1e-3
_ANGLE_SLACK = 0.05

_REACH = 2.4
"""Lattice vectors are kept up to this times the longest edge of the cell; a lattice with longer
edges is left to the matcher."""


def default_matcher(margin: float = 1.0) -> StructureMatcher:
    """StructureMatcher with the tolerances of every claim on sameness: 0.2, 0.3, 5°.

    Parameters
    ----------
    margin
        Factor on all three. Above 1 a match means resemblance, not sameness.
    """
    return StructureMatcher(
        ltol=margin * LENGTH_TOLERANCE,
        stol=margin * SITE_TOLERANCE,
        angle_tol=margin * ANGLE_TOLERANCE,
    )


@dataclass(frozen=True)
class _Reduced:
    """A primitive Niggli cell, ready for `StructureMatcher.fit`, and its lattice at 1 Å³ per atom.

    Parameters
    ----------
    structure
        The cell.
    lengths, angles
        Of the scaled lattice, in Å and degrees.
    vectors
        Directions of the scaled lattice's vectors, shape (n, 3), up to `_REACH` times the longest
        edge, and their ``distances`` in Å, ascending.
    """

    structure: Structure
    lengths: np.ndarray
    angles: np.ndarray
    vectors: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, structure: Structure) -> _Reduced:
        """Reduce as `StructureMatcher.fit` itself does, once instead of at every comparison."""
        reduced = structure.get_reduced_structure(reduction_algo="niggli").get_primitive_structure()
        scale = (reduced.volume / len(reduced)) ** (1 / 3)
        lattice = Lattice(reduced.lattice.matrix / scale)
        found = lattice.get_points_in_sphere(
            [[0, 0, 0]], [0, 0, 0], _REACH * max(lattice.lengths), zip_results=False
        )
        vectors = lattice.get_cartesian_coords(np.array(found[0]))
        distances = np.linalg.norm(vectors, axis=1)
        order = np.argsort(distances)[1:]  # without the origin
        return cls(
            reduced,
            np.array(lattice.lengths),
            np.array(lattice.angles),
            vectors[order] / distances[order, None],
            distances[order],
        )


def _may_fit(first: _Reduced, second: _Reduced, margin: float = 1.0) -> bool:
    """Whether `fit(first, second)` can succeed, from necessary conditions alone.

    Without supercells the matcher needs equally many sites, and three vectors of the first
    lattice whose lengths and angles are, at equal volume, within the tolerances of the second's
    Niggli cell (`Lattice.find_all_mappings`). Here the same is asked with a little slack, of
    vectors that were found once.
    """
    if len(first.structure) != len(second.structure):
        return False
    most = (1 + margin * LENGTH_TOLERANCE) * (1 + _SLACK)
    if most * second.lengths.max() > _REACH * first.lengths.max():
        return True
    near = []
    for length in second.lengths:
        low, high = np.searchsorted(first.distances, (length / most, length * most))
        near.append(first.vectors[low:high])
    a, b, c = near
    alpha, beta, gamma = (
        np.abs(np.degrees(np.arccos(np.clip(u @ v.T, -1, 1))) - angle)
        <= margin * ANGLE_TOLERANCE + _ANGLE_SLACK
        for (u, v), angle in zip(((b, c), (a, c), (a, b)), second.angles, strict=True)
    )
    return bool((beta & (gamma.astype(np.float32) @ alpha > 0)).any())


def _same(
    first: _Reduced, second: _Reduced, matcher: StructureMatcher, margin: float = 1.0
) -> bool:
    return any(
        _may_fit(a, b, margin)
        and matcher.fit(a.structure, b.structure, skip_structure_reduction=True)
        for a, b in ((first, second), (second, first))
    )


def duplicate_groups(structures: Sequence[Structure], energies: Sequence[float]) -> list[int]:
    """Group crystals that match, directly or through others.

    Groups are the connected components of the relation "match", so they do not depend on the
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
    """
    if len(structures) != len(energies):
        raise InputError(f"{len(structures)} structures but {len(energies)} energies")
    matcher = default_matcher()
    buckets: dict[str, list[int]] = {}
    for index, structure in enumerate(structures):
        buckets.setdefault(structure.composition.reduced_formula, []).append(index)
    label = list(range(len(structures)))
    for members in buckets.values():
        reduced = {index: _Reduced.of(structures[index]) for index in members}
        ranked = sorted(members, key=lambda index: (energies[index], index))
        for position, index in enumerate(ranked):
            for other in ranked[:position]:
                if label[index] == label[other] or not _same(
                    reduced[other], reduced[index], matcher
                ):
                    continue
                # the leader is the earlier of the two in `ranked`
                leaders = sorted((label[index], label[other]), key=ranked.index)
                label = [leaders[0] if leader == leaders[1] else leader for leader in label]
    return label


class KnownStructures:
    """A pool of known crystals that novelty is judged against.

    Parameters
    ----------
    structures
        Known crystals by name. The order matters where several match: the first is named, so
        put phases that have a common name before anonymous prototypes.
    margin
        Factor on the tolerances, from 1 to 3. Above 1 it finds what resembles a known crystal
        too: a generated crystal mostly relaxes into the one that it resembles. Claims of
        novelty are made with 1.

    Raises
    ------
    InputError
        If `margin` is out of range.
    """

    def __init__(self, structures: Mapping[str, Structure], margin: float = 1.0) -> None:
        if not 1.0 <= margin <= MOST_MARGIN:
            raise InputError(f"margin is {margin!r}; give a number from 1 to {MOST_MARGIN:g}")
        self.margin = margin
        self._waiting: dict[str, list[tuple[str, Structure]]] = {}
        self._reduced: dict[str, list[tuple[str, _Reduced]]] = {}
        self._matcher = default_matcher(margin)
        self._size = len(structures)
        for name, structure in structures.items():
            formula = structure.composition.reduced_formula
            self._waiting.setdefault(formula, []).append((name, structure))

    def __len__(self) -> int:
        return self._size

    def find(self, structure: Structure) -> str | None:
        """Name of the first known crystal that this one matches, or None.

        Known crystals are reduced to primitive Niggli cells at the first query of their formula.

        Parameters
        ----------
        structure
            Crystal to look up.

        Returns
        -------
        str or None
            Name under which it is known.
        """
        formula = structure.composition.reduced_formula
        if formula in self._waiting:
            waiting = self._waiting.pop(formula)
            self._reduced[formula] = [(name, _Reduced.of(known)) for name, known in waiting]
        pool = self._reduced.get(formula)
        if not pool:
            return None
        query = _Reduced.of(structure)
        return next(
            (name for name, known in pool if _same(known, query, self._matcher, self.margin)), None
        )


@dataclass
class _Member:
    """One of several distinct crystals, and how often it was found again."""

    name: str
    reduced: _Reduced
    found: int = 0


class DistinctStructures:
    """Crystals of which no two match, collected one by one.

    A generator makes some crystals far more often than others, so a newcomer is compared with
    those first that were found most often.
    """

    def __init__(self) -> None:
        self._members: dict[str, list[_Member]] = {}
        self._matcher = default_matcher()

    def twin_or_add(self, name: str, structure: Structure) -> str | None:
        """Name of a member that a crystal matches; if there is none it becomes a member.

        Parameters
        ----------
        name
            Under which it is kept.
        structure
            The newcomer.

        Returns
        -------
        str or None
            Where several match, the one that was found most often; None for a new member.
        """
        members = self._members.setdefault(structure.composition.reduced_formula, [])
        newcomer = _Reduced.of(structure)
        for member in members:
            if _same(member.reduced, newcomer, self._matcher):
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
    """
    matcher = StructureMatcher(**RMSD_SETTINGS)
    distances = matcher.get_rms_dist(generated, relaxed)
    if distances is None:
        return None
    lengths = [(cell.volume / len(cell)) ** (1 / 3) for cell in (generated, relaxed)]
    return float(distances[0]) * sum(lengths) / 2
