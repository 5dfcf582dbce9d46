"""Whether a cell holds a bulk crystal, or layers, chains or molecules in empty space.

Conventions
-----------
- Two atoms are *bonded* up to `BOND_MARGIN` beyond the sum of their covalent radii (Cordero et al.
  2008, DOI 10.1039/b801115j): V-O up to 2.49, V-V up to 3.36, O-O up to 1.62 Å. What bonds join is
  a piece. Its dimensionality is the number of independent lattice vectors along which it repeats:
  0 for a molecule, 1 for a chain, 2 for a layer, 3 for a framework (Larsen et al. 2019,
  DOI 10.1103/PhysRevMaterials.3.034003).
- The *empty gap* is the smallest width, from the van der Waals sphere of one atom to that of
  another (Alvarez 2013, DOI 10.1039/c3dt50599e: O 1.50, V 2.42 Å), that must be bridged to link
  the atoms into a network in three dimensions. It is 0 where spheres that touch suffice, and for a
  slab in vacuum it is the width of the vacuum.
- A cell is *bulk* if its empty gap is at most `LARGEST_GAP`, so O-O at most 4.0 Å: layers, chains
  and molecules at van der Waals distance are a crystal, those in vacuum are none.

None of this depends on the choice of the cell, its orientation or the order of the sites.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from pymatgen.core import Element, Structure

from atomate2_vogen.structures.geometry import check_ordered, reduced_cell

BOND_MARGIN = 0.3
"""Å beyond the sum of the covalent radii up to which two atoms are bonded."""

LARGEST_GAP = 1.0
"""Å of empty space between van der Waals spheres up to which pieces form a crystal."""

PIECES = ("molecules or atoms", "chains", "layers", "frameworks")
"""What pieces are called, by their dimensionality."""

Vector = tuple[int, int, int]
"""Lattice vector in units of the cell vectors."""

Link = tuple[int, int, Vector]
"""Two atoms, and the cell that the second one lies in."""

_IMAGES = np.array(list(itertools.product(range(-2, 3), repeat=3)))
_HOME = len(_IMAGES) // 2  # row of (0, 0, 0) in _IMAGES


@dataclass(frozen=True)
class Extent:
    """Bonding dimensionality of a crystal, and width of the empty space between its pieces.

    Parameters
    ----------
    bonding_dimensionality
        Of the piece with the highest, 0 to 3.
    empty_gap
        Å; see the conventions of the module.
    """

    bonding_dimensionality: int
    empty_gap: float

    @property
    def is_bulk(self) -> bool:
        """Whether the gap, to 0.01 Å as it is printed, is no wider than in a layered crystal."""
        return round(self.empty_gap, 2) <= LARGEST_GAP

    @property
    def reason(self) -> str | None:
        """Why this is no bulk crystal; None if it is one."""
        if self.is_bulk:
            return None
        return (
            f"not bulk: {PIECES[self.bonding_dimensionality]} in vacuum, {self.empty_gap:.2f} Å "
            "beyond van der Waals contact with their neighbours; a crystal has at most "
            f"{LARGEST_GAP:g} Å"
        )


def extent(structure: Structure) -> Extent:
    """Bonding dimensionality and empty gap of a crystal.

    Parameters
    ----------
    structure
        Ordered crystal of n atoms; the time grows with n².

    Raises
    ------
    NonFiniteError, OverlapError
        As `geometry.reduced_cell`.
    DisorderError
        As `geometry.check_ordered`.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.structures.dimensionality import extent
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> extent(rock_salt)
    Extent(bonding_dimensionality=3, empty_gap=0.0)
    """
    check_ordered(structure)
    cell, fractions = reduced_cell(structure)
    numbers = np.array(structure.atomic_numbers)
    bonds = _links(cell, fractions, covalent_radii[numbers], BOND_MARGIN)
    pieces = _Pieces(len(numbers))
    dimensionality = max((pieces.join(*link) for _, link in bonds), default=0)
    radii = np.array([_van_der_waals_radius(number) for number in numbers])
    return Extent(dimensionality, max(0.0, _bridge(cell, fractions, radii)))


def _bridge(cell: np.ndarray, fractions: np.ndarray, radii: np.ndarray) -> float:
    """Smallest width up to which links make a network in three dimensions, Å."""
    limit = LARGEST_GAP
    while True:  # ends: atoms and their own images make a network at the latest
        pieces = _Pieces(len(fractions))
        for width, link in _links(cell, fractions, radii, limit):
            if pieces.join(*link) == 3:
                return width
        limit *= 2


def _links(
    cell: np.ndarray, fractions: np.ndarray, radii: np.ndarray, limit: float
) -> Iterator[tuple[float, Link]]:
    """Pairs of atoms whose spheres are at most so far apart (Å), the nearest first.

    In a Minkowski-reduced cell no further images than these can be the first to link pieces.
    """
    widths, ends = [], []
    for first in range(len(fractions)):
        difference = fractions[first:] - fractions[first]
        offsets = _IMAGES - np.rint(difference)[:, None]
        apart = np.linalg.norm((difference[:, None] + offsets) @ cell, axis=2)
        apart -= radii[first] + radii[first:, None]
        chosen = apart <= limit
        chosen[0, _HOME] = False  # the atom itself
        second = first + np.nonzero(chosen)[0]
        widths.append(apart[chosen])
        ends.append(np.column_stack([np.full_like(second, first), second, offsets[chosen]]))
    width, end = np.concatenate(widths), np.concatenate(ends).astype(int)
    for row in np.argsort(width, kind="stable"):
        first, second, *offset = end[row].tolist()
        yield float(width[row]), (first, second, tuple(offset))


def _van_der_waals_radius(number: int) -> float:
    """Å; of the few elements that Alvarez has no radius for, pymatgen's."""
    radius = vdw_radii[number] if number < len(vdw_radii) else np.nan
    return float(Element.from_Z(number).van_der_waals_radius if np.isnan(radius) else radius)


