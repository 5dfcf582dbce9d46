"""Soft modes of a crystal from its geometry alone, without forces of an energy model.

The bond electronegativity model: Lyakhov & Oganov, Phys. Rev. B 84, 092103 (2011),
DOI 10.1103/PhysRevB.84.092103.
"""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from ase_ga.soft_mutation import get_number_of_valence_electrons
from pymatgen.core import Structure

SOFT_REACH = 6.0
"""Range of the bonds in Å; their force constants fall off as exp(-d / 0.37 Å)."""

_BOND_DECAY = 0.37
_ELECTRONEGATIVITY = 0.481


def soft_modes(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Force constants and modes of a crystal whose bonds are harmonic springs.

    The spring of two atoms is as stiff as the bond electronegativity model of ``ase-ga`` says. All
    springs are at rest, so the matrix of second derivatives is the sum of k u uᵀ with unit vectors
    u, where ``ase-ga`` differentiates forces.

    Returns
    -------
    values : numpy.ndarray
        Eigenvalues, ascending, shape (3n,), in the model's units; the first three, of the
        translations, are zero.
    modes : numpy.ndarray
        Eigenvectors as columns, shape (3n, 3n); rows are x, y, z of the first atom, and so on.
    """
    centres, others, images, lengths = structure.get_neighbor_list(SOFT_REACH)
    fractions = structure.frac_coords
    units = (fractions[others] + images - fractions[centres]) @ structure.lattice.matrix
    units /= lengths[:, None]
    numbers = structure.atomic_numbers
    radii = covalent_radii[list(numbers)]
    valences = np.array([get_number_of_valence_electrons(z) for z in numbers], dtype=float)
    excess = lengths - radii[centres] - radii[others]
    strengths = np.exp(-excess / _BOND_DECAY)
    total = np.bincount(centres, strengths, len(numbers))
    pull = [
        _ELECTRONEGATIVITY * valences[at] / (radii[at] + excess / 2) * strengths / total[at]
        for at in (centres, others)
    ]
    springs = np.sqrt(pull[0] * pull[1])
    blocks = springs[:, None, None] * units[:, :, None] * units[:, None, :]
    n_atoms = len(numbers)
    matrix = np.zeros((n_atoms, n_atoms, 3, 3))
    np.add.at(matrix, (centres, centres), blocks)
    np.subtract.at(matrix, (centres, others), blocks)
    values, modes = np.linalg.eigh(matrix.transpose(0, 2, 1, 3).reshape(3 * n_atoms, -1))
    return values, modes
