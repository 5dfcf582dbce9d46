r"""Lattice grid: shape and size of the unit cell.

The grid has shape (M, M, M, 1), single precision. It spans a box of `BOX` = 20 Å in real
space with its lower corner at `CORNER`; voxel :math:`(i, j, k)` stands at
:math:`r = \mathrm{CORNER} + h\,(i + \tfrac12, j + \tfrac12, k + \tfrac12)`, :math:`h` = 20 Å / M.
Three Gaussians of height 1 and width :math:`\sigma` (in voxels, 1 by default) stand at the
ends of the cell vectors in the standard setting (**a** along x, **b** in the xy plane, **c**
above it), each lifted to its own shelf along z:

.. math::
    T(r) = \sum_{v \in \{a, b, c\}}
           \exp\!\left(-\frac{|r - v - s_v \hat{z}|^2}{2 (h\sigma)^2}\right),
    \qquad s_a = -3.5,\ s_b = 0,\ s_c = 3\ \text{Å}

with :math:`a = (a, 0, 0)`, :math:`b = (b\cos\gamma, b\sin\gamma, 0)` and
:math:`c = (c\cos\beta,\, c\,(\cos\alpha - \cos\beta\cos\gamma)/\sin\gamma,\, c_z)`.

Why shelves: without them the ends of two short vectors with a sharp angle nearly coincide
(1.9 Å, 1.5 voxels at M = 16) and could not be told apart. With them every end has a layer of
its own, a below z = −1.75 Å, b up to 1.5 Å, c above, at least 4 Å from the others, and a peak
is identified by its height in the box alone.

Why this box: in a Niggli cell with edges up to 10 Å the ends of **b** and **c** lie at
:math:`-5 \le x \le 5` (a to 10), :math:`-5.9 \le y \le 10` (the projection of **c** falls into
the Voronoi cell of the ab net) and z up to 10 Å; at M = 16, the coarsest, each end still has a
voxel on either side. The same margin takes cells of somewhat more than 10 Å.

Decoding: the highest refined peak of each layer is the end of a vector. A cell that is not
Niggli-reduced, with some tolerance for a network's blur, is an error.
"""

from __future__ import annotations

import math

import numpy as np

from atomate2_vogen.errors import GridError, NonFiniteError
from atomate2_vogen.voxels.peaks import fit_overlapping, local_maxima, parabola
from atomate2_vogen.voxels.sites import check_out, gaussians

BOX = 20.0
"""Edge of the box in Å."""

CORNER = np.array([-7.5, -8.0, -5.5])
"""Lower corner of the box in Å."""

SHELVES = np.array([-3.5, 0.0, 3.0])
"""Lift of a, b and c along z in Å."""

LAYERS = np.array([-1.75, 1.5])
"""Heights in Å between the layers of a, b and c."""

FLOOR = 0.2
"""Smallest height of a peak, in nominal heights, that can be the end of a vector."""

ANGLES = (50.0, 130.0)
"""Angles in degrees of a cell that is accepted; reduced cells have 60 to 120."""

MIN_EDGE = 1.0
"""Shortest edge in Å of a cell that is accepted."""

LENGTH_SLACK = 0.15
"""Share by which a may exceed b and b may exceed c in a cell that is accepted."""


def standard_setting(lattice: np.ndarray) -> np.ndarray:
    """Rotate a cell so that a lies along x and b in the xy plane.

    Parameters
    ----------
    lattice
        (3, 3) rows a, b, c in Å, right-handed.

    Returns
    -------
    np.ndarray
        (3, 3), lower triangular with a positive diagonal.

    Raises
    ------
    NonFiniteError
        If the lattice is not finite.
    GridError
        If it has no volume or is left-handed.
    """
    if lattice.shape != (3, 3):
        raise GridError(f"a lattice has shape (3, 3), not {lattice.shape}")
    if not np.isfinite(lattice).all():
        raise NonFiniteError("the lattice holds NaN or infinity")
    if np.linalg.det(lattice) < 0:
        raise GridError("the lattice is left-handed; turn the signs of a, b, c and of all atoms")
    try:
        return np.linalg.cholesky(lattice @ lattice.T)
    except np.linalg.LinAlgError:
        raise GridError(f"the lattice {lattice.tolist()} has no volume") from None


