"""Jobs that calculate finds and known phases by density functional theory with the same settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Job, job
from monty.json import MSONable
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.methods import check_method
from atomate2_vogen.errors import NonFiniteError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.magnetism import (
    ChosenStart,
    MagneticStartsMaker,
    magnetic_starts,
    magnetic_state,
    missing_antiferromagnet,
)
from atomate2_vogen.jobs.outcomes import total
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.subjects import Subject, symmetrise_subject
from atomate2_vogen.jobs.tolerance import UNRESOLVED, guard_flow, read_outputs
from atomate2_vogen.schemas import CharacterisationState, DftDoc, DftEnergy, ModelHeight

DFT_STAGE = "dft"
"""Value of ``metadata.stage`` of the jobs whose output is a `DftDoc`."""

NO_RESULT = "its jobs left no result; see their logs"


@dataclass(frozen=True)
class DftCrystal(MSONable):
    """A find or a known phase, as several energy models relaxed it.

    Parameters
    ----------
    name
        Candidate id, or name of the phase.
    is_known
        Whether it is a known phase.
    formula, chemsys
        Of the crystal.
    geometries, structures
        Schemes of the models, and the crystal as each of them relaxed it.
    by_models
        Its energies above each model's lowest known phase.
    """

    name: str
    is_known: bool
    formula: str
    chemsys: str
    geometries: list[str] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)
    by_models: list[ModelHeight] = field(default_factory=list)

    def prepared(self, system: OxideSystem, symprec: float | None) -> DftCrystal:
        """The same crystal in primitive cells, symmetric within `symprec` Å."""
        made = []
        for structure in self.structures:
            primitive = structure.get_primitive_structure()
            if symprec is not None:
                subject = Subject(self.name, primitive)
                primitive = symmetrise_subject(subject, system, symprec)[0].structure
            made.append(primitive)
        return replace(self, structures=made)


def dft_flow(
    engine: Engine,
    crystal: DftCrystal,
    starts: Sequence[str],
    system: OxideSystem,
    known: Sequence[Any],
) -> Flow:
    """Flow of one crystal; its output is a `DftDoc`.

    Parameters
    ----------
    engine
        Whose static Maker gives the energies.
    crystal
        The crystal.
    starts
        Names of magnetic starts, as of `jobs.magnetism.STARTS`.
    system
        Oxide system: metal and initial moments.
    known
        Documents of the known phases of the formula, or references to them.
    """
    calculations = [_static(engine, structure, starts, system) for structure in crystal.structures]
    for scheme, static in zip(crystal.geometries, calculations, strict=True):
        guard_flow(static)
        static.update_metadata({"stage": "dft static"})
        place(static, engine.manager_config)
        static.append_name(f" {crystal.name} of {scheme}")
    notes = [missing_antiferromagnet(structure, starts, system) for structure in crystal.structures]
    outputs = [static.output for static in calculations]
    document: Job = record_dft(crystal, engine, outputs, notes, list(known))
    document.config = UNRESOLVED
    document.name = f"{DFT_STAGE} {crystal.name}"
    document.update_metadata({"stage": DFT_STAGE})
    place(document, ANALYSIS)
    flow = Flow([*calculations, document], output=document.output, name=crystal.name)
    flow.update_metadata({"crystal": crystal.name, "scheme": engine.scheme})
    return flow


def _static(
    engine: Engine, structure: Structure, starts: Sequence[str], system: OxideSystem
) -> Flow:
    """Static calculations of a crystal from each start, of which the lowest is the output."""
    found = magnetic_starts(structure, starts, system)
    if len(found) > 1:
        maker = MagneticStartsMaker(
            static_maker=engine.static_maker,
            starts=tuple(found),
            system=system,
            method=engine.method("static"),
            engine_versions=engine.engine_versions,
        )
        return maker.make(structure)
    (only,) = found.values()
    single = engine.static_maker.make(only)
    return Flow([single], output=single.output, name="static")


@job(output_schema=DftDoc)
def record_dft(
    crystal: DftCrystal,
    engine: Engine,
    outputs: list[Any],
    notes: list[str | None],
    known: list[Any],
) -> DftDoc:
    """What is known about one crystal; to be configured as `tolerance.UNRESOLVED`.

    Parameters
    ----------
    crystal
        The crystal.
    engine
        That calculated it.
    outputs
        Task documents, or of several magnetic starts a `ChosenStart`, one for each geometry.
    notes
        Why a magnetic start is missing, for each geometry.
    known
        Documents of the known phases of the formula; empty where this is one of them.

    Returns
    -------
    DftDoc
        ``failed`` where no geometry has an energy. Never raises for a bad calculation.
    """
    rows = zip(crystal.geometries, crystal.structures, outputs, notes, strict=True)
    energies = [
        _energy(scheme, structure, read_outputs(output), engine).model_copy(
            update={"magnetic_note": note, "jobs": job_links({"static": output})}
        )
        for scheme, structure, output, note in rows
    ]
    document = DftDoc(
        dft_id=f"{crystal.name}|{engine.scheme}",
        crystal=crystal.name,
        is_known=crystal.is_known,
        candidate_id=None if crystal.is_known else crystal.name,
        formula=crystal.formula,
        chemsys=crystal.chemsys,
        scheme=engine.scheme,
        engine=engine.name,
        engine_versions=engine.engine_versions,
        state=CharacterisationState.FAILED,
        energies=energies,
        by_models=crystal.by_models,
    )
    heights = {
        one.geometry: one.energy_per_atom for one in energies if one.energy_per_atom is not None
    }
    if heights:
        document.state = CharacterisationState.COMPLETED
        document.geometry = min(heights, key=lambda scheme: heights[scheme])
        document.energy_per_atom = heights[document.geometry]
    compare_with_known([document], [one for one in read_outputs(known) if isinstance(one, DftDoc)])
    return document


def compare_with_known(documents: Sequence[DftDoc], known: Sequence[DftDoc]) -> None:
    """Set the distance of documents from the lowest known phase of their formula; in place.

    Documents of another scheme, of failed calculations and of other formulas are left out.
    """
    for document in documents:
        levels = {
            one.crystal: one.energy_per_atom
            for one in known
            if one.energy_per_atom is not None
            and (one.formula, one.scheme) == (document.formula, document.scheme)
        }
        if levels and document.energy_per_atom is not None:
            lowest = min(levels, key=lambda name: levels[name])
            document.lowest_known_phase = lowest
            document.above_known_phase = document.energy_per_atom - levels[lowest]


def _energy(scheme: str, structure: Structure, static: Any, engine: Engine) -> DftEnergy:
    """Energy of one geometry, or the reason why there is none."""
    made = DftEnergy(geometry=scheme, state=CharacterisationState.FAILED, structure=structure)
    try:
        if static is None:
            raise NonFiniteError(NO_RESULT)
        if isinstance(static, JobFailure):
            raise NonFiniteError(static.error)
        if isinstance(static, ChosenStart):
            made.magnetic_start, made.magnetic_starts = static.name, static.starts
            made.magnetism = static.magnetism
            made.cpu_time = total([start.cpu_time for start in static.starts])
        else:
            check_method(static, engine.method("static"), engine.engine_versions)
            if not results.is_converged(static):
                raise NonFiniteError("the static calculation did not converge")
            made.magnetism = magnetic_state(static)
            made.cpu_time = results.cpu_time(static)
        made.energy_per_atom = results.energy_per_atom(static)
    except (VogenError, AttributeError, KeyError, TypeError, ValueError) as error:
        made.error = reason(error)
        return made
    made.state = CharacterisationState.COMPLETED
    return made


@job(data=True)
def collect_dft(documents: list[DftDoc | None]) -> list[DftDoc]:
    """All documents, known phases compared with each other; one that never came is left out."""
    found = [document for document in documents if document is not None]
    known = [document for document in found if document.is_known]
    compare_with_known(known, known)
    return found
