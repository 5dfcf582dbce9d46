r"""Positions of Gaussian peaks in a voxel grid, with sub-voxel accuracy.

A peak of nominal form is :math:`g(v) = \exp(-|v - p|^2 / 2\sigma^2)` with the voxel index
:math:`v`, the wanted position :math:`p` and the width :math:`\sigma`, all in voxels.

*Isolated peaks.* The logarithm of a Gaussian is a parabola along each axis, so three voxels
give its apex without error. With :math:`l_0 = \log g(v)` at the highest voxel and
:math:`l_\pm` at its two neighbours along an axis,

.. math::
    p - v = \frac{1}{2} \frac{l_- - l_+}{l_- - 2 l_0 + l_+}, \qquad
    \log h = l_0 - \frac{1}{4} \sum_\mathrm{axes} (l_- - l_+)(p - v).

At a local maximum :math:`l_0 \ge l_\pm` and the shift stays within half a voxel, whatever
the grid holds. The gain in height is capped at what a Gaussian of nominal width can have,
:math:`1/8\sigma^2` per axis.

*Overlapping peaks.* Peaks within `OVERLAP` :math:`\sigma` shift each other's apex. They are
fitted together, with nominal height and width, to the 27 voxels around each of them by
Gauss-Newton steps from the parabolas' answer. The fit is taken only where it explains the
grid: root mean square residual at most `MAX_RESIDUAL` and less than before. A blurred grid
keeps the parabolas' answer.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

OVERLAP = 6.5
"""Distance in σ within which peaks are fitted together; the shift beyond is < 1e-5 voxel."""

MAX_RESIDUAL = 0.05
"""Largest root mean square residual, in nominal heights, of a fit that is taken."""

MAX_SHIFT = 1.0
"""Farthest in voxels, per axis, that a fit may move a peak from the parabolas' answer."""

_TINY = 1e-12
_FACES = np.array([s * e for e in np.eye(3, dtype=int) for s in (-1, 1)])
_SELF = np.zeros((1, 3), dtype=int)
_STENCIL = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
_ROUNDS = (_FACES[:2], _FACES[2:4], _FACES[4:], _STENCIL[np.abs(_STENCIL).sum(axis=1) >= 2])


class Neighbours:
    """Flat indices of the neighbours of voxels in a periodic grid.

    Parameters
    ----------
    shape
        Shape (n, n, n, channels) of the grid.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        n, channels = shape[0], shape[3]
        # entry 0 stands for -1, entry n + 1 for n
        wrapped = np.arange(-1, n + 1) % n
        self._x = wrapped * (n * n * channels)
        self._y = wrapped * (n * channels)
        self._z = wrapped * channels

    def __call__(self, voxels: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Flat indices.

        Parameters
        ----------
        voxels
            (m, 4) integers: x, y, z and channel.
        offsets
            (k, 3) integers from -1 to 1.

        Returns
        -------
        np.ndarray
            (k, m) flat indices.
        """
        x, y, z, channel = voxels.T
        dx, dy, dz = (offsets + 1).T[:, :, None]
        return self._x[x + dx] + self._y[y + dy] + self._z[z + dz] + channel


@lru_cache(maxsize=16)
def _neighbours(shape: tuple[int, ...]) -> Neighbours:
    return Neighbours(shape)


def local_maxima(grid: np.ndarray, floor: float) -> np.ndarray:
    """Voxels above a floor that are higher than all 26 periodic neighbours of their channel.

    Of equal neighbours the one with the lowest flat index counts as the highest.

    Parameters
    ----------
    grid
        (n, n, n, channels), C-contiguous.

    Returns
    -------
    np.ndarray
        (m, 4) integers: x, y, z and channel.
    """
    flat = grid.reshape(-1)
    index = np.flatnonzero(flat > floor)
    voxels = np.stack(np.unravel_index(index, grid.shape), axis=1)
    neighbours = _neighbours(grid.shape)
    # most voxels fall at the first comparison: only what is left meets the next ones
    for offsets in _ROUNDS:
        other = neighbours(voxels, offsets)
        here, there = flat[index], flat[other]
        keep = ((here > there) | ((here == there) & (index < other))).all(axis=0)
        index, voxels = index[keep], voxels[keep]
    return voxels


