"""The known phases of a system and the convex hull that they span."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import (
    ElementError,
    InputError,
    MissingReferenceError,
    NonFiniteError,
    SchemeMismatchError,
)
from atomate2_vogen.schemas import DecompositionPhase, ReferenceDoc


@dataclass(frozen=True)
class Position:
    """Energies of one composition relative to a hull, in eV/atom.

    Examples
    --------
    >>> from atomate2_vogen.stability import Position
    >>> position = Position(formation_energy=-2.3, energy_above_hull=0.1)
    >>> position.energy_above_hull
    0.1
    """

    formation_energy: float
    energy_above_hull: float


class ReferenceHull:
    """Convex hull of one scheme's reference phases.

    Parameters
    ----------
    references
        Known phases and both elements, all of one scheme.
    system
        The oxide.

    Raises
    ------
    MissingReferenceError
        If there is no reference, or none for one of the elements.
    SchemeMismatchError
        If the references are of several schemes.
    ElementError
        If a phase holds an element outside the system.
    NonFiniteError
        If an energy is NaN or infinite.
    InputError
        If one id carries two different energies.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM, load_references
    >>> from atomate2_vogen.stability import ReferenceHull
    >>> from pymatgen.core import Composition
    >>> hull = ReferenceHull(load_references("CHGNet-0.3.0"), VANADIUM)
    >>> position = hull.position(Composition("VO2"), energy_per_atom=-8.0)
    >>> round(position.energy_above_hull, 2)
    0.76
    >>> [phase.formula for phase in hull.decomposition(Composition("V5O9"))]
    ['V5O9']
    """

    def __init__(self, references: Sequence[ReferenceDoc], system: OxideSystem) -> None:
        self.scheme = _one_scheme(references, system)
        self.system = system
        self.references = _distinct(references)
        for reference in self.references:
            _check_reference(reference, system)
        present = {r.structure.composition.chemical_system for r in self.references}
        missing = [symbol for symbol in system.elements if symbol not in present]
        if missing:
            raise MissingReferenceError(
                f"no reference for the element {' and '.join(missing)} in scheme {self.scheme}; "
                "relax it with the same engine first"
            )
        self._entries = [
            _entry(reference.structure.composition, reference.energy_per_atom, reference.name)
            for reference in self.references
        ]
        self._diagram = PhaseDiagram(self._entries)

    @cached_property
    def hull_id(self) -> str:
        """Hash of phases and energies; see `hull_id`."""
        return hull_id(self.references)

    @property
    def vertices(self) -> list[ReferenceDoc]:
        """References on the hull, by rising anion fraction."""
        stable = self._diagram.stable_entries
        on_hull = [
            reference
            for reference, entry in zip(self.references, self._entries, strict=True)
            if entry in stable
        ]
        return sorted(on_hull, key=lambda r: anion_fraction(r.structure.composition, self.system))

    def position(self, composition: Composition, energy_per_atom: float) -> Position:
        """Formation energy and energy above hull of any phase of the system.

        Parameters
        ----------
        composition
            Of the phase; only ratios matter.
        energy_per_atom
            eV/atom in the hull's scheme.

        Returns
        -------
        Position
            Both in eV/atom; the energy above hull is negative below the hull.
        """
        entry = _entry(composition, energy_per_atom)
        above = energy_per_atom - self._diagram.get_hull_energy_per_atom(entry.composition)
        return Position(float(self._diagram.get_form_energy_per_atom(entry)), float(above))

    def decomposition(self, composition: Composition) -> list[DecompositionPhase]:
        """Reference phases on the hull at a composition, by rising anion fraction.

        Fractions are shares of the atoms and sum to one.
        """
        phases = self._diagram.get_decomposition(composition).items()
        ordered = sorted(phases, key=lambda item: anion_fraction(item[0].composition, self.system))
        return [
            DecompositionPhase(
                name=cast("PDEntry", entry).name,
                formula=entry.composition.reduced_formula,
                fraction=float(fraction),
            )
            for entry, fraction in ordered
        ]

    def joint(self, phases: Sequence[tuple[str, float]]) -> list[float]:
        """Energies above the hull of references and the given phases together, eV/atom.

        Parameters
        ----------
        phases
            Reduced formula and energy per atom (eV/atom) of each.
        """
        lowest: dict[str, float] = {}
        for formula, energy in phases:
            lowest[formula] = min(energy, lowest.get(formula, energy))
        if not lowest:
            return []
        compositions = {formula: Composition(formula) for formula in lowest}
        added = [_entry(compositions[formula], lowest[formula]) for formula in sorted(lowest)]
        diagram = PhaseDiagram([*self._entries, *added])
        level = {
            formula: diagram.get_hull_energy_per_atom(composition)
            for formula, composition in compositions.items()
        }
        return [max(0.0, float(energy - level[formula])) for formula, energy in phases]


def hull_id(references: Sequence[ReferenceDoc]) -> str:
    """Deterministic name of a hull: its phases and energies, in any order.

    Energies enter with 8 decimals.
    """
    lines = sorted(
        {
            f"{r.reference_id}|{r.scheme}|{r.structure.composition.reduced_formula}"
            f"|{r.energy_per_atom:.8f}"
            for r in references
        }
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def anion_fraction(composition: Composition, system: OxideSystem) -> float:
    """Atomic fraction of the anion, from 0 (metal) to 1."""
    return float(composition.get_atomic_fraction(Element(system.anion)))


def check_elements(composition: Composition, system: OxideSystem, name: str) -> None:
    """Refuse a composition with an element outside the system; `name` stands in the message.

    Raises
    ------
    ElementError
        If there is one.
    """
    foreign = sorted({element.symbol for element in composition.elements} - set(system.elements))
    if foreign:
        raise ElementError(
            f"{name} holds {', '.join(foreign)}, which is not of the system {system.chemsys}"
        )


def _one_scheme(references: Sequence[ReferenceDoc], system: OxideSystem) -> str:
    schemes = sorted({reference.scheme for reference in references})
    if not schemes:
        raise MissingReferenceError(f"no reference phase of {system.chemsys} was given")
    if len(schemes) > 1:
        raise SchemeMismatchError(f"references of several schemes: {', '.join(schemes)}")
    return schemes[0]


def _distinct(references: Sequence[ReferenceDoc]) -> list[ReferenceDoc]:
    """References sorted by id, each once."""
    by_id: dict[str, ReferenceDoc] = {}
    for reference in references:
        other = by_id.setdefault(reference.reference_id, reference)
        if other.energy_per_atom != reference.energy_per_atom and not (
            math.isnan(other.energy_per_atom) and math.isnan(reference.energy_per_atom)
        ):
            raise InputError(
                f"reference {reference.reference_id} has two energies: "
                f"{other.energy_per_atom} and {reference.energy_per_atom} eV/atom"
            )
    return [by_id[key] for key in sorted(by_id)]


def _check_reference(reference: ReferenceDoc, system: OxideSystem) -> None:
    if not math.isfinite(reference.energy_per_atom):
        raise NonFiniteError(
            f"energy of reference {reference.reference_id} is {reference.energy_per_atom}"
        )
    check_elements(reference.structure.composition, system, f"reference {reference.reference_id}")


def _entry(composition: Composition, energy_per_atom: float, name: str | None = None) -> PDEntry:
    plain = Composition(
        {element.symbol: amount for element, amount in composition.element_composition.items()}
    )
    return PDEntry(plain, energy_per_atom * plain.num_atoms, name=name)
