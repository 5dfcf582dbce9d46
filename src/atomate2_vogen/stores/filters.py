"""What people ask a store for, and the same as MongoDB's criteria."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pymatgen.symmetry.groups import SpaceGroup

from atomate2_vogen.chemistry import reduced_formula
from atomate2_vogen.energy_rounding import largest_within, smallest_within
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import (
    ElectronicCharacter,
    FieldClass,
    PaperClass,
    PhononVerdict,
    StabilityState,
    Verdict,
)
from atomate2_vogen.stores.names import unknown_name

Criteria = dict[str, Any]
Name = TypeVar("Name", bound=StrEnum)

CHOICES: dict[str, type[StrEnum]] = {
    "state": StabilityState,
    "paper_class": PaperClass,
    "field_class": FieldClass,
    "character": ElectronicCharacter,
    "phonons": PhononVerdict,
    "verdict": Verdict,
    "verdict_25mev": Verdict,
}
"""Conditions whose values are names from a list."""

_SAME: dict[str, str] = {
    "formula": "formula",
    "chemsys": "chemsys",
    "paper_class": "paper_class",
    "field_class": "field_class",
    "space_group": "space_group_number",
    "dimensionality": "bonding_dimensionality",
    "unique": "is_unique",
    "novel": "is_novel",
    "sampler": "sampler",
    "model_id": "model_id",
    "scheme": "scheme",
    "candidate_id": "candidate_id",
}
"""Fields of `StabilityDoc` that a condition must equal, by condition."""


class CrystalFilter(BaseModel):
    """Conditions on crystals; all of them must hold, and None is no condition.

    Where a condition takes several values, any of them will do. Only ranked crystals are
    found unless `state` says otherwise: a collapsed cell may have the lowest energy of all,
    and a layer in vacuum (`not bulk`) is no crystal.

    Conditions on electrons hold if one electronic document of the crystal meets all of them;
    those on phonons, and on the verdict of several energy models, likewise.

    Raises
    ------
    InputError
        For an unknown condition or value, with the nearest that is known.

    Examples
    --------
    >>> CrystalFilter.make({"formula": "O2V", "max_hull": 0.1}).formula
    ('VO2',)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: tuple[str, ...] | None = (StabilityState.RANKED.value,)
    """Of `StabilityState`; None for every state."""
    formula: tuple[str, ...] | None = None
    """With whole numbers of atoms, in any order; compared as reduced formulas."""
    chemsys: tuple[str, ...] | None = None
    """Symbols joined with hyphens, in any order."""
    paper_class: tuple[str, ...] | None = None
    """Of `PaperClass`."""
    field_class: tuple[str, ...] | None = None
    """Of `FieldClass`."""
    min_hull: float | None = None
    """Smallest energy above hull, eV/atom, itself included; compared as printed, to 1 meV."""
    max_hull: float | None = None
    """Largest energy above hull, eV/atom, itself included; compared as printed, to 1 meV."""
    space_group: tuple[int | str, ...] | None = None
    """Numbers or Hermann-Mauguin symbols."""
    dimensionality: tuple[int, ...] | None = None
    """Of the bonds: 3 for a framework, 2 for layers, 1 for chains, 0 for molecules."""
    unique: bool | None = None
    """Lowest-energy member of its group of duplicates."""
    novel: bool | None = None
    """Like no known crystal."""
    sampler: tuple[str, ...] | None = None
    model_id: tuple[str, ...] | None = None
    scheme: tuple[str, ...] | None = None
    """Energy scale of the hull."""
    candidate_id: tuple[str, ...] | None = None

    character: tuple[str, ...] | None = None
    """Of `ElectronicCharacter`."""
    half_metal: bool | None = None
    """True for half metals, False for what is known to be none."""
    min_gap: float | None = None
    """Smallest fundamental gap over both spins, eV, itself included."""
    max_gap: float | None = None
    """Largest fundamental gap over both spins, eV, itself included."""
    electronic_scheme: tuple[str, ...] | None = None
    """Energy scale of the electronic calculation."""

    phonons: tuple[str, ...] | None = None
    """Of `PhononVerdict`."""
    stable_phonons: bool | None = None
    """True for dynamically stable crystals, False for what is known to be not."""
    phonon_scheme: tuple[str, ...] | None = None
    """Energy scale of the phonon calculation."""

    verdict: tuple[str, ...] | None = None
    """Of `Verdict`: of several energy models, within 0.1 eV/atom above hull."""
    verdict_25mev: tuple[str, ...] | None = None
    """The same within 0.025 eV/atom."""

    @classmethod
    def make(cls, conditions: Mapping[str, Any]) -> Self:
        """From names and values, with messages for people.

        Raises
        ------
        InputError
            For an unknown condition, or a value that is none for it.
        """
        for name in conditions:
            if name not in cls.model_fields:
                raise InputError(unknown_name("condition", name, cls.model_fields))
        try:
            return cls(**conditions)
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"][:1])) or "conditions"
            text = problem["msg"].removeprefix("Value error, ")
            raise InputError(f"{name}: {text}") from error

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        """Refuse half characters, which no document can hold and no store can look up."""
        for name in type(self).model_fields:
            values = getattr(self, name)
            for value in values if isinstance(values, tuple) else ():
                if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                    raise ValueError(f"{name} is {value[:60]!a}, which holds half a character")
        return self

    @field_validator(
        "state",
        "formula",
        "chemsys",
        "paper_class",
        "field_class",
        "space_group",
        "dimensionality",
        "sampler",
        "model_id",
        "scheme",
        "candidate_id",
        "character",
        "electronic_scheme",
        "phonons",
        "phonon_scheme",
        "verdict",
        "verdict_25mev",
        mode="before",
    )
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One value is a list of one."""
        if value is None:
            return None
        listed = (value,) if isinstance(value, str | int) else tuple(value)
        if not listed:
            raise ValueError("an empty list fits nothing; leave it out")
        return listed

    @field_validator(*CHOICES)
    @classmethod
    def _chosen(cls, value: tuple[str, ...] | None, info: Any) -> tuple[str, ...] | None:
        names = {member.value for member in CHOICES[info.field_name]}
        for name in value or ():
            if name not in names:
                raise ValueError(unknown_name("value", str(name), names))
        return value and tuple(str(name) for name in value)

    @field_validator("formula")
    @classmethod
    def _reduced(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(reduced_formula(formula) for formula in value)

    @field_validator("chemsys")
    @classmethod
    def _sorted(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return value and tuple("-".join(sorted(system.split("-"))) for system in value)

    @field_validator("space_group")
    @classmethod
    def _numbered(cls, value: tuple[int | str, ...] | None) -> tuple[int, ...] | None:
        return None if value is None else tuple(_number(group) for group in value)

    @field_validator("dimensionality")
    @classmethod
    def _spatial(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        for number in value or ():
            if not 0 <= number <= 3:
                raise ValueError(f"{number} is not 0, 1, 2 or 3")
        return value

    @field_validator("min_hull", "max_hull", "min_gap", "max_gap")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{value} is no energy in eV")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("hull", "gap"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{name} {low:g} is above max_{name} {high:g}")
        return self

    def stability(self) -> Criteria:
        """Criteria on stability documents."""
        criteria: Criteria = {} if self.state is None else {"state": _any_of(self.state)}
        for condition, name in _SAME.items():
            value = getattr(self, condition)
            if value is not None:
                criteria[name] = _any_of(value) if isinstance(value, tuple) else value
        low = None if self.min_hull is None else smallest_within(self.min_hull)
        high = None if self.max_hull is None else largest_within(self.max_hull)
        return criteria | _between("energy_above_hull", low, high)

    def electronic(self) -> Criteria | None:
        """Criteria on electronic documents; None without any."""
        criteria: Criteria = {}
        half = {ElectronicCharacter.HALF_METAL.value}
        names = _narrowed(self.character, ElectronicCharacter, half, self.half_metal)
        if names is not None:
            criteria["electrons.character"] = _any_of(names)
        criteria |= _between("electrons.gap", self.min_gap, self.max_gap)
        if self.electronic_scheme is not None:
            criteria["scheme"] = _any_of(self.electronic_scheme)
        return self._of_the_same(criteria)

    def phononic(self) -> Criteria | None:
        """Criteria on phonon documents; None without any."""
        criteria: Criteria = {}
        stable = {PhononVerdict.STABLE.value}
        names = _narrowed(self.phonons, PhononVerdict, stable, self.stable_phonons)
        if names is not None:
            criteria["phonons.verdict"] = _any_of(names)
        if self.phonon_scheme is not None:
            criteria["scheme"] = _any_of(self.phonon_scheme)
        return self._of_the_same(criteria)

    def consensual(self) -> Criteria | None:
        """Criteria on consensus documents; None without any."""
        criteria: Criteria = {}
        for name in ("verdict", "verdict_25mev"):
            if (value := getattr(self, name)) is not None:
                criteria[name] = _any_of(value)
        return self._of_the_same(criteria)

    def _of_the_same(self, criteria: Criteria) -> Criteria | None:
        """Conditions that every document of a crystal can be asked, added where there are any."""
        if not criteria:
            return None
        for name in ("formula", "candidate_id"):
            if (value := getattr(self, name)) is not None:
                criteria[name] = _any_of(value)
        return criteria


def _narrowed(
    asked: tuple[str, ...] | None, names: type[StrEnum], special: set[str], wanted: bool | None
) -> tuple[str, ...] | None:
    """Names asked for that are special, or are not; None where nothing is asked."""
    if asked is None and wanted is None:
        return None
    found = {member.value for member in names} if asked is None else {*asked}
    if wanted is not None:
        found = found & special if wanted else found - special
    return tuple(sorted(found))


def _any_of(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}


def _between(name: str, low: float | None, high: float | None) -> Criteria:
    bounds = {"$gte": low, "$lte": high}
    given = {operator: value for operator, value in bounds.items() if value is not None}
    return {name: given} if given else {}


def _number(group: int | str) -> int:
    """Number of a space group."""
    if isinstance(group, str) and group.strip().isdigit():
        group = int(group)
    if isinstance(group, int):
        if not 1 <= group <= 230:
            raise ValueError(f"{group} is not the number of a space group, 1 to 230")
        return group
    try:
        return int(SpaceGroup(group).int_number)
    except ValueError as error:
        raise ValueError(f"{group!r} is not a space group; write its number") from error
