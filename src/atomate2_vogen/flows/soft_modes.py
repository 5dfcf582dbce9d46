"""The flow that follows the softest mode of unstable crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, Maker

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine, has_references, load_references
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.jobs.soft_modes import (
    collect_soft_modes,
    record_soft_mode,
    soft_mode_document,
)
from atomate2_vogen.jobs.tolerance import UNRESOLVED, guard_flow
from atomate2_vogen.phonons.modes import phonopy_of, softest_mode
from atomate2_vogen.schemas import PhononDoc, PhononVerdict, ReferenceDoc


@dataclass
class SoftModeFlowMaker(Maker):
    """Displace crystals along their softest mode, relax them, and say where that leads.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Of the scheme of the phonons; the default is CHGNet.
    system
        Oxide system: known crystals.
    displacement
        Of the atom that is moved farthest, Å.
    max_atoms
        Largest cell that is relaxed. The cell of a mode has as many primitive cells as its q point
        needs.

    Raises
    ------
    InputError
        If the displacement or the number of atoms is not positive.

    Examples
    --------
    >>> from atomate2_vogen.flows import SoftModeFlowMaker
    >>> SoftModeFlowMaker(displacement=0.1).displacement
    0.1
    """

    name: str = "soft modes"
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    displacement: float = 0.2
    max_atoms: int = 160

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        check_engine(self.engine, self)
        for name in ("displacement", "max_atoms"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, not positive")

    def make(self, documents: Sequence[PhononDoc]) -> Flow:
        """Flow whose output is a list of `SoftModeDoc`, one for each crystal that is not stable.

        Parameters
        ----------
        documents
            Of `PhononFlowMaker`, loaded with their force constants
            (``stores.load(PhononDoc)``). Stable and failed ones are passed over; one
            whose mode needs more than `max_atoms` fails.

        Raises
        ------
        SchemeMismatchError
            If one is of another scheme than the engine.
        BandDataError
            If one has no force constants.
        """
        references = []
        if has_references(self.engine, self.system):
            references = load_references(self.engine, self.system)
        flows = []
        for document in documents:
            if document.phonons is None or document.phonons.verdict is PhononVerdict.STABLE:
                continue
            if document.scheme != self.engine.scheme:
                raise SchemeMismatchError(
                    f"phonons of {document.candidate_id} are of scheme {document.scheme}, engine "
                    f"{self.engine.name} is of {self.engine.scheme}"
                )
            flows.append(self._follow(document, references))
        gathered: Job = collect_soft_modes([flow.output for flow in flows])
        gathered.config = TOLERANT
        gathered.update_metadata({"scheme": self.engine.scheme, "stage": "collect soft modes"})
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)

    def _follow(self, document: PhononDoc, references: list[ReferenceDoc]) -> Flow:
        """Flow of one crystal; its output is a `SoftModeDoc`."""
        mode = softest_mode(phonopy_of(document), self.displacement)
        described = soft_mode_document(document, mode, self.engine)
        steps: dict[str, Any] = {}
        if (n_atoms := len(mode.structure)) > self.max_atoms:
            described.error = (
                f"the cell of its softest mode has {n_atoms} atoms, more than "
                f"max_atoms={self.max_atoms}; raise the limit"
            )
        else:
            steps["before"] = self.engine.static_maker.make(document.structure)
            steps["relaxed"] = self.engine.relax_maker.make(mode.structure)
            relaxed = steps["relaxed"].output.structure
            steps["static"] = self.engine.static_maker.make(relaxed)
        for title, step in steps.items():
            step.append_name(f" {title} {document.candidate_id}")
        jobs: list[Flow | Job] = []
        if steps:
            calculations = Flow(list(steps.values()), name=f"mode {document.candidate_id}")
            guard_flow(calculations)
            calculations.update_metadata({"stage": "soft mode"})
            place(calculations, self.engine.manager_config)
            jobs.append(calculations)
        outputs: dict[str, Any] = dict.fromkeys(("before", "relaxed", "static"))
        outputs |= {title: step.output for title, step in steps.items()}
        record: Job = record_soft_mode(described, self.engine, self.system, references, **outputs)
        record.config = UNRESOLVED
        record.name = f"soft mode {document.candidate_id}"
        record.update_metadata({"stage": "record soft mode"})
        place(record, ANALYSIS)
        return Flow([*jobs, record], output=record.output, name=document.candidate_id)
