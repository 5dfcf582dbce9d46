"""Energies of finds and of known phases by density functional theory, side by side."""

from __future__ import annotations

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName, VogenDoc
from atomate2_vogen.schemas.calculations import CharacterisationState
from atomate2_vogen.schemas.jobs import JobLinks
from atomate2_vogen.schemas.magnetism import MagneticStart, MagneticState


class ModelHeight(BaseModel):
    """Energy of a crystal above the lowest known phase of its formula, by one energy model.

    Examples
    --------
    >>> ModelHeight(engine="diep", above_known_phase=0.03).engine
    'diep'
    """

    engine: str = Field(description="name of the engine")
    above_known_phase: float = Field(description="eV/atom")


class ModelAgreement(BaseModel):
    """How the differences to the lowest known phase by one energy model follow those by DFT.

    Examples
    --------
    >>> ModelAgreement(engine="diep", n=1).rank_correlation is None
    True
    """

    engine: str = Field(description="name of the energy model's engine")
    n: int = Field(description="number of crystals, the phases that DFT places lowest left out")
    rank_correlation: float | None = Field(
        None, description="Spearman's; None for fewer than three crystals, or all of one energy"
    )
    mean_absolute_difference: float | None = Field(None, description="model and DFT, eV/atom")


class DftEnergy(JobLinks):
    """Energy of a crystal as one energy model relaxed it; the lowest of several magnetic starts.

    `task` reads the document of the job that chose the start, or of the calculation itself.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> DftEnergy(
    ...     geometry="CHGNet-0.3.0",
    ...     state="failed",
    ...     error="out of memory",
    ...     structure=Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... ).magnetic_starts
    []
    """

    geometry: str = Field(description="scheme of the energy model that relaxed the crystal")
    state: CharacterisationState
    error: str | None = Field(None, description="why it failed")
    energy_per_atom: float | None = Field(None, description="of the lowest start, eV/atom")
    magnetic_start: str | None = Field(None, description="name of the lowest start")
    magnetic_starts: list[MagneticStart] = Field(
        default_factory=list, description="all of them, the failed ones included"
    )
    magnetism: MagneticState | None = Field(None, description="moments of the lowest start")
    magnetic_note: str | None = Field(None, description="why a start that was asked for is missing")
    cpu_time: float | None = Field(
        None, description="CPU seconds of all starts; None where they are not known"
    )
    structure: Structure = Field(description="crystal that was calculated, not relaxed further")


class DftDoc(VogenDoc):
    """One crystal by density functional theory, and its distance from the lowest known phase.

    All crystals of a formula have the same settings, so the difference needs no hull, no elements
    and no correction. It is of energies at given geometries: the lowest of those tried.

    Examples
    --------
    >>> document = DftDoc(
    ...     dft_id="VO2 P4_2/mnm|GPAW-PBE",
    ...     crystal="VO2 P4_2/mnm",
    ...     is_known=True,
    ...     formula="VO2",
    ...     chemsys="O-V",
    ...     scheme="GPAW-PBE",
    ...     engine="gpaw",
    ...     state="failed",
    ... )
    >>> document.energies
    []
    """

    dft_id: str = Field(description="crystal and scheme")
    crystal: str = Field(description="candidate id of a find, or name of a known phase")
    is_known: bool = Field(description="a known phase, not a find")
    candidate_id: FileName | None = Field(None, description="of a find; None of a known phase")
    formula: str
    chemsys: str
    scheme: str
    engine: str = Field(description="name of the engine")
    engine_versions: dict[str, str] = Field(default_factory=dict)
    state: CharacterisationState = Field(description="completed if any geometry has an energy")
    energies: list[DftEnergy] = Field(default_factory=list, description="one for each geometry")
    energy_per_atom: float | None = Field(None, description="lowest of the geometries, eV/atom")
    geometry: str | None = Field(None, description="scheme of the model of the lowest geometry")
    lowest_known_phase: str | None = Field(
        None, description="known phase of the formula that is lowest by the same settings"
    )
    above_known_phase: float | None = Field(
        None, description="energy above that phase, eV/atom; of a known phase too"
    )
    by_models: list[ModelHeight] = Field(
        default_factory=list, description="the same difference by each energy model"
    )
