"""A molecule in a box as the reference of the anion."""

from __future__ import annotations

from typing import Any

from ase.build import molecule
from jobflow import job
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError, NonFiniteError
from atomate2_vogen.schemas import ReferenceDoc

MOLECULE_BOX = 13.0
"""Shortest edge in Å. A mesh of spacing 0.5 1/Å is then the Gamma point alone."""

MOLECULE_MOMENT_TOLERANCE = 0.1
"""μB; a molecule in the wrong spin state is off by about 1 eV."""


def anion_molecule(system: OxideSystem = VANADIUM, box: float = MOLECULE_BOX) -> Structure:
    """Diatomic molecule of the anion in a box of three different edges.

    Three edges, so that no symmetry of the box is put on the molecule's orbitals. The start
    geometry is that of ASE's G2 set.

    Parameters
    ----------
    system
        Oxide system.
    box
        Shortest edge, Å.

    Raises
    ------
    InputError
        If the G2 set has no such molecule, or the box is too small for it.
    """
    try:
        positions = molecule(f"{system.anion}2").positions
    except KeyError as error:
        raise InputError(
            f"there is no molecule {system.anion}2 in ASE's G2 set; give references of your own"
        ) from error
    if not box > 6:
        raise InputError(f"in a box of {box} Å the molecule meets its images; make it 10 or more")
    return Structure(
        Lattice.orthorhombic(box, box + 0.1, box + 0.2),
        [system.anion] * 2,
        positions,
        coords_are_cartesian=True,
    )


@job
def check_spin(static: Any, anion: str) -> Any:
    """Hand a static calculation of the molecule on if its spin is that of the ground state.

    Raises
    ------
    NonFiniteError
        If the total moment differs from that of ASE's G2 set. Documents of engines that tell no
        moment pass.
    """
    found = getattr(static.output, "total_moment", None)
    expected = float(molecule(f"{anion}2").get_initial_magnetic_moments().sum())
    if found is not None and abs(abs(found) - expected) > MOLECULE_MOMENT_TOLERANCE:
        raise NonFiniteError(
            f"{anion}2 has a moment of {found:.2f} μB, not {expected:g}: not its ground state"
        )
    return static


@job
def add_reference(references: list[ReferenceDoc], reference: ReferenceDoc) -> list[ReferenceDoc]:
    """One more reference, in the order of ids."""
    return sorted([*references, reference], key=lambda found: found.reference_id)
