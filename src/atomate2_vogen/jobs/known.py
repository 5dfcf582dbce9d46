"""The pool of known crystals that novelty is judged against.

It holds the reference phases as relaxed, and every distinct crystal of the substitution pool
twice: as substituted and, where the package has it, as relaxed by the default judge. A crystal
that falls into the basin of a known prototype is then no discovery, wherever it started.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem, reduced_formula
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.prototypes import load_prototypes, prototypes_path
from atomate2_vogen.data.relaxed import RelaxedSet, crystal_key, relaxed_path
from atomate2_vogen.schemas import ReferenceDoc
from atomate2_vogen.structures.matching import KnownStructures

Named = tuple[str, str, Structure]
"""Name, reduced formula and crystal."""


def known_structures(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    formulas: Sequence[str] | None = None,
    *,
    margin: float = 1.0,
) -> KnownStructures:
    """Reference phases, then prototypes as substituted, then prototypes as relaxed.

    The pool that novelty is judged against, of all formulas at a margin of 1, bears its `pool_id`.

    Parameters
    ----------
    system
        Oxide system whose data set is taken.
    references
        Relaxed reference phases; they give their names to what matches them.
    formulas
        Formulas to restrict the prototypes to; None takes all.
    margin
        As for `KnownStructures`: 1 finds what is the same, more what resembles it too.

    Raises
    ------
    InputError
        If the margin is out of range.
    ArtefactError
        If a shipped file is damaged. A system without a file of relaxed crystals has none.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM, load_references
    >>> from atomate2_vogen.jobs import known_structures
    >>> references = load_references("CHGNet-0.3.0")
    >>> known = known_structures(VANADIUM, references, formulas=["VO2"])
    >>> known.find(next(one.structure for one in references if one.formula == "VO2")) is None
    False
    """
    pool: dict[str, Structure] = {
        reference.name: reference.structure
        for reference in sorted(references, key=lambda reference: reference.energy_per_atom)
    }
    wanted = _reduced(formulas)
    for name, formula, structure in (*_prototypes(system), *_relaxed_prototypes(system)):
        if wanted is None or formula in wanted:
            pool.setdefault(name, structure)
    whole = formulas is None and margin == 1.0
    return KnownStructures(pool, margin, pool_id(system, references) if whole else None)


def count_known(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    formulas: Sequence[str] | None = None,
) -> dict[str, int]:
    """Number of known crystals of each kind, of the given formulas only if any are given.

    Only crystals of its own formula can make a crystal known, so these counts tell how much a
    claim of novelty is worth.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.jobs import count_known
    >>> sorted(count_known(VANADIUM, references=[], formulas=["VO2"]))
    ['prototypes as relaxed', 'prototypes as substituted', 'reference phases']
    """
    kinds = {
        "reference phases": {reference.name: reference.formula for reference in references},
        "prototypes as substituted": {name: formula for name, formula, _ in _prototypes(system)},
        "prototypes as relaxed": {
            name: formula for name, formula, _ in _relaxed_prototypes(system)
        },
    }
    wanted = _reduced(formulas)
    return {
        kind: sum(wanted is None or formula in wanted for formula in found.values())
        for kind, found in kinds.items()
    }


def _reduced(formulas: Sequence[str] | None) -> set[str] | None:
    return None if formulas is None else {reduced_formula(formula) for formula in formulas}


def pool_id(system: OxideSystem, references: Sequence[ReferenceDoc]) -> str:
    """Hash of all that `known_structures` is made of, without making it."""
    digest = hashlib.sha256(_shipped_digest(system).encode())
    for reference in sorted(references, key=lambda reference: reference.reference_id):
        content = [reference.name, reference.energy_per_atom, reference.structure.as_dict()]
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=32)
def _shipped_digest(system: OxideSystem) -> str:
    digest = hashlib.sha256(repr(system).encode())
    for path in (prototypes_path(), relaxed_path(system)):
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def _prototypes(system: OxideSystem) -> tuple[Named, ...]:
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


@lru_cache(maxsize=2)
def _relaxed_prototypes(system: OxideSystem) -> tuple[Named, ...]:
    """Where prototypes end, converged or not; random crystals of the file are not of the pool."""
    path = relaxed_path(system)
    if not path.exists():
        return ()
    relaxed = RelaxedSet.load(path)
    at = {key: index for index, key in enumerate(relaxed.keys.tolist())}
    return tuple(
        (f"{name}, as relaxed", formula, relaxed.structure(at[key]))
        for name, formula, structure in _prototypes(system)
        if (key := crystal_key(structure)) in at
    )
