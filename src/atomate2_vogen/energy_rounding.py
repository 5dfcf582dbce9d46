"""When an energy meets a limit: as it is printed, to 1 meV/atom.

The last decimals of an energy are noise: CHGNet computes in single precision, and a crystal that is
relaxed again ends up to some tenths of a meV/atom elsewhere. So an energy is compared as tables
print it, with `ENERGY_DECIMALS` decimals. What prints as 0.000 is on the hull, what prints as 0.100 is
within 0.1 eV/atom, and what prints as 0.101 is not; classes, counts, queries and the report agree
by this rule. A limit that is given with more decimals is met by the plain number.
"""

from __future__ import annotations

import math
from functools import lru_cache

ENERGY_DECIMALS = 3
"""Decimals, in eV/atom, to which energies are compared and printed."""


def as_printed(energy: float) -> float:
    """Energy in eV/atom as tables print it; never minus zero."""
    return round(float(energy), ENERGY_DECIMALS) + 0.0


def at_most(energy: float, limit: float) -> bool:
    """Whether an energy is no larger than a limit, both in eV/atom."""
    return float(energy) <= largest_within(float(limit))


@lru_cache(maxsize=1024)
def largest_within(limit: float) -> float:
    """Largest number in eV/atom that counts as no larger than a limit, for stores to compare with."""
    return _outermost(limit, math.inf)


@lru_cache(maxsize=1024)
def smallest_within(limit: float) -> float:
    """Smallest number in eV/atom that counts as no smaller than a limit."""
    return _outermost(limit, -math.inf)


def _outermost(limit: float, direction: float) -> float:
    """The last number in a direction that prints as the limit; the limit if it has more decimals."""
    if not math.isfinite(limit) or round(limit, ENERGY_DECIMALS) != limit:
        return limit
    # the middle between two printed numbers, give or take a bit
    found = limit + math.copysign(0.5 * 10**-ENERGY_DECIMALS, direction)
    while round(found, ENERGY_DECIMALS) == limit:
        found = math.nextafter(found, direction)
    while round(found, ENERGY_DECIMALS) != limit:
        found = math.nextafter(found, -direction)
    return found
