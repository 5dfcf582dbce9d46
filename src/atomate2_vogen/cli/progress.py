"""Progress of a flow on the console: a bar for each stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atomate2_vogen.cli.console import Bars

if TYPE_CHECKING:
    from atomate2_vogen.managers import Event

SAMPLING, RELAXATION, REFERENCES = "sampling", "relaxation", "references"
ELECTRONIC, PHONONS = "electronic", "phonons"
LEARNING, LOOP_ROUNDS = "learning", "rounds"
CONFIRMATION, DFT_ENERGIES = "confirmation", "DFT"
TRAINED = "generators"

COUNTED = {
    "sample": SAMPLING,
    "record": RELAXATION,
    "reference": REFERENCES,
    "record electronic": ELECTRONIC,
    "record phonons": PHONONS,
    "learn": LEARNING,
    "round": LOOP_ROUNDS,
    "confirm opinion": CONFIRMATION,
    "dft": DFT_ENERGIES,
    "train generator": TRAINED,
}
"""Title on the console of each stage whose jobs are counted, one per crystal or formula."""

BEFORE = {
    "draw": SAMPLING,
    "initial": RELAXATION,
    "relax": RELAXATION,
    "static": RELAXATION,
    "refine relax": RELAXATION,
    "refine static": RELAXATION,
    "refine": RELAXATION,
    "reference relax": REFERENCES,
    "bands": ELECTRONIC,
    "phonons": PHONONS,
    "confirm relax": CONFIRMATION,
    "confirm static": CONFIRMATION,
    "dft static": DFT_ENERGIES,
}
"""Title of stages that belong to one that is counted."""


@dataclass
class StageCount:
    """Counts and times of one stage.

    Parameters
    ----------
    begin, end
        Seconds of the process's clock at the first and the last event.
    done
        Number of crystals or formulas that ended.
    reused
        Number of those that had ended in an earlier run.
    """

    begin: float
    end: float
    done: int = 0
    reused: int = 0

    @property
    def seconds(self) -> float:
        """Seconds from the first event to the last."""
        return self.end - self.begin


@dataclass
class FlowProgress:
    """What has happened in a flow; a function of events for `run_parallel`.

    Parameters
    ----------
    bars
        Where it is shown.
    expected
        Number of crystals or formulas of a stage, where it is known before the jobs are.
    stages
        Counts by title.
    ended
        Identifiers of the jobs that ended without an error.
    """

    bars: Bars
    expected: Mapping[str, int]
    stages: dict[str, StageCount] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        """Count an event and show it."""
        if event.kind in {"finished", "reused"}:
            self.ended.add(event.uuid)
        title = COUNTED.get(event.stage) or BEFORE.get(event.stage)
        if title is None:
            return
        now = time.perf_counter()
        stage = self.stages.setdefault(title, StageCount(now, now))
        stage.end = now
        total = self.expected.get(title, 0)
        if event.stage in COUNTED:
            stage.done = event.stage_ended
            stage.reused += event.kind == "reused"
            total = max(total, event.stage_jobs)
        self.bars.advance(title, stage.done, total or None, event.name)
