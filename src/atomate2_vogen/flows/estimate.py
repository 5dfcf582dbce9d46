"""What a request will cost, before it is sent to a cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class RequestCost:
    """CPU time of a request, from what crystals of its kind took.

    Parameters
    ----------
    sampling, relaxation
        CPU seconds; None where nothing was measured: for a sampler or an energy model of your own,
        and for DFT.
    source
        What the numbers are from.

    Examples
    --------
    >>> from atomate2_vogen.flows import RequestCost
    >>> RequestCost(sampling=12.0, relaxation=None, source="a run").relaxation is None
    True
    """

    sampling: float | None
    relaxation: float | None
    source: str


def estimate_cost(counts: Mapping[str, int], sampler: str, engine: str) -> RequestCost:
    """Estimate the CPU time of a discovery.

    Times are means over many crystals of V-O on one machine: another machine, larger cells or another
    oxide easily differ by a factor of two or three. Refinement of the crystals that are low is
    not in them.

    Parameters
    ----------
    counts
        Number of crystals by formula.
    sampler
        Name of the sampler.
    engine
        Name of the engine that relaxes.

    Examples
    --------
    >>> from atomate2_vogen.flows import estimate_cost
    >>> cost = estimate_cost({"VO2": 10}, "search", "chgnet")
    >>> round(cost.sampling), round(cost.relaxation)
    (6, 30)
    >>> estimate_cost({"VO2": 10}, "search", "vasp").relaxation is None
    True
    """
    number = sum(counts.values())
    measured = _measured()
    sampling = measured["sampling"].get(sampler)
    relaxation = measured["relaxation"].get(sampler)
    steps = measured["step"]
    ratio = steps[engine] / steps["chgnet"] if engine in steps else None
    return RequestCost(
        sampling=None if sampling is None else number * sampling,
        relaxation=None if relaxation is None or ratio is None else number * relaxation * ratio,
        source=measured["source"],
    )


@cache
def _measured() -> dict[str, Any]:
    text = (files("atomate2_vogen.flows") / "measured_cost.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
