"""Lines through the Brillouin zone, in the basis of the cell that is really calculated.

Setyawan's and Curtarolo's points are given for their own standard primitive cell, and pymatgen
gives Hinuma's for the same one. In any other cell of the same crystal the same three numbers are another point of the zone, and the bands get
wrong labels that look right; here they are carried over.
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

from atomate2_vogen.errors import InputError, MissingDependencyError
from atomate2_vogen.structures.magnetism import by_moment

K_PATHS: tuple[str, ...] = ("latimer_munro", "setyawan_curtarolo", "hinuma")
"""Conventions: DOI 10.1038/s41524-020-00383-7 (the paper's), 10.1016/j.commatsci.2010.05.010,
10.1016/j.commatsci.2016.10.015."""

SYMPREC = 0.01  # Å
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
    MissingDependencyError
        If the scheme is hinuma and seekpath is not installed.

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
    from pymatgen.symmetry.bandstructure import HighSymmKpath

    # bands of one spin have the symmetry that the moments leave
    bare = by_moment(structure)
    with warnings.catch_warnings():
        # on input cells that are not the standard one, which is what this module is about
        warnings.simplefilter("ignore")
        try:
            path = HighSymmKpath(bare, path_type=scheme, symprec=SYMPREC)
        except (ImportError, RuntimeError) as error:
            if scheme == "hinuma":
                raise MissingDependencyError(
                    "the k-path scheme hinuma needs the package seekpath"
                ) from error
            raise
    if path.kpath is None:
        raise InputError(f"no {scheme} path for {structure.composition.reduced_formula}")
    points = {label: np.array(point, float) for label, point in path.kpath["kpoints"].items()}
    if scheme != "latimer_munro":
        analyzer = SpacegroupAnalyzer(bare, symprec=SYMPREC)
        standard = analyzer.get_primitive_standard_structure(international_monoclinic=False)
        matrix = _cell_in_terms_of(bare, standard)
        # k.a' = sum_j M_ij k.a_j for a'_i = sum_j M_ij a_j
        points = {label: matrix @ point for label, point in points.items()}
    segments = tuple(
        (first, second) for line in path.kpath["path"] for first, second in itertools.pairwise(line)
    )
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
            f"primitive cell; refine its symmetry, or take the path {K_PATHS[0]}"
        )
    return np.rint(found[0])
