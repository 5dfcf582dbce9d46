r"""Canonical form of a crystal: cell, setting and origin.

A network learns faster, and its output is easier to read, if equal crystals are always described
alike (the origin alone doubles the share of crystals that an early network gives
back). The rules:

1. *Cell.* Niggli-reduced (:math:`a \le b \le c` to 0.1 %), right-handed, in the standard setting:
   a along x, b in the xy plane. The number of atoms does not change: no primitive cell is sought.
2. *Setting and origin.* A metal atom is the origin (any atom if there is no metal). Of all
   metal atoms, and of all right-handed bases that span the same lattice with the same lengths
   and angles (up to 24, in a cubic lattice), the pair with the highest score is taken,

   .. math::
      Q = \sum_m w_m \exp\Big(\kappa \sum_{a=1}^3 [\cos 2\pi(x_{m,a} - t_a) - 1]\Big),

   which is the smoothed density of atoms, the metal counting more, at a fixed point
   :math:`t` without symmetry. It is smooth and periodic: a small displacement changes it
   little, and no coordinate jumps from 0.999 to 0.001 as it would where sorted coordinates
   are compared. Pairs of equal score describe the crystal alike, except by accident; of those the
   first is taken.
3. *Atoms.* Wrapped to [0, 1), metal first, then by x, y, z.

Mirror images stay different: only proper rotations are applied.
"""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import spglib

from atomate2_vogen.errors import GridError, NonFiniteError

ANCHOR = np.array([0.15, 0.27, 0.41])
"""Point t at which the density is evaluated, in fractional coordinates from the origin."""

SHARPNESS = 2.0
"""Sharpness κ; the density is smoothed over about 0.11 of an edge."""

WEIGHTS = np.array([1.0, 0.6])
"""Weights w of the metal and of the anion."""

METRIC_TOLERANCE = 1e-3
"""Relative difference of scalar products up to which two bases have equal lengths and angles."""

NIGGLI_EPS = (1e-2, 1e-3, 1e-4, 1e-5)
"""Tolerances of the Niggli reduction in Å², tried in turn.

A relaxed cell is cubic or hexagonal only to some digits. At 1e-5 a strain of 1e-6 turned a
quarter of the data set into another of several nearly equivalent cells; at 1e-2 none did, and
one in forty at a strain of 1e-4. spglib gives up on a few cells at one tolerance or another.
"""


# an isometry of a reduced basis maps its vectors to sums of them with these coefficients
_COMBINATIONS = np.array([c for c in itertools.product((-1, 0, 1), repeat=3) if any(c)], float)


def niggli(lattice: np.ndarray) -> np.ndarray:
    """Right-handed Niggli-reduced basis of a lattice, not in the standard setting.

    Parameters
    ----------
    lattice
        (3, 3) rows a, b, c in Å.

    Raises
    ------
    NonFiniteError
        If the lattice is not finite.
    GridError
        If it has no volume or cannot be reduced.
    """
    if not np.isfinite(lattice).all():
        raise NonFiniteError("the lattice holds NaN or infinity")
    lengths = np.linalg.norm(lattice, axis=1)
    if abs(np.linalg.det(lattice)) <= 1e-6 * max(np.prod(lengths), 1e-30):
        raise GridError(f"the lattice {lattice.tolist()} has no volume")
    for eps in NIGGLI_EPS:
        reduced = None
        with suppress(Exception):  # newer releases raise a class that older ones lack
            reduced = spglib.niggli_reduce(lattice, eps=eps)
        if reduced is not None:
            break
    else:
        raise GridError(f"the lattice {lattice.tolist()} cannot be Niggli-reduced")
    # the negated basis has the same lengths and angles and the other handedness
    return reduced if np.linalg.det(reduced) > 0 else -reduced


def equivalent_bases(lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Changes of basis that keep lengths, angles and handedness of a reduced cell.

    Parameters
    ----------
    lattice
        (3, 3) reduced.

    Returns
    -------
    changes : np.ndarray
        (g, 3, 3): ``change @ lattice`` is the new basis; the identity is among them.
    inverses : np.ndarray
        (g, 3, 3): ``coords @ inverse`` are the new fractional coordinates.
    """
    metric = lattice @ lattice.T
    scale = np.sqrt(np.diag(metric))
    squares = np.einsum("va,ab,vb->v", _COMBINATIONS, metric, _COMBINATIONS)
    slack = METRIC_TOLERANCE * scale**2
    images = [
        _COMBINATIONS[np.abs(squares - metric[axis, axis]) <= slack[axis]] for axis in range(3)
    ]
    a, b, c = (
        grid.reshape(-1) for grid in np.meshgrid(*(range(len(i)) for i in images), indexing="ij")
    )
    changes = np.stack([images[0][a], images[1][b], images[2][c]], axis=1)
    moved = changes @ metric @ changes.transpose(0, 2, 1)
    same = np.abs(moved - metric) <= METRIC_TOLERANCE * np.outer(scale, scale)
    changes = changes[same.all(axis=(1, 2))]
    # equal volumes: the determinant is 1 or -1
    changes = changes[np.linalg.det(changes) > 0]
    return changes, np.rint(np.linalg.inv(changes))


def canonical_arrays(
    lattice: np.ndarray, coords: np.ndarray, channels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Canonical form of a crystal.

    Parameters
    ----------
    lattice
        (3, 3) rows a, b, c in Å.
    coords
        (n, 3) fractional coordinates.
    channels
        (n,) 0 for the metal, 1 for the anion.

    Returns
    -------
    lattice : np.ndarray
        (3, 3), lower triangular with a positive diagonal.
    coords : np.ndarray
        (n, 3) in [0, 1).
    channels : np.ndarray
        (n,), sorted.

    Raises
    ------
    NonFiniteError
        If lattice or coordinates are not finite.
    GridError
        If the lattice has no volume or cannot be reduced.
    """
    if not np.isfinite(coords).all():
        raise NonFiniteError("the fractional coordinates hold NaN or infinity")
    reduced = niggli(lattice)
    change = np.rint(np.linalg.solve(reduced.T, lattice.T).T)
    if not np.allclose(change @ reduced, lattice, atol=1e-4 * np.abs(lattice).max()):
        raise GridError(f"the Niggli reduction of {lattice.tolist()} left its lattice")
    coords = coords @ change

    changes, inverses = equivalent_bases(reduced)
    turned = coords @ inverses
    origins = turned[:, channels == channels.min()]
    offset = turned[:, None] - origins[:, :, None] - ANCHOR
    density = np.exp(SHARPNESS * (np.cos(2 * np.pi * offset).sum(axis=3) - 3))
    score = density @ WEIGHTS[channels]
    best = np.flatnonzero(score.reshape(-1) >= score.max() - 1e-9)[0]
    setting, origin = np.unravel_index(best, score.shape)

    coords = turned[setting] - origins[setting, origin]
    coords -= np.floor(coords + 1e-9)
    coords = np.clip(coords, 0.0, None)
    basis = changes[setting] @ reduced
    order = np.lexsort((*coords.T[::-1], channels))
    return np.linalg.cholesky(basis @ basis.T), coords[order], channels[order]
