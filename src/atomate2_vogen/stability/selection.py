"""Selection of the most stable crystals for more expensive calculations, and of parents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.errors import CountsError, InputError, SchemeMismatchError
from atomate2_vogen.schemas import StabilityDoc, StabilityState
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.structures.matching import DistinctStructures


def best_per_formula(
    stability: Sequence[StabilityDoc], top: int, threshold: float
) -> list[StabilityDoc]:
    """The lowest crystals of each formula, duplicates left out.

    Parameters
    ----------
    stability
        Judged candidates of one scheme.
    top
        Most crystals per formula.
    threshold
        Largest energy above hull in eV/atom, compared as printed; see `energy_rounding`.

    Returns
    -------
    list of StabilityDoc
        By formula in the order of first appearance, each formula by rising energy; those of the
        same energy by id.

    Raises
    ------
    CountsError
        If `top` is no whole number of at least 1.
    InputError
        If the threshold is not finite.

    Examples
    --------
    >>> from atomate2_vogen.schemas import StabilityDoc
    >>> from atomate2_vogen.stability import best_per_formula
    >>> documents = [
    ...     StabilityDoc(
    ...         stability_id=name,
    ...         candidate_id=name,
    ...         scheme="CHGNet-0.3.0",
    ...         hull_id="made by hand",
    ...         chemsys="O-V",
    ...         formula="VO",
    ...         natoms=2,
    ...         sampler="files",
    ...         model_id="none",
    ...         state="ranked",
    ...         is_converged=True,
    ...         energy_above_hull=energy,
    ...     )
    ...     for name, energy in (("high", 0.3), ("low", 0.02), ("middle", 0.08))
    ... ]
    >>> [one.candidate_id for one in best_per_formula(documents, top=2, threshold=0.1)]
    ['low', 'middle']
    """
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise CountsError(f"the best {top} of each formula are asked for; give 1 or more")
    taken: Counter[str] = Counter()
    chosen = []
    for document in _low(stability, threshold):
        if taken[document.formula] < top:
            taken[document.formula] += 1
            chosen.append(document)
    return _by_formula(chosen, stability)


def diverse_parents(
    stability: Sequence[StabilityDoc],
    threshold: float = NEAR_HULL_LIMIT,
    *,
    most: int | None = None,
    margin: float = 2.0,
) -> list[StabilityDoc]:
    """Low crystals of which no two resemble each other, to make others of (`EvolutionSampler`).

    Crystals are taken in the order of rising energy, and left out if they resemble one that was
    taken before. So a family of similar crystals is one parent, its lowest member.

    Parameters
    ----------
    stability
        Judged candidates of one scheme.
    threshold
        Largest energy above hull in eV/atom, compared as printed; see `energy_rounding`.
    most
        Most crystals per formula; None for all.
    margin
        Factor on the tolerances of the comparison, from 1 to 3; 1 leaves out only crystals that
        match.

    Returns
    -------
    list of StabilityDoc
        By formula in the order of first appearance, each formula by rising energy.

    Raises
    ------
    InputError
        If the threshold is not finite or the margin out of range.
    CountsError
        If `most` is no whole number of at least 1.
    SchemeMismatchError
        If the documents are of several schemes.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.samplers import EvolutionSampler, SubstitutionSampler
    >>> from atomate2_vogen.schemas import CalculationDoc
    >>> from atomate2_vogen.stability import diverse_parents
    >>> from atomate2_vogen.stability.hull import assess
    >>> candidates = SubstitutionSampler().sample({"VO2": 2}, seed=0).candidates
    >>> failed = [CalculationDoc.failed(one, "CHGNet-0.3.0") for one in candidates]
    >>> diverse_parents(assess(failed, load_references("CHGNet-0.3.0")))
    []
    """
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise CountsError(f"at most {most} parents of each formula are asked for; give 1 or more")
    if len(schemes := sorted({document.scheme for document in stability})) > 1:
        raise SchemeMismatchError(
            f"crystals judged in {' and '.join(schemes)} are in one list; choose parents from each "
            "scheme separately"
        )
    distinct = DistinctStructures(margin)
    taken: Counter[str] = Counter()
    chosen = []
    for document in _low(stability, threshold):
        if document.structure is None or taken[document.formula] == most:
            continue
        if distinct.twin_or_add(document.candidate_id, document.structure) is None:
            taken[document.formula] += 1
            chosen.append(document)
    return _by_formula(chosen, stability)


def _low(stability: Sequence[StabilityDoc], threshold: float) -> list[StabilityDoc]:
    """Ranked crystals within the threshold by rising energy, those of the same energy by id."""
    if not math.isfinite(threshold):
        raise InputError(f"the threshold above hull is {threshold} eV/atom")
    eligible = [
        (document.energy_above_hull, document)
        for document in stability
        if document.state is StabilityState.RANKED
        and document.is_unique is not False
        and document.energy_above_hull is not None
        and at_most(document.energy_above_hull, threshold)
    ]
    eligible.sort(key=lambda pair: (pair[0], pair[1].candidate_id))
    return [document for _, document in eligible]


def _by_formula(
    chosen: Sequence[StabilityDoc], stability: Sequence[StabilityDoc]
) -> list[StabilityDoc]:
    """Formulas in the order of their first appearance."""
    formulas = list(dict.fromkeys(document.formula for document in stability))
    return sorted(chosen, key=lambda document: formulas.index(document.formula))
