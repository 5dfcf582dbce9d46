r"""Sites grid: elements and positions of the atoms in the unit cell.

The grid has shape (N, N, N, 2), single precision, channels last: channel 0 holds the metal,
channel 1 the anion. It spans the unit cell in *fractional* coordinates; voxel
:math:`(i, j, k)` stands at :math:`u = (i, j, k)/N`. Each atom is a Gaussian of height 1 and
width :math:`\sigma` (in voxels, 1 by default), summed over the atoms of the element and over
all periodic images:

.. math::
    S_e(u) = \sum_{m \in e} \sum_{n \in \mathbb{Z}^3}
             \exp\!\left(-\frac{N^2 |u - x_m + n|^2}{2\sigma^2}\right)
           = \sum_{m \in e} \prod_{a=1}^{3} w(u_a - x_{m,a})

The exponential factorises over the axes, so a grid is one matrix product of tables of
:math:`w`. As :math:`N \ge 16\sigma` is required, the nearest image alone is the sum to
:math:`e^{-32}`, far below single precision. The sum of one channel over all voxels is
:math:`n (2\pi)^{3/2} \sigma^3` for :math:`n` atoms. Where two atoms of one element are closer
than about :math:`3\sigma` the sum slightly exceeds 1.

Decoding: the local maxima of each channel are refined as `peaks` describes. If the number of atoms
is given, the highest peaks are atoms; otherwise all peaks of at least `THRESHOLD`. Half the nominal
height is the value that separates an atom from a blank voxel with the same margin on both
sides, for a network that was trained between 0 and 1. Two atoms of one element can be told
apart from `MIN_SEPARATION` :math:`\sigma` on, which the encoder checks: every grid
that it writes can be decoded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atomate2_vogen.errors import GridError, InputError, NonFiniteError, OverlapError
from atomate2_vogen.voxels.peaks import fit_overlapping, local_maxima, parabola

THRESHOLD = 0.5
"""Smallest height, in nominal heights, of a peak that counts as an atom."""

FLOOR = 0.05
"""Smallest height of a peak that can be an atom if the counts are given."""

MIN_SEPARATION = 3.0
"""Closest distance in σ, in the grid, of two atoms of one element."""

MIN_VOXELS = 16
"""Fewest voxels along an edge, in σ (or in voxels, if σ is less than one)."""

_NEGLIGIBLE = 1e-12


def check_size(n: int, sigma: float, name: str) -> None:
    """Refuse a grid too coarse for its Gaussians.

    Raises
    ------
    InputError
        If σ is outside [0.5, n / 16] voxels or n is below 16.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < MIN_VOXELS:
        raise InputError(f"{name} is {n!r}; give a whole number of at least {MIN_VOXELS}")
    if not 0.5 <= sigma <= n / MIN_VOXELS:
        raise InputError(
            f"a Gaussian width of {sigma} voxels does not suit {name}={n}; "
            f"choose between 0.5 and {n / MIN_VOXELS:g}"
        )


