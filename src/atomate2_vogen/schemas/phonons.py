"""Whether a crystal is stable against small displacements of its atoms."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName
from atomate2_vogen.schemas.calculations import CharacterisationState
from atomate2_vogen.schemas.jobs import LinkedDoc


class PhononVerdict(StrEnum):
    """Dynamic stability in the harmonic approximation, by `phonons.harmonic`.

    Examples
    --------
    >>> PhononVerdict("soft").name
    'SOFT'
    """

    STABLE = "stable"
    SOFT = "soft"
    UNSTABLE = "unstable"


class FreeEnergy(BaseModel):
    """Harmonic vibrational free energy, zero point included.

    Examples
    --------
    >>> energy = FreeEnergy(
    ...     temperatures=[0, 300], values=[0.05, 0.02], zero_point=0.05, left_out=0, cutoff=0.1
    ... )
    >>> dict(zip(energy.temperatures, energy.values))[300]
    0.02
    """

    temperatures: list[float] = Field(description="K")
    values: list[float] = Field(description="eV/atom, one per temperature")
    zero_point: float = Field(description="eV/atom")
    left_out: float = Field(
        description="share of the modes without a free energy: imaginary, or below the cutoff"
    )
    cutoff: float = Field(description="THz; modes below it are left out")


class PhononSummary(BaseModel):
    """Summary of the harmonic phonons of a crystal. Imaginary frequencies are negative.

    Examples
    --------
    >>> summary = PhononSummary(
    ...     verdict="unstable",
    ...     lowest_frequency=-2.1,
    ...     lowest_q_point=[0.5, 0, 0],
    ...     lowest_label="X",
    ...     highest_frequency=24.0,
    ...     imaginary_fraction=0.03,
    ...     acoustic_sum_rule_error=0.01,
    ...     force_constant_drift=0.001,
    ...     sum_rule_imposed=True,
    ...     supercell_matrix=[[2, 0, 0], [0, 2, 0], [0, 0, 2]],
    ...     n_atoms_supercell=48,
    ...     n_atoms_primitive=6,
    ...     mesh=[8, 8, 8],
    ...     tolerances={},
    ... )
    >>> summary.verdict.value, summary.lowest_label
    ('unstable', 'X')
    """

    verdict: PhononVerdict
    lowest_frequency: float = Field(description="THz, on path and mesh")
    lowest_q_point: list[float] = Field(description="fractional, in the reciprocal primitive cell")
    lowest_label: str = Field(description="of the q point; 'X-M' between two, 'mesh' off the path")
    highest_frequency: float = Field(description="THz")
    imaginary_fraction: float = Field(
        description="share of the DOS below minus the noise tolerance"
    )
    acoustic_sum_rule_error: float = Field(
        description="THz: largest frequency of a rigid shift, 0 in an exact calculation"
    )
    force_constant_drift: float = Field(
        description="eV/Å²: largest sum of force constants over a row, 0 in an exact calculation"
    )
    sum_rule_imposed: bool = Field(
        description="whether these two errors were taken out before anything else was judged"
    )
    supercell_matrix: list[list[int]] = Field(description="rows: supercell vectors in cell vectors")
    n_atoms_supercell: int
    n_atoms_primitive: int
    mesh: list[int] = Field(description="q points along each axis, for DOS and free energy")
    free_energy: FreeEnergy | None = Field(
        None, description="0-1000 K; None for an unstable crystal, which has none"
    )
    tolerances: dict[str, float] = Field(description="by name; see analysis.phonons")
    warnings: list[str] = Field(default_factory=list, description="what makes the verdict doubtful")


class PhononDoc(LinkedDoc):
    """Phonons of one crystal by one engine in one supercell.

    The job ``phonons`` is the one that ends atomate2's phonon flow; `task` reads its
    `PhononBSDOSDoc`, with the identifiers of the displaced calculations.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> document = PhononDoc(
    ...     phonon_id="VO-1|CHGNet-0.3.0|2x2x2",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     engine="chgnet",
    ...     requested_supercell="2x2x2",
    ...     state="failed",
    ...     error="not converged",
    ...     formula="VO",
    ...     structure=Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... )
    >>> document.phonons is None
    True
    """

    main_stage: ClassVar[str] = "phonons"

    phonon_id: str = Field(description="candidate id, scheme and supercell asked for")
    candidate_id: FileName
    scheme: str
    engine: str = Field(description="name of the engine")
    engine_versions: dict[str, str] = Field(default_factory=dict)
    known_weakness: str = Field("", description="of the engine's phonons, in its own words")
    requested_supercell: str = Field(description="5x5x4, or the shortest edge asked for")
    displacement: float | None = Field(
        None, description="by which an atom was moved for the force constants, Å"
    )
    state: CharacterisationState
    error: str | None = Field(None, description="why it failed")
    formula: str
    structure: Structure = Field(description="tightly relaxed; as given where that failed")
    max_force: float | None = Field(None, description="after the tight relaxation, eV/Å")
    phonons: PhononSummary | None = Field(None, description="None where it failed")
    phonon_bands: Any = Field(
        None, description="pymatgen PhononBandStructureSymmLine; in the `data` store"
    )
    phonon_dos: Any = Field(None, description="pymatgen PhononDos; in the `data` store")
    force_constants: Any = Field(
        None,
        description="eV/Å², shape (n_atoms_primitive, n_atoms_supercell, 3, 3), sum rule imposed; in the `data` store",
    )
    primitive_matrix: list[list[float]] | None = Field(
        None, description="phonopy's, so that the force constants can be used again"
    )
