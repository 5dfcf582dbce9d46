"""The job that makes an `ElectronicDoc` of what an engine's band structure flow left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobflow import job

from atomate2_vogen.electrons.electronic import electronic_structure
from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.methods import check_method
from atomate2_vogen.errors import BandDataError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.magnetism import ChosenStart, magnetic_state
from atomate2_vogen.jobs.subjects import Subject
from atomate2_vogen.jobs.tolerance import read_outputs
from atomate2_vogen.schemas import CharacterisationState, ElectronicDoc

NO_RESULT = "its jobs left no result; see their logs"

DATA = ["line_bands", "uniform_bands", "density_of_states"]
"""Fields that go to the ``data`` store."""


def band_scheme(engine: Engine) -> str:
    """Energy scale of an engine's bands, which may have a Hubbard U where its energies do not."""
    return getattr(engine, "band_structure_scheme", None) or engine.scheme


def electronic_id(candidate_id: str, scheme: str) -> str:
    """Key of an electronic document: one per candidate and scheme."""
    return f"{candidate_id}|{scheme}"


@job(data=DATA, output_schema=ElectronicDoc)
def record_electronic(
    subject: Subject,
    engine: Engine,
    outputs: Any,
    symmetry: dict[str, Any] | None = None,
    magnetic_note: str | None = None,
) -> ElectronicDoc:
    """Judge bands and density of states; to be configured as `tolerance.UNRESOLVED`.

    Parameters
    ----------
    subject
        The crystal.
    engine
        That made the bands.
    outputs
        What the flow of its band structure Maker hands on: the keys of atomate2's
        `BandStructureMaker` (``uniform``, ``uniform_bs``, ``line``, ``line_bs``) and, where
        there are, ``static`` and ``uniform_dos``.
    symmetry
        What was done to make the symmetry exact before.
    magnetic_note
        Why a magnetic start that was asked for is missing.

    Returns
    -------
    ElectronicDoc
        ``failed`` with the reason where something is missing, not converged or not finite.
        Never raises for a bad calculation.
    """
    document = failed_electronic(subject, engine)
    document.symmetry, document.magnetic_note = symmetry, magnetic_note
    if isinstance(outputs, Mapping):  # inputs are not resolved yet
        document.jobs = job_links(
            {stage: outputs[stage] for stage in ("static", "uniform", "line") if stage in outputs}
        )
    found = read_outputs(outputs)
    try:
        _check_methods(found, engine)
        _complete(document, found)
    except (VogenError, AttributeError, KeyError, TypeError, ValueError) as error:
        document.error = reason(error)
        return document
    document.state, document.error = CharacterisationState.COMPLETED, None
    return document


def failed_electronic(subject: Subject, engine: Engine, reason: str = NO_RESULT) -> ElectronicDoc:
    """Document of a crystal whose jobs came to nothing."""
    scheme = band_scheme(engine)
    return ElectronicDoc(
        electronic_id=electronic_id(subject.candidate_id, scheme),
        candidate_id=subject.candidate_id,
        scheme=scheme,
        engine=engine.name,
        engine_versions=engine.engine_versions,
        state=CharacterisationState.FAILED,
        error=reason,
        formula=subject.formula,
        structure=subject.structure,
    )


def _check_methods(found: Any, engine: Engine) -> None:
    """Refuse calculations of another method than that of the engine's bands."""
    if not isinstance(found, Mapping):
        return
    stages = {"static": "bands static", "uniform": "bands", "line": "bands"}
    for name, stage in stages.items():
        calculation = found.get(name)
        # of several magnetic starts each was compared before one was chosen
        if calculation is not None and not isinstance(calculation, JobFailure | ChosenStart):
            check_method(calculation, engine.method(stage), engine.engine_versions)


def _complete(document: ElectronicDoc, found: Any) -> None:
    """Fill in everything, or raise with the reason."""
    if isinstance(found, JobFailure):
        raise BandDataError(found.error)
    if not isinstance(found, Mapping):
        raise BandDataError(f"the band structure flow gave {type(found).__name__}, no mapping")
    for value in found.values():
        if isinstance(value, JobFailure):
            raise BandDataError(value.error)
    calculations = [
        found[name] for name in ("static", "uniform", "line") if found.get(name) is not None
    ]
    static = found.get("static")
    _record_magnetism(document, static)
    if static is not None and not results.is_converged(static):
        raise BandDataError("the static calculation did not converge")
    uniform, line = found.get("uniform_bs"), found.get("line_bs")
    dos = found.get("uniform_dos")
    if dos is None:
        dos = _large_object(found.get("uniform"), "dos")
    document.uniform_bands = without_projections(to_pymatgen(uniform))
    document.line_bands = without_projections(to_pymatgen(line, along_line=True))
    document.density_of_states = to_pymatgen(dos)
    if calculations:
        document.structure = results.relaxed_structure(calculations[0])
    if static is not None:
        document.energy_per_atom = results.energy_per_atom(static)
    moments = calculations[0] if calculations else None
    document.electrons = electronic_structure(
        document.uniform_bands,
        document.line_bands,
        document.density_of_states,
        total_moment=results.total_moment(moments),
        site_moments=results.site_moments(moments),
    )


def _record_magnetism(document: ElectronicDoc, static: Any) -> None:
    """Moments of the static calculation, and of all that were tried if there were several."""
    if isinstance(static, ChosenStart):
        document.magnetism, document.magnetic_starts = static.magnetism, static.starts
        document.magnetic_start = static.name
    elif static is not None:
        document.magnetism = magnetic_state(static)


def to_pymatgen(value: Any, *, along_line: bool = False) -> Any:
    """Pymatgen's object of bands or a density of states; emmet's models are converted."""
    from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine

    if value is None or not hasattr(value, "to_pmg"):
        return value
    if hasattr(value, "qpoints"):
        return value.to_pmg(BandStructureSymmLine if along_line else BandStructure)
    return value.to_pmg()


def without_projections(bands: Any) -> Any:
    """The same bands; weights by site and orbital stay with the calculation's own document."""
    if bands is None or not bands.projections:
        return bands
    return type(bands)(
        [k.frac_coords for k in bands.kpoints],
        bands.bands,
        bands.lattice_rec,
        bands.efermi,
        {label: k.frac_coords for label, k in bands.labels_dict.items()},
        structure=bands.structure,
    )


def _large_object(calculation: Any, name: str) -> Any:
    """A large object of atomate2's task document, under its name or that of its enum."""
    for key, value in (getattr(calculation, "vasp_objects", None) or {}).items():
        if getattr(key, "value", key) == name:
            return value
    return None


@job(data=DATA)
def collect_electronic(
    subjects: list[Subject], engine: Engine, documents: list[ElectronicDoc | None]
) -> list[ElectronicDoc]:
    """All documents of a fan-out, in the order of the crystals; what never came has failed."""
    return [
        document or failed_electronic(subject, engine)
        for subject, document in zip(subjects, documents, strict=True)
    ]
