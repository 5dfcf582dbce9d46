"""Distances between atoms, and checks of cells.

All distances are in Å and count every periodic image; an atom is also its own neighbour
across the cell boundary, so a cell with one atom has a shortest distance as well.
"""

from __future__ import annotations

import itertools

import numpy as np
from ase.geometry import minkowski_reduce
from pymatgen.core import DummySpecies, Element, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import DisorderError, ElementError, NonFiniteError, OverlapError

OVERLAP_FRACTION = 0.55
"""Share of a system's minimum distance below which two atoms of an *input* overlap.

Looser than `too_close`, which asks for a sane oxide: 0.55 x 2.0 Å still lets the bond of an
oxygen molecule (1.21 Å) pass as a legitimate input.
"""

_FLAT = 1e-6
_IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)
_HOME = 13  # row of (0, 0, 0) in _IMAGES


def distance_matrix(structure: Structure) -> np.ndarray:
    """Shortest distance between each two atoms over all periodic images.

    The cell is Minkowski-reduced first; then the nearest image of a wrapped atom lies in one
    of the 27 cells around it (Nguyen & Stehlé, ACM Trans. Algorithms 5, 46, 2009,
    DOI 10.1145/1597036.1597050), and no search radius has to be guessed.

    Parameters
    ----------
    structure
        Crystal of n atoms.

    Returns
    -------
    numpy.ndarray
        Symmetric, shape (n, n), in Å; the diagonal holds each atom's nearest own image.

    Raises
    ------
    NonFiniteError
        If the lattice or a coordinate is NaN or infinite.
    OverlapError
        If the cell has no volume, so that images lie on top of each other.
    """
    reduced, fractions = reduced_cell(structure)
    fractions -= np.floor(fractions)
    n_atoms = len(fractions)
    differences = (fractions[:, None, :] - fractions[None, :, :]) @ reduced
    shifts = _IMAGES @ reduced
    shortest = np.full((n_atoms, n_atoms), np.inf)
    for image, shift in enumerate(shifts):
        squared = np.einsum("ijk,ijk->ij", differences + shift, differences + shift)
        if image == _HOME:
            np.fill_diagonal(squared, np.inf)
        np.minimum(shortest, squared, out=shortest)
    return np.sqrt(shortest)


