"""The flow that asks further energy models about finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine, load_engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.loading import CONFIRMING
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.flows.references import references_for
from atomate2_vogen.jobs.confirmation import (
    collect_consensus,
    consensus_flow,
    energy_model,
    find_levels,
)
from atomate2_vogen.jobs.later import joined_flow, make_later, pieces
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.jobs.subjects import check_crystals
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.consensus import are_independent


@dataclass
class ConfirmFlowMaker(Maker):
    """Relax finds with further energy models, each on its own hull, and compare the models.

    Every model starts from the crystal as the first one relaxed it. What one model cannot
    calculate is recorded and stops no other.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine that found the crystals; the default is CHGNet.
    engines
        Further engines, of other schemes; by default SevenNet-l3i5 and DIEP. At least one of them must differ from `engine` or from
        another one in functional and in training data, else no crystal can be confirmed.
    system
        Oxide system.
    references
        Relaxed reference phases by scheme, or Makers that relax them first, such as
        `ReferencesFlowMaker`; by default those that are shipped.

    Raises
    ------
    InputError
        If no further engine is given, one is given twice, or no two are independent.
    MissingDependencyError
        If no engines are given and a package of the default ones is not installed.

    Examples
    --------
    >>> from atomate2_vogen import ConfirmFlowMaker
    >>> from atomate2_vogen.engines import diep, sevennet
    >>> maker = ConfirmFlowMaker(engines=(sevennet(), diep()))
    >>> [engine.scheme for engine in maker.engines]
    ['SevenNet-7net-0+MP2020', 'DIEP-fold1']
    """

    name: str = "confirm"
    engine: Engine = field(default_factory=chgnet)
    engines: Sequence[Engine] = field(
        default_factory=lambda: tuple(load_engine(name) for name in CONFIRMING)
    )
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    references: Mapping[str, list[ReferenceDoc] | Maker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no engine, and engines that could confirm nothing."""
        self.engines = tuple(self.engines)
        everyone = [self.engine, *self.engines]
        for engine in everyone:
            check_engine(engine, self)
        if not self.engines:
            raise InputError(
                "engines: give at least one further energy model, for example "
                "engines=(sevennet(), diep())"
            )
        schemes = [engine.scheme for engine in everyone]
        for scheme in schemes:
            if schemes.count(scheme) > 1:
                raise InputError(f"two engines are of scheme {scheme}; give others")
        models = [energy_model(engine) for engine in everyone]
        if not any(are_independent(one, other) for one in models for other in models):
            told = ", ".join(
                f"{model.engine} ({model.functional or 'functional not known'}; "
                f"{' and '.join(model.training_data) or 'no training data'})"
                for model in models
            )
            raise InputError(
                f"no two of these models differ in functional and in training data: {told}; "
                "add one that does, such as diep"
            )

    def make(self, finds: Sequence[StabilityDoc] | OutputReference) -> Flow:
        """Flow whose output is a list of `ConsensusDoc`, in the order of the crystals.

        The list lies in the ``data`` store: ``job_store.get_output(uuid, load=True)`` reads it.

        Parameters
        ----------
        finds
            Stability documents of the scheme of `engine`, with relaxed structures; or the output
            of a job that gives a list of them, such as `select_best`.

        Raises
        ------
        InputError
            If there is no find, one comes twice, or one has no relaxed structure.
        SchemeMismatchError
            If one is of another scheme than `engine`, or references are of another than theirs.
        MissingReferenceError
            If no references are shipped for the scheme of an engine and none are given.
        ElementError
            If a find is of another system.
        """
        if isinstance(finds, OutputReference):
            return make_later(self, finds)
        found = list(finds)
        if not found:
            raise InputError("no finds to confirm")
        check_crystals(found)
        for find in found:
            self._check(find)
        formulas = sorted({find.formula for find in found})
        before: list[Flow | Job] = []
        levels: dict[str, Any] = {}
        for engine in (self.engine, *self.engines):
            relaxing, references = references_for(
                self.references.get(engine.scheme), engine, self.system
            )
            made: Job = find_levels(references, self.system, formulas)
            made.name = f"reference levels {engine.name}"
            made.update_metadata({"scheme": engine.scheme, "stage": "reference levels"})
            place(made, ANALYSIS)
            before += [*relaxing, made]
            levels[engine.scheme] = made.output
        parts = joined_flow([self._piece(piece, levels) for piece in pieces(found)], self.name)
        return Flow([*before, parts], output=parts.output, name=self.name)

    def _check(self, find: StabilityDoc) -> None:
        if find.structure is None:
            raise InputError(f"candidate {find.candidate_id} has no relaxed structure")
        if find.scheme != self.engine.scheme:
            raise SchemeMismatchError(
                f"{find.candidate_id} was judged in scheme {find.scheme}, engine "
                f"{self.engine.name} is of {self.engine.scheme}; give the engine that found it"
            )
        if find.chemsys != self.system.chemsys:
            raise InputError(
                f"{find.candidate_id} is of {find.chemsys}, the flow is for {self.system.chemsys}"
            )

    def _piece(self, finds: Sequence[StabilityDoc], levels: Mapping[str, Any]) -> Flow:
        """Flow over crystals whose documents fit into one."""
        flows = [
            consensus_flow(self.engine, self.engines, find, levels, self.system) for find in finds
        ]
        gathered: Job = collect_consensus([flow.output for flow in flows])
        gathered.config = TOLERANT
        gathered.update_metadata({"stage": "collect consensus"})
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)
