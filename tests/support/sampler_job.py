"""A sampler as a Maker of one's own, at the cost of nothing."""

from __future__ import annotations

from dataclasses import dataclass

import cheap_engine
from jobflow import Maker, job

from atomate2_vogen.schemas import SampleDoc


@dataclass
class GridSampleMaker(Maker):
    """Gives the crystals of `cheap_engine`, or fewer than asked for."""

    name: str = "grid sampler"
    at_most: int = 99

    @job
    def make(self, counts: dict[str, int], seed: int) -> SampleDoc:
        """A sample document."""
        candidates = [
            cheap_engine.candidate(formula, index, a=3.3 + 0.02 * (index + seed))
            for formula, count in counts.items()
            for index in range(min(count, self.at_most))
        ]
        return SampleDoc.make(
            sampler="test",
            model_id="grid",
            seed=seed,
            requested=counts,
            attempts=counts,
            candidates=candidates,
            rejections=[],
            wall_time=0.0,
        )
