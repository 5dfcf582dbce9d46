"""Crystals with no more digits than their CIF."""

from __future__ import annotations

import warnings

from pymatgen.core import Structure
from pymatgen.io.cif import CifParser, CifWriter


def as_in_cif(structure: Structure) -> Structure:
    """The crystal that a reader of its CIF will have, to the last bit.

    A relaxation of a hundred steps can end elsewhere after a change in the last digit, or of
    the cell's orientation. Results on what this returns can be had again from the file.

    Parameters
    ----------
    structure
        Ordered crystal.

    Returns
    -------
    Structure
        Eight decimals, the orientation of a CIF, ideal fractions such as 1/3 where pymatgen's
        parser makes them (within 1e-4), sites in the parser's order; no site properties. A
        second pass changes nothing.
    """
    # wrapped before it is rounded: wrapping afterwards would change the last bit
    wrapped = Structure(
        structure.lattice, structure.species, structure.frac_coords, to_unit_cell=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that fractions were made ideal
        parser = CifParser.from_str(str(CifWriter(wrapped)), check_cif=False)
        (read,) = parser.parse_structures(primitive=False, on_error="raise")
    return read
