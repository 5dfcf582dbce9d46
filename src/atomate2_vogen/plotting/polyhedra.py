"""A crystal drawn as coordination polyhedra of the metal: for figures of many crystals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Structure
from scipy.spatial import ConvexHull, QhullError

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.plotting.figures import BLUE, VERMILION
from atomate2_vogen.structures.dimensionality import BOND_MARGIN
from atomate2_vogen.structures.symmetry import conventional_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TILT = (0.16, 0.10)
"""Angles in rad out of the shortest axis, so that polyhedra behind each other are seen."""
ON_EDGE = 1e-3
"""Fractional coordinates this far outside of the cell are drawn: atoms on its faces come twice."""
FLAT = 0.03
"""Faces whose normals differ by less are one face."""


def draw_polyhedra(axes: Axes, structure: Structure, system: OxideSystem = VANADIUM) -> None:
    """Draw the polyhedra of a crystal into a panel, seen nearly along the shortest axis of its conventional cell.

    Polyhedra are spanned by the anions that are bonded to a metal atom (sum of the covalent radii
    and 0.45 Å at most); metal atoms within the cell and on its faces have one. Nearer ones are
    drawn over those behind.

    Parameters
    ----------
    axes
        Panel; its frame is hidden.
    structure
        Ordered crystal of the system.
    system
        Which element is the metal.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from atomate2_vogen.plotting import draw_polyhedra
    >>> from pymatgen.core import Lattice, Structure
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ... )
    >>> axes = Figure().subplots()
    >>> draw_polyhedra(axes, rutile)
    >>> len(axes.patches) > 30
    True
    """
    from matplotlib.patches import Circle, Polygon

    cell = conventional_cell(structure, 0.05)
    view = _view(cell.lattice.matrix)
    pieces: list[tuple[float, Any]] = []
    for centre, corners in _polyhedra(cell, system):
        seen = corners @ view.T
        depth = float((centre @ view.T)[2])
        for order, (points, brightness) in enumerate(_faces(seen)):
            colour = _shade(BLUE, brightness)
            patch = Polygon(points, facecolor=colour, edgecolor="white", linewidth=0.5, alpha=0.85)
            pieces.append((depth + 1e-6 * order, patch))
        for point in seen:
            circle = Circle(
                (point[0], point[1]), 0.22, facecolor=VERMILION, edgecolor="black", linewidth=0.3
            )
            pieces.append((float(point[2]), circle))
    for number, (_, patch) in enumerate(sorted(pieces, key=lambda piece: piece[0])):
        patch.set_zorder(2 + number)
        axes.add_patch(patch)
    for begin, end in _edges(cell.lattice.matrix):
        line = np.stack([begin, end]) @ view.T
        axes.plot(line[:, 0], line[:, 1], color="0.35", linewidth=0.6, zorder=1)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.set_axis_off()


def _view(lattice: np.ndarray) -> np.ndarray:
    """Rows: right, up, and towards the viewer."""
    lengths = np.linalg.norm(lattice, axis=1)
    near, middle, far = np.argsort(lengths)
    towards = lattice[near] / lengths[near]
    # the longest axis goes right, for pictures are wider than high
    right = lattice[far] - (lattice[far] @ towards) * towards
    right /= np.linalg.norm(right)
    up = np.cross(towards, right)
    if up @ lattice[middle] < 0:
        up, towards = -up, -towards
    frame = np.stack([right, up, towards])
    (s, c), (t, d) = ((np.sin(angle), np.cos(angle)) for angle in TILT)
    about_up = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    about_right = np.array([[1, 0, 0], [0, d, -t], [0, t, d]])
    turned: np.ndarray = about_right @ about_up @ frame
    return turned


def _polyhedra(cell: Structure, system: OxideSystem) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Centre and corners of each polyhedron, Å."""
    for site in cell:
        if site.specie.symbol != system.metal:
            continue
        longest = BOND_MARGIN + sum(
            covalent_radii[element.Z] for element in (site.specie, *_anion(cell, system))
        )
        corners = np.array(
            [
                other.coords
                for other in cell.get_neighbors(site, longest)
                if other.specie.symbol == system.anion
            ]
        ).reshape(-1, 3)
        inside = site.frac_coords % 1
        ranges = [[0, 1] if value < ON_EDGE else [0] for value in inside]
        ranges = [
            [0, -1] if value > 1 - ON_EDGE else some
            for value, some in zip(inside, ranges, strict=True)
        ]
        home = cell.lattice.get_cartesian_coords(inside) - site.coords
        for image in np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3):
            shift = home + cell.lattice.get_cartesian_coords(image)
            yield site.coords + shift, corners + shift


def _anion(cell: Structure, system: OxideSystem) -> list[Any]:
    """The anion as an element; nothing where the crystal has none."""
    return [element for element in cell.composition if element.symbol == system.anion]


def _faces(points: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """Faces towards the viewer: corners in order (n, 2), and how much they face them, 0 to 1."""
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):  # fewer than four corners, or all in a plane
        return
    groups: list[tuple[np.ndarray, set[int]]] = []
    for simplex, plane in zip(hull.simplices, hull.equations, strict=True):
        for known, corners in groups:
            if np.abs(known - plane).max() < FLAT:
                corners.update(map(int, simplex))
                break
        else:
            groups.append((plane, set(map(int, simplex))))
    for plane, corners in groups:
        if plane[2] > 0:
            face = points[sorted(corners), :2]
            from_middle = face - face.mean(axis=0)
            order = np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))
            yield face[order], float(plane[2])


def _shade(colour: str, brightness: float) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    base = np.array(to_rgb(colour))
    white = 0.25 + 0.45 * brightness
    red, green, blue = base * (1 - white) + white
    return float(red), float(green), float(blue)


def _edges(lattice: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ends of the twelve edges of a cell, Å."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    for first in corners:
        for axis in range(3):
            if not first[axis]:
                second = first + np.eye(3, dtype=int)[axis]
                yield first @ lattice, second @ lattice
