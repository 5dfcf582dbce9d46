"""The flow that relaxes the reference phases with one engine, and where other flows take them from."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobflow import Flow, Job, Maker, OutputReference

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.references import (
    ReferencePhase,
    load_references,
    reference_structures,
)
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import ElementError, SchemeMismatchError
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.references import collect_references, make_reference
from atomate2_vogen.schemas import ReferenceDoc


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

    Examples
    --------
    >>> from atomate2_vogen import ReferencesFlowMaker
    >>> flow = ReferencesFlowMaker().make()
    >>> flow.name, len(flow.jobs) > 10
    ('references', True)
    """

    name: str = "references"
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = VANADIUM

    def __post_init__(self) -> None:
        """Refuse what is no engine."""
        check_engine(self.engine, self)

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
        wanted = phases if phases is not None else reference_structures(self.system)
        flows = [self.make_one(phase) for phase in wanted]
        collect = collect_references([flow.output for flow in flows])
        place(collect, ANALYSIS)
        return Flow([*flows, collect], output=collect.output, name=self.name)

    def make_one(self, phase: ReferencePhase) -> Flow:
        """Flow whose output is the document of one phase, by itself."""
        relax = self.engine.relax_maker.make(phase.structure)
        static = self.engine.static_maker.make(relax.output.structure)
        reference = make_reference(
            relax.output,
            static.output,
            phase.source,
            self.engine.scheme,
            self.engine.engine_versions,
            corrections=self.engine.energy_corrections,
            methods=self.engine.methods,
        )
        reference.update_metadata({"stage": "reference"})
        for calculation in (relax, static):
            calculation.update_metadata({"stage": "reference relax"})
            place(calculation, self.engine.manager_config)
        place(reference, ANALYSIS)
        return Flow([relax, static, reference], output=reference.output, name=phase.source)


def references_for(
    references: list[ReferenceDoc] | Maker | None, engine: Engine, system: OxideSystem
) -> tuple[list[Flow | Job], list[ReferenceDoc] | OutputReference]:
    """Reference phases for a flow that places crystals on a hull.

    Parameters
    ----------
    references
        Documents in the engine's scheme; a Maker whose ``make()`` gives them, such as
        `ReferencesFlowMaker`; or None for those that are shipped.
    engine
        Engine that judges.
    system
        Oxide system.

    Returns
    -------
    before : list of Flow or Job
        What must run first.
    references : list of ReferenceDoc or OutputReference
        For the job that makes the hull.

    Raises
    ------
    MissingReferenceError
        If none are given and none are shipped.
    SchemeMismatchError
        If documents, or the engine of a Maker, are of another scheme than the engine.
    ElementError
        If a Maker is of another oxide: its phases would be relaxed in vain.
    """
    if isinstance(references, Maker):
        judge, oxide = getattr(references, "engine", engine), getattr(references, "system", system)
        _require_scheme({judge.scheme}, engine)
        if oxide.chemsys != system.chemsys:
            raise ElementError(
                f"references of {oxide.chemsys} make no hull of {system.chemsys}; give their "
                "Maker the same system"
            )
        relaxing = references.make()
        return [relaxing], relaxing.output
    if references is None:
        references = load_references(engine, system)
    _require_scheme({reference.scheme for reference in references}, engine)
    return [], references


def _require_scheme(found: set[str], engine: Engine) -> None:
    if others := sorted(found - {engine.scheme}):
        raise SchemeMismatchError(
            f"references of {', '.join(others)} make no hull for energies of {engine.scheme}"
        )