def write_lattice(
    lattice: np.ndarray, m: int, sigma: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Lattice grid of a cell.

    Parameters
    ----------
    lattice
        (3, 3) rows a, b, c in Å, right-handed, in any orientation.
    m
        Voxels along an edge.
    sigma
        Width of a Gaussian in voxels.
    out
        Array to write into, shape (m, m, m, 1), float32.

    Returns
    -------
    np.ndarray
        (m, m, m, 1) float32.

    Raises
    ------
    GridError
        If the cell does not fit the box, is not reduced, or `out` does not fit.
    NonFiniteError
        If the lattice is not finite.
    """
    if out is None:
        out = np.empty((m, m, m, 1), dtype=np.float32)
    check_out(out, (m, m, m, 1))
    ends = standard_setting(lattice)
    check_cell(ends, "the cell")
    ends[:, 2] += SHELVES
    voxels = (ends - CORNER) * (m / BOX) - 0.5
    if (voxels < 0.5).any() or (voxels > m - 1.5).any():
        edges = ", ".join(f"{edge:.2f}" for edge in np.linalg.norm(lattice, axis=1))
        raise GridError(
            f"a cell with edges {edges} Å does not fit the lattice grid; give a Niggli-reduced "
            "cell with edges up to 10 Å"
        )
    table = gaussians((np.arange(m) - voxels[:, :, None]) / sigma)
    rows = (table[:, 0, :, None] * table[:, 1, None, :]).reshape(3, m * m)
    np.matmul(rows.T, table[:, 2], out=out.reshape(m * m, m))
    return out


def read_lattice(grid: np.ndarray, sigma: float) -> np.ndarray:
    """Cell of a lattice grid.

    Parameters
    ----------
    grid
        (m, m, m, 1), checked.
    sigma
        Nominal width of a Gaussian in voxels.

    Returns
    -------
    np.ndarray
        (3, 3) rows a, b, c in Å, standard setting, right-handed.

    Raises
    ------
    GridError
        If a vector is missing or the three are no reduced cell.
    """
    m = grid.shape[0]
    voxels = local_maxima(grid, FLOOR * np.exp(-0.375 / sigma**2))
    inside = ((voxels[:, :3] > 0) & (voxels[:, :3] < m - 1)).all(axis=1)
    voxels = voxels[inside]
    positions, heights = parabola(grid, voxels, sigma)
    layer = np.searchsorted(LAYERS, CORNER[2] + BOX / m * (positions[:, 2] + 0.5))
    chosen = []
    for number, name in enumerate("abc"):
        (found,) = np.nonzero((layer == number) & (heights >= FLOOR))
        if not len(found):
            raise GridError(f"the lattice grid has no peak above {FLOOR} for the vector {name}")
        chosen.append(found[heights[found].argmax()])
    which = np.array(chosen)
    ends = fit_overlapping(grid, voxels[which], positions[which], sigma, periodic=False)
    ends = CORNER + BOX / m * (ends + 0.5)
    ends[:, 2] -= SHELVES
    lattice = np.tril(ends)
    check_cell(lattice, "the lattice grid")
    return lattice


def check_cell(lattice: np.ndarray, name: str) -> None:
    """Refuse a cell that is not Niggli-reduced, with tolerance for blur.

    Parameters
    ----------
    lattice
        (3, 3) in the standard setting, Å.
    name
        Name of the cell for the error message.

    Raises
    ------
    GridError
        If the volume is not positive, an edge is too short, the edges do not ascend or an angle
        is too sharp or too blunt.
    """
    (ax, _, _), (bx, by, _), (cx, cy, cz) = lattice.tolist()
    if ax <= 0 or by <= 0 or cz <= 0:
        raise GridError(f"{name} has no positive volume: {lattice.round(3).tolist()}")
    # plain floats: this runs twice per crystal, and arrays of three cost more than they save
    a, b, c = lengths = ax, math.hypot(bx, by), math.hypot(cx, cy, cz)
    cosines = (bx * cx + by * cy) / (b * c), cx / c, bx / b
    angles = [math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) for cosine in cosines]
    if min(lengths) < MIN_EDGE:
        fault = f"has an edge below {MIN_EDGE} Å"
    elif a > (1 + LENGTH_SLACK) * b or b > (1 + LENGTH_SLACK) * c:
        fault = "is not reduced, its edges do not ascend"
    elif min(angles) < ANGLES[0] or max(angles) > ANGLES[1]:
        fault = f"is not reduced, an angle leaves {ANGLES}"
    else:
        return
    edges = ", ".join(f"{length:.2f}" for length in lengths)
    corners = ", ".join(f"{angle:.1f}" for angle in angles)
    raise GridError(f"{name} {fault}: a, b, c = {edges} Å, α, β, γ = {corners}°")
