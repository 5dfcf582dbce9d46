"""One way to read a CIF, and crystals with no more digits than theirs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pymatgen.core import Structure

if TYPE_CHECKING:
    from pymatgen.io.cif import CifParser


def read_block(text: str) -> tuple[Structure, CifParser]:
    """The one crystal of a CIF's data block, and the parser that read it.

    Raises
    ------
    ValueError
        Of pymatgen's parser, as are others, if the text is no such block.
    """
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was made ideal; who must know asks the parser
        parser = CifParser.from_str(text, check_cif=False)
        (structure,) = parser.parse_structures(primitive=False, on_error="raise")
    return structure, parser


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
    from pymatgen.io.cif import CifWriter

    # wrapped before it is rounded: wrapping afterwards would change the last bit
    wrapped = Structure(
        structure.lattice, structure.species, structure.frac_coords, to_unit_cell=True
    )
    return read_block(str(CifWriter(wrapped)))[0]
