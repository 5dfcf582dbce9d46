"""What a crystal may be given as."""

from __future__ import annotations

from typing import TypeAlias

from pymatgen.core import Structure

from atomate2_vogen.schemas.calculations import CalculationDoc
from atomate2_vogen.schemas.candidates import CandidateDoc
from atomate2_vogen.schemas.stability import StabilityDoc

Crystal: TypeAlias = Structure | CandidateDoc | CalculationDoc | StabilityDoc
"""A crystal, or a document of one; of calculations and stability the relaxed one is meant."""