def parabola(grid: np.ndarray, voxels: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and heights of isolated peaks from the parabola of the logarithm.

    Parameters
    ----------
    grid
        (n, n, n, channels).
    voxels
        (m, 4) local maxima.
    sigma
        Nominal width in voxels; it caps the gain in height.

    Returns
    -------
    positions : np.ndarray
        (m, 3) in voxels, not wrapped.
    heights : np.ndarray
        (m,); 0 on a plateau, which is no peak.
    """
    flat = grid.reshape(-1)
    neighbours = _neighbours(grid.shape)
    around = flat[neighbours(voxels, _FACES)]
    sides = np.log(np.maximum(around, _TINY).astype(float)).reshape(3, 2, -1)
    centre = flat[neighbours(voxels, _SELF)[0]]
    top = np.log(np.maximum(centre, _TINY).astype(float))
    slope = sides[:, 0] - sides[:, 1]
    curvature = sides[:, 0] - 2 * top + sides[:, 1]
    bent = curvature < -_TINY
    shift = np.where(bent, 0.5 * slope / np.where(bent, curvature, 1.0), 0.0)
    shift = np.clip(shift, -0.5, 0.5)
    gain = np.clip(-0.25 * slope * shift, 0.0, 0.125 / sigma**2)
    heights = np.where(bent.all(axis=0), np.exp(top + gain.sum(axis=0)), 0.0)
    return voxels[:, :3] + shift.T, heights


def _difference(first: np.ndarray, second: np.ndarray, period: float | None) -> np.ndarray:
    difference = first - second
    if period is not None:
        difference -= period * np.round(difference / period)
    return difference


def fit_overlapping(
    grid: np.ndarray,
    voxels: np.ndarray,
    positions: np.ndarray,
    sigma: float,
    *,
    periodic: bool,
) -> np.ndarray:
    """Positions of peaks of one channel, corrected for overlap with their neighbours.

    Parameters
    ----------
    grid
        (n, n, n, channels).
    voxels
        (m, 4) local maxima of one channel.
    positions
        (m, 3) in voxels, from `parabola`.
    sigma
        Nominal width in voxels.
    periodic
        Whether distances are periodic.

    Returns
    -------
    np.ndarray
        (m, 3) in voxels.
    """
    if len(positions) < 2:
        return positions
    period = float(grid.shape[0]) if periodic else None
    apart = _difference(positions[:, None], positions[None], period)
    squared = np.einsum("ija,ija->ij", apart, apart)
    np.fill_diagonal(squared, np.inf)
    (close,) = np.nonzero(squared.min(axis=1) < (OVERLAP * sigma) ** 2)
    if not len(close):
        return positions

    start = positions[close]
    points = (voxels[close][:, None, :3] + _STENCIL).reshape(-1, 3)
    index = _neighbours(grid.shape)(voxels[close], _STENCIL).T.reshape(-1)
    values = grid.reshape(-1)[index].astype(float)

    def model(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        offset = _difference(points[:, None], at[None], period)
        peak = np.exp(-np.einsum("via,via->vi", offset, offset) / (2 * sigma**2))
        return peak.sum(axis=1), (peak[:, :, None] * offset / sigma**2).reshape(len(points), -1)

    now = start
    fitted, jacobian = model(now)
    before = best = np.sqrt(np.mean((values - fitted) ** 2))
    answer = now
    for _ in range(20):
        normal = jacobian.T @ jacobian
        normal[np.diag_indices_from(normal)] *= 1 + 1e-9
        step = np.linalg.solve(normal + 1e-12 * np.eye(len(normal)), jacobian.T @ (values - fitted))
        now = now + np.clip(step.reshape(-1, 3), -0.5, 0.5)
        if np.abs(now - start).max() > MAX_SHIFT:
            break
        fitted, jacobian = model(now)
        residual = np.sqrt(np.mean((values - fitted) ** 2))
        if residual < best:
            best, answer = residual, now
        if np.abs(step).max() < 1e-6:
            break
    if best > MAX_RESIDUAL or best >= before:
        return positions
    freed = positions.copy()
    freed[close] = answer
    return freed
