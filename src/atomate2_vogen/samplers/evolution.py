"""Candidates by evolution: one generation of offspring of known crystals, without any network.

The baseline that a trained generator has to beat. The operators are in `samplers.operators`, with
their sources; which crystals they act on is chosen in `samplers.parents`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import Any, ClassVar

import numpy as np
from monty.json import MSONable
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import (
    RefusedError,
    check_counts,
    check_number,
    check_whole,
    collect_sample,
    formula_rng,
)
from atomate2_vogen.samplers.operators import (
    cut_and_splice,
    oriented,
    permuted,
    random_supercell,
    softly_mutated,
    strained,
)
from atomate2_vogen.samplers.parents import (
    CellSizes,
    Family,
    Parent,
    digest_of,
    families_of,
    given_parents,
    pool_family,
    require_parents,
)
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import RejectionReason, SampleDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures
from atomate2_vogen.structures.reduction import ReducedCrystal, default_matcher
from atomate2_vogen.structures.sameness import same

CUT_AND_SPLICE = "cut and splice"
STRAIN = "strain"
PERMUTATION = "permutation"
SOFT_MUTATION = "soft mutation"

OPERATORS: dict[str, float] = {
    CUT_AND_SPLICE: 0.5,
    STRAIN: 0.25,
    SOFT_MUTATION: 0.2,
    PERMUTATION: 0.05,  # its crystals are 1 eV/atom higher than those of the others
}
"""Evolutionary operators, and the share of the attempts that each makes by default."""

TRIES = 32
"""Parents that one attempt draws before it is given up."""

_Made = tuple[Structure, list[Parent], dict[str, Any]]


@dataclass
class EvolutionSampler(MSONable):
    """Makes crystals of parts of others, or by straining, permuting or displacing them.

    Each attempt draws an operator and, until an offspring has all its atoms apart, parents: for
    cut-and-splice two, whose numbers of formula units divide that of the offspring and of which
    supercells are taken where they are smaller; for the others one. Offspring have the volume per
    atom of their parents and are given as Niggli cells. Those that match one of their parents or
    an earlier candidate are rejected. Attempt i of a formula has a separate random stream, so it
    gives the same crystal for any other request.

    Parameters
    ----------
    system
        The oxide; gives the minimum distances and the largest cell.
    parents
        Crystals of any of the system's compounds: structures, candidates, calculations or stability
        documents, of which the relaxed crystals are taken. By default those of the substitution
        pool. Of parents that match each other one is kept, that of the lowest energy or the first;
        `stability.diverse_parents` chooses some from judged crystals.
    energies
        Energy of each parent in eV/atom; by default those of the documents. Parents of lower rank
        are chosen more often; without energies all are equal.
    operators
        Share of the attempts of each operator, `OPERATORS` by default; those that are left out are
        not used.
    min_atoms
        Fewest atoms in a cell of an offspring, as far as cells that large can be made.
    strain
        Standard deviation of the components of a strain.
    max_attempts
        Attempts per crystal asked for, after which a formula stays short.
    fewest_parents
        Formulas with fewer given parents than this take crystals of the substitution pool too: half
        of the parents are then chosen from each. 0 takes none, and a formula needs a parent.

    Raises
    ------
    InputError
        If an option is out of range, an operator is unknown, or there are energies without parents.

    Examples
    --------
    >>> from atomate2_vogen.samplers import EvolutionSampler
    >>> sample = EvolutionSampler().sample({"VO2": 3}, seed=0)
    >>> [candidate.formula for candidate in sample.candidates]
    ['VO2', 'VO2', 'VO2']
    """

    system: OxideSystem = VANADIUM
    parents: Sequence[Crystal] | None = None
    energies: Sequence[float] | None = None
    operators: Mapping[str, float] = field(default_factory=lambda: dict(OPERATORS))
    min_atoms: int = 7
    strain: float = 0.25
    max_attempts: int = 100
    fewest_parents: int = 0

    name: ClassVar[str] = "evolution"

    def __post_init__(self) -> None:
        """Refuse parameters that no crystal can be made with."""
        check_whole("min_atoms", self.min_atoms)
        check_number("strain", self.strain, 1.0)
        check_whole("max_attempts", self.max_attempts)
        check_whole("fewest_parents", self.fewest_parents, 0)
        if strange := [name for name in self.operators if name not in OPERATORS]:
            raise InputError(
                f"unknown operator {strange[0]!r}; take some of {', '.join(OPERATORS)}"
            )
        for name, share in self.operators.items():
            check_number(f"the share of the operator {name}", share, zero=True)
        if not any(self.operators.values()):
            raise InputError("operators: give at least one with a share above 0")
        if self.parents is None and self.energies is not None:
            raise InputError("energies are those of given parents; give `parents` too")

    @cached_property
    def model_id(self) -> str:
        """Version of ``ase-ga`` and a hash of the parents.

        Raises
        ------
        InputError
            As `sample`, if a parent cannot be used.
        """
        pool = self.parents is None or self.fewest_parents > 0
        digest = self._pool.model_id.rpartition("-")[2] if pool else ""
        if self.parents is not None:
            # with the pool beside them, what a seed gives depends on both
            digest = digest_of(self._given, digest)
        return f"ase-ga-{metadata.version('ase-ga')}-{digest}"

    @property
    def options(self) -> dict[str, Any]:
        """Options that are not at their defaults and decide which crystals are made."""
        options: dict[str, Any] = {}
        if self._shares != OPERATORS:
            options["operators"] = self._shares
        defaults = type(self)
        for name in ("min_atoms", "strain", "fewest_parents"):
            if getattr(self, name) != getattr(defaults, name):
                options[name] = getattr(self, name)
        return options

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals; see `Sampler`.

        Details of each candidate are its ``operator``, the names of its ``parents`` (candidate ids,
        prototypes, or the place in the list) and its ``formula_units``; those of a soft mutation
        have the number of the ``mode`` as well, by rising frequency.

        Raises
        ------
        CountsError, UnknownFormulaError
            As `check_counts`.
        InputError
            If the seed is negative or not whole, a formula has no parents, or a parent cannot be
            used; see `samplers.parents.given_parents` for its kinds.
        """
        for formula in check_counts(counts, self.system):
            self._family(formula)
        return collect_sample(
            self,
            self.system,
            counts,
            seed,
            self._outcomes,
            options=self.options,
            known=known,
        )

    def _outcomes(
        self, formula: str, wanted: int, seed: int
    ) -> Iterator[tuple[Structure, dict[str, Any]] | RefusedError]:
        """Attempts, each from a separate random stream."""
        family = self._family(formula)
        distinct, matcher = DistinctStructures(), default_matcher()
        for index in range(self.max_attempts * wanted):
            random = np.random.RandomState(formula_rng(seed, formula, index).bit_generator)
            try:
                structure, parents, details = self._try(family, formula, random)
            except RefusedError as refusal:
                yield refusal
                continue
            reduced = ReducedCrystal(structure)
            copied = next((one for one in parents if same(one.reduced, reduced, matcher)), None)
            twin = copied or distinct.twin_or_add(str(index), structure, reduced)
            if twin:
                named = f"its parent {copied.name}" if copied else f"attempt {twin}"
                yield RefusedError(RejectionReason.DUPLICATE, f"matches {named}")
                continue
            yield structure, details

    def _try(
        self, family: Family, formula: str, random: np.random.RandomState
    ) -> tuple[Structure, list[Parent], dict[str, Any]]:
        """One attempt: a crystal with its parents and details, or `RefusedError`."""
        shares = np.cumsum(list(self._shares.values()))
        drawn = np.searchsorted(shares, random.random_sample() * shares[-1], side="right")
        operator = list(self._shares)[int(drawn)]
        sizes = CellSizes(self.system, formula, self.min_atoms)
        closest = "no cut keeps the composition and the distances"
        for _ in range(TRIES):
            made = self._apply(operator, family, sizes, random)
            if made is None:
                continue
            structure, parents, further = made
            if message := too_close(structure, self.system):
                closest = message
                continue
            structure = oriented(structure, self.system)
            details = {
                "operator": operator,
                "parents": [parent.name for parent in parents],
                "formula_units": len(structure) // sizes.unit,
            }
            return structure, parents, details | further
        raise RefusedError(
            RejectionReason.ATOMS_TOO_CLOSE, f"{operator}, {TRIES} choices of parents: {closest}"
        )

    def _apply(
        self, operator: str, family: Family, sizes: CellSizes, random: np.random.RandomState
    ) -> _Made | None:
        """Offspring of parents that are drawn, its parents and further details."""
        everyone = np.ones(len(family.parents), dtype=bool)
        if operator == STRAIN:
            # a supercell would keep its translations
            large = np.array([len(one.structure) for one in family.parents]) >= self.min_atoms
            parent = family.choose(large if large.any() else everyone, random)
            made = strained(parent.structure, self.strain, random)
            return None if made is None else (made, [parent], {})
        parent = family.choose(everyone, random)
        possible = sizes.of(parent.units)
        n_units = int(possible[random.randint(len(possible))])
        cell = random_supercell(parent.structure, n_units // parent.units, self.system, random)
        if operator == PERMUTATION:
            made = permuted(cell, random)
            return None if made is None else (made, [parent], {})
        if operator == SOFT_MUTATION:
            found = softly_mutated(cell, self.system, random)
            return None if found is None else (found[0], [parent], {"mode": found[1]})
        fitting = n_units % family.units == 0
        fitting[family.parents.index(parent)] = False
        # a single crystal is spliced with itself, shifted
        partner = family.choose(fitting, random) if fitting.any() else parent
        other = random_supercell(partner.structure, n_units // partner.units, self.system, random)
        made = cut_and_splice(cell, other, self.system, random)
        return None if made is None else (made, [parent, partner], {})

    @cached_property
    def _shares(self) -> dict[str, float]:
        """Share of each operator that is used, in the order of `OPERATORS`."""
        return {name: float(self.operators[name]) for name in OPERATORS if self.operators.get(name)}

    @cached_property
    def _pool(self) -> SubstitutionSampler:
        return SubstitutionSampler(self.system)

    @cached_property
    def _given(self) -> list[Parent]:
        return given_parents(self.parents or [], self.energies, self.system)

    @cached_property
    def _given_families(self) -> dict[str, Family]:
        return {} if self.parents is None else families_of(self._given)

    @cached_property
    def _families(self) -> dict[str, Family]:
        return {}

    def _family(self, formula: str) -> Family:
        """Parents of a formula."""
        if formula not in self._families:
            self._families[formula] = self._new_family(formula)
        return self._families[formula]

    def _new_family(self, formula: str) -> Family:
        given = self._given_families.get(formula)
        if given is None and self.parents is not None and not self.fewest_parents:
            require_parents(self.parents, [formula])
        if given is not None and len(given.parents) >= self.fewest_parents:
            return given
        pool = pool_family(self._pool, formula, self.min_atoms)
        return pool if given is None else given.beside(pool)
