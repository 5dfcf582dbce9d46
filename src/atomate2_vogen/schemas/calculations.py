"""Energies of candidates and of reference phases, in one scheme."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName, VogenDoc
from atomate2_vogen.schemas.candidates import CandidateDoc
from atomate2_vogen.schemas.jobs import LinkedDoc
from atomate2_vogen.schemas.magnetism import MagneticState
from atomate2_vogen.schemas.refinement import Refinement


class CalculationState(StrEnum):
    """Outcome of relaxing one candidate.

    Examples
    --------
    >>> CalculationState("unconverged").name
    'UNCONVERGED'
    """

    COMPLETED = "completed"
    UNCONVERGED = "unconverged"
    FAILED = "failed"


class CharacterisationState(StrEnum):
    """Outcome of the electronic or phonon calculations of one crystal.

    Examples
    --------
    >>> CharacterisationState("failed").name
    'FAILED'
    """

    COMPLETED = "completed"
    FAILED = "failed"


def calculation_id(candidate_id: str, scheme: str) -> str:
    """Key of a calculation: one per candidate and scheme."""
    return f"{candidate_id}|{scheme}"


class CalculationDoc(LinkedDoc):
    """Energies of one candidate before and after relaxation, in one scheme.

    Its `jobs` are ``initial`` (energy of the crystal as generated), ``relax`` and ``static``
    (energy after the relaxation); `task` reads their task documents. Where the relaxed crystal was
    refined, `structure`, energy, forces and these two jobs are those of the refined crystal, and
    ``unrefined relax`` and ``unrefined static`` those before it.

    Examples
    --------
    >>> from atomate2_vogen.samplers import RandomSampler
    >>> (candidate,) = RandomSampler().sample({"VO2": 1}, seed=0).candidates
    >>> document = CalculationDoc.failed(candidate, "CHGNet-0.3.0", "no memory left")
    >>> document.state.value, document.error, document.jobs
    ('failed', 'no memory left', {})
    """

    calculation_id: str = Field(description="candidate id and scheme")
    candidate_id: FileName
    scheme: str = Field(description="energy scale, e.g. CHGNet-0.3.0")
    state: CalculationState
    error: str | None = Field(None, description="why it failed")
    candidate: CandidateDoc
    structure: Structure | None = Field(None, description="relaxed and refined")
    unrefined_structure: Structure | None = Field(
        None, description="relaxed; None where refinement left the crystal as it was"
    )
    initial_energy_per_atom: float | None = Field(None, description="as generated, eV/atom")
    energy_per_atom: float | None = Field(None, description="of `structure`, eV/atom")
    unrefined_energy_per_atom: float | None = Field(
        None, description="of `unrefined_structure`, eV/atom"
    )
    refinement: Refinement | None = Field(
        None, description="attempts to refine the relaxed crystal; None: not asked for"
    )
    max_force: float | None = Field(None, description="after relaxation, eV/Å")
    n_steps: int | None = Field(None, description="ionic steps, those of the refinement left out")
    rmsd_to_relaxed: float | None = Field(
        None, description="of the atoms during the relaxation, Å; None if it no longer matches"
    )
    still_matches: bool | None = Field(
        None, description="relaxed and generated crystal alike; None if that was not compared"
    )
    wall_time: float | None = Field(
        None,
        description="seconds in the energy model: as generated, relaxation, final energy "
        "and refinement",
    )
    cpu_time: float | None = Field(
        None, description="the same in CPU seconds of the process, where the engine reports them"
    )
    magnetism: MagneticState | None = Field(
        None,
        description="moments at the start of the relaxation and at the end of the final static "
        "calculation; None of engines without moments",
    )
    engine_versions: dict[str, str] = Field(default_factory=dict)
    withdrawn: bool = Field(
        default=False,
        description="no longer an input: kept so that it need not be computed again, not judged",
    )

    @classmethod
    def failed(
        cls,
        candidate: CandidateDoc,
        scheme: str,
        error: str | None = None,
        engine_versions: dict[str, str] | None = None,
    ) -> Self:
        """Document of a candidate without results.

        Parameters
        ----------
        candidate
            The crystal.
        scheme
            Energy scale.
        error
            Why there are no results.
        engine_versions
            Versions that the engine was made with.
        """
        return cls(
            calculation_id=calculation_id(candidate.candidate_id, scheme),
            candidate_id=candidate.candidate_id,
            scheme=scheme,
            state=CalculationState.FAILED,
            error=error,
            candidate=candidate,
            engine_versions=engine_versions or {},
        )


class ReferenceDoc(VogenDoc):
    """A known phase or element, relaxed in one scheme: a vertex of the hull.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> vanadium = next(one for one in load_references("CHGNet-0.3.0") if one.formula == "V")
    >>> vanadium.scheme, vanadium.structure.composition.reduced_formula
    ('CHGNet-0.3.0', 'V')
    """

    reference_id: str = Field(description="phase name and scheme")
    name: str = Field(description="formula and structure type or space group")
    scheme: str
    formula: str
    structure: Structure = Field(description="relaxed")
    energy_per_atom: float = Field(description="eV/atom")
    source: str = Field("", description="where the starting structure comes from")
    engine_versions: dict[str, str] = Field(default_factory=dict)
