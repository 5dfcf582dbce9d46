"""A rigid-ion crystal whose energies, forces and stresses cost milliseconds.

Matsui and Akaogi's potential of TiO2 (1991, DOI 10.1080/08927029108022432) with vanadium in the
place of titanium, Coulomb sums damped and shifted to zero force at the cutoff (Fennell and
Gezelter 2006, DOI 10.1063/1.2206581).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

CUTOFF = 8.0  # Å
DAMPING = 0.25  # 1/Å
COULOMB = 14.399645  # eV Å
CHARGES = {"V": 2.196, "O": -1.098}
BUCKINGHAM = {  # eV, Å, eV Å⁶
    ("V", "V"): (31120.2, 0.154, 5.25),
    ("O", "V"): (16957.53, 0.194, 12.59),
    ("O", "O"): (11782.76, 0.234, 30.22),
}

# the half of a run of the stand-in for VASP would be the import of scipy.special
erfc = np.vectorize(math.erfc, otypes=[float])


def neighbours(lattice: np.ndarray, frac: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices i, j and vectors from i to j of all pairs closer than the cutoff, both ways."""
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = np.ceil(CUTOFF / heights).astype(int) + 1
    images = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    wrapped = frac - np.floor(frac)
    vectors = wrapped[None, :, None] - wrapped[:, None, None] + images[None, None]
    vectors = vectors @ lattice
    lengths = np.linalg.norm(vectors, axis=-1)
    i, j, k = np.nonzero((lengths < CUTOFF) & (lengths > 1e-6))
    return i, j, vectors[i, j, k], lengths[i, j, k]


def evaluate(
    lattice: np.ndarray, frac: np.ndarray, symbols: list[str]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in eV, forces in eV/Å, stress in eV/Å³ (positive when stretched, as in ASE)."""
    i, j, vectors, r = neighbours(lattice, frac)
    charges = np.array([CHARGES[symbol] for symbol in symbols])
    kinds = np.array([BUCKINGHAM[tuple(sorted((a, b)))] for a in symbols for b in symbols])
    a, rho, c = kinds.reshape(len(symbols), len(symbols), 3)[i, j].T
    qq = COULOMB * charges[i] * charges[j]

    def damped(x):
        return erfc(DAMPING * x) / x

    def slope(x):
        gauss = 2 * DAMPING / math.sqrt(math.pi) * np.exp(-((DAMPING * x) ** 2))
        return -erfc(DAMPING * x) / x**2 - gauss / x

    at_cutoff, slope_at_cutoff = float(damped(CUTOFF)), float(slope(CUTOFF))
    shift = a * np.exp(-CUTOFF / rho) - c / CUTOFF**6
    energy = 0.5 * np.sum(
        qq * (damped(r) - at_cutoff - slope_at_cutoff * (r - CUTOFF))
        + a * np.exp(-r / rho)
        - c / r**6
        - shift
    )
    energy -= COULOMB * np.sum(charges**2) * (at_cutoff / 2 + DAMPING / math.sqrt(math.pi))
    derivative = qq * (slope(r) - slope_at_cutoff) - a / rho * np.exp(-r / rho) + 6 * c / r**7
    pulls = (derivative / r)[:, None] * vectors
    forces = np.zeros((len(symbols), 3))
    np.add.at(forces, i, pulls)
    stress = 0.5 * pulls.T @ vectors / abs(np.linalg.det(lattice))
    return float(energy), forces, stress


def calculator():
    """The same as an ASE calculator."""
    from ase.calculators.calculator import Calculator, all_changes
    from ase.stress import full_3x3_to_voigt_6_stress

    class RigidIons(Calculator):
        implemented_properties = ("energy", "free_energy", "forces", "stress")

        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            energy, forces, stress = evaluate(
                atoms.cell[:], atoms.get_scaled_positions(wrap=False), atoms.get_chemical_symbols()
            )
            self.results = {
                "energy": energy,
                "free_energy": energy,
                "forces": forces,
                "stress": full_3x3_to_voigt_6_stress(stress),
            }

    return RigidIons()