def check_grid(grid: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Check a grid and make it C-contiguous.

    Raises
    ------
    GridError
        If it is no array of floating-point numbers or has another shape.
    NonFiniteError
        If it holds NaN or infinity.
    """
    if not isinstance(grid, np.ndarray) or not np.issubdtype(grid.dtype, np.floating):
        kind = getattr(grid, "dtype", type(grid).__name__)
        raise GridError(f"the {name} grid holds {kind}; give a numpy array of float32")
    if grid.shape != shape:
        raise GridError(f"the {name} grid has shape {grid.shape}, not {shape}")
    grid = np.ascontiguousarray(grid)
    flat = grid.reshape(-1)
    # a sum is quick and catches every NaN; where it overflows, every voxel is looked at
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(flat.sum())
    if suspect and not np.isfinite(flat).all():
        bad = int((~np.isfinite(flat)).sum())
        raise NonFiniteError(f"the {name} grid holds NaN or infinity in {bad} voxels")
    return grid


def check_out(out: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse a buffer that a grid cannot be written into.

    Raises
    ------
    GridError
        If it is not single precision, C-contiguous and of the right shape.
    """
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise GridError(
            f"out is {out.dtype} of shape {out.shape}; give C-contiguous float32 of shape {shape}"
        )


def check_separation(coords: np.ndarray, channels: np.ndarray, n: int, sigma: float) -> None:
    """Refuse atoms of one element that the grid cannot tell apart.

    Raises
    ------
    OverlapError
        If two are closer than `MIN_SEPARATION` σ in the grid.
    """
    apart = coords[:, None] - coords[None]
    apart -= np.round(apart)
    squared = np.einsum("ija,ija->ij", apart, apart) * n**2
    squared[channels[:, None] != channels[None]] = np.inf
    np.fill_diagonal(squared, np.inf)
    if squared.min(initial=np.inf) < (MIN_SEPARATION * sigma) ** 2:
        first, second = np.unravel_index(squared.argmin(), squared.shape)
        raise OverlapError(
            f"atoms {min(first, second)} and {max(first, second)} of the same element are "
            f"{np.sqrt(squared.min()):.2f} voxels apart and would melt into one peak; "
            f"a grid of {n}³ tells atoms apart from {MIN_SEPARATION * sigma:g} voxels on"
        )


def gaussians(offset: np.ndarray) -> np.ndarray:
    """Gaussians of height 1 in single precision, for offsets in σ.

    Values below 1e-12 (7.4 σ) are zero: products of three of them would be subnormal numbers,
    which slow a matrix product down several times.
    """
    table = np.exp(-0.5 * offset**2).astype(np.float32)
    table[table < _NEGLIGIBLE] = 0.0
    return table


def write_sites(
    coords: np.ndarray, channels: np.ndarray, n: int, sigma: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Sites grid of a crystal.

    Parameters
    ----------
    coords
        (m, 3) fractional coordinates, wrapped or not.
    channels
        (m,) integers, 0 for the metal and 1 for the anion.
    n
        Voxels along an edge.
    sigma
        Width of a Gaussian in voxels.
    out
        Array to write into, shape (n, n, n, 2), float32.

    Returns
    -------
    np.ndarray
        (n, n, n, 2) float32.

    Raises
    ------
    GridError
        If `out` does not fit.
    """
    if out is None:
        out = np.empty((n, n, n, 2), dtype=np.float32)
    check_out(out, (n, n, n, 2))
    offset = np.arange(n) / n - coords[:, :, None]
    offset -= np.round(offset)
    table = gaussians(offset * (n / sigma))
    columns = np.zeros((len(coords), n, 2), dtype=np.float32)
    columns[np.arange(len(coords)), :, channels] = table[:, 2]
    rows = table[:, 0, :, None] * table[:, 1, None, :]
    np.matmul(
        rows.reshape(len(coords), n * n).T,
        columns.reshape(len(coords), 2 * n),
        out=out.reshape(n * n, 2 * n),
    )
    return out


def read_sites(
    grid: np.ndarray,
    sigma: float,
    max_atoms: int,
    counts: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms of a sites grid.

    Parameters
    ----------
    grid
        (n, n, n, 2), checked.
    sigma
        Nominal width of a Gaussian in voxels.
    max_atoms
        Largest number of peaks of a crystal.
    counts
        Numbers of metal and anion atoms; None reads the composition from the grid.

    Returns
    -------
    coords : np.ndarray
        (m, 3) fractional, in [0, 1).
    channels : np.ndarray
        (m,) 0 for the metal and 1 for the anion, sorted.
    heights : np.ndarray
        (m,) in nominal heights, in descending order within each channel.

    Raises
    ------
    GridError
        If the grid is empty, holds more than `max_atoms` peaks or fewer than requested.
    """
    n = grid.shape[0]
    floor = THRESHOLD if counts is None else FLOOR
    # an atom midway between eight voxels shows this share of its height
    voxels = local_maxima(grid, floor * np.exp(-0.375 / sigma**2))
    positions, heights = parabola(grid, voxels, sigma)
    order = np.lexsort((-heights, voxels[:, 3]))
    order = order[heights[order] >= floor]
    if counts is None:
        if not len(order):
            raise GridError(f"the sites grid is empty: no peak reaches {THRESHOLD}")
        if len(order) > max_atoms:
            raise GridError(f"the sites grid holds {len(order)} peaks, more than {max_atoms}")
        chosen = [order[voxels[order, 3] == channel] for channel in (0, 1)]
    else:
        chosen = []
        for channel, count in enumerate(counts):
            found = order[voxels[order, 3] == channel]
            if len(found) < count:
                raise GridError(
                    f"channel {channel} of the sites grid holds {len(found)} peaks above {FLOOR}, "
                    f"{count} atoms were asked for"
                )
            chosen.append(found[:count])
    parts = [
        fit_overlapping(grid, voxels[which], positions[which], sigma, periodic=True)
        for which in chosen
    ]
    coords = np.concatenate(parts) / n
    coords -= np.floor(coords)
    coords[coords >= 1.0] = 0.0
    every = np.concatenate(chosen)
    return coords, voxels[every, 3], heights[every]
