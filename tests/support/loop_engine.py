"""A closed loop that costs seconds: real operators on the substitution pool, instant energies."""

from __future__ import annotations

from dataclasses import dataclass

import instant_engine
from jobflow import Maker, job
from monty.json import MontyDecoder

from atomate2_vogen import load_references
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines import Engine
from atomate2_vogen.flows import LoopFlowMaker
from atomate2_vogen.jobs import ParentsMaker, SampleMaker
from atomate2_vogen.schemas import ReferenceDoc

SCHEME = "instant-loop"
ABOVE = 0.05
"""Energy above hull of the lowest crystals, eV/atom; the highest lie 0.2 higher."""


def references(system=VANADIUM) -> list[ReferenceDoc]:
    """Real phases, all at zero energy: the hull is flat."""
    return [
        one.model_copy(
            update={
                "scheme": SCHEME,
                "reference_id": f"{one.reference_id}|{SCHEME}",
                "energy_per_atom": 0.0,
            }
        )
        for one in load_references("CHGNet-0.3.0", system)
    ]


@dataclass
class FlatMaker(Maker):
    """Gives the crystal back, 0.05 to 0.25 eV/atom above a flat hull by its edges, or NaN."""

    name: str = "flat"
    spread: float = 0.2
    nan: bool = False
    lift: float = ABOVE

    @job(output_schema=instant_engine.InstantTask)
    def make(self, structure, prev_dir=None):
        """The crystal and its energy."""
        instant = instant_engine.InstantMaker().make.original(self, structure)
        part = -(instant.output.energy + 7.0 * len(structure)) / 0.5
        energy = float("nan") if self.nan and part > 0.5 else self.lift + self.spread * part
        instant.output.energy = energy * len(structure)
        return instant


def engine(**settings) -> Engine:
    """Relax and static; settings of `FlatMaker`."""
    return Engine(
        name="flat",
        scheme=SCHEME,
        relax_maker=FlatMaker(name="flat relax", **settings),
        static_maker=FlatMaker(name="flat static", **settings),
        engine_versions={"flat": "1"},
    )


def loop(system=VANADIUM, *, flat=None, **settings) -> LoopFlowMaker:
    """Two rounds of evolution; one operator, so that no phonons of pairs are computed."""
    given = {
        "sampler": SampleMaker(
            sampler="evolution",
            options={"operators": {"strain": 1.0}},
            system=system,
            novel_only=True,
            novelty_margin=1.5,
        ),
        "engine": engine(**(flat or {})),
        "system": system,
        "references": references(system),
        "refine": None,
        "rounds": 2,
    }
    return LoopFlowMaker(**(given | settings))


@dataclass
class OnceMaker(ParentsMaker):
    """Learns after the first round only; later rounds go on with that."""

    def learns_from(self, rounds):
        return len(rounds) == 1 and super().learns_from(rounds)


def output_of(flow, store):
    """What a flow left."""
    content = store.get_output(flow.output.uuid, load=True)
    return MontyDecoder().process_decoded(content)
