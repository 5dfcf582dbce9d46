"""The one call that every sampler answers, and the checks that they share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from atomate2_vogen.errors import CountsError, InputError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas import SampleDoc


@runtime_checkable
class Sampler(Protocol):
    """Anything that makes crystals of a requested composition."""

    @property
    def name(self) -> str:
        """``wgan``, ``substitution``, ``random`` or one's own."""
        ...

    @property
    def model_id(self) -> str:
        """Identifies the model, or the pool that is drawn from."""
        ...

    def sample(self, counts: Mapping[str, int], seed: int = 0) -> SampleDoc:
        """Make crystals.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula, e.g. ``{"TiO2": 8}``.
        seed
            The same seed gives the same crystals.

        Returns
        -------
        SampleDoc
            Candidates of exactly the requested compositions; whatever else was made is
            counted as rejected with its reason.
        """
        ...


def check_counts(counts: Mapping[str, int], system: OxideSystem) -> dict[str, int]:
    """Counts with reduced formulas as keys.

    Raises
    ------
    UnknownFormulaError
        If a formula is not a compound of the system.
    CountsError
        If nothing is asked for, a count is not a positive whole number, a formula is given
        twice, or one formula unit exceeds the largest cell.
    """
    if not counts:
        raise CountsError(f"no formula given; ask for example for {system.target_formulas[0]}")
    checked: dict[str, int] = {}
    for formula, count in counts.items():
        reduced = system.reduced_formula(formula)
        if isinstance(count, bool) or not isinstance(count, Integral) or count <= 0:
            raise CountsError(f"count for {formula} is {count!r}; give a positive whole number")
        if reduced in checked:
            raise CountsError(f"{formula} is given twice (as {reduced})")
        if system.max_formula_units(reduced) == 0:
            raise CountsError(f"{reduced} has more than {system.max_atoms} atoms per formula unit")
        checked[reduced] = int(count)
    return checked


def check_seed(seed: int) -> int:
    """Seed as a plain integer.

    Raises
    ------
    InputError
        If it is not a whole number or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"seed is {seed!r}; give a whole number that is not negative")
    return int(seed)


def formula_rng(seed: int, formula: str, *path: int) -> np.random.Generator:
    """Random stream of one formula, independent of what else is asked for in the same call.

    Parameters
    ----------
    seed
        Not negative.
    formula
        Reduced formula.
    path
        Further numbers, e.g. the attempt, each combination with a stream of its own.

    Raises
    ------
    InputError
        As `check_seed`.
    """
    words = np.frombuffer(hashlib.sha256(formula.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng(
        np.random.SeedSequence(check_seed(seed), spawn_key=(*words.tolist(), *path))
    )
