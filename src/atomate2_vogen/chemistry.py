"""What makes the package about one binary oxide and not about another.

Everything that is specific to vanadium lives in `VANADIUM`; any other binary oxide is one
more `OxideSystem` instance and no code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

from monty.json import MSONable
from pymatgen.core import Composition, Element

from atomate2_vogen.errors import InputError, UnknownFormulaError

MAX_ATOMS = 200
"""Largest cell that a system may ask for; the networks' inputs grow with it."""

_NUMBERS = ("atomic_volumes", "minimum_distances", "hubbard_u", "initial_moments")


def reduced_formula(text: str) -> str:
    """Reduced formula of a composition, by which documents and queries name it.

    The order of the symbols and a common factor do not matter: ``O4V2`` is ``VO2``.

    Parameters
    ----------
    text
        Formula with whole numbers of atoms.

    Raises
    ------
    UnknownFormulaError
        If the text is not a formula, or has fractions of atoms: rounded ones such as
        ``V0.33O0.67`` name no single compound.
    """
    try:
        composition = Composition(text, strict=True)
        reduced = str(composition.reduced_formula)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UnknownFormulaError(f"{text[:60]!r} is not a chemical formula") from error
    amounts = [float(amount) for amount in composition.values()]
    if not amounts or not all(amount.is_integer() for amount in amounts):
        raise UnknownFormulaError(
            f"{text!r} is not a formula with whole numbers of atoms; write for example VO2"
        )
    return reduced


