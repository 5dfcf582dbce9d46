"""Jobs around an engine's phonon flow: the cell that is displaced, and the `PhononDoc`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import numpy as np
from ase.spacegroup.symmetrize import IntermediateDatasetError, refine_symmetry
from jobflow import Maker, OutputReference, job
from monty.json import jsanitize
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import (
    BandDataError,
    InputError,
    MagneticMomentError,
    NonFiniteError,
    VogenError,
    reason,
)
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.electronic import NO_RESULT
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.subjects import Subject
from atomate2_vogen.jobs.tolerance import read_outputs
from atomate2_vogen.phonons.harmonic import (
    impose_sum_rules,
    phonon_bands,
    phonon_dos,
    phonopy_from_document,
    summarise_phonons,
)
from atomate2_vogen.phonons.supercells import check_supercell_size
from atomate2_vogen.schemas import CharacterisationState, PhononDoc
from atomate2_vogen.structures.magnetic_patterns import lowers_symmetry

DATA = ["phonon_bands", "phonon_dos", "force_constants"]
"""Fields that go to the ``data`` store."""


def phonon_id(candidate_id: str, scheme: str, supercell: str) -> str:
    """Key of a phonon document: one per candidate, scheme and supercell asked for."""
    return f"{candidate_id}|{scheme}|{supercell}"


def symmetric(structure: Structure, symprec: float) -> Structure:
    """Symmetrise a cell within a tolerance in Å.

    A relaxation stops where forces are small and leaves the symmetry broken by as little;
    phonopy, which looks closer, would then displace every atom in every direction. Where spglib
    contradicts itself at this tolerance the structure stays: that costs displacements alone.
    """
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    try:
        refine_symmetry(atoms, symprec=symprec)
    except IntermediateDatasetError:
        return structure
    refined = AseAtomsAdaptor.get_structure(atoms)
    return Structure(
        refined.lattice,
        structure.species,
        refined.frac_coords,
        site_properties=structure.site_properties,
    )


def plain_settings(maker: Maker) -> dict[str, Any]:
    """Settings of a Maker, those of Makers inside left out, as plain values."""
    kept = {f.name: getattr(maker, f.name) for f in fields(maker)}
    plain = {name: value for name, value in kept.items() if not isinstance(value, Maker)}
    settings: dict[str, Any] = jsanitize(plain, strict=True, enum_values=True)
    return settings


@job
def phonon_cell(
    relaxed: Any,
    maker: Any,
    settings: dict[str, Any],
    *,
    supercell: Sequence[int] | None,
    max_atoms: int,
    symprec: float | None,
    method: Method | None = None,
    engine_versions: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The cell to displace atoms of, and its supercell.

    Parameters
    ----------
    relaxed
        Task document of the tight relaxation; or a structure that is taken as relaxed.
    maker
        The engine's phonon Maker, whose rules find a supercell where none is asked for.
    settings
        Its `plain_settings` when the other jobs were made.
    supercell
        Cells along each axis, or None.
    max_atoms
        Limit to the supercell.
    symprec
        Tolerance in Å of the symmetrisation; None for none.
    method, engine_versions
        Method and versions that the relaxation must be of.

    Returns
    -------
    dict
        ``structure``, ``supercell_matrix`` and ``max_force`` in eV/Å or None.

    Raises
    ------
    NonFiniteError
        If the relaxation did not converge: forces that are not zero are no phonons.
    SupercellError
        If the supercell is larger than the limit.
    SchemeMismatchError
        If the relaxation is of another method.
    MagneticMomentError
        If the moments break a symmetry that the displacements would make use of.
    InputError
        If the Maker has other settings now: the other jobs know nothing of them.
    """
    found = plain_settings(maker)
    if changed := sorted(k for k in settings.keys() | found.keys() if settings[k] != found[k]):
        raise InputError(
            f"{', '.join(changed)} of the phonon Maker cannot be changed once its jobs are made; "
            "change the Maker of the flow, or of its engine, before"
        )
    force = None
    if isinstance(relaxed, Structure):
        structure = relaxed
    else:
        check_method(relaxed, method, engine_versions or {})
        if not results.is_converged(relaxed):
            raise NonFiniteError(
                f"the tight relaxation did not converge in {results.n_steps(relaxed)} steps"
            )
        structure, force = results.relaxed_structure(relaxed), results.max_force(relaxed)
    if symprec is not None:
        structure = symmetric(structure, symprec)
    if getattr(maker, "prev_calc_dir_argname", None) is not None:
        _check_moments(structure, maker)
    if supercell is not None:
        matrix = np.diag(supercell).tolist()
    else:
        from atomate2.common.utils import get_supercell_matrix

        matrix = get_supercell_matrix(
            structure=structure,
            min_length=maker.min_length,
            max_length=maker.max_length,
            prefer_90_degrees=maker.prefer_90_degrees,
            allow_orthorhombic=maker.allow_orthorhombic,
            **maker.get_supercell_size_kwargs,
        )
        matrix = np.rint(matrix).astype(int).tolist()
    check_supercell_size(matrix, len(structure), max_atoms)
    return {"structure": structure, "supercell_matrix": matrix, "max_force": force}


