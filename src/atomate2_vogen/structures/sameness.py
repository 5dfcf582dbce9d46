"""Whether two crystals are the same, asking the matcher only where it may say so."""

from __future__ import annotations

import itertools

import numpy as np
from pymatgen.core import Lattice
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.structures.reduction import SITE_TOLERANCE, SLACK, ReducedCrystal, mappings


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
    limit = margin * SITE_TOLERANCE * (1 + SLACK)
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
