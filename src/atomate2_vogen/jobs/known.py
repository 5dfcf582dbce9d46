"""The pool of known crystals that novelty is judged against.

It holds the reference phases as relaxed, and every distinct crystal of the substitution pool
twice: as substituted and, where the package has it, as relaxed by the default judge. A crystal
that falls into the basin of a known prototype is then no discovery, wherever it started. A user
adds crystals of their own (`KnownDoc`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jobflow import Job, job
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem, reduced_formula
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.prototypes import load_prototypes, prototypes_path
from atomate2_vogen.data.relaxed import RelaxedSet, crystal_key, relaxed_path
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.schemas import KnownDoc, ReferenceDoc
from atomate2_vogen.structures.geometry import check_structure
from atomate2_vogen.structures.matching import KnownStructures

Named = tuple[str, str, Structure]
"""Name, reduced formula and crystal."""


def known_structures(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    formulas: Sequence[str] | None = None,
    *,
    margin: float = 1.0,
    own: Sequence[KnownDoc] = (),
) -> KnownStructures:
    """Reference phases, own crystals, prototypes as substituted, then prototypes as relaxed.

    The pool that novelty is judged against, of all formulas at a margin of 1, bears its `pool_id`.

    Parameters
    ----------
    system
        Oxide system whose data set is taken.
    references
        Relaxed reference phases; they give their names to what matches them.
    formulas
        Formulas to restrict all but the references to; None takes all.
    own
        Known crystals of the user.
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
    wanted = _reduced(formulas)
    pool: dict[str, Structure] = {}
    for number, (name, formula, structure) in enumerate(known_crystals(system, references, own)):
        if number < len(references) or wanted is None or formula in wanted:
            pool.setdefault(name, structure)
    whole = formulas is None and margin == 1.0
    return KnownStructures(pool, margin, pool_id(system, references, own) if whole else None)


def known_crystals(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    own: Sequence[KnownDoc] = (),
) -> list[Named]:
    """Name, reduced formula and crystal of all that `known_structures` is made of, in its order.

    Parameters
    ----------
    system, references, own
        As of `known_structures`.
    """
    phases = sorted(references, key=lambda reference: reference.energy_per_atom)
    return [
        *((phase.name, phase.formula, phase.structure) for phase in phases),
        *((one.name, one.formula, one.structure) for one in own),
        *_prototypes(system),
        *_relaxed_prototypes(system),
    ]


def count_known(
    system: OxideSystem = VANADIUM,
    references: Sequence[ReferenceDoc] = (),
    formulas: Sequence[str] | None = None,
    own: Sequence[KnownDoc] = (),
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
    if own:
        kinds["own crystals"] = {one.known_id: one.formula for one in own}
    wanted = _reduced(formulas)
    return {
        kind: sum(wanted is None or formula in wanted for formula in found.values())
        for kind, found in kinds.items()
    }


def _reduced(formulas: Sequence[str] | None) -> set[str] | None:
    return None if formulas is None else {reduced_formula(formula) for formula in formulas}


def pool_id(
    system: OxideSystem, references: Sequence[ReferenceDoc], own: Sequence[KnownDoc] = ()
) -> str:
    """Hash of all that `known_structures` is made of, without making it."""
    digest = hashlib.sha256(_shipped_digest(system).encode())
    for reference in sorted(references, key=lambda reference: reference.reference_id):
        content = [reference.name, reference.energy_per_atom, reference.structure.as_dict()]
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    for name in sorted(one.known_id for one in own):
        digest.update(name.encode())
    return digest.hexdigest()[:16]


def as_known(crystals: Sequence[Structure | KnownDoc], system: OxideSystem) -> list[KnownDoc]:
    """Documents of a user's known crystals, bare structures named by their number.

    Raises
    ------
    InputError
        If one is no crystal of the system, or has overlapping atoms; the message tells which.
    """
    documents = []
    for number, crystal in enumerate(crystals):
        made = crystal
        if isinstance(made, Structure):
            made = KnownDoc.make(made, f"own crystal {number}")
        if not isinstance(made, KnownDoc):
            raise InputError(
                f"known crystal {number} is {type(made).__name__}; give a Structure or a KnownDoc"
            )
        try:
            check_structure(made.structure, system)
        except InputError as error:
            raise type(error)(f"known crystal {number} ({made.name}): {error}") from error
        documents.append(made)
    return documents


def known_jobs(
    crystals: Sequence[Structure | KnownDoc], system: OxideSystem
) -> tuple[Any, list[Job]]:
    """Reference to a user's known crystals for the job that judges, and the job that keeps them.

    Without any: None, and no job.

    Raises
    ------
    InputError
        As `as_known`.
    """
    if not crystals:
        return None, []
    keeping: Job = keep_known(as_known(crystals, system))
    keeping.update_metadata({"stage": "known"})
    place(keeping, ANALYSIS)
    return keeping.output, [keeping]


@job
def keep_known(crystals: list[KnownDoc]) -> list[KnownDoc]:
    """A user's known crystals as the output of a job, from which the stores take them."""
    return crystals


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