class _Pieces:
    """Pieces of a periodic structure: which atoms are linked, and where pieces repeat.

    Every atom knows another one of its piece and the cell that this lies in, seen from its own;
    the roots know along which independent lattice vectors their piece repeats.
    """

    def __init__(self, n_atoms: int) -> None:
        self._parents = list(range(n_atoms))
        self._offsets: list[Vector] = [(0, 0, 0)] * n_atoms
        self._sizes = [1] * n_atoms
        self._spans: list[list[Vector]] = [[] for _ in range(n_atoms)]

    def join(self, first: int, second: int, offset: Vector) -> int:
        """Link an atom with another in the cell of an offset; dimensionality of their piece."""
        one, from_first = self._root(first)
        two, from_second = self._root(second)
        # the root of the second piece, as seen from the root of the first
        between = _sum(offset, from_second, _opposite(from_first))
        if one == two:
            self._repeat(one, between)
            return len(self._spans[one])
        if self._sizes[one] < self._sizes[two]:
            one, two, between = two, one, _opposite(between)
        self._parents[two] = one
        self._offsets[two] = _opposite(between)
        self._sizes[one] += self._sizes[two]
        for vector in self._spans[two]:
            self._repeat(one, vector)
        return len(self._spans[one])

    def _root(self, atom: int) -> tuple[int, Vector]:
        """Root of an atom's piece, and the cell it lies in as seen from the atom's."""
        offset: Vector = (0, 0, 0)
        while self._parents[atom] != atom:
            offset = _sum(offset, self._offsets[atom])
            atom = self._parents[atom]
        return atom, offset

    def _repeat(self, root: int, vector: Vector) -> None:
        """The piece repeats along a vector too."""
        span = self._spans[root]
        if _is_independent(vector, span):
            span.append(vector)


def _is_independent(vector: Vector, span: list[Vector]) -> bool:
    """Whether no combination of the (independent) others gives the vector."""
    if not span:
        return any(vector)
    if len(span) == 1:
        return any(_cross(span[0], vector))
    if len(span) == 2:
        return sum(a * b for a, b in zip(_cross(*span), vector, strict=True)) != 0
    return False


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _sum(*vectors: Vector) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True)))  # type: ignore[return-value]


def _opposite(a: Vector) -> Vector:
    return (-a[0], -a[1], -a[2])
