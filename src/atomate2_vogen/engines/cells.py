"""Cells that plane-wave codes like: compact ones."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.voxels.canonical import niggli

LEAST_ORTHOGONALITY = 0.7
"""Volume over the product of the edges below which a cell is strongly skewed.

A Niggli cell has at least √½ = 0.707 (the primitive cell of a face-centred cubic lattice), so
a reduced cell is never touched.
"""


def orthogonality(structure: Structure) -> float:
    """Volume over the product of the edges: 1 for right angles, 0 for a flat cell."""
    return float(structure.volume / np.prod(structure.lattice.abc))


def reduced(structure: Structure) -> Structure:
    """The same crystal in its Niggli cell, in the same place, atoms in the same order.

    Raises
    ------
    GridError
        If the cell has no volume.
    NonFiniteError
        If the lattice is not finite.
    """
    return Structure(
        Lattice(niggli(structure.lattice.matrix)),
        structure.species_and_occu,
        structure.cart_coords,
        coords_are_cartesian=True,
        to_unit_cell=True,
        site_properties=structure.site_properties,
    )


def unskewed(structure: Structure) -> Structure:
    """The structure itself, or its Niggli cell where it is strongly skewed.

    Raises
    ------
    GridError, NonFiniteError
        As `reduced`.
    """
    return structure if orthogonality(structure) >= LEAST_ORTHOGONALITY else reduced(structure)
