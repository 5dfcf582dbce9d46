"""Where a crystal goes that is unstable against displacements of its atoms."""

from __future__ import annotations

from pydantic import Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName
from atomate2_vogen.schemas.calculations import CharacterisationState
from atomate2_vogen.schemas.jobs import LinkedDoc


class SoftModeDoc(LinkedDoc):
    """A crystal displaced along its softest mode and relaxed.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> document = SoftModeDoc(
    ...     soft_mode_id="VO-1|CHGNet-0.3.0|2x2x2",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     engine="chgnet",
    ...     formula="VO",
    ...     state="failed",
    ...     error="not converged",
    ...     q_point=[0.5, 0, 0],
    ...     frequency=-2.1,
    ...     displacement=0.2,
    ...     displaced=Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... )
    >>> document.energy_change is None
    True
    """

    soft_mode_id: str = Field(description="that of the phonon document")
    candidate_id: FileName
    scheme: str
    engine: str = Field(description="name of the engine")
    engine_versions: dict[str, str] = Field(default_factory=dict)
    formula: str
    state: CharacterisationState
    error: str | None = Field(None, description="why it failed")
    q_point: list[float] = Field(description="fractional, in the reciprocal primitive cell")
    frequency: float = Field(description="THz; imaginary ones are negative")
    displacement: float = Field(description="of the atom that was moved farthest, Å")
    displaced: Structure = Field(description="start of the relaxation")
    energy_change: float | None = Field(
        None, description="relaxed crystal less the one before, eV/atom, by the same engine"
    )
    returned: bool | None = Field(
        None, description="relaxed back into the crystal that it was, by the tolerances of novelty"
    )
    space_group_symbol: str | None = Field(None, description="of the relaxed crystal at 0.1 Å")
    space_group_number: int | None = None
    known_as: str | None = Field(None, description="known crystal that it became")
    structure: Structure | None = Field(None, description="relaxed")
