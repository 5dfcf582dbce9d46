"""Evolutionary operators: a new crystal from one or two others of the same formula.

Cut-and-splice: Deaven & Ho, Phys. Rev. Lett. 75, 288 (1995), DOI 10.1103/PhysRevLett.75.288; with
variable cells as in Van den Bossche, Grönbeck & Hammer, J. Chem. Theory Comput. 14, 2797 (2018),
DOI 10.1021/acs.jctc.8b00039, whose library ``ase-ga`` gives cells, strain and permutation. Soft
mutation: Lyakhov, Oganov, Stokes & Zhu, Comput. Phys. Commun. 184, 1172 (2013),
DOI 10.1016/j.cpc.2012.12.009.

Two operators are evaluated here in another way than in ``ase-ga``, which tries one cut at a time
and differentiates forces numerically: of its cuts about one in a hundred keeps the minimum
distances of an oxide, so that it makes about one crystal per second.

All operators take crystals as `oriented` gives them, and a `numpy.random.RandomState`: ``ase-ga``
draws with methods that `numpy.random.Generator` does not have. They return None where they find
nothing; distances are checked by those who call.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase_ga.cutandsplicepairing import CutAndSplicePairing
from ase_ga.standardmutations import PermutationMutation, StrainMutation
from ase_ga.utilities import CellBounds
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.samplers.soft_modes import soft_modes

CUTS = 256
"""Random cuts of a pair of crystals that are tried at once."""

LEAST_SHARE = 0.2
"""Least share of the atoms that each of two parents gives."""

PERMUTED = 0.33
"""Share of the atoms that change places in a permutation, the default of ``ase-ga``."""

SOFT_DISPLACEMENTS = (0.5, 2.0)
"""Least and most displacement in Å of the atom that a soft mutation moves most: the default of
``ase-ga``."""

_STEP = 0.1
_ANGLES = (35.0, 145.0)
_ELONGATION = 3.0
_CELLS = 100


def oriented(structure: Structure, system: OxideSystem) -> Structure:
    """A crystal in its Niggli cell, a along x and b in the xy plane, atoms of the metal first.

    Equal orientations make the mean of two cells a meaningful cell.
    """
    reduced = structure.get_reduced_structure(reduction_algo="niggli")
    symbols = np.array([site.specie.symbol for site in reduced])
    order = np.argsort(symbols != system.metal, kind="stable")
    cell = Atoms(cell=reduced.lattice.parameters).cell[:]
    return Structure(Lattice(cell), symbols[order].tolist(), reduced.frac_coords[order])


def random_supercell(
    structure: Structure, times: int, system: OxideSystem, random: np.random.RandomState
) -> Structure:
    """One of the supercells of so many cells, `oriented`; the crystal itself for one cell."""
    if times == 1:
        return structure
    matrices = _hermite_forms(times)
    matrix = matrices[random.randint(len(matrices))]
    return oriented(structure.make_supercell(matrix, in_place=False), system)


@lru_cache(maxsize=32)
def _hermite_forms(determinant: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Hermite normal forms, one for each sublattice of this index."""
    return tuple(
        ((a, 0, 0), (d, b, 0), (e, f, determinant // (a * b)))
        for a in range(1, determinant + 1)
        if determinant % a == 0
        for b in range(1, determinant // a + 1)
        if determinant // a % b == 0
        for d in range(b)
        for e in range(determinant // (a * b))
        for f in range(determinant // (a * b))
    )


def cut_and_splice(
    first: Structure, second: Structure, system: OxideSystem, random: np.random.RandomState
) -> Structure | None:
    """Crystal with a slab of each of two crystals of the same composition.

    Cell and volume are random means of those of the two. Both are shifted by random amounts along
    one edge, seldom along the others, and cut at the same height; the offspring has the atoms of
    the first above it and those of the second below. Cuts that give another composition are left
    out, so that no atom is moved out of its slab.

    Parameters
    ----------
    first, second
        Crystals with the same numbers of atoms, metal first.
    system
        Gives the minimum distances.
    random
        Random stream.

    Returns
    -------
    Structure or None
        The first of `CUTS` offspring that may have all atoms apart.
    """
    volume = max(first.volume, second.volume)
    pairing = CutAndSplicePairing(
        Atoms(pbc=True),
        len(first),
        {},
        number_of_variable_cell_vectors=3,
        cellbounds=_bounds(volume),
        rng=random,
    )
    cell = pairing.generate_unit_cell(first.lattice.matrix, second.lattice.matrix, _CELLS)
    if cell is None:
        return None
    n_atoms = len(first)
    axis = int(random.randint(3))
    chance = np.where(np.arange(3) == axis, pairing.p1, pairing.p2)
    shifts = random.random_sample((CUTS, 2, 3))
    shifts *= random.random_sample((CUTS, 2, 3)) < chance
    heights = random.random_sample(CUTS)
    # cut, parent, atom, direction
    fractions = np.stack([first.frac_coords, second.frac_coords]) + shifts[:, :, None]
    fractions -= np.floor(fractions)
    above = fractions[..., axis] >= heights[:, None, None]
    taken = np.stack([above[:, 0], ~above[:, 1]], axis=1)
    is_metal = np.array([site.specie.symbol == system.metal for site in first])
    given = taken.sum(axis=2)
    right = (
        (given.sum(axis=1) == n_atoms)
        & (taken[:, :, is_metal].sum(axis=(1, 2)) == is_metal.sum())
        & (given.min(axis=1) >= LEAST_SHARE * n_atoms)
    )
    if not right.any():
        return None
    # as many atoms from every cut that is left, and those of the metal first
    atoms = np.nonzero(taken[right].reshape(-1, 2 * n_atoms))[1].reshape(-1, n_atoms)
    order = np.argsort(~np.tile(is_metal, 2)[atoms], axis=1, kind="stable")
    atoms = np.take_along_axis(atoms, order, axis=1)
    offspring = np.take_along_axis(
        fractions[right].reshape(-1, 2 * n_atoms, 3), atoms[..., None], axis=1
    )
    apart = np.flatnonzero(_may_be_apart(cell, offspring, _limits(first, system)))
    if not len(apart):
        return None
    return Structure(Lattice(cell), first.species, offspring[apart[0]])


def strained(
    parent: Structure, deviation: float, random: np.random.RandomState
) -> Structure | None:
    """Crystal with a random strain at constant volume; fractional coordinates are kept.

    Parameters
    ----------
    parent
        The crystal.
    deviation
        Standard deviation of the components of the strain.
    random
        Random stream.
    """
    operator = StrainMutation(
        _no_limits(parent), cellbounds=_bounds(parent.volume), stddev=deviation, rng=random
    )
    made = operator.mutate(_atoms(parent))
    return None if made is None else _structure(made)


def permuted(parent: Structure, random: np.random.RandomState) -> Structure | None:
    """Crystal in which some atoms of metal and anion have changed places."""
    made = PermutationMutation(len(parent), probability=PERMUTED, rng=random).mutate(_atoms(parent))
    return None if made is None else _structure(made)


def softly_mutated(
    parent: Structure, system: OxideSystem, random: np.random.RandomState
) -> tuple[Structure, int] | None:
    """Crystal displaced along one of the softest third of its modes, and the number of the mode.

    The direction is drawn; the displacement is the largest at which no atoms are too close, within
    `SOFT_DISPLACEMENTS`.

    Parameters
    ----------
    parent
        The crystal.
    system
        Gives the minimum distances.
    random
        Random stream.

    Returns
    -------
    tuple of Structure and int, or None
        Modes are numbered from 1, by rising frequency and without translations.
    """
    least, most = SOFT_DISPLACEMENTS
    number = int(random.randint(1, len(parent) + 1))
    sign = 1 if random.randint(2) else -1
    number = min(number, 3 * len(parent) - 3)
    mode = soft_modes(parent)[1][:, number + 2].reshape(-1, 3)
    mode *= sign / np.linalg.norm(mode, axis=1).max()
    lengths = np.arange(_STEP, most + _STEP / 2, _STEP)
    moves = lengths[:, None, None] * (mode @ parent.lattice.inv_matrix)
    fractions = parent.frac_coords + moves
    apart = _may_be_apart(parent.lattice.matrix, fractions, _limits(parent, system))
    reached = len(lengths) if apart.all() else int(apart.argmin())
    if reached == 0 or lengths[reached - 1] < least - _STEP / 2:
        return None
    return Structure(parent.lattice, parent.species, fractions[reached - 1]), number


def _bounds(volume: float) -> CellBounds:
    """Cells that are neither flat nor needles."""
    longest = _ELONGATION * volume ** (1 / 3)
    angles = ("alpha", "beta", "gamma", "phi", "chi", "psi")
    limits: dict[str, tuple[float, float]] = dict.fromkeys(angles, _ANGLES)
    return CellBounds(limits | dict.fromkeys("abc", (0.0, longest)))


def _limits(structure: Structure, system: OxideSystem) -> np.ndarray:
    """Minimum distances between the atoms of a crystal in Å, shape (n, n)."""
    metal = np.array([site.specie.symbol == system.metal for site in structure])
    by_kind = np.array(
        [[system.minimum_distance(a, b) for b in system.elements] for a in system.elements]
    )
    kinds = np.where(metal, 0, 1)
    return by_kind[kinds[:, None], kinds]


def _may_be_apart(cell: np.ndarray, fractions: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Whether atoms keep their distances to one image of each other, the nearest one in most cells.

    A quick necessary condition, shape (crystals,), for fractions of shape (crystals, n, 3).
    """
    apart = fractions[:, :, None] - fractions[:, None]
    apart -= np.rint(apart)
    squares = ((apart @ cell) ** 2).sum(axis=-1)
    n_atoms = len(limits)
    squares[:, np.arange(n_atoms), np.arange(n_atoms)] = np.inf
    return np.asarray((squares >= limits**2).all(axis=(1, 2)))


def _no_limits(structure: Structure) -> dict[tuple[int, int], float]:
    """Distances of ``ase-ga`` with which it checks none."""
    numbers = set(structure.atomic_numbers)
    return {(a, b): 0.0 for a in numbers for b in numbers}


def _atoms(structure: Structure) -> Atoms:
    return Atoms(
        numbers=structure.atomic_numbers,
        cell=structure.lattice.matrix,
        scaled_positions=structure.frac_coords,
        pbc=True,
    )


def _structure(atoms: Atoms) -> Structure:
    return Structure(
        Lattice(atoms.cell[:]), atoms.get_chemical_symbols(), atoms.get_scaled_positions()
    )
