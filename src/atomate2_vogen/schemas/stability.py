"""Stability of candidates on the hull."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, Field, field_validator
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName, VogenDoc


class PaperClass(StrEnum):
    """Stability by the paper, section 3.3.

    Examples
    --------
    >>> PaperClass("metastable").name
    'METASTABLE'
    """

    STABLE = "stable"
    METASTABLE = "metastable"
    UNSTABLE = "unstable"


class FieldClass(StrEnum):
    """Stability by the thresholds that the field uses: 0 and 0.1 eV/atom above the hull.

    Examples
    --------
    >>> FieldClass("near hull").name
    'NEAR_HULL'
    """

    ON_HULL = "on hull"
    NEAR_HULL = "near hull"
    ABOVE_HULL = "above hull"


class StabilityState(StrEnum):
    """Whether a candidate is ranked, and if not, why not.

    Examples
    --------
    >>> StabilityState("not bulk").name
    'NOT_BULK'
    """

    RANKED = "ranked"
    COLLAPSED = "collapsed"
    UNCONVERGED = "unconverged"
    NOT_BULK = "not bulk"
    FAILED = "failed"


class DecompositionPhase(BaseModel):
    """One reference phase that a candidate decomposes into.

    Examples
    --------
    >>> DecompositionPhase(name="VO2 (rutile)", formula="VO2", fraction=0.6).fraction
    0.6
    """

    name: str
    formula: str
    fraction: float = Field(description="share of the atoms")


class ReducedCell(BaseModel):
    """Primitive Niggli cell at 1 Å³ per atom, by which most different crystals are distinguished.

    Lengths in Å, angles in degrees.

    Examples
    --------
    >>> ReducedCell(n_sites=1, lengths=(1, 1, 1), angles=(90, 90, 90)).lengths
    (1.0, 1.0, 1.0)
    """

    n_sites: int
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]


class StabilityDoc(VogenDoc):
    """Where a candidate stands on the hull, and whether it is new.

    Energies above hull are measured from the hull of the reference phases alone and are
    negative below it. Only `ranked` documents have classes; a collapsed, unconverged or
    failed one, and one that is no bulk crystal, keeps what numbers it has for the record.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.samplers import RandomSampler
    >>> from atomate2_vogen.stability.hull import assess
    >>> from atomate2_vogen.schemas import CalculationDoc
    >>> (candidate,) = RandomSampler().sample({"VO2": 1}, seed=0).candidates
    >>> calculation = CalculationDoc.failed(candidate, "CHGNet-0.3.0", "no memory left")
    >>> (document,) = assess([calculation], load_references("CHGNet-0.3.0"))
    >>> document.formula, document.state.value, document.reason
    ('VO2', 'failed', 'no memory left')
    """

    stability_id: str = Field(description="candidate id and scheme")
    candidate_id: FileName
    scheme: str
    hull_id: str = Field(description="hash of the reference phases and their energies")
    chemsys: str
    formula: str
    natoms: int
    sampler: str
    model_id: str
    state: StabilityState
    reason: str | None = None

    energy_per_atom: float | None = Field(None, description="after relaxation, eV/atom")
    initial_formation_energy_per_atom: float | None = None
    formation_energy_per_atom: float | None = None
    initial_energy_above_hull: float | None = None
    energy_above_hull: float | None = None
    energy_above_joint_hull: float | None = Field(
        None, description="from the hull of references and ranked candidates, never negative"
    )
    decomposition: list[DecompositionPhase] = Field(default_factory=list)
    paper_class: PaperClass | None = None
    field_class: FieldClass | None = None
    imatgen_stable: bool | None = Field(None, description="formation energy <= 0.5 eV/atom")

    is_converged: bool
    minimum_distance: float | None = Field(None, description="shortest after relaxation, Å")
    bonding_dimensionality: int | None = Field(
        None, description="3 for a framework of bonds, 2 for layers, 1 chains, 0 molecules"
    )
    empty_gap: float | None = Field(
        None,
        description="Å between van der Waals spheres of pieces that bonds do not join, 0 where "
        "spheres that touch link all in three dimensions; see `structures.dimensionality`",
    )
    is_bulk: bool | None = Field(
        None, description="the gap is no wider than in a van der Waals crystal; None: not known"
    )
    space_group_symbol: str | None = None
    space_group_number: int | None = None
    duplicate_group: str | None = Field(
        None, description="candidate id of the lowest-energy member of the group"
    )
    is_unique: bool | None = Field(
        None, description="lowest-energy member of its group: matches no unique one below it"
    )
    is_novel: bool | None = None
    known_as: str | None = Field(None, description="prototype or phase that it matches")
    rmsd_to_relaxed: float | None = Field(None, description="Å; None if it no longer matches")
    structure: Structure | None = Field(None, description="relaxed and refined")
    unrefined_structure: Structure | None = Field(
        None,
        description="relaxed; None where refinement left the crystal as it was. What matches "
        "either of the two is a duplicate, or known",
    )

    calculation_updated: datetime | None = Field(
        None, description="time of change of the calculation that was judged, by its own clock"
    )
    novelty_pool: str | None = Field(None, description="hash of what novelty was judged against")
    reduced_cell: ReducedCell | None = Field(None, description="of `structure`")
    unrefined_cell: ReducedCell | None = Field(
        None, description="reduced cell of `unrefined_structure`"
    )
    leader: str | None = Field(
        None, description="stability id of the lowest-energy member of its group"
    )
    compared_with: str | None = Field(
        None, description="digest of the leaders below it that it was compared with, up to its own"
    )

    @field_validator("calculation_updated")
    @classmethod
    def _as_stores_keep_it(cls, value: datetime | None) -> datetime | None:
        """UTC and milliseconds: stores drop the zone and the rest."""
        if value is None:
            return None
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
