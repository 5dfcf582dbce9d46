"""Jobs that record where a crystal goes along its softest mode."""

from __future__ import annotations

from typing import Any

from jobflow import job

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.engines.base import Engine
from atomate2_vogen.errors import NonFiniteError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.known import known_structures
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.outcomes import require, require_relaxed
from atomate2_vogen.jobs.tolerance import read_outputs
from atomate2_vogen.phonons.modes import SoftMode
from atomate2_vogen.schemas import CharacterisationState, PhononDoc, ReferenceDoc, SoftModeDoc
from atomate2_vogen.stability.judging import SYMMETRY_PRECISION
from atomate2_vogen.structures.matching import KnownStructures
from atomate2_vogen.structures.symmetry import space_group


def soft_mode_document(document: PhononDoc, mode: SoftMode, engine: Engine) -> SoftModeDoc:
    """Document before anything is calculated: failed until there is a result."""
    return SoftModeDoc(
        soft_mode_id=document.phonon_id,
        candidate_id=document.candidate_id,
        scheme=engine.scheme,
        engine=engine.name,
        engine_versions=engine.engine_versions,
        formula=document.formula,
        state=CharacterisationState.FAILED,
        q_point=list(mode.q_point),
        frequency=mode.frequency,
        displacement=mode.largest_displacement,
        displaced=mode.structure,
    )


@job(output_schema=SoftModeDoc)
def record_soft_mode(
    document: SoftModeDoc,
    engine: Engine,
    system: OxideSystem,
    references: list[ReferenceDoc],
    *,
    before: Any,
    relaxed: Any,
    static: Any,
) -> SoftModeDoc:
    """What became of a displaced crystal; to be configured as `tolerance.UNRESOLVED`.

    Parameters
    ----------
    document
        Of `soft_mode_document`.
    engine
        That calculates.
    system
        Oxide system: known crystals.
    references
        Reference phases, which give their names to what becomes one.
    before, relaxed, static
        Static calculation of the crystal as it was, relaxation of the displaced one, and static
        calculation of that.

    Returns
    -------
    SoftModeDoc
        ``failed`` with the reason where a calculation failed. Never raises for a bad one.
    """
    if document.error is not None:
        return document
    made = document.model_copy(
        update={"jobs": job_links({"before": before, "relax": relaxed, "static": static})}
    )
    first, last, energy = (read_outputs(output) for output in (before, relaxed, static))
    try:
        require(first, "static calculation before the displacement")
        require_relaxed(last, energy, engine.methods, engine.engine_versions)
        if not results.is_converged(last):
            raise NonFiniteError("the relaxation did not converge")
        made.energy_change = results.energy_per_atom(energy) - results.energy_per_atom(first)
        start = results.relaxed_structure(first)
        made.structure = results.relaxed_structure(last)
    except (VogenError, AttributeError, KeyError, TypeError, ValueError) as error:
        made.error = reason(error)
        return made
    made.space_group_symbol, made.space_group_number = space_group(
        made.structure, SYMMETRY_PRECISION
    )
    made.returned = KnownStructures({"": start}).find(made.structure) is not None
    if not made.returned:
        known = known_structures(system, references, formulas=[document.formula])
        made.known_as = known.find(made.structure)
    made.state = CharacterisationState.COMPLETED
    return made


@job(data=True)
def collect_soft_modes(documents: list[SoftModeDoc | None]) -> list[SoftModeDoc]:
    """All documents; one that never came is left out."""
    return [document for document in documents if document is not None]
