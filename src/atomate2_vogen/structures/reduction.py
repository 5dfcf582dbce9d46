"""Primitive Niggli cells, and necessary conditions for a match of two of them.

The conditions here are necessary for `StructureMatcher.fit` without supercells, so leaving out
those pairs that fail them changes no result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.schemas import ReducedCell

LENGTH_TOLERANCE = 0.2
SITE_TOLERANCE = 0.3
ANGLE_TOLERANCE = 5.0

# slack on the necessary conditions, relative and in degrees, well above the noise of cell reduction
SLACK = 1e-3
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

    Examples
    --------
    >>> from atomate2_vogen.structures import default_matcher
    >>> from pymatgen.core import Lattice, Structure
    >>> small, large = (
    ...     Structure(Lattice.cubic(edge), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    ...     for edge in (2.5, 2.6)
    ... )
    >>> bool(default_matcher().fit(small, large))
    True
    """
    return StructureMatcher(
        ltol=margin * LENGTH_TOLERANCE,
        stol=margin * SITE_TOLERANCE,
        angle_tol=margin * ANGLE_TOLERANCE,
    )


class ReducedCrystal:
    """A primitive Niggli cell, ready for `StructureMatcher.fit`, and its lattice at 1 Å³ per atom.

    Parameters
    ----------
    structure
        Crystal, reduced as `StructureMatcher.fit` itself does, once instead of at every
        comparison; or its content as JSON.
    cell
        Reduced lattice, if it is known already; then the structure is reduced only when needed.
    """

    def __init__(
        self, structure: Structure | Mapping[str, Any], cell: ReducedCell | None = None
    ) -> None:
        self._given = structure
        if cell is not None:
            self.cell = cell
        else:
            self.cell = self._measured()

    @cached_property
    def structure(self) -> Structure:
        """The reduced cell."""
        given = self._given
        whole = given if isinstance(given, Structure) else Structure.from_dict(dict(given))
        return whole.get_reduced_structure(reduction_algo="niggli").get_primitive_structure()

    @property
    def n_sites(self) -> int:
        """Atoms in the reduced cell."""
        return self.cell.n_sites

    @cached_property
    def edges(self) -> np.ndarray:
        """Lengths of the scaled lattice's vectors, ascending, shape (3,), in Å."""
        return np.sort(self.cell.lengths)

    @cached_property
    def vectors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors of the scaled lattice up to `_REACH` times its longest edge.

        Directions, shape (n, 3), lengths in Å, ascending, and multiples of the cell's edges.
        """
        lattice = Lattice.from_parameters(*self.cell.lengths, *self.cell.angles)
        found = lattice.get_points_in_sphere(
            [[0, 0, 0]], [0, 0, 0], _REACH * max(lattice.lengths), zip_results=False
        )
        vectors = lattice.get_cartesian_coords(np.array(found[0]))
        distances = np.linalg.norm(vectors, axis=1)
        order = np.argsort(distances)[1:]  # without the origin
        images = np.rint(np.array(found[0])[order]).astype(int)
        return vectors[order] / distances[order, None], distances[order], images

    @cached_property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Fractional coordinates of the reduced cell's atoms, by species, fewest atoms first."""
        species = [site.species_string for site in self.structure]
        coordinates = np.asarray(self.structure.frac_coords)
        found = {name: coordinates[[one == name for one in species]] for name in set(species)}
        return dict(sorted(found.items(), key=lambda item: (len(item[1]), item[0])))

    def _measured(self) -> ReducedCell:
        lattice, n_sites = self.structure.lattice, len(self.structure)
        scale = (lattice.volume / n_sites) ** (1 / 3)
        a, b, c = (float(length) / scale for length in lattice.lengths)
        alpha, beta, gamma = (float(angle) for angle in lattice.angles)
        return ReducedCell(n_sites=n_sites, lengths=(a, b, c), angles=(alpha, beta, gamma))


def edges_may_fit(first: np.ndarray, second: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """Whether crystals with these edges can match in either direction.

    A Niggli cell's edges are its lattice's shortest independent vectors. The matcher takes three
    independent vectors of one lattice that are at most ``1 + margin * LENGTH_TOLERANCE`` times as
    long as the edges of the other, so the shortest ones are no longer than that either.

    Parameters
    ----------
    first
        Sorted edges, shape (n, 3), of cells at 1 Å³ per atom.
    second
        Sorted edges of one more, shape (3,).

    Returns
    -------
    numpy.ndarray
        Of bool, shape (n,).
    """
    most = (1 + margin * LENGTH_TOLERANCE) * (1 + SLACK)
    longer = np.all(first <= most * second, axis=1)
    return np.asarray(longer | np.all(second <= most * first, axis=1))


def may_fit(first: ReducedCrystal, second: ReducedCrystal, margin: float = 1.0) -> bool:
    """Whether `fit(first, second)` can succeed, from necessary conditions on the lattices alone.

    Without supercells the matcher needs equally many sites, and three vectors of the first
    lattice whose lengths and angles are, at equal volume, within the tolerances of the second's
    Niggli cell (`Lattice.find_all_mappings`). Here the same is asked with a little slack, of
    vectors that were found once.
    """
    found = mappings(first, second, margin)
    return found is None or len(found) > 0


def _is_between(cosines: np.ndarray, least: float, most: float) -> np.ndarray:
    """Whether angles with these cosines are within a range, in degrees."""
    highest = math.cos(math.radians(least)) if least > 0 else math.inf
    lowest = math.cos(math.radians(most)) if most < 180 else -math.inf
    return (cosines >= lowest) & (cosines <= highest)


def mappings(
    first: ReducedCrystal, second: ReducedCrystal, margin: float = 1.0
) -> np.ndarray | None:
    """Triples of vectors of the first lattice that may be mapped to the second's edges.

    Returns
    -------
    numpy.ndarray or None
        Indices into ``first.vectors``, shape (n, 3); None where the second has edges longer than
        the vectors that were kept.
    """
    nothing = np.empty((0, 3), dtype=int)
    if first.n_sites != second.n_sites:
        return nothing
    most = (1 + margin * LENGTH_TOLERANCE) * (1 + SLACK)
    if (first.edges > most * second.edges).any():
        return nothing
    if most * second.edges[2] > _REACH * first.edges[2]:
        return None
    directions, distances, _ = first.vectors
    ranges = [(length / most, length * most) for length in second.cell.lengths]
    bounds = np.searchsorted(distances, ranges)
    a, b, c = (directions[low:high] for low, high in bounds)
    width = margin * ANGLE_TOLERANCE + _ANGLE_SLACK
    alpha, beta, gamma = (
        _is_between(u @ v.T, angle - width, angle + width)
        for (u, v), angle in zip(((b, c), (a, c), (a, b)), second.cell.angles, strict=True)
    )
    i, k = np.nonzero(beta & (gamma.astype(np.float32) @ alpha > 0))
    if not len(i):
        return nothing
    row, j = np.nonzero(gamma[i] & alpha[:, k].T)
    return np.stack([i[row], j, k[row]], axis=1) + [low for low, _ in bounds]
