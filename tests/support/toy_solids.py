"""Crystals held by springs or by Lennard-Jones, whose phonons are known in closed form."""

from __future__ import annotations

import numpy as np
from ase.calculators.lj import LennardJones
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms


def forces_of(cells, calculator):
    """Forces of supercells by an ASE calculator, eV/Å."""
    from ase import Atoms

    found = []
    for cell in cells:
        atoms = Atoms(
            cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True
        )
        atoms.calc = calculator
        found.append(atoms.get_forces())
    return found


def with_forces(cell, supercell, calculator, primitive="auto", distance=0.01):
    """Phonopy by hand: displacements, forces, force constants."""
    phonon = Phonopy(cell, np.diag(supercell), primitive_matrix=primitive)
    phonon.generate_displacements(distance=distance)
    phonon.forces = forces_of(phonon.supercells_with_displacements, calculator)
    phonon.produce_force_constants(show_drift=False)
    return phonon


def argon(a, supercell=(3, 3, 3)):
    """Lennard-Jones fcc of ε = 0.01 eV, σ = 3.4 Å, cut off smoothly at 2.5 σ."""
    cell = PhonopyAtoms(
        symbols=["Ar"] * 4,
        cell=np.eye(3) * a,
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )
    return with_forces(cell, supercell, LennardJones(epsilon=0.01, sigma=3.4, rc=8.0, smooth=True))


def springs(stiffness, masses=(10.0, 30.0), supercell=(4, 1, 1), a=3.0):
    """A diatomic chain along x with springs of `stiffness` eV/Å² between neighbours.

    Across the chain every atom is tied to its place by the same stiffness in y and z, so that
    only the motion along x obeys the acoustic sum rule; a negative one makes it unstable.
    """
    cell = PhonopyAtoms(
        symbols=["O", "S"],
        masses=masses,
        cell=np.diag([2 * a, 5.0, 5.0]),
        scaled_positions=[[0, 0, 0], [0.5, 0, 0]],
    )
    phonon = Phonopy(cell, np.diag(supercell), primitive_matrix="P", is_symmetry=False)
    x = phonon.supercell.positions[:, 0]
    length = phonon.supercell.cell[0, 0]
    n = len(x)
    constants = np.zeros((n, n, 3, 3))
    for i in range(n):
        for j in range(n):
            apart = (x[j] - x[i] + length / 2) % length - length / 2
            if i != j and abs(abs(apart) - a) < 1e-6:
                constants[i, j, 0, 0] -= stiffness
                constants[i, i, 0, 0] += stiffness
        constants[i, i, 1, 1] = constants[i, i, 2, 2] = abs(stiffness)
    phonon.force_constants = constants
    return phonon
