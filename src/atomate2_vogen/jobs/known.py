"""The pool of known crystals that novelty is judged against."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pymatgen.core import Structure

from atomate2_vogen.analysis.matching import KnownStructures
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.schemas import ReferenceDoc


def known_structures(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    formulas: Sequence[str] | None = None,
) -> KnownStructures:
    """Reference phases as relaxed, then the distinct prototypes of the data set as substituted.

    Parameters
    ----------
    system
        Oxide system whose data set is taken.
    references
        Relaxed reference phases; they give their names to what matches them.
    formulas
        Reduced formulas to restrict the prototypes to; None takes all.
    """
    pool: dict[str, Structure] = {
        reference.name: reference.structure
        for reference in sorted(references, key=lambda reference: reference.energy_per_atom)
    }
    for name, formula, structure in _prototypes(system):
        if formulas is None or formula in formulas:
            pool.setdefault(name, structure)
    return KnownStructures(pool)


@lru_cache(maxsize=2)
def _prototypes(system: OxideSystem) -> tuple[tuple[str, str, Structure], ...]:
    names = {prototype.prototype_id: prototype.name for prototype in load_prototypes()}
    crystals = load_dataset(system)
    distinct = crystals.select(crystals.is_distinct)
    found = []
    for index, prototype in enumerate(distinct.prototype_ids):
        formula = distinct.formula(index)
        swapped = ", species exchanged" if distinct.swapped[index] else ""
        name = f"prototype {names[int(prototype)]} #{int(prototype)}{swapped}, as {formula}"
        found.append((name, formula, distinct.structure(index)))
    return tuple(found)
