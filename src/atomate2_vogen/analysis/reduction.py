"""Primitive Niggli cells, and what two of them must share if they can match.

The conditions here are necessary for `StructureMatcher.fit` without supercells, so leaving out
those pairs that fail them changes no result.
"""

from __future__ import annotations

import itertools
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


class ReducedCrystal:
    """A primitive Niggli cell, ready for `StructureMatcher.fit`, and its lattice at 1 Å³ per atom.

    Parameters
    ----------
    structure
        Crystal, reduced as `StructureMatcher.fit` itself does, once instead of at every
        comparison; or its content as JSON.
    cell
        Its lattice, if it is known already: then nothing is reduced before it must be.
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
    most = (1 + margin * LENGTH_TOLERANCE) * (1 + _SLACK)
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
    most = (1 + margin * LENGTH_TOLERANCE) * (1 + _SLACK)
    if (first.edges > most * second.edges).any():
        return nothing
    if most * second.edges[2] > _REACH * first.edges[2]:
        return None
    directions, distances, _ = first.vectors
    bounds = [np.searchsorted(distances, (x / most, x * most)) for x in second.cell.lengths]
    a, b, c = (directions[low:high] for low, high in bounds)
    alpha, beta, gamma = (
        np.abs(np.degrees(np.arccos(np.clip(u @ v.T, -1, 1))) - angle)
        <= margin * ANGLE_TOLERANCE + _ANGLE_SLACK
        for (u, v), angle in zip(((b, c), (a, c), (a, b)), second.cell.angles, strict=True)
    )
    i, k = np.nonzero(beta & (gamma.astype(np.float32) @ alpha > 0))
    if not len(i):
        return nothing
    row, j = np.nonzero(gamma[i] & alpha[:, k].T)
    return np.stack([i[row], j, k[row]], axis=1) + [low for low, _ in bounds]


def same(
    first: ReducedCrystal,
    second: ReducedCrystal,
    matcher: StructureMatcher,
    margin: float = 1.0,
) -> bool:
    """Whether two crystals of one formula match in either direction."""
    return any(
        sites_may_fit(a, b, margin)
        and matcher.fit(a.structure, b.structure, skip_structure_reduction=True)
        for a, b in ((first, second), (second, first))
    )


def sites_may_fit(first: ReducedCrystal, second: ReducedCrystal, margin: float = 1.0) -> bool:
    """Whether `fit(first, second)` can succeed, from necessary conditions on lattices and sites.

    The matcher takes two crystals for the same if, in the mean of the two lattices, every atom of
    the second is moved to one of the first by less than the tolerance, a common shift apart. Then
    from any one atom that lies on its partner all others are within twice the tolerance of theirs,
    and less than it from the mean of all moves. This is asked of every mapping of the lattices
    and every partner of one atom at once.
    """
    triples = mappings(first, second, margin)
    if triples is None:
        return True
    images = first.vectors[2][triples]
    images = images[np.abs(np.rint(np.linalg.det(images))) == 1]
    if not len(images):
        return False
    ours, theirs = first.coordinates, second.coordinates
    if {name: len(c) for name, c in ours.items()} != {name: len(c) for name, c in theirs.items()}:
        return False
    limit = margin * SITE_TOLERANCE * (1 + _SLACK)
    metrics, reach = _mean_metrics(first, images, second, limit)
    if (reach >= 1).any():  # an atom has more images within reach than are looked at
        return True
    thin = np.any(reach >= 0.5, axis=1)
    inverse = np.linalg.inv(images)
    rarest = next(iter(theirs))
    # one row for each mapping and partner of the first atom, dropped as soon as it cannot be
    shift = (ours[rarest] @ inverse - theirs[rarest][0]).reshape(-1, 3)
    row = np.repeat(np.arange(len(images)), len(ours[rarest]))
    moves, sure = np.empty((len(row), 0, 3)), np.empty((len(row), 0), dtype=bool)
    for name, coordinates in theirs.items():
        # row, atom of the second crystal, atom of the first
        apart = (ours[name] @ inverse)[row][:, None] - (coordinates + shift[:, None])[:, :, None]
        apart -= np.rint(apart)
        squared = _squared(apart, metrics[row])
        slim = np.asarray(thin[row])
        if slim.any():
            squared[slim] = _nearest_image(apart[slim], metrics[row[slim]])
        near = squared <= (2 * limit) ** 2
        kept = np.all(near.any(axis=2), axis=1) & np.all(near.any(axis=1), axis=1)
        if not kept.any():
            return False
        nearest = squared[kept].argmin(axis=2)[..., None, None]
        move = np.take_along_axis(apart[kept], nearest, axis=2)[:, :, 0]
        only = (near[kept].sum(axis=2) == 1) & ~slim[kept, None]
        moves = np.concatenate([moves[kept], move], axis=1)
        sure = np.concatenate([sure[kept], only], axis=1)
        row, shift = row[kept], shift[kept]
    # any two moves that are known are within twice the tolerance of one another
    between = _squared(moves[:, :, None] - moves[:, None], metrics[row])
    wide = (between > (2 * limit) ** 2) & sure[:, :, None] & sure[:, None]
    off = moves - moves.mean(axis=1, keepdims=True)
    far = np.all(sure, axis=1) & (_squared(off, metrics[row]).max(axis=1) > limit**2)
    return bool((~far & ~wide.any(axis=(1, 2))).any())


def _nearest_image(vectors: np.ndarray, metrics: np.ndarray) -> np.ndarray:
    """As `_squared`, of the shortest of 27 images."""
    found = np.full(vectors.shape[:-1], np.inf)
    for image in itertools.product((-1.0, 0.0, 1.0), repeat=3):
        np.minimum(found, _squared(vectors + image, metrics), out=found)
    return found


def _squared(vectors: np.ndarray, metrics: np.ndarray) -> np.ndarray:
    """Squared lengths of fractional vectors, shape (n, ..., 3), each in one of n metrics."""
    flat = vectors.reshape(len(metrics), -1, 3)
    return ((flat @ metrics) * flat).sum(axis=2).reshape(vectors.shape[:-1])


def _mean_metrics(
    first: ReducedCrystal, images: np.ndarray, second: ReducedCrystal, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Metrics of the mean lattices at 1 Å³ per atom, shape (n, 3, 3), and reach along their axes.

    The reach is the largest fractional coordinate, shape (n, 3), of what is as short as twice the
    limit.
    """
    matrix = Lattice.from_parameters(*first.cell.lengths, *first.cell.angles).matrix
    mapped = images @ matrix
    lengths = np.linalg.norm(mapped, axis=2)
    b, c = mapped[:, [1, 0, 0]], mapped[:, [2, 2, 1]]
    cosines = (b * c).sum(axis=2) / (lengths[:, [1, 0, 0]] * lengths[:, [2, 2, 1]])
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    lengths = (lengths + second.cell.lengths) / 2
    cosines = np.cos(np.radians((angles + second.cell.angles) / 2))
    metric = lengths[:, :, None] * lengths[:, None, :]
    for (row, column), angle in zip(((1, 2), (0, 2), (0, 1)), cosines.T, strict=True):
        metric[:, row, column] *= angle
        metric[:, column, row] *= angle
    volume = np.sqrt(np.abs(np.linalg.det(metric)))
    metric *= ((first.n_sites / volume) ** (2 / 3))[:, None, None]
    reach = 2 * limit * np.sqrt(np.abs(np.diagonal(np.linalg.inv(metric), axis1=1, axis2=2)))
    return metric, reach
