"""Jobs that relax candidates and record what came out.

Per candidate: static (as generated) and relax -> static -> record. The energy before
relaxation comes from the static Maker too, so that both energies are of the engine's scheme
even if the relax Maker has other settings.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from jobflow import Flow, Job, JobConfig, OnMissing, job

from atomate2_vogen.engines.base import EnergyCorrections, Engine
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import InputError, NonFiniteError, VogenError, reason, trace
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import GuardedMaker, JobFailure
from atomate2_vogen.jobs.later import joined_flow, pieces
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.magnetism import magnetic_state
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.subjects import check_crystals
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
)
from atomate2_vogen.structures.geometry import shortest_distance
from atomate2_vogen.structures.matching import rmsd

logger = logging.getLogger(__name__)

TOLERANT = JobConfig(on_missing_references=OnMissing.NONE)
"""Inputs that never came are None instead of an error."""

RECORDING = JobConfig(on_missing_references=OnMissing.NONE, expose_store=True)
"""The same for jobs that look up which outputs of others they were given."""

RECORD_STAGE = "record"
"""Value of ``metadata.stage`` of the jobs whose output is a `CalculationDoc`."""


def candidate_flow(engine: Engine, candidate: CandidateDoc) -> Flow:
    """Flow of one candidate; its output is a `CalculationDoc`, also of a failed calculation.

    Every job carries ``candidate_id``, ``scheme`` and ``stage`` in its metadata.
    """
    relax = GuardedMaker(engine.relax_maker).make(candidate.structure)
    static = GuardedMaker(engine.static_maker).make(relax.output)
    initial = GuardedMaker(engine.static_maker).make(candidate.structure)
    document = record(
        candidate,
        engine.scheme,
        engine.engine_versions,
        initial=initial.output,
        relaxed=relax.output,
        static=static.output,
        corrections=engine.energy_corrections,
        methods=engine.methods,
        jobs={"initial": initial.uuid, "relax": relax.uuid, "static": static.uuid},
    )
    document.config = RECORDING
    stages = {"initial": initial, "relax": relax, "static": static, RECORD_STAGE: document}
    for stage, stage_job in stages.items():
        stage_job.update_metadata(
            {"candidate_id": candidate.candidate_id, "scheme": engine.scheme, "stage": stage}
        )
        stage_job.name = f"{stage} {candidate.candidate_id}"
        place(stage_job, ANALYSIS if stage == RECORD_STAGE else engine.manager_config)
    return Flow(list(stages.values()), output=document.output, name=candidate.candidate_id)


@job(output_schema=CalculationDoc)
def record(
    candidate: CandidateDoc,
    scheme: str,
    engine_versions: dict[str, str],
    *,
    initial: Any,
    relaxed: Any,
    static: Any,
    corrections: EnergyCorrections | None = None,
    methods: dict[str, Method] | None = None,
    jobs: dict[str, str] | None = None,
) -> CalculationDoc:
    """What is known about one candidate after its calculations.

    Parameters
    ----------
    candidate
        The generated crystal.
    scheme
        Energy scale of the engine.
    engine_versions
        Versions that the engine was made with; another version at work makes the calculation
        fail, for its energies are of another scheme.
    initial, relaxed, static
        Task documents, a `JobFailure`, or None where a job left nothing.
    corrections
        Added to the energies before they are recorded.
    methods
        Methods of the stages ``relax`` and ``static`` of the engine. A task document that tells
        of another one makes the calculation fail, and none of its numbers are recorded.
    jobs
        Identifiers of the jobs with the calculations, by stage: the outputs are resolved before
        this job runs, and no longer tell whose they are.

    Returns
    -------
    CalculationDoc
        ``failed`` with a reason where energy or forces are missing or not finite,
        ``unconverged`` where the relaxation used up its steps. Never raises for a bad
        calculation.
    """
    document = CalculationDoc.failed(candidate, scheme, engine_versions=engine_versions)
    document.jobs = job_links(jobs or {})
    calculations = (initial, relaxed, static)
    document.wall_time = _sum([results.elapsed_time(done) for done in calculations])
    document.cpu_time = _sum([results.cpu_time(done) for done in calculations])
    try:
        _require(relaxed, "relaxation")
        _require(static, "static calculation")
        for stage, calculation in (("relax", relaxed), ("static", static)):
            check_method(calculation, (methods or {}).get(stage), engine_versions)
        document.n_steps = results.n_steps(relaxed)
        document.structure = results.relaxed_structure(static)
        document.energy_per_atom = results.energy_per_atom(static, corrections)
        document.max_force = results.max_force(static)
        document.magnetism = magnetic_state(static, first=relaxed)
    except (VogenError, AttributeError) as error:
        document.error = reason(error)
        _compare(document)
        return document
    converged = results.is_converged(relaxed)
    document.state = CalculationState.COMPLETED if converged else CalculationState.UNCONVERGED
    if not converged:
        document.error = f"not converged after {document.n_steps} ionic steps"
    try:
        _require(initial, "static calculation before relaxation")
        check_method(initial, (methods or {}).get("static"), engine_versions)
        document.initial_energy_per_atom = results.energy_per_atom(initial, corrections)
    except (VogenError, AttributeError) as error:
        document.error = document.error or f"no energy before relaxation: {reason(error)}"
    _compare(document)
    return document


def _compare(document: CalculationDoc) -> None:
    """How far the atoms moved, found once, here where a relaxation took seconds.

    What cannot be compared is left to judging, which says what is wrong with it.
    """
    if document.structure is None:
        return
    try:
        shortest_distance(document.structure)  # the matcher is not made for what this refuses
        document.rmsd_to_relaxed = rmsd(document.candidate.structure, document.structure)
    except Exception as error:  # noqa: BLE001 - judging says what is wrong with it
        logger.info("%s cannot be compared\n%s", document.calculation_id, trace(error))
        return
    document.still_matches = document.rmsd_to_relaxed is not None


def _require(calculation: Any, stage: str) -> None:
    if calculation is None:
        raise NonFiniteError(f"the {stage} left no result; see the log of its job")
    if isinstance(calculation, JobFailure):
        raise NonFiniteError(calculation.error)


def _sum(seconds: list[float | None]) -> float | None:
    """Seconds of all calculations; None unless every one tells."""
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


@job(data=True)
def collect(
    candidates: list[CandidateDoc], scheme: str, calculations: list[CalculationDoc | None]
) -> list[CalculationDoc]:
    """All calculations of a fan-out, in the order of the candidates.

    A record that never came is filled in as failed.
    """
    return [
        calculation
        or CalculationDoc.failed(candidate, scheme, "its jobs left no result; see their logs")
        for candidate, calculation in zip(candidates, calculations, strict=True)
    ]


def fan_out(engine: Engine, candidates: Sequence[CandidateDoc], name: str = "screening") -> Flow:
    """Flow over all candidates; its output is the list of their calculations.

    Raises
    ------
    InputError
        If there is no candidate, or one is given twice.
    """
    if not candidates:
        raise InputError("no candidates to calculate")
    check_crystals(candidates)
    return joined_flow([_piece(engine, piece, name) for piece in pieces(candidates)], name)


def _piece(engine: Engine, candidates: Sequence[CandidateDoc], name: str) -> Flow:
    """Flow over candidates whose documents fit into one."""
    flows = [candidate_flow(engine, candidate) for candidate in candidates]
    gathered: Job = collect(list(candidates), engine.scheme, [flow.output for flow in flows])
    gathered.config = TOLERANT
    gathered.update_metadata({"scheme": engine.scheme, "stage": "collect"})
    place(gathered, ANALYSIS)
    return Flow([*flows, gathered], output=gathered.output, name=name)
