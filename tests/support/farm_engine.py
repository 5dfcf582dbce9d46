"""A cheap engine that takes its time, and candidates on which it fails in every way."""

from __future__ import annotations

import os
import time

import cheap_engine

from atomate2_vogen.engines import Engine
from atomate2_vogen.schemas import CandidateDoc

SCHEME = "moody-1"
NEVER_CONVERGES, NEEDS_MEMORY = "VO", "V"
MEMORY = 2 * 2**30
PAUSE = 0.02
STEPS = 60


class Moody(cheap_engine.Tempered):
    """`cheap_engine.Tempered`, slower; one composition never converges, one wants all memory."""

    def calculate(self, *arguments, **options):
        """Energy, forces and stress, after a while."""
        super().calculate(*arguments, **options)
        time.sleep(float(os.environ.get("FARM_PAUSE", PAUSE)))
        metal, oxygen = (self.atoms.get_chemical_symbols().count(s) for s in ("V", "O"))
        if not oxygen:
            bytearray(2 * MEMORY)
        if metal == oxygen:
            self.results["forces"] = self.results["forces"] + 1.0


def moody() -> Moody:
    """Calculator factory for ``force_field_name``."""
    return Moody()


def engine() -> Engine:
    """Relax and static of the moody calculator."""
    from dataclasses import replace

    calculator = {"@module": "farm_engine", "@callable": "moody"}
    plain = cheap_engine.engine(steps=STEPS)
    return replace(
        plain,
        name="moody",
        scheme=SCHEME,
        relax_maker=replace(plain.relax_maker, force_field_name=calculator),
        static_maker=replace(plain.static_maker, force_field_name=calculator),
    )


def candidates(good: int = 3) -> list[CandidateDoc]:
    """Some on which all goes well, and one for each failure."""
    formulas = [cheap_engine.RAISES, cheap_engine.GIVES_NAN, NEVER_CONVERGES, NEEDS_MEMORY]
    return [
        *(cheap_engine.candidate("VO2", index, a=3.3 + 0.02 * index) for index in range(good)),
        *(cheap_engine.candidate(formula) for formula in formulas),
    ]
