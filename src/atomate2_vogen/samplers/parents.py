"""Parents of an evolutionary search: crystals of one formula, and how often each is chosen."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError, NonFiniteError, SchemeMismatchError
from atomate2_vogen.samplers.operators import oriented
from atomate2_vogen.samplers.substitution import SubstitutionSampler, prototype_names
from atomate2_vogen.schemas import CalculationDoc, StabilityDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.structures.geometry import check_structure, too_close
from atomate2_vogen.structures.matching import DistinctStructures
from atomate2_vogen.structures.reduction import ReducedCrystal

_PRIMITIVE = 0.01  # Å; the default of pymatgen takes a distorted supercell for its ideal cell


@dataclass(frozen=True)
class Parent:
    """A crystal that offspring are made of.

    Parameters
    ----------
    name
        By which the details of an offspring name it.
    structure
        Primitive Niggli cell, as `operators.oriented` gives it.
    units
        Formula units in this cell.
    energy
        In eV/atom; None where energies are not compared.
    """

    name: str
    structure: Structure
    units: int
    energy: float | None = None

    @cached_property
    def reduced(self) -> ReducedCrystal:
        """For comparisons."""
        return ReducedCrystal(self.structure)


@dataclass(frozen=True)
class Family:
    """All parents of one formula.

    Parameters
    ----------
    parents
        Distinct crystals, those of the lowest energy first.
    weights
        Chance of each to be chosen, shape (n,), up to a factor.
    """

    parents: tuple[Parent, ...]
    weights: np.ndarray

    @classmethod
    def of(cls, parents: Sequence[Parent]) -> Family:
        """Family of distinct parents; with energies the lower ones are chosen more often.

        The chance is the fitness in populations of ``ase-ga`` (Vilhelmsen *et al.*, J. Am. Chem.
        Soc. 134, 12807, 2012; Vilhelmsen & Hammer, J. Chem. Phys. 141, 044711, 2014), with ranks in the place of energies, so that no
        outlier makes all others equal: it falls from 0.88 for the lowest to 0.12 for the highest.
        """
        if any(parent.energy is None for parent in parents):
            return cls(tuple(parents), np.ones(len(parents)))
        ranked = sorted(parents, key=lambda parent: parent.energy or 0.0)  # stable
        ranks = np.linspace(0, 1, len(ranked)) if len(ranked) > 1 else np.full(1, 0.5)
        return cls(tuple(ranked), (1 - np.tanh(2 * ranks - 1)) / 2)

    def beside(self, other: Family) -> Family:
        """Both families as one, in which half of the chance is that of each."""
        shares = [family.weights / family.weights.sum() for family in (self, other)]
        return Family((*self.parents, *other.parents), np.concatenate(shares))

    def choose(self, allowed: np.ndarray, random: np.random.RandomState) -> Parent:
        """One of those that a mask of shape (n,) allows, of which there must be one."""
        share = np.cumsum(np.where(allowed, self.weights, 0.0))
        at = int(np.searchsorted(share, random.random_sample() * share[-1], side="right"))
        return self.parents[at]

    @cached_property
    def units(self) -> np.ndarray:
        """Formula units of each, shape (n,)."""
        return np.array([parent.units for parent in self.parents])


@dataclass(frozen=True)
class CellSizes:
    """Numbers of formula units that the cells of offspring may have.

    Parameters
    ----------
    system
        Gives the largest cell.
    formula
        Reduced formula.
    min_atoms
        Fewest atoms of a cell.
    """

    system: OxideSystem
    formula: str
    min_atoms: int

    @property
    def unit(self) -> int:
        """Atoms per formula unit."""
        return sum(self.system.formula_unit(self.formula))

    def of(self, units: int) -> np.ndarray:
        """Multiples of a parent's number that are large enough; the largest if none is."""
        multiples = np.arange(units, self.system.max_formula_units(self.formula) + 1, units)
        large = multiples * self.unit >= self.min_atoms
        return multiples[large] if large.any() else multiples[-1:]


def pool_family(sampler: SubstitutionSampler, formula: str, min_atoms: int) -> Family:
    """Crystals of the substitution pool whose atoms are apart.

    Cells of at least `min_atoms` atoms, or the largest ones where all are smaller.

    Raises
    ------
    InputError
        If the pool has none of the formula.
    """
    pool, system = sampler.pool, sampler.system
    members = np.flatnonzero(pool.formulas() == formula)
    apart = [at for at in members.tolist() if too_close(pool.structure(at), system) is None]
    if not apart:
        raise InputError(
            f"the substitution pool has no crystal of {formula} to begin with; give parents"
        )
    sizes = pool.n_atoms
    least = min(min_atoms, max(sizes[at] for at in apart))
    unit = sum(system.formula_unit(formula))
    parents = []
    for at in apart:
        if sizes[at] < least:
            continue
        number = int(pool.prototype_ids[at])
        swapped = ", swapped" if pool.swapped[at] else ""
        parents.append(
            Parent(
                f"{prototype_names()[number]} #{number}{swapped}",
                oriented(pool.structure(at), system),
                int(sizes[at]) // unit,
            )
        )
    return Family.of(parents)


