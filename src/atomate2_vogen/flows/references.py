"""The flow that relaxes the reference phases with one engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobflow import Flow, Maker

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet import chgnet
from atomate2_vogen.engines.references import ReferencePhase, reference_structures
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.references import collect_references, make_reference


@dataclass
class ReferencesFlowMaker(Maker):
    """Relax the reference phases of a system by the same Makers as candidates.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine; the default is CHGNet.
    system
        Oxide system whose starting structures are taken from the package data.
    """

    name: str = "references"
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = VANADIUM

    def make(self, phases: list[ReferencePhase] | None = None) -> Flow:
        """Flow whose output is the list of distinct reference documents.

        Unlike a candidate, a reference that fails stops the flow: a hull without one of its
        vertices gives wrong numbers that look right.

        Parameters
        ----------
        phases
            Phases to relax instead of the shipped ones.

        Raises
        ------
        MissingReferenceError
            If no starting structures are shipped for the system.
        """
        jobs = []
        references = []
        for phase in phases if phases is not None else reference_structures(self.system):
            relax = self.engine.relax_maker.make(phase.structure)
            static = self.engine.static_maker.make(relax.output.structure)
            reference = make_reference(
                relax.output,
                static.output,
                phase.source,
                self.engine.scheme,
                self.engine.engine_versions,
                corrections=self.engine.energy_corrections,
            )
            for calculation in (relax, static):
                place(calculation, self.engine.manager_config)
            place(reference, ANALYSIS)
            jobs += [relax, static, reference]
            references.append(reference.output)
        collect = collect_references(references)
        place(collect, ANALYSIS)
        return Flow([*jobs, collect], output=collect.output, name=self.name)
