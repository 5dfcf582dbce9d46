"""Interface of energy corrections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from monty.json import MSONable


class EnergyCorrections(MSONable, ABC):
    """Corrections that are added to the energies of an engine before a hull is made.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from atomate2_vogen.engines import EnergyCorrections
    >>> class Shift(EnergyCorrections):
    ...     # The same correction for all crystals
    ...     shift: float = 0.1
    ...     def per_atom(self, document):
    ...         # Correction in eV/atom
    ...         return self.shift
    >>> Shift().per_atom(None)
    0.1
    """

    @abstractmethod
    def per_atom(self, document: Any) -> float:
        """Correction in eV/atom to the energy of a calculation's task document.

        Raises
        ------
        VogenError
            If the calculation is not one that the scheme of corrections is made for.
        """
