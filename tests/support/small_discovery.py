"""Runs of the discovery measure that take a second: toy sampler, instant energies."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

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


def timeless(folder, rounds=ROUNDS):
    """Rows without seconds, and crystals, of the first rounds."""
    found = []
    for one in read_rounds(folder)[:rounds]:
        rows = [asdict(row) for row in (one.row, *one.crystals)]
        found += [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]
        found += [candidate.structure.as_dict() for candidate in one.candidates]
        found += [one.relaxed[name].as_dict() for name in sorted(one.relaxed)]
    return found


class EnoughError(Exception):
    """Ends a run after some rounds, whatever time they took."""


def measure(folder, seed=5, name="toy", load_judge=judge, *, of=None, counts=COUNTS, n=ROUNDS):
    """Run for some rounds; the folder then has one round more without crystals."""

    def stop(_):
        if len(read_rounds(folder, structures=False)) > n:
            raise EnoughError

    with pytest.MonkeyPatch.context() as patch, suppress(EnoughError):
        patch.setitem(SAMPLERS, "toy", SamplerName("toy_sampler:ToySampler"))
        measure_run(
            of or arm(name),
            seed,
            folder,
            counts=counts,
            cpu_hours=1,
            load_judge=load_judge,
            progress=stop,
        )
