"""The flow from crystals to their electronic character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import EngineCapabilityError
from atomate2_vogen.jobs.electronic import band_scheme, collect_electronic, record_electronic
from atomate2_vogen.jobs.later import joined_flow, make_later, pieces
from atomate2_vogen.jobs.magnetism import (
    STARTS,
    MagneticStartsMaker,
    check_starts,
    magnetic_starts,
    missing_antiferromagnet,
)
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import RECORD_STAGE, TOLERANT
from atomate2_vogen.jobs.subjects import Crystal, Subject, subjects_from, symmetrise_subject
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
        Tolerance in Å of the symmetrisation (`structures.symmetry.symmetrise`); what was
        done is in the document. None leaves crystals as they are.
    system
        Oxide system: minimum distances, metal and initial moments.
    magnetic_starts
        Patterns of moments of which each gets a static calculation; bands are those of the lowest
        energy, and the document has all of them. ``given``: the moments that the structure carries
        (site property ``magmom``, or spins of species), if any. ``FM``: all parallel. ``AFM``:
        close pairs of metal atoms antiparallel, where the cell has two or more; a cell with one
        has no such start, and the document says so. Patterns that a symmetry of the crystal
        relates are calculated once.

    Examples
    --------
    >>> from atomate2_vogen import ElectronicFlowMaker
    >>> from atomate2_vogen.engines import gpaw
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> maker = ElectronicFlowMaker(engine=gpaw(check=False))
    >>> maker.make([crystal]).name
    'electronic'
    """

    name: str = "electronic"
    engine: Engine = field(kw_only=True)
    symprec: float | None = 0.02
    system: OxideSystem = VANADIUM
    magnetic_starts: tuple[str, ...] = STARTS

    def __post_init__(self) -> None:
        """Refuse what is no engine."""
        check_engine(self.engine, self)

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
            `symprec` is not positive or `magnetic_starts` has an unknown name.
        MagneticMomentError
            If the moments of a structure are incomplete, not finite or not collinear.
        SchemeMismatchError
            If relaxed crystals are of several schemes.
        """
        check_bands(self.engine)
        check_starts(self.magnetic_starts)
        if isinstance(crystals, OutputReference):
            return make_later(self, crystals)
        subjects = subjects_from(crystals)
        return joined_flow([self._piece(piece) for piece in pieces(subjects)], self.name)

    def _piece(self, subjects: Sequence[Subject]) -> Flow:
        """Flow over crystals whose documents fit into one."""
        flows = [self._subject_flow(subject) for subject in subjects]
        gathered: Job = collect_electronic(
            list(subjects), self.engine, [flow.output for flow in flows]
        )
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
            subject, symmetry = symmetrise_subject(subject, self.system, self.symprec)
        bands, outputs = self._bands(subject.structure)
        guard_flow(bands)
        note = missing_antiferromagnet(subject.structure, self.magnetic_starts, self.system)
        if not hasattr(self.engine.band_structure_maker, "static_maker"):
            note = "the band structure Maker has no static_maker: it chose the magnetic start"
        document: Job = record_electronic(subject, self.engine, outputs, symmetry, note)
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

    def _bands(self, structure: Structure) -> tuple[Flow, Any]:
        """Flow of the band structure Maker, and its outputs with the static calculation."""
        maker: Any = self.engine.band_structure_maker
        if hasattr(maker, "static_maker"):
            started = magnetic_starts(structure, self.magnetic_starts, self.system)
            if len(started) > 1:
                static = MagneticStartsMaker(
                    static_maker=maker.static_maker,
                    starts=tuple(started),
                    system=self.system,
                    method=self.engine.method("bands static"),
                    engine_versions=self.engine.engine_versions,
                )
                maker = replace(maker, static_maker=static)
            else:
                (structure,) = started.values()
        bands = maker.make(structure)
        outputs = bands.output
        if isinstance(outputs, dict) and "static" not in outputs and hasattr(maker, "static_maker"):
            # atomate2's BandStructureMaker runs it first and hands on the bands alone
            outputs = {"static": bands.jobs[0].output, **outputs}
        return bands, outputs


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
