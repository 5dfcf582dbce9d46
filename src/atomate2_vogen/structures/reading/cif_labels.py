"""Which element a CIF's site is: by its type symbol, else by its label, else not at all.

A *type symbol* is an element's symbol in any case, with nothing but an oxidation state or a
number after it: ``V``, ``V4+``, ``V+4``, ``O2-``, ``V0+``, ``Fe2``.

A *label* is read only where there is no type symbol. Its letters up to the first other
character must be exactly one element's symbol with its capital: ``V1``, ``V(1)``, ``O-2``. Behind
digits, signs and brackets may stand one of the letters A to E that count alternatives (``O2A``),
no other: ``O1W`` and ``O1H`` are water and hydroxide. So ``OH2``, ``OW1``, ``Wat``, ``Va1``, ``VO1``,
``X1``, ``CO1`` and ``v1`` are no elements, and the file is refused: the letters could mean more than
one thing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pymatgen.core import Element

from atomate2_vogen.errors import StructureFileError

_CHARGE = r"(?:[+-]\d*\.?\d*|\d+\.?\d*[+-]?)?"
# pymatgen's CIF writer adds the spin of a species
_TYPE = re.compile(rf"([A-Za-z]{{1,2}}){_CHARGE}(?:,spin=[+-]?[\d.]+)?")
_MARKS = r"""[0-9()\[\]_+\-.,*'"#/ ]"""
_LABEL = re.compile(rf"([A-Z][a-z]?)(?:{_MARKS}+[A-Ea-e]?{_MARKS}*)?")


def element_of(label: str | None, type_symbol: str | None) -> str:
    """Symbol of the element on a site.

    Parameters
    ----------
    label
        ``_atom_site_label``; None if the file has none.
    type_symbol
        ``_atom_site_type_symbol``; None if the file has none.

    Raises
    ------
    StructureFileError
        If the type symbol, or without one the label, is not exactly one element.
    """
    if type_symbol is not None:
        match = _TYPE.fullmatch(type_symbol)
        if match and match[1].title() in _symbols():
            return match[1].title()
        raise StructureFileError(
            f"site {label or type_symbol}: the type symbol {type_symbol!r} is no element of the "
            "periodic table; take dummy sites and vacancies out, or correct "
            "_atom_site_type_symbol"
        )
    if label is None:
        raise StructureFileError(
            "a site has neither label nor type symbol; add _atom_site_type_symbol"
        )
    match = _LABEL.fullmatch(label)
    if match and match[1] in _symbols():
        return match[1]
    raise StructureFileError(
        f"the label {label!r} is not one element for certain; add a column "
        "_atom_site_type_symbol with the element of every site"
    )


@lru_cache(maxsize=1)
def _symbols() -> frozenset[str]:
    """The periodic table, and deuterium and tritium."""
    return frozenset(Element.from_Z(z).symbol for z in range(1, 119)) | {"D", "T"}
