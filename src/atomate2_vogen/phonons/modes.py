"""The softest mode of a crystal, and the crystal displaced along it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.errors import BandDataError, InputError
from atomate2_vogen.phonons.harmonic import phonopy_from_document

if TYPE_CHECKING:
    from phonopy import Phonopy

    from atomate2_vogen.schemas import PhononDoc

DENOMINATOR = 12
"""Largest number of cells along an axis that a q point of the supercell can need."""


@dataclass(frozen=True)
class SoftMode:
    """The lowest mode at a q point that the supercell of the calculation holds.

    Parameters
    ----------
    q_point
        Fractional, in the reciprocal primitive cell.
    frequency
        THz; imaginary ones are negative.
    structure
        The crystal displaced along the mode, in the smallest cell along the primitive axes that
        holds it.
    largest_displacement
        Å.
    """

    q_point: tuple[float, float, float]
    frequency: float
    structure: Structure
    largest_displacement: float


def phonopy_of(document: PhononDoc) -> Phonopy:
    """The `Phonopy` of a document that was loaded with its force constants.

    Raises
    ------
    BandDataError
        If it has none.
    """
    if document.phonons is None or document.force_constants is None:
        raise BandDataError(
            f"{document.phonon_id} has no force constants; read the document from its stores, or "
            f"see its error: {document.error}"
        )

    return phonopy_from_document(
        SimpleNamespace(
            structure=document.structure,
            supercell_matrix=document.phonons.supercell_matrix,
            primitive_matrix=document.primitive_matrix,
            force_constants=document.force_constants,
            born=None,
            epsilon_static=None,
        )
    )


def softest_mode(phonon: Phonopy, displacement: float = 0.2) -> SoftMode:
    """The lowest mode of a crystal, and the crystal displaced along it.

    Only q points that the supercell of the calculation holds are looked at: between these,
    frequencies are interpolated. Of a degenerate mode one direction is taken.

    Parameters
    ----------
    phonon
        With force constants.
    displacement
        Of the atom that moves farthest, Å.

    Raises
    ------
    InputError
        If the displacement is not positive.

    Examples
    --------
    A chain of two atoms that repel each other doubles its cell:

    >>> import numpy as np
    >>> from atomate2_vogen.phonons import softest_mode
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> atom = PhonopyAtoms(symbols=["V"], cell=3 * np.eye(3), scaled_positions=[[0, 0, 0]])
    >>> phonon = Phonopy(atom, np.diag([2, 1, 1]))
    >>> phonon.force_constants = np.array([[-1.0, 1], [1, -1]])[..., None, None] * np.eye(3)
    >>> mode = softest_mode(phonon)
    >>> len(mode.structure), mode.frequency < 0
    (2, True)
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    if not displacement > 0:
        raise InputError(f"the displacement is {displacement} Å, not positive")
    primitive = np.eye(3) if phonon.primitive_matrix is None else phonon.primitive_matrix
    matrix = np.linalg.inv(primitive) @ phonon.supercell_matrix
    points = get_commensurate_points(np.rint(matrix).astype(int))
    phonon.run_qpoints(points)
    lowest = phonon.get_qpoints_dict()["frequencies"][:, 0]
    index = int(np.argmin(lowest))
    q_point = [Fraction(float(value)).limit_denominator(DENOMINATOR) for value in points[index]]
    repeats = [value.denominator for value in q_point]
    phonon.run_modulations(repeats, [[[float(value) for value in q_point], 0, 1.0, 0.0]])
    (waves, cell) = phonon.get_modulations_and_supercell()
    moved = _largest_real(np.asarray(waves)[0])
    moved *= displacement / np.linalg.norm(moved, axis=1).max()
    structure = Structure(
        cell.cell, cell.symbols, cell.positions + moved, coords_are_cartesian=True
    )
    first, second, third = (float(value) for value in q_point)
    return SoftMode((first, second, third), float(lowest[index]), structure, displacement)


def _largest_real(wave: np.ndarray) -> np.ndarray:
    """Real displacements of a complex wave at the phase at which they are largest."""
    angle = -0.5 * float(np.angle((wave**2).sum()))
    real: np.ndarray = (wave * np.exp(1j * angle)).real
    return real