def _check_moments(structure: Structure, maker: Any) -> None:
    """Refuse moments that the symmetry of the displacements contradicts.

    phonopy is given the crystal without moments: atoms that its symmetry relates get the force
    constants of one of them, and so do those that a translation within the cell relates.
    """
    name = structure.composition.reduced_formula
    if lowers_symmetry(structure, maker.symprec, translations_only=True):
        raise MagneticMomentError(
            f"the moments of {name} break a translation of the crystal without moments: its force "
            "constants cannot be had from the smaller cell that phonopy displaces atoms of"
        )
    if maker.sym_reduce and lowers_symmetry(structure, maker.symprec):
        raise MagneticMomentError(
            f"the moments that the relaxation of {name} led to break a symmetry of the crystal; "
            "start again from the relaxed structure with its moments, or give a phonon Maker with "
            "sym_reduce=False"
        )


@job(data=DATA, output_schema=PhononDoc)
def record_phonons(
    subject: Subject, engine: Engine, supercell: str, cell: Any, phonons: Any
) -> PhononDoc:
    """Judge phonons; to be configured as `tolerance.UNRESOLVED`.

    Parameters
    ----------
    subject
        The crystal.
    engine
        That made the forces.
    supercell
        What was asked for.
    cell
        Output of `phonon_cell`.
    phonons
        atomate2's `PhononBSDOSDoc`.

    Returns
    -------
    PhononDoc
        ``failed`` with the reason where something is missing or not finite. Never raises for a
        bad calculation.
    """
    document = failed_phonons(subject, engine, supercell)
    document.jobs = job_links({"phonons": phonons})  # inputs are not resolved yet
    try:
        found = read_outputs(phonons)
        _check_forces(found, engine)
        _complete(document, read_outputs(cell), found)
    except (VogenError, AttributeError, KeyError, TypeError, ValueError) as error:
        document.error = reason(error)
        return document
    document.state, document.error = CharacterisationState.COMPLETED, None
    return document


def failed_phonons(
    subject: Subject, engine: Engine, supercell: str, reason: str = NO_RESULT
) -> PhononDoc:
    """Document of a crystal whose jobs came to nothing."""
    return PhononDoc(
        phonon_id=phonon_id(subject.candidate_id, engine.scheme, supercell),
        candidate_id=subject.candidate_id,
        scheme=engine.scheme,
        engine=engine.name,
        engine_versions={**engine.engine_versions, "phonopy": version("phonopy")},
        known_weakness=getattr(engine, "known_weakness", ""),
        requested_supercell=supercell,
        displacement=getattr(engine.phonon_maker, "displacement", None),
        state=CharacterisationState.FAILED,
        error=reason,
        formula=subject.formula,
        structure=subject.structure,
    )


def _check_forces(phonons: Any, engine: Engine) -> None:
    """Refuse forces of another method than the engine's.

    One Maker makes all displacements of a flow, so the first one's document tells for all:
    reading each would take as long as computing them.
    """
    uuids = getattr(getattr(phonons, "uuids", None), "displacements_uuids", None)
    if not uuids:
        return
    displaced = read_outputs(OutputReference(uuids[0]))
    if not isinstance(displaced, JobFailure):
        check_method(displaced, engine.method("phonon forces"), engine.engine_versions)


def _complete(document: PhononDoc, cell: Any, phonons: Any) -> None:
    """Fill in everything, or raise with the reason."""
    for value in (cell, phonons):
        if isinstance(value, JobFailure):
            raise BandDataError(value.error)
    from phonopy.harmonic.force_constants import full_fc_to_compact_fc

    document.structure = cell["structure"]
    document.max_force = cell["max_force"]
    phonon = phonopy_from_document(phonons)
    errors = impose_sum_rules(phonon)
    bands = phonon_bands(phonon)
    document.phonons = summarise_phonons(phonon, bands, imposed=errors)
    document.phonon_bands = bands
    document.phonon_dos = phonon_dos(phonon)
    constants = np.asarray(phonon.force_constants)
    if constants.shape[0] == constants.shape[1]:
        constants = full_fc_to_compact_fc(phonon.primitive, constants)
    document.force_constants = constants.tolist()
    document.primitive_matrix = np.asarray(phonon.primitive_matrix, float).tolist()


@job(data=DATA)
def collect_phonons(
    requests: list[tuple[Subject, str]], engine: Engine, documents: list[PhononDoc | None]
) -> list[PhononDoc]:
    """All documents of a fan-out in the order of the requests; what never came has failed."""
    return [
        document or failed_phonons(subject, engine, supercell)
        for (subject, supercell), document in zip(requests, documents, strict=True)
    ]
