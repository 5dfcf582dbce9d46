"""Crystals to be characterised, given as structures, candidates or documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from monty.json import MSONable
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.jobs.evaluation import as_candidates
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, StabilityDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.structures.magnetism import collinear
from atomate2_vogen.structures.symmetry import symmetrise


@dataclass(frozen=True)
class Subject(MSONable):
    """A crystal and the id of its candidate.

    Parameters
    ----------
    candidate_id
        Key of the candidate.
    structure
        Crystal from which the calculation starts.
    """

    candidate_id: str
    structure: Structure

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return self.structure.composition.reduced_formula


def subjects_from(crystals: Sequence[Crystal]) -> list[Subject]:
    """Crystals with their ids; of relaxed candidates the relaxed structure.

    Raises
    ------
    InputError
        If there is none, one comes twice, or one has no relaxed structure.
    MagneticMomentError
        If the moments of a structure are incomplete, not finite or not collinear.
    SchemeMismatchError
        If relaxed ones are of several schemes: energies that chose them cannot be compared.
    """
    if not crystals:
        raise InputError("no crystals to characterise")
    subjects = []
    documents = as_candidates(crystals)
    check_crystals(documents)
    for document in documents:
        if document.structure is None:
            raise InputError(
                f"candidate {document.candidate_id} has no relaxed structure; give its "
                "CandidateDoc to start from the structure as generated"
            )
        subjects.append(Subject(document.candidate_id, collinear(document.structure)))
    return subjects


def check_crystals(crystals: Sequence[CandidateDoc | CalculationDoc | StabilityDoc]) -> None:
    """Raise if crystals cannot be characterised together.

    Raises
    ------
    InputError
        If a candidate is there twice.
    SchemeMismatchError
        If relaxed ones are of several schemes: energies that chose them cannot be compared.
    """
    relaxed = [c for c in crystals if isinstance(c, (CalculationDoc, StabilityDoc))]
    if len(schemes := sorted({document.scheme for document in relaxed})) > 1:
        raise SchemeMismatchError(
            f"crystals relaxed in {' and '.join(schemes)} are in one list; characterise each "
            "scheme separately"
        )
    if twice := next(
        (i for i, n in Counter(c.candidate_id for c in crystals).items() if n > 1), ""
    ):
        raise InputError(f"candidate {twice} is given twice")


def symmetrise_subject(
    subject: Subject, system: OxideSystem, symprec: float
) -> tuple[Subject, dict[str, Any] | None]:
    """Symmetrise a subject within `symprec` Å.

    Returns
    -------
    subject : Subject
        Crystal with the same sites in the same order; unchanged where it was not symmetrised.
    details : dict or None
        `structures.symmetry.Symmetrised.details`; None where nothing was changed.

    Raises
    ------
    InputError
        If `symprec` is not finite and positive.
    """
    given = subject.structure
    found = symmetrise(given, system, symprec)
    if not found.changed:
        return subject, None
    structure = found.structure.copy(site_properties=given.site_properties)
    return replace(subject, structure=structure), found.details()
