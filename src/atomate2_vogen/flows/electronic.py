"""The flow from crystals to their electronic character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.errors import EngineCapabilityError
from atomate2_vogen.jobs.characterisation import characterise_later
from atomate2_vogen.jobs.electronic import band_scheme, collect_electronic, record_electronic
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import RECORD_STAGE, TOLERANT
from atomate2_vogen.jobs.subjects import Crystal, Subject, regular, subjects_from
from atomate2_vogen.jobs.tolerance import UNRESOLVED, guard_flow


@dataclass
class ElectronicFlowMaker(Maker):
    """Static calculation, bands on a mesh and along lines, character; for each crystal.

    Nothing is relaxed: give relaxed structures. A relaxation stops where forces are small, and
    the symmetry that it leaves broken by as little is made exact first: a cycle then needs
    fewer k points, and degenerate bands are degenerate. What fails ends as a document with the
    state ``failed`` and the reason, and the rest goes on.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        With a band structure Maker: one whose ``make(structure)`` gives a flow with the
        outputs of atomate2's `BandStructureMaker`, its static calculation included.
    symprec
        Å within which the symmetry is made exact, by `analysis.symmetry.symmetrise`; what was
        done is in the document. None leaves crystals as they are.
    system
        Oxide system, for its minimum distances.
    """

    name: str = "electronic"
    engine: Engine = field(kw_only=True)
    symprec: float | None = 0.02
    system: OxideSystem = VANADIUM

    def make(self, crystals: Sequence[Crystal] | OutputReference) -> Flow:
        """Flow whose output is a list of `ElectronicDoc`, in the order of the crystals.

        Parameters
        ----------
        crystals
            Structures, candidates, or calculations and stability documents of one scheme; or the
            output of a job that gives one of these or a list of them, such as `select_best`: then
            the fan-out is made when that job has run.

        Raises
        ------
        EngineCapabilityError
            If the engine has no bands.
        InputError
            If there is no crystal, one comes twice, or one has no relaxed structure; if
            `symprec` is not positive.
        SchemeMismatchError
            If relaxed crystals are of several schemes.
        """
        check_bands(self.engine)
        if isinstance(crystals, OutputReference):
            return characterise_later(self, crystals)
        subjects = subjects_from(crystals)
        flows = [self._subject_flow(subject) for subject in subjects]
        gathered: Job = collect_electronic(subjects, self.engine, [flow.output for flow in flows])
        gathered.config = TOLERANT
        gathered.update_metadata(
            {"scheme": band_scheme(self.engine), "stage": "collect electronic"}
        )
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)

    def _subject_flow(self, subject: Subject) -> Flow:
        """From one crystal to its document."""
        symmetry = None
        if self.symprec is not None:
            subject, symmetry = regular(subject, self.system, self.symprec)
        maker: Any = self.engine.band_structure_maker
        bands = maker.make(subject.structure)
        outputs = bands.output
        if isinstance(outputs, dict) and "static" not in outputs and hasattr(maker, "static_maker"):
            # atomate2's BandStructureMaker runs it first and hands on the bands alone
            first: Job = next(iter(bands.iterflow()))[0]
            outputs = {"static": first.output, **outputs}
        guard_flow(bands)
        document: Job = record_electronic(subject, self.engine, outputs, symmetry)
        document.config = UNRESOLVED
        document.name = f"electronic {subject.candidate_id}"
        flow = Flow([bands, document], output=document.output, name=subject.candidate_id)
        scheme = band_scheme(self.engine)
        flow.update_metadata({"candidate_id": subject.candidate_id, "scheme": scheme})
        bands.update_metadata({"stage": "bands"})
        place(bands, self.engine.manager_config)
        place(document, ANALYSIS)
        document.update_metadata({"stage": f"{RECORD_STAGE} electronic"})
        return flow


def check_bands(engine: Engine) -> None:
    """Refuse an engine without electrons.

    Raises
    ------
    EngineCapabilityError
        If it has no band structure Maker.
    """
    if engine.band_structure_maker is None:
        raise EngineCapabilityError(
            f"engine {engine.name} has no band structure Maker: it knows no electrons, or was "
            "made without; take one that does, such as vasp or gpaw"
        )
