"""Runs of the discovery measure that take a second: toy sampler, instant energies."""

from __future__ import annotations

from contextlib import suppress

import instant_engine
import pytest
from cheap_engine import references
from discovery.arms import Arm
from discovery.judging import Judge
from discovery.measuring import measure_run
from discovery.raw import read_rounds
from toy_sampler import kinds

from atomate2_vogen.samplers.loading import SAMPLERS, SamplerName
from atomate2_vogen.structures.matching import KnownStructures

COUNTS = {"VO2": 4, "V2O3": 3}
ROUNDS = 3


class SmallJudge(Judge):
    """Instant energies; one crystal is known, so that the shipped ones need not be read."""

    @property
    def known(self):
        return KnownStructures({"known": kinds("VO2")[0]}, pool_id="one")

    def refused(self, formulas, margin):
        return KnownStructures({"known": kinds("VO2")[0]}, 2.0)


def judge():
    """Energy model of all these runs."""
    return SmallJudge(instant_engine.engine(), references(instant_engine.SCHEME, -7.2), refine=None)


def arm(name="toy"):
    """Arm with the toy sampler."""
    return Arm(name, {"sampler": "toy"})


class EnoughError(Exception):
    """Ends a run after some rounds, whatever time they took."""


def measure(folder, seed=5, name="toy", load_judge=judge):
    """Run for some rounds; the folder then has one round more without crystals."""

    def stop(_):
        if len(read_rounds(folder, structures=False)) > ROUNDS:
            raise EnoughError

    with pytest.MonkeyPatch.context() as patch, suppress(EnoughError):
        patch.setitem(SAMPLERS, "toy", SamplerName("toy_sampler:ToySampler"))
        measure_run(
            arm(name),
            seed,
            folder,
            counts=COUNTS,
            cpu_hours=1,
            load_judge=load_judge,
            progress=stop,
        )
