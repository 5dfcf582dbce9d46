"""Moments of displaced supercells."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.vasp import VaspInput
from pymatgen.io.vasp.sets import get_structure_from_prev_run, get_vasprun_outcar

from atomate2_vogen.errors import InputError


class UnitCellMoments:
    """Mixin: a supercell starts from the moments of the unit cell in the previous folder.

    phonopy's supercells carry no moments, and the system's initial ones need not lead to the
    magnetic state that was relaxed.
    """

    def get_input_set(
        self,
        structure: Structure | None = None,
        prev_dir: Any = None,
        potcar_spec: bool = False,
    ) -> VaspInput:
        """Inputs of a structure whose sites have the moments of the unit cell."""
        if structure is not None and prev_dir is not None:
            run, outcar = get_vasprun_outcar(prev_dir, parse_dos=False, parse_eigen=False)
            if "magmom" not in structure.site_properties:
                structure = with_moments_of(structure, get_structure_from_prev_run(run, outcar))
        return super().get_input_set(structure, prev_dir, potcar_spec)  # type: ignore[misc]


def with_moments_of(supercell: Structure, unit_cell: Structure) -> Structure:
    """Copy of a supercell with the moments of the unit cell that it was built from.

    Atoms belong together that are of one element and nearest modulo the unit cell. Where the
    unit cell carries no moments the copy has none either.

    Raises
    ------
    InputError
        If an atom of the supercell is more than 0.5 Å away from its like in the unit cell.
    """
    copy = supercell.copy()
    moments = unit_cell.site_properties.get("magmom")
    if moments is None:
        return copy
    coords = unit_cell.lattice.get_fractional_coords(supercell.cart_coords)
    distances = unit_cell.lattice.get_all_distances(coords, unit_cell.frac_coords)
    same = np.equal.outer(np.array(supercell.atomic_numbers), np.array(unit_cell.atomic_numbers))
    distances = np.where(same, distances, np.inf)
    nearest = distances.argmin(axis=1)
    if distances.min(axis=1).max() > 0.5:
        raise InputError(
            f"{supercell.formula} is no supercell of {unit_cell.formula}: an atom lies "
            f"{distances.min(axis=1).max():.2f} Å away from its like"
        )
    copy.add_site_property("magmom", [moments[index] for index in nearest])
    return copy
