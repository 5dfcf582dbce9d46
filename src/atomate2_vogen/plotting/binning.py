"""Bins of histograms that no bar leaves for a place where no crystal is.

Energies are counted by their height above the hull, so that the hull is the edge of a bin: with
bins at round formation energies a crystal on the hull would be drawn below it. Heights are taken
as they are printed, so that the last bits of a sum move no crystal across an edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atomate2_vogen.energy_rounding import as_printed
from atomate2_vogen.plotting.documents import energies_above_hull

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from atomate2_vogen.schemas import StabilityDoc

DIGITS = 9
"""Decimals of an edge: 3 times 0.1 is 0.3, and what lies at 0.3 is counted from there on."""


def edges_of(low: float, high: float, width: float) -> np.ndarray:
    """Multiples of a width around a range; zero is one of them where the range reaches it.

    Parameters
    ----------
    low, high
        Smallest and largest number that must lie within.
    width
        Of a bin.

    Returns
    -------
    ndarray
        Rising edges, at least two; `high` lies below the last.
    """
    first = math.floor(round(low / width, DIGITS))
    last = math.floor(round(high / width, DIGITS)) + 1
    return np.array([round(k * width, DIGITS) + 0.0 for k in range(first, last + 1)])


def heights(documents: Sequence[StabilityDoc]) -> np.ndarray:
    """Energies above hull as printed, eV/atom, shape (n,)."""
    return np.array([as_printed(energy) for energy in energies_above_hull(documents)])


def draw_bars(
    axes: Axes,
    documents: Sequence[StabilityDoc],
    edges: np.ndarray,
    hull: float,
    *,
    colour: str,
    line: float,
) -> None:
    """Draw how many crystals lie in each bin above the hull; the last takes all beyond it.

    Parameters
    ----------
    axes
        With formation energies along x.
    documents
        Ranked candidates of one formula.
    edges
        Of the bins, eV/atom above hull.
    hull
        Formation energy of the hull at the formula, eV/atom.
    colour
        Of the bars.
    line
        Width of the white line around a bar.
    """
    # the middle of the last bin: its right edge would be counted too, but for rounding
    inside = np.minimum(heights(documents), (edges[-2] + edges[-1]) / 2)
    counts, _ = np.histogram(inside, edges)
    axes.bar(
        edges[:-1] + hull,
        counts,
        width=np.diff(edges),
        align="edge",
        color=colour,
        edgecolor="white",
        linewidth=line,
    )
