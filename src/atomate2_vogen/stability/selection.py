"""Selection of the most stable crystals for more expensive calculations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.schemas import StabilityDoc, StabilityState


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
    if not math.isfinite(threshold):
        raise InputError(f"the threshold above hull is {threshold} eV/atom")
    formulas = list(dict.fromkeys(document.formula for document in stability))
    eligible = [
        (document.energy_above_hull, document)
        for document in stability
        if document.state is StabilityState.RANKED
        and document.is_unique is not False
        and document.energy_above_hull is not None
        and at_most(document.energy_above_hull, threshold)
    ]
    eligible.sort(key=lambda pair: (pair[0], pair[1].candidate_id))
    taken: Counter[str] = Counter()
    chosen = []
    for _, document in eligible:
        if taken[document.formula] < top:
            taken[document.formula] += 1
            chosen.append(document)
    return sorted(chosen, key=lambda document: formulas.index(document.formula))
