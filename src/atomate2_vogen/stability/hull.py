"""Stability of candidates on the convex hull of the reference phases.

`assess` is a pure function from documents to documents; builders and command lines wrap it.

Conventions
-----------
- Formation energies are per atom and relative to the lowest-energy element references of the
  same scheme.
- ``energy_above_hull`` is measured from the hull of the reference phases alone, so a candidate
  never lowers the hull that it is compared with and is negative when below it.
  ``energy_above_joint_hull`` is measured from references and ranked candidates together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import CalculationDoc, ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.judging import Judged, field_class, judge, paper_class
from atomate2_vogen.stability.phases import ReferenceHull, hull_id
from atomate2_vogen.structures.duplicates import Comparable, compare_crystals
from atomate2_vogen.structures.matching import KnownStructures

__all__ = [
    "Ranked",
    "ReferenceHull",
    "assess",
    "complete",
    "field_class",
    "hull_id",
    "paper_class",
    "relate",
]


@dataclass(frozen=True)
class Ranked:
    """Properties of a ranked candidate that other candidates depend on.

    Parameters
    ----------
    candidate_id
        Candidate id, which names the group that the candidate leads.
    energy_per_atom
        eV/atom in the hull's scheme.
    comparable
        Crystal with the stability id as its name and the formation energy as its energy.

    Examples
    --------
    >>> from atomate2_vogen.stability import Ranked
    >>> from atomate2_vogen.structures.duplicates import Comparable
    >>> from atomate2_vogen.structures.reduction import ReducedCrystal
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> comparable = Comparable("VO-1|EMT", "VO", -2.0, ReducedCrystal(crystal))
    >>> Ranked("VO-1", energy_per_atom=-8.0, comparable=comparable).candidate_id
    'VO-1'
    """

    candidate_id: str
    energy_per_atom: float
    comparable: Comparable

    @classmethod
    def of(cls, judged: Judged) -> Ranked | None:
        """Ranked candidate of a judged one; None if it is not ranked."""
        document = judged.document
        if judged.crystal is None:
            return None
        formation, energy = document.formation_energy_per_atom, document.energy_per_atom
        if formation is None or energy is None:
            raise InputError(f"{document.stability_id} is ranked and has no energy")
        return cls(
            document.candidate_id,
            energy,
            Comparable(
                document.stability_id,
                document.formula,
                formation,
                judged.crystal,
                unrefined=judged.unrefined,
            ),
        )


def assess(
    calculations: Sequence[CalculationDoc],
    references: Sequence[ReferenceDoc],
    system: OxideSystem = VANADIUM,
    known: KnownStructures | None = None,
    joint: bool = False,
) -> list[StabilityDoc]:
    """Judge candidates against the hull of the reference phases.

    Pure: the same documents give the same answer, and another order of either input only
    permutes the result.

    Parameters
    ----------
    calculations
        One per candidate, all of the references' scheme. Failed and unconverged ones, those
        that collapsed during relaxation, and those that are no bulk crystals after it, get a
        document with the reason and no class.
    references
        Known phases and both elements.
    system
        Oxide system whose minimum distances decide which crystals have collapsed.
    known
        Known crystals that decide on novelty; without them novelty stays unknown (None). A crystal
        is novel if it matches nothing there, neither as refined, nor as relaxed, nor as generated.
    joint
        Also measure ranked candidates from the hull of references and ranked candidates.

    Returns
    -------
    list of StabilityDoc
        In the order of `calculations`.

    Raises
    ------
    SchemeMismatchError
        If more than one scheme is among the inputs.
    MissingReferenceError, NonFiniteError
        As `ReferenceHull`.
    ElementError
        If a candidate or reference holds an element outside the system.
    InputError
        If a calculation is given twice.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.samplers import SubstitutionSampler
    >>> from atomate2_vogen.schemas import CalculationDoc
    >>> from atomate2_vogen.stability import assess
    >>> (candidate,) = SubstitutionSampler().sample({"VO2": 1}, seed=0).candidates
    >>> calculation = CalculationDoc(
    ...     calculation_id=f"{candidate.candidate_id}|CHGNet-0.3.0",
    ...     candidate_id=candidate.candidate_id,
    ...     scheme="CHGNet-0.3.0",
    ...     state="completed",
    ...     candidate=candidate,
    ...     structure=candidate.structure,
    ...     initial_energy_per_atom=-8.0,
    ...     energy_per_atom=-8.2,
    ...     max_force=0.01,
    ... )
    >>> (document,) = assess([calculation], load_references("CHGNet-0.3.0"))
    >>> document.state.value, round(document.energy_above_hull, 2)
    ('ranked', 0.56)
    """
    hull = ReferenceHull(references, system)
    seen: set[str] = set()
    for calculation in calculations:
        if calculation.calculation_id in seen:
            raise InputError(f"calculation {calculation.calculation_id} is given twice")
        seen.add(calculation.calculation_id)
    judged = [judge(calculation, hull, known) for calculation in calculations]
    complete(judged, (), hull if joint else None)
    return [one.document for one in judged]


def complete(
    judged: Sequence[Judged], others: Sequence[Ranked], hull: ReferenceHull | None
) -> dict[str, dict[str, Any]]:
    """Fill in the fields of documents that depend on other candidates.

    Parameters
    ----------
    judged
        Candidates whose documents are changed in place.
    others
        Ranked candidates of the same system and scheme with documents from earlier.
    hull
        As for `relate`.

    Returns
    -------
    dict
        New values for the others, as `relate` returns them.
    """
    ranked = [*others, *(one for one in map(Ranked.of, judged) if one is not None)]
    compare_crystals([one.comparable for one in ranked])
    relations = relate(ranked, hull)
    for one in judged:
        for name, value in relations.pop(one.document.stability_id, {}).items():
            setattr(one.document, name, value)
    return relations


def relate(ranked: Sequence[Ranked], hull: ReferenceHull | None) -> dict[str, dict[str, Any]]:
    """Fields that depend on other candidates: groups, and energies above the joint hull.

    Arithmetic only; crystals must have been compared.

    Parameters
    ----------
    ranked
        All ranked candidates of a system and scheme.
    hull
        Hull of the reference phases; None leaves out the joint hull.

    Returns
    -------
    dict
        Fields of `StabilityDoc` and their values, by stability id.

    Examples
    --------
    >>> from atomate2_vogen.stability import Ranked, relate
    >>> from atomate2_vogen.structures.duplicates import Comparable, compare_crystals
    >>> from atomate2_vogen.structures.reduction import ReducedCrystal
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> ranked = [
    ...     Ranked(name, energy, Comparable(name, "VO", energy, ReducedCrystal(crystal)))
    ...     for name, energy in (("first", -2.0), ("second", -2.1))
    ... ]
    >>> compare_crystals([one.comparable for one in ranked])
    >>> relate(ranked, hull=None)["first"]["duplicate_group"]
    'second'
    """
    candidates = {one.comparable.name: one.candidate_id for one in ranked}
    above: Sequence[float | None] = [None] * len(ranked)
    if hull is not None:
        above = hull.joint([(one.comparable.formula, one.energy_per_atom) for one in ranked])
    return {
        one.comparable.name: {
            "duplicate_group": candidates.get(str(one.comparable.leader)),
            "is_unique": one.comparable.leads,
            "energy_above_joint_hull": height,
            "leader": one.comparable.leader,
            "compared_with": one.comparable.compared,
        }
        for one, height in zip(ranked, above, strict=True)
    }
