"""Lines through the Brillouin zone, in the basis of the cell that is really calculated.

Setyawan's and Curtarolo's points are given for their own standard primitive cell. In any other cell
of the same crystal the same three numbers are another point of the zone, and the bands get wrong
labels that look right; here they are carried over. seekpath does that itself for Hinuma's points,
which are the default: phonons are drawn along the same lines.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.errors import InputError
from atomate2_vogen.structures.magnetism import by_moment

HINUMA, LATIMER_MUNRO = "hinuma", "latimer_munro"
K_PATHS: tuple[str, ...] = (HINUMA, LATIMER_MUNRO, "setyawan_curtarolo")
"""Conventions, the default first: DOI 10.1016/j.commatsci.2016.10.015, 10.1038/s41524-020-00383-7
(the paper's reference 47), 10.1016/j.commatsci.2010.05.010."""

SYMPREC = 0.01  # Å
Path = tuple[dict[str, np.ndarray], tuple[tuple[str, str], ...]]
"""Fractions of each point by label, and labels of the two ends of each segment."""

LINE_DENSITY = 20.0
"""Points per 1/Å, as in atomate2."""


@dataclass(frozen=True)
class KPath:
    """Points along high-symmetry lines.

    Parameters
    ----------
    kpoints
        Shape (n, 3), fractions of the reciprocal lattice of the structure. The points of one
        segment follow each other, both ends included.
    labels
        Fractions of each labelled point, by label.
    segments
        Labels of the two ends of each segment, in order.
    point_labels
        Label of each point; empty for those within a segment.

    Examples
    --------
    >>> from atomate2_vogen.electrons import high_symmetry_path
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> path = high_symmetry_path(crystal, line_density=5.0, scheme="setyawan_curtarolo")
    >>> path.labels["M"], path.kpoints.shape == (len(path.point_labels), 3)
    ((-0.5, -0.5, 0.0), True)
    """

    kpoints: np.ndarray
    labels: dict[str, tuple[float, float, float]]
    segments: tuple[tuple[str, str], ...]
    point_labels: tuple[str, ...]


def high_symmetry_path(
    structure: Structure, line_density: float = LINE_DENSITY, scheme: str = K_PATHS[0]
) -> KPath:
    """Lines between high-symmetry points for a crystal in any cell.

    Parameters
    ----------
    structure
        Crystal. Of a cell that is not primitive the bands are folded; the labels stay those of
        the primitive cell's zone (not Latimer-Munro). Atoms with different moments are not
        equivalent.
    line_density
        Points per 1/Å (with 2π) of each line, at least: as of pymatgen's and atomate2's lines.
        Both ends and one between them are points.
    scheme
        One of `K_PATHS`.

    Returns
    -------
    KPath
        In the basis of the given cell.

    Raises
    ------
    InputError
        If the scheme is unknown, the density is not positive, or the path of the standard cell
        cannot be carried over to the given one.

    Examples
    --------
    >>> from atomate2_vogen.electrons import high_symmetry_path
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> path = high_symmetry_path(crystal, line_density=5.0, scheme="setyawan_curtarolo")
    >>> path.segments[1]
    ('X', 'M')
    """
    if scheme not in K_PATHS:
        raise InputError(f"no k-path scheme {scheme!r}; there are {', '.join(K_PATHS)}")
    if not (math.isfinite(line_density) and line_density > 0):
        raise InputError(f"a line density of {line_density} is no line; it must be positive")
    # bands of one spin have the symmetry that the moments leave
    bare = by_moment(structure)
    points, segments = _hinuma(bare) if scheme == HINUMA else _pymatgen(bare, scheme)
    reciprocal = structure.lattice.reciprocal_lattice.matrix
    lines = []
    names: list[str] = []
    for first, second in segments:
        length = np.linalg.norm((points[second] - points[first]) @ reciprocal)
        # a point between the ends: two labelled ones in a row mean to pymatgen that a line ended
        steps = max(2, math.ceil(length * line_density - 1e-8))
        lines.append(np.linspace(points[first], points[second], steps + 1))
        names += [first, *[""] * (steps - 1), second]
    kpoints = np.vstack(lines)
    used = {label for segment in segments for label in segment}
    return KPath(
        kpoints=kpoints,
        labels={
            label: (float(point[0]), float(point[1]), float(point[2]))
            for label, point in points.items()
            if label in used
        },
        segments=segments,
        point_labels=tuple(names),
    )


def _hinuma(structure: Structure) -> Path:
    """Points and segments of seekpath, in the basis of the given cell."""
    import seekpath

    kinds = list(dict.fromkeys(structure.species))
    numbers = [kinds.index(species) for species in structure.species]
    cell = structure.lattice.matrix, structure.frac_coords, numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the edge of a bravais lattice, which is no fault here
        found = seekpath.get_path_orig_cell(cell, symprec=SYMPREC)
    points = {label: np.array(q, float) for label, q in found["point_coords"].items()}
    return points, tuple((first, last) for first, last in found["path"])


def _pymatgen(structure: Structure, scheme: str) -> Path:
    """Points and segments of pymatgen, carried over to the given cell."""
    from pymatgen.symmetry.bandstructure import HighSymmKpath

    with warnings.catch_warnings():
        # on input cells that are not the standard one, which is what this module is about
        warnings.simplefilter("ignore")
        path = HighSymmKpath(structure, path_type=scheme, symprec=SYMPREC)
    if path.kpath is None:
        raise InputError(f"no {scheme} path for {structure.composition.reduced_formula}")
    points = {label: np.array(point, float) for label, point in path.kpath["kpoints"].items()}
    if scheme != LATIMER_MUNRO:
        analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
        standard = analyzer.get_primitive_standard_structure(international_monoclinic=False)
        matrix = _cell_in_terms_of(structure, standard)
        # k.a' = sum_j M_ij k.a_j for a'_i = sum_j M_ij a_j
        points = {label: matrix @ point for label, point in points.items()}
    segments = tuple(
        (first, second) for line in path.kpath["path"] for first, second in itertools.pairwise(line)
    )
    return points, segments


def _cell_in_terms_of(structure: Structure, standard: Structure) -> np.ndarray:
    """Integer matrix M with which the rows of M @ standard.lattice span the structure's cell.

    Both are the same crystal, perhaps turned and shifted; the sites are matched too, for a
    lattice alone may be more symmetric than its crystal.
    """
    matcher = StructureMatcher(
        ltol=1e-2,
        stol=1e-2,
        angle_tol=0.5,
        primitive_cell=False,
        scale=False,
        attempt_supercell=len(structure) != len(standard),
    )
    found = matcher.get_transformation(structure, standard)
    if found is None:
        raise InputError(
            f"the cell of {structure.composition.reduced_formula} cannot be brought to the standard "
            f"primitive cell; refine its symmetry, or take the path {HINUMA}"
        )
    return np.rint(found[0])
