"""Counts of new crystals, and rates with intervals: pure functions of rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2

from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.schemas import StabilityState
from atomate2_vogen.stability.statistics import CONFIDENCE
from discovery.raw import CrystalRow, Outcome, Round

THRESHOLDS = (0.1, 0.05, 0.025, 0.0)
"""eV/atom above hull."""

RANKED = StabilityState.RANKED.value


def outcome_of(row: CrystalRow, *, final: bool = False) -> Outcome:
    """Outcome of the relaxation, or the last one, as refined where there is a refinement."""
    return row.final if final else row.relaxed


def is_find(outcome: Outcome, threshold: float) -> bool:
    """Whether a crystal is converged, bulk, novel and within a threshold in eV/atom."""
    return (
        outcome.state == RANKED
        and bool(outcome.is_novel)
        and outcome.above_hull is not None
        and at_most(outcome.above_hull, threshold)
    )


def new_crystals(
    rows: Sequence[CrystalRow], threshold: float, *, final: bool = False
) -> list[bool]:
    """For each crystal of a run whether it is a find and the first one of its kind.

    A crystal that comes back counts only if it was not within the threshold before.

    Parameters
    ----------
    rows
        All crystals of a run in the order of calculation.
    threshold
        Energy above hull in eV/atom.
    final
        Whether last outcomes are counted, as refined where there is a refinement.
    """
    kinds: set[str] = set()
    found = []
    for row in rows:
        replay_of = row.final_replay_of if final else row.replay_of
        kind = replay_of or row.candidate_id
        new = kind not in kinds and is_find(outcome_of(row, final=final), threshold)
        if new:
            kinds.add(kind)
        found.append(new)
    return found


@dataclass(frozen=True)
class Line:
    """Rows of a run in the order of time.

    Parameters
    ----------
    hours
        CPU-hours of everything up to the end of each crystal, shape (n,).
    rows
        Its crystals.
    total_hours
        CPU-hours of all rows.
    """

    hours: np.ndarray
    rows: list[CrystalRow]
    total_hours: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Line:
        """Crystals of rounds, with the cost of each round in front of them."""
        steps, rows, waiting = [], [], 0.0
        for one in rounds:
            waiting += one.row.cpu_seconds
            for crystal in one.crystals:
                steps.append(waiting + crystal.cpu_seconds)
                rows.append(crystal)
                waiting = 0.0
        hours = np.array(list(itertools.accumulate(steps))) / 3600
        total = (hours[-1] if len(hours) else 0.0) + waiting / 3600
        return cls(hours, rows, float(total))

    def until(self, hours: float) -> list[CrystalRow]:
        """Crystals that were done within some CPU-hours."""
        return self.rows[: int(np.searchsorted(self.hours, hours, side="right"))]

    def steps(self, threshold: float, *, final: bool = False) -> np.ndarray:
        """CPU-hours at which new crystals were found, ascending."""
        return self.hours[np.array(new_crystals(self.rows, threshold, final=final), dtype=bool)]


def cumulative(steps: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Number of steps up to each time."""
    return np.searchsorted(steps, at, side="right")


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; bounds are None where they are unknown."""

    value: float
    low: float | None = None
    high: float | None = None


def rate(count: int, hours: float) -> Estimate:
    """Events per hour with the exact interval of a Poisson number (Garwood, 1936).

    Examples
    --------
    >>> estimate = rate(10, 2.0)
    >>> estimate.value, round(estimate.low, 2), round(estimate.high, 2)
    (5.0, 2.4, 9.2)
    """
    tail = (1 - CONFIDENCE) / 2
    low = chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(1 - tail, 2 * count + 2) / 2
    return Estimate(count / hours, float(low) / hours, float(high) / hours)


def ratio(count: int, hours: float, other: int, other_hours: float) -> Estimate | None:
    """Ratio of two rates, with the exact interval of two Poisson numbers given their sum.

    Returns
    -------
    Estimate or None
        None if nothing was found by either. The ratio is infinite where the other found nothing.

    Examples
    --------
    >>> estimate = ratio(20, 1.0, 10, 1.0)
    >>> estimate.value, round(estimate.low, 2), round(estimate.high, 2)
    (2.0, 0.89, 4.78)
    """
    if not count + other:
        return None
    interval = binomtest(count, count + other).proportion_ci(CONFIDENCE, method="exact")
    scale = other_hours / hours

    def odds(share: float) -> float:
        return math.inf if share >= 1 else scale * float(share) / (1 - float(share))

    return Estimate(odds(count / (count + other)), odds(interval.low), odds(interval.high))