def reduced_cell(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Minkowski-reduced cell of a crystal, and its sites in it.

    Returns
    -------
    tuple of numpy.ndarray
        Cell vectors as rows in Å, shape (3, 3); fractional coordinates, not wrapped, shape (n, 3).

    Raises
    ------
    NonFiniteError
        If the lattice or a coordinate is NaN or infinite.
    OverlapError
        If the cell has no volume, so that images lie on top of each other.
    """
    _check_finite(structure)
    lattice = np.asarray(structure.lattice.matrix, dtype=float)
    _check_volume(lattice)
    reduced, operation = minkowski_reduce(lattice)
    # cell = operation @ lattice, hence f_reduced = f @ operation^-1 (operation is unimodular)
    return reduced, np.asarray(structure.frac_coords) @ np.linalg.inv(operation.astype(float))


def minimum_distances(structure: Structure) -> dict[str, float]:
    """Shortest distance of each element pair that occurs, periodic images included.

    Parameters
    ----------
    structure
        Ordered crystal.

    Returns
    -------
    dict
        Å by pair; a key is the two symbols in alphabetical order joined by a hyphen.

    Raises
    ------
    NonFiniteError, OverlapError
        As `distance_matrix`.
    DisorderError
        If a site is partially occupied.

    Examples
    --------
    >>> from atomate2_vogen.structures import minimum_distances
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> {pair: round(distance, 2) for pair, distance in minimum_distances(rock_salt).items()}
    {'O-O': 2.87, 'O-V': 2.03, 'V-V': 2.87}
    """
    return {pair: distance for pair, (distance, _, _) in _closest(structure).items()}


def shortest_distance(structure: Structure) -> float:
    """Shortest distance between any two atoms or images in Å.

    Raises
    ------
    NonFiniteError, OverlapError
        As `distance_matrix`.

    Examples
    --------
    >>> from atomate2_vogen.structures import shortest_distance
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> round(shortest_distance(rock_salt), 2)
    2.03
    """
    return float(distance_matrix(structure).min())


def too_close(structure: Structure, system: OxideSystem) -> str | None:
    """Message on the atoms that lie closer than the system's minimum distances, if any do.

    Parameters
    ----------
    structure
        Crystal of the system's elements.
    system
        Oxide system whose `minimum_distances` are the limits.

    Returns
    -------
    str or None
        The worst pair relative to its limit, its atoms, distance and limit; None if all
        distances are physical.

    Raises
    ------
    NonFiniteError, OverlapError, DisorderError
        As `minimum_distances`.
    InputError
        If the structure holds a pair that the system does not know.
    """
    return _violation(structure, system, 1.0)


def check_structure(structure: Structure, system: OxideSystem) -> None:
    """Raise if a crystal is not a physical one of this system.

    Parameters
    ----------
    structure
        Crystal as read from a file or made by other code.
    system
        Oxide system with the allowed elements and the minimum distances.

    Raises
    ------
    NonFiniteError
        If the lattice or a coordinate is NaN or infinite.
    DisorderError
        If a site is partially occupied or shared.
    ElementError
        If an element is not of the system, or there is no atom at all.
    OverlapError
        If the cell is flat, or two atoms lie below `OVERLAP_FRACTION` of their minimum
        distance.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.structures import check_structure
    >>> from pymatgen.core import Lattice, Structure
    >>> overlapping = Structure(Lattice.cubic(4), ["V", "O"], [[0, 0, 0], [0.1, 0, 0]])
    >>> check_structure(overlapping, VANADIUM)
    Traceback (most recent call last):
        ...
    atomate2_vogen.errors.OverlapError: atoms overlap: O (site 1) and V (site 0) are 0.40 ...
    """
    _check_finite(structure)
    if len(structure) == 0:
        raise ElementError("the structure has no atoms")
    check_ordered(structure)
    foreign = sorted(set(_symbols(structure)) - set(system.elements))
    if foreign:
        raise ElementError(
            f"the structure of {structure.composition.reduced_formula} holds "
            f"{', '.join(foreign)}; only {' and '.join(system.elements)} are known"
        )
    if message := _violation(structure, system, OVERLAP_FRACTION):
        raise OverlapError(f"atoms overlap: {message}")


def _symbols(structure: Structure) -> list[str]:
    """Element symbol per site; oxidation states and isotopes are dropped.

    A dummy species keeps its symbol, which is no element of any system.
    """
    return [
        site.specie.symbol
        if isinstance(site.specie, DummySpecies)
        else Element.from_Z(site.specie.Z).symbol
        for site in structure
    ]


def _check_finite(structure: Structure) -> None:
    if not np.isfinite(structure.lattice.matrix).all():
        raise NonFiniteError("the lattice holds NaN or infinity")
    for index, site in enumerate(structure):
        if not np.isfinite(site.frac_coords).all():
            raise NonFiniteError(f"the coordinates of site {index} hold NaN or infinity")


def check_ordered(structure: Structure) -> None:
    """Raise if a site of a crystal is partially occupied or shared.

    Raises
    ------
    DisorderError
        Naming the site.
    """
    for index, site in enumerate(structure):
        if not site.is_ordered:
            raise DisorderError(
                f"site {index} is disordered ({site.species_string}); give an ordered cell"
            )


def _check_volume(lattice: np.ndarray) -> None:
    lengths = np.linalg.norm(lattice, axis=1)
    if abs(np.linalg.det(lattice)) <= _FLAT * max(float(np.prod(lengths)), np.finfo(float).tiny):
        raise OverlapError(
            "the cell has no volume: its vectors (lengths "
            f"{', '.join(f'{length:.3g}' for length in lengths)} Å) lie in a plane"
        )


def _closest(structure: Structure) -> dict[str, tuple[float, int, int]]:
    """Distance and site indices of the closest pair, by element pair."""
    _check_finite(structure)
    check_ordered(structure)
    symbols = np.array(_symbols(structure))
    distances = distance_matrix(structure)
    closest = {}
    for first, second in itertools.combinations_with_replacement(sorted(set(symbols)), 2):
        rows, columns = np.flatnonzero(symbols == first), np.flatnonzero(symbols == second)
        block = distances[np.ix_(rows, columns)]
        i, j = np.unravel_index(int(block.argmin()), block.shape)
        closest[f"{first}-{second}"] = (float(block[i, j]), int(rows[i]), int(columns[j]))
    return closest


def _violation(structure: Structure, system: OxideSystem, share: float) -> str | None:
    """Message on the pair that falls furthest below `share` of its minimum distance."""
    worst, message = 1.0, None
    for pair, (distance, i, j) in _closest(structure).items():
        first, second = pair.split("-")
        limit = share * system.minimum_distance(first, second)
        if distance / limit < worst:
            worst = distance / limit
            other = "its own image" if i == j else f"{second} (site {j})"
            message = (
                f"{first} (site {i}) and {other} are {distance:.2f} Å apart, "
                f"less than {limit:.2f} Å"
            )
    return message
