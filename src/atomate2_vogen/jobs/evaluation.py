"""Jobs and helpers that judge crystals of any origin and measure them together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jobflow import job
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.known import count_known, known_structures
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    EvaluationDoc,
    KnownDoc,
    MetricsDoc,
    ReferenceDoc,
    SampleDoc,
    StabilityDoc,
)
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.stability.metrics import measure
from atomate2_vogen.structures.geometry import check_structure
from atomate2_vogen.structures.magnetism import collinear, given_moments


def structure_digest(structure: Structure) -> str:
    """Hash of cell, species, coordinates and moments, if any, as they stand, to 1e-8.

    Raises
    ------
    MagneticMomentError
        If its moments are incomplete, not finite or not collinear.
    """
    parts = [structure.lattice.matrix.round(8) + 0.0, structure.frac_coords.round(8) + 0.0]
    if (moments := given_moments(structure)) is not None:
        parts.append(np.array(moments).round(8) + 0.0)
    text = repr([part.tolist() for part in parts]) + repr(structure.atomic_numbers)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def candidates_from(
    structures: Sequence[Structure], details: Sequence[dict[str, Any]] | None = None
) -> list[CandidateDoc]:
    """Candidates of crystals that no sampler of this package made.

    The id comes from the crystal and not from its place: the same crystal is recognised in
    another list, a changed one, or one with other magnetic moments, is another candidate. Spins of
    species become the site property ``magmom``.

    Parameters
    ----------
    structures
        Crystals; copies are candidates of their own.
    details
        What to keep with each, e.g. the file it is from.

    Raises
    ------
    MagneticMomentError
        If the moments of a crystal are incomplete, not finite or not collinear.
    """
    candidates = []
    copies: Counter[str] = Counter()
    for given, detail in zip(structures, details or [{}] * len(structures), strict=True):
        structure = collinear(given)
        digest = structure_digest(structure)
        candidates.append(
            CandidateDoc.make(
                structure,
                sampler="files",
                model_id=f"crystal-{digest}",
                formula=structure.composition.reduced_formula,
                seed=0,
                index=copies[digest],
                details=detail,
            )
        )
        copies[digest] += 1
    return candidates


def as_candidates(crystals: Sequence[Any]) -> list[Any]:
    """A mixed list with candidates, by `candidates_from`, in the place of bare structures.

    Documents of any kind stay as they are, and where they are.
    """
    made = iter(candidates_from([c for c in crystals if isinstance(c, Structure)]))
    return [next(made) if isinstance(c, Structure) else c for c in crystals]


def checked_candidates(
    crystals: Sequence[Structure | CandidateDoc], system: OxideSystem
) -> list[CandidateDoc]:
    """Candidates of a mixed list, in its order.

    Raises
    ------
    InputError
        If the list is empty, or a crystal is none of the system, has overlapping atoms or
        unusable magnetic moments; the message tells which.
    """
    if not crystals:
        raise InputError("no crystals to evaluate")
    for number, crystal in enumerate(crystals):
        structure = crystal.structure if isinstance(crystal, CandidateDoc) else crystal
        try:
            check_structure(structure, system)
            given_moments(structure)
        except InputError as error:
            raise type(error)(f"crystal {number}: {error}") from error
    return as_candidates(crystals)


def judge_and_measure(
    delivered: SampleDoc | Sequence[CandidateDoc],
    calculations: Sequence[CalculationDoc],
    references: Sequence[ReferenceDoc],
    system: OxideSystem,
    *,
    own: Sequence[KnownDoc] = (),
) -> tuple[list[StabilityDoc], MetricsDoc]:
    """Stability of each crystal on the references' hull, and metrics of all.

    Raises
    ------
    SchemeMismatchError, MissingReferenceError
        As `assess`.
    InputError
        As `measure`.
    """
    known = known_structures(system, references, own=own)
    stability = assess(calculations, references, system, known, joint=True)
    return stability, measure_judged(
        delivered, calculations, stability, references, system, own=own
    )


def measure_judged(
    delivered: SampleDoc | Sequence[CandidateDoc],
    calculations: Sequence[CalculationDoc],
    stability: Sequence[StabilityDoc],
    references: Sequence[ReferenceDoc],
    system: OxideSystem,
    *,
    own: Sequence[KnownDoc] = (),
) -> MetricsDoc:
    """Metrics of crystals whose novelty was judged against the whole pool of known crystals.

    Raises
    ------
    InputError
        As `measure`.
    """
    pool = count_known(system, references, sorted({doc.formula for doc in stability}), own)
    return measure(delivered, calculations, stability, system, novelty_pool=pool)


@job(data=[["output", "stability"]], output_schema=EvaluationDoc)
def evaluate(
    delivered: SampleDoc | list[CandidateDoc] | None,
    calculations: list[CalculationDoc],
    references: list[ReferenceDoc],
    system: OxideSystem,
    *,
    own: list[KnownDoc] | None = None,
) -> EvaluationDoc:
    """Stability and metrics of crystals whose calculations are done.

    Parameters
    ----------
    delivered
        A sample, or candidates of any origin. The candidates may be left out, for the
        calculations have them: a sample without any, or None.
    calculations
        One per candidate.
    references
        Relaxed reference phases of the same scheme.
    system
        Oxide system.
    own
        Known crystals of the user: what matches them is not novel.

    Raises
    ------
    SchemeMismatchError, MissingReferenceError, InputError
        As `judge_and_measure`.

    Examples
    --------
    >>> from atomate2_vogen.chemistry import VANADIUM
    >>> from atomate2_vogen.engines import load_references
    >>> from atomate2_vogen.jobs import evaluate
    >>> references = load_references("CHGNet-0.3.0")
    >>> evaluate(None, [], references, VANADIUM).name
    'evaluate'
    """
    candidates = [calculation.candidate for calculation in calculations]
    if not delivered:
        delivered = candidates
    elif isinstance(delivered, SampleDoc) and not delivered.candidates:
        delivered = delivered.model_copy(update={"candidates": candidates})
    stability, metrics = judge_and_measure(
        delivered, calculations, references, system, own=own or []
    )
    return EvaluationDoc(metrics=metrics, stability=stability)