@dataclass(frozen=True)
class OxideSystem(MSONable):
    """A binary oxide: its elements, targets and the physics that is fixed per element.

    Parameters
    ----------
    metal
        Symbol of the cation.
    target_formulas
        Reduced formulas that the samplers are asked for by default.
    oxidation_states
        Allowed oxidation states per element symbol.
    atomic_volumes
        Volume per atom in Å³, by element symbol, to which substituted prototypes are scaled.
    minimum_distances
        Shortest physical distance in Å for each element pair, keyed ``"A-B"``; either order
        of the two symbols may be asked for with `minimum_distance`.
    hubbard_u
        Hubbard U in eV on the d states, by element symbol (Dudarev form).
    initial_moments
        Initial magnetic moments in μB, by element symbol.
    anion
        Symbol of the anion.
    max_atoms
        Largest number of atoms in a generated cell.

    Raises
    ------
    InputError
        If a symbol is no element, metal and anion are the same, a table lacks one of the two
        elements or one of the three pairs, or a number is not finite and positive.
    UnknownFormulaError
        If a target is not a compound of the two elements.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> VANADIUM.chemsys, VANADIUM.reduced_formula("V4O8")
    ('O-V', 'VO2')
    >>> VANADIUM.minimum_distance("V", "O")
    1.5
    """

    metal: str
    target_formulas: tuple[str, ...]
    oxidation_states: dict[str, tuple[int, ...]]
    atomic_volumes: dict[str, float]
    minimum_distances: dict[str, float]
    hubbard_u: dict[str, float] = field(default_factory=dict)
    initial_moments: dict[str, float] = field(default_factory=dict)
    anion: str = "O"
    max_atoms: int = 20

    def __post_init__(self) -> None:
        """Refuse a system that later code could only fail on."""
        self._check_kinds()
        for symbol in self.elements:
            if not Element.is_valid_symbol(symbol):
                raise InputError(f"{symbol!r} is not an element symbol")
        if self.metal == self.anion:
            raise InputError(f"metal and anion are both {self.metal}")
        for name in ("oxidation_states", "atomic_volumes"):
            if missing := set(self.elements) - set(getattr(self, name)):
                raise InputError(f"{name} of {self.chemsys} lacks {', '.join(sorted(missing))}")
        for first, second in self.pairs:
            self.minimum_distance(first, second)
        for name in ("atomic_volumes", "minimum_distances"):
            for key, value in getattr(self, name).items():
                if not (math.isfinite(value) and value > 0):
                    raise InputError(f"{name}[{key!r}] of {self.chemsys} is {value}, not positive")
        # JSON turns tuples into lists; a frozen instance must stay hashable by its repr
        object.__setattr__(
            self,
            "oxidation_states",
            {symbol: tuple(states) for symbol, states in self.oxidation_states.items()},
        )
        formulas = tuple(self.reduced_formula(formula) for formula in self.target_formulas)
        object.__setattr__(self, "target_formulas", formulas)

    def _check_kinds(self) -> None:
        """Refuse values of the wrong kind: the fields may come from a file."""
        for name in ("metal", "anion"):
            if not isinstance(value := getattr(self, name), str):
                raise InputError(f"{name} is no text, but {type(value).__name__}")
        formulas = self.target_formulas
        if not _is_list(formulas) or not formulas or not all(isinstance(f, str) for f in formulas):
            raise InputError("target_formulas is no list of formulas")
        for name in ("oxidation_states", *_NUMBERS):
            table = getattr(self, name)
            if not isinstance(table, Mapping) or not all(isinstance(key, str) for key in table):
                raise InputError(f"{name} is no mapping of symbols to values")
            for key, value in table.items():
                if name == "oxidation_states":
                    if not _is_list(value) or not all(_is_charge(charge) for charge in value):
                        raise InputError(f"{name}[{key!r}] is no list of whole numbers, -9 to 9")
                elif not _is_number(value):
                    shown = value if isinstance(value, float) else type(value).__name__
                    raise InputError(f"{name}[{key!r}] is {shown}, no number below 10⁹")
        most = self.max_atoms
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MAX_ATOMS:
            raise InputError(f"max_atoms is not a whole number from 1 to {MAX_ATOMS}")

    @classmethod
    def from_fields(cls, content: Any) -> Self:
        """The system of plain fields, as a file, a record or `as_dict` has them.

        Unlike MSONable's `from_dict` it makes nothing else that the fields may name.

        Raises
        ------
        InputError
            If a field is missing, unknown or of the wrong kind, or the system is impossible.
        UnknownFormulaError
            As the class.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"no fields of an oxide system, but {type(content).__name__}")
        given = {key: value for key, value in content.items() if not str(key).startswith("@")}
        known = {one.name: one for one in fields(cls)}
        if unknown := sorted(map(str, set(given) - set(known))):
            raise InputError(f"no field of an oxide system is called {', '.join(unknown)[:200]}")
        needed = {
            name
            for name, one in known.items()
            if one.default is MISSING and one.default_factory is MISSING
        }
        if missing := sorted(needed - set(given)):
            raise InputError(f"an oxide system lacks {', '.join(missing)}")
        return cls(**given)

    def __hash__(self) -> int:
        """Hash by value, so that per-system caches work."""
        return hash(repr(self))

    @property
    def elements(self) -> tuple[str, str]:
        """The two element symbols, metal first: the channel order of every sites grid."""
        return (self.metal, self.anion)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The three distinct element pairs."""
        return (
            (self.metal, self.metal),
            (self.metal, self.anion),
            (self.anion, self.anion),
        )

    @property
    def chemsys(self) -> str:
        """Chemical system in pymatgen's form: symbols sorted and joined with a hyphen."""
        return "-".join(sorted(self.elements))

    @property
    def atomic_numbers(self) -> tuple[int, int]:
        """Atomic numbers in the order of `elements`."""
        return (Element(self.metal).Z, Element(self.anion).Z)

    def volume(self, n_metal: int, n_anion: int) -> float:
        """Volume in Å³ of so many atoms, by `atomic_volumes`.

        Examples
        --------
        >>> from atomate2_vogen import VANADIUM
        >>> round(VANADIUM.volume(2, 4), 1)
        67.6
        """
        metal, anion = (self.atomic_volumes[symbol] for symbol in (self.metal, self.anion))
        return n_metal * metal + n_anion * anion

    def minimum_distance(self, first: str, second: str) -> float:
        """Shortest physical distance between two elements in Å.

        Raises
        ------
        InputError
            If the table has no such pair.
        """
        for key in (f"{first}-{second}", f"{second}-{first}"):
            if key in self.minimum_distances:
                return self.minimum_distances[key]
        raise InputError(f"minimum_distances of {self.chemsys} lacks the pair {first}-{second}")

    def reduced_formula(self, formula: str) -> str:
        """Reduced formula of a compound of this system, metal first.

        Raises
        ------
        UnknownFormulaError
            If the text is not a formula, or not of exactly these two elements.
        """
        reduced = reduced_formula(formula)
        symbols = {element.symbol for element in Composition(reduced).elements}
        if symbols != set(self.elements):
            raise UnknownFormulaError(
                f"{formula!r} is not a compound of {self.metal} and {self.anion}; ask for example "
                f"for {', '.join(self.target_formulas)}"
            )
        return reduced

    def formula_unit(self, formula: str) -> tuple[int, int]:
        """Atoms of metal and anion in one reduced formula unit, e.g. (1, 2).

        Raises
        ------
        UnknownFormulaError
            As `reduced_formula`.
        """
        composition = Composition(self.reduced_formula(formula))
        return int(composition[self.metal]), int(composition[self.anion])

    def max_formula_units(self, formula: str) -> int:
        """Largest number of formula units that fits in `max_atoms`; 0 if not even one does."""
        return self.max_atoms // sum(self.formula_unit(formula))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e9  # not for NaN
    )


def _is_charge(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 9


VANADIUM = OxideSystem(
    metal="V",
    target_formulas=("VO2", "V2O3", "V2O5"),
    oxidation_states={"V": (2, 3, 4, 5), "O": (-2,)},
    atomic_volumes={"V": 13.8, "O": 10.0},
    minimum_distances={"V-V": 2.0, "V-O": 1.5, "O-O": 2.0},
    hubbard_u={"V": 3.25},
    initial_moments={"V": 5.0, "O": 0.6},
)
"""Vanadium oxides as in the paper: U(V 3d) = 3.25 eV (section 3.6), targets of section 3.3."""

TITANIUM = OxideSystem(
    metal="Ti",
    target_formulas=("TiO2", "Ti2O3", "Ti3O5"),
    oxidation_states={"Ti": (2, 3, 4), "O": (-2,)},
    atomic_volumes={"Ti": 11.5, "O": 10.0},
    minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.6, "O-O": 2.0},
    initial_moments={"Ti": 0.6, "O": 0.6},
)
"""Titanium oxides, every number by the rules of `data.systems.oxide_system` but the targets.

Oxidation states: pymatgen's table of the ICSD. Volumes and distances: the package's 16 prototypes
of Ti and O between TiO and TiO2. No U, and moments of 0.6 μB: the Materials Project's settings.
"""
