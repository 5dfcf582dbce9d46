"""Known crystals of the user, beside those that the package ships."""

from __future__ import annotations

import hashlib
import json
from typing import Self

from pydantic import Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import VogenDoc


class KnownDoc(VogenDoc):
    """A crystal that the user calls known: what matches it is not novel.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> KnownDoc.make(rock_salt, "VO.cif").formula
    'VO'
    """

    known_id: str = Field(description="hash of name and crystal")
    name: str = Field(description="what a crystal that matches it is said to match")
    formula: str
    chemsys: str
    structure: Structure
    withdrawn: bool = Field(
        default=False, description="given to an earlier run only; nothing is compared with it"
    )

    @classmethod
    def make(cls, structure: Structure, name: str) -> Self:
        """Document of a crystal.

        Parameters
        ----------
        structure
            The crystal.
        name
            Where it is from, such as a file or a key of a database.
        """
        content = json.dumps([name, structure.as_dict()], sort_keys=True, default=str)
        return cls(
            known_id=hashlib.sha256(content.encode()).hexdigest()[:16],
            name=name,
            formula=structure.composition.reduced_formula,
            chemsys=structure.chemical_system,
            structure=structure,
        )