def given_parents(
    crystals: Sequence[Crystal], energies: Sequence[float] | None, system: OxideSystem
) -> list[Parent]:
    """Parents that a user gives, as primitive cells.

    Parameters
    ----------
    crystals
        Structures, candidates, calculations or stability documents; of the last two the relaxed
        crystals.
    energies
        Energy of each in eV/atom, all of one scheme. Without, those of the documents are taken
        where all crystals have one.
    system
        Oxide system.

    Raises
    ------
    InputError
        If there is none, a document has no relaxed crystal, a primitive cell has more than
        `max_atoms` atoms, or some but not all crystals have energies.
    NonFiniteError
        If an energy is not finite.
    ElementError, DisorderError, OverlapError, UnknownFormulaError
        If a crystal is none of the system. All errors name the crystal.
    SchemeMismatchError
        If documents are of several schemes.
    """
    if isinstance(crystals, Structure) or not isinstance(crystals, Sequence):
        raise InputError(f"parents is {type(crystals).__name__}; give a list of crystals")
    if not crystals:
        raise InputError("the list of parents is empty; give crystals, or leave `parents` out")
    names = [getattr(one, "candidate_id", f"parent {at}") for at, one in enumerate(crystals)]
    parents = []
    for name, crystal, energy in zip(
        names, crystals, _energies(names, crystals, energies), strict=True
    ):
        if not isinstance(crystal, Crystal):
            raise InputError(
                f"{name} is {type(crystal).__name__}; give structures, candidates or documents"
            )
        structure = crystal if isinstance(crystal, Structure) else crystal.structure
        if structure is None:
            raise InputError(f"{name} has no relaxed crystal; leave it out of the parents")
        try:
            parents.append(_parent(name, structure, energy, system))
        except InputError as error:
            raise type(error)(f"{name}: {error}") from error
    return parents


def require_parents(crystals: Sequence[Crystal], formulas: Iterable[str]) -> None:
    """Raise if a formula has no parents.

    Raises
    ------
    InputError
        Naming the formula, and those that have parents.
    """
    structures = [one if isinstance(one, Structure) else one.structure for one in crystals]
    found = {one.composition.reduced_formula for one in structures if one is not None}
    for formula in formulas:
        if formula not in found:
            raise InputError(
                f"none of the {len(crystals)} parents is of {formula}; there are "
                f"{', '.join(sorted(found)) or 'none at all'}"
            )


def families_of(parents: Sequence[Parent]) -> dict[str, Family]:
    """Parents by reduced formula; of those that match each other the lowest, or first, is kept."""
    families: dict[str, list[Parent]] = {}
    distinct = DistinctStructures()
    for parent in sorted(parents, key=lambda parent: parent.energy or 0.0):
        if distinct.twin_or_add(parent.name, parent.structure, parent.reduced) is None:
            formula = parent.structure.composition.reduced_formula
            families.setdefault(formula, []).append(parent)
    return {formula: Family.of(members) for formula, members in families.items()}


def _parent(name: str, structure: Structure, energy: float | None, system: OxideSystem) -> Parent:
    check_structure(structure, system)
    symbols = [site.specie.symbol for site in structure]
    bare = Structure(structure.lattice, symbols, structure.frac_coords)
    unit = sum(system.formula_unit(bare.composition.reduced_formula))
    cell = bare.get_primitive_structure(tolerance=_PRIMITIVE)
    if len(cell) > system.max_atoms:
        raise InputError(
            f"its primitive cell has {len(cell)} atoms; at most {system.max_atoms} are generated"
        )
    return Parent(name, oriented(cell, system), len(cell) // unit, energy)


def _energies(
    names: Sequence[str], crystals: Sequence[Crystal], given: Sequence[float] | None
) -> list[float] | list[None]:
    """Energy of each crystal, or None of all."""
    values: list[Any]
    relaxed = [one for one in crystals if isinstance(one, CalculationDoc | StabilityDoc)]
    if given is None:
        if not relaxed:
            return [None] * len(crystals)
        if len(schemes := sorted({one.scheme for one in relaxed})) > 1:
            raise SchemeMismatchError(
                f"parents are of {' and '.join(schemes)}; energies of several schemes cannot be "
                "compared"
            )
        values = [getattr(one, "energy_per_atom", None) for one in crystals]
    elif len(given) != len(crystals):
        raise InputError(f"{len(given)} energies for {len(crystals)} parents; give one for each")
    else:
        values = list(given)
    if missing := [name for name, value in zip(names, values, strict=True) if value is None]:
        raise InputError(
            f"{missing[0]} has no energy and other parents have; give `energies` for all of them, "
            "or structures alone"
        )
    for name, value in zip(names, values, strict=True):
        if not math.isfinite(value):
            raise NonFiniteError(f"the energy of {name} is {value} eV/atom; leave it out")
    return [float(value) for value in values]


def digest_of(parents: Sequence[Parent], further: str = "") -> str:
    """Hash of the parents' cells, sites and energies, to 1e-6, and of further text."""
    content: list[Any] = [
        (
            parent.structure.lattice.matrix.round(6).tolist(),
            parent.structure.frac_coords.round(6).tolist(),
            list(parent.structure.atomic_numbers),
            parent.energy,
        )
        for parent in parents
    ]
    return hashlib.sha256((json.dumps(content) + further).encode()).hexdigest()[:12]
