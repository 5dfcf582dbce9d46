"""Antiferromagnetic patterns, and the symmetry of patterns of magnetic moments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.structures.magnetism import MOMENT_NOISE, given_moments

SYMPREC = 0.05
"""Å within which a symmetry relates two patterns of one crystal."""

MOST_EXACT = 16
"""Metal atoms per cell up to which every compensated pattern is tried."""

REACH = 10.0
"""Å up to which pairs of metal atoms count for the antiferromagnetic pattern."""


def antiferromagnetic_signs(structure: Structure, metal: str) -> list[int] | None:
    """Signs of the sites in which close pairs of metal atoms are antiparallel.

    Of all patterns with as many metal atoms up as down (one more of either for an odd number), the
    one with the lowest Σ sᵢ sⱼ (d₀/dᵢⱼ)⁶ over all pairs of metal atoms within `REACH`, periodic
    images included: the shortest pairs matter most. Beyond `MOST_EXACT` metal atoms the lowest
    pattern is approached by exchanging pairs of atoms. The pattern fits into the given cell; one
    that needs a larger cell is not found.

    Parameters
    ----------
    structure
        Ordered crystal.
    metal
        Symbol of the element that carries the moments.

    Returns
    -------
    list of int or None
        +1 or -1 for each metal atom, the first one +1, and 0 for all other sites; None where the
        cell has fewer than two metal atoms.
    """
    metals = [i for i, site in enumerate(structure) if site.specie.symbol == metal]
    if len(metals) < 2:
        return None
    signs = _lowest(_coupling(structure, metals))
    found = np.zeros(len(structure), dtype=int)
    found[metals] = signs * signs[0]
    return [int(sign) for sign in found]


def is_same_pattern(structure: Structure, first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether a symmetry of the crystal, or turning all moments round, relates two patterns.

    Parameters
    ----------
    structure
        Crystal; its own moments do not matter.
    first, second
        Moments by site; only their signs count, 0 below `MOMENT_NOISE`.
    """
    one, other = _signs(first), _signs(second)
    return any(
        (one[order] == other).all() or (one[order] == -other).all()
        for order in _permutations(structure)
    )


def lowers_symmetry(
    structure: Structure, symprec: float = SYMPREC, *, translations_only: bool = False
) -> bool:
    """Whether the moments of a structure break a symmetry of the crystal without moments.

    An operation that turns all moments round is a symmetry of energy and forces and is not broken.
    Moments are equal within `MOMENT_NOISE`.

    Parameters
    ----------
    structure
        Crystal with its moments.
    symprec
        Å within which the crystal has a symmetry.
    translations_only
        Look at translations alone, which there are where the cell is not primitive.

    Raises
    ------
    MagneticMomentError
        As `given_moments`.
    """
    found = given_moments(structure)
    if found is None:
        return False
    moments = np.array(found)
    return any(
        min(np.abs(moments[order] - moments).max(), np.abs(moments[order] + moments).max())
        > MOMENT_NOISE
        for order in _permutations(structure, symprec, translations_only=translations_only)
    )


def _signs(moments: Sequence[float]) -> np.ndarray:
    values = np.asarray(moments, dtype=float)
    return np.where(np.abs(values) >= MOMENT_NOISE, np.sign(values), 0.0)


def _permutations(
    structure: Structure, symprec: float = SYMPREC, *, translations_only: bool = False
) -> Iterator[np.ndarray]:
    """Orders of the sites into which the operations of the crystal without moments bring them."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    symbols = [site.specie.symbol for site in structure]
    bare = Structure(structure.lattice, symbols, structure.frac_coords)
    yield np.arange(len(bare))
    try:
        operations = SpacegroupAnalyzer(bare, symprec=symprec).get_symmetry_operations()
    except SymmetryUndeterminedError:
        return
    for operation in operations:
        if translations_only and not np.allclose(operation.rotation_matrix, np.eye(3)):
            continue
        moved = operation.operate_multi(bare.frac_coords)
        yield bare.lattice.get_all_distances(bare.frac_coords, moved).argmin(axis=1)


def _coupling(structure: Structure, metals: Sequence[int]) -> np.ndarray:
    """(d₀/d)⁶ summed over the images of each pair of metal atoms, shape (n, n), no diagonal."""
    sub = Structure.from_sites([structure[i] for i in metals])
    first, second, _, distances = sub.get_neighbor_list(REACH)
    matrix = np.zeros((len(metals), len(metals)))
    if len(distances):
        np.add.at(matrix, (first, second), (distances.min() / distances) ** 6)
    np.fill_diagonal(matrix, 0.0)  # images of one atom have its sign in any pattern
    return (matrix + matrix.T) / 2


def _lowest(coupling: np.ndarray) -> np.ndarray:
    """Compensated signs of the lowest energy, shape (n,)."""
    if len(coupling) > MOST_EXACT:
        return _descended(coupling)
    patterns = np.array(list(_compensated(len(coupling))))
    energies = np.einsum("pi,ij,pj->p", patterns, coupling, patterns)
    # rounded: patterns that a symmetry relates differ in the last digits, the first one is taken
    return np.asarray(patterns[np.argmin(energies.round(9))])


def _compensated(n_atoms: int) -> Iterator[np.ndarray]:
    """Patterns with the first atom up, and as many atoms up as down or one more of either."""
    for n_up in sorted({n_atoms // 2, (n_atoms + 1) // 2}):
        for others in itertools.combinations(range(1, n_atoms), n_up - 1):
            pattern = -np.ones(n_atoms)
            pattern[[0, *others]] = 1
            yield pattern


def _descended(coupling: np.ndarray) -> np.ndarray:
    """A low pattern: the softest mode made compensated, pairs exchanged while that helps."""
    mode = np.linalg.eigh(coupling)[1][:, 0]
    signs = -np.ones(len(coupling))
    signs[np.argsort(-mode.round(8), kind="stable")[: (len(coupling) + 1) // 2]] = 1
    while True:
        field = coupling @ signs
        up, down = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
        # what the sum over ordered pairs changes by when one up and one down are exchanged
        change = 4 * (field[down][None, :] - field[up][:, None] - 2 * coupling[np.ix_(up, down)])
        row, column = np.unravel_index(int(change.round(8).argmin()), change.shape)
        if change[row, column] > -1e-6:
            return signs
        signs[[up[row], down[column]]] *= -1
