"""Jobs that relax candidates and record what came out.

Per candidate: static (as generated) and relax -> static -> record, then refine where that is
asked for. The energy before relaxation comes from the static Maker too, so that both energies are
of the engine's scheme even if the relax Maker has other settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobflow import Flow, Job, JobConfig, OnMissing, job

from atomate2_vogen.engines.base import EnergyCorrections, Engine
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import InputError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import GuardedMaker
from atomate2_vogen.jobs.later import joined_flow, pieces
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.magnetism import magnetic_state
from atomate2_vogen.jobs.outcomes import compare_with_candidate, require, require_relaxed, total
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.refinement import REFINE_STAGE, UNFINISHED, RefineMaker
from atomate2_vogen.jobs.subjects import check_crystals
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    Refinement,
)

TOLERANT = JobConfig(on_missing_references=OnMissing.NONE)
"""Inputs that never came are None instead of an error."""

RECORDING = JobConfig(on_missing_references=OnMissing.NONE, expose_store=True)
"""The same for jobs that look up which outputs of others they were given."""

RECORD_STAGE = "record"
"""Value of ``metadata.stage`` of the jobs whose output is a `CalculationDoc`."""


def candidate_flow(
    engine: Engine, candidate: CandidateDoc, refine: RefineMaker | None = None
) -> Flow:
    """Flow of one candidate; its output is a `CalculationDoc`, also of a failed calculation.

    The unrefined crystal is recorded in any case, before it is refined.
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
        refines=refine is not None,
    )
    document.config = RECORDING
    stages = {"initial": initial, "relax": relax, "static": static, RECORD_STAGE: document}
    for stage, stage_job in stages.items():
        stage_job.update_metadata(
            {"candidate_id": candidate.candidate_id, "scheme": engine.scheme, "stage": stage}
        )
        stage_job.name = f"{stage} {candidate.candidate_id}"
        place(stage_job, ANALYSIS if stage == RECORD_STAGE else engine.manager_config)
    jobs: list[Flow | Job] = list(stages.values())
    output = document.output
    if refine is not None:
        refined = refine.make(document.output)
        refined.name = f"{REFINE_STAGE} {candidate.candidate_id}"
        refined.update_metadata(
            {"candidate_id": candidate.candidate_id, "scheme": engine.scheme}, dynamic=False
        )
        jobs.append(refined)
        output = refined.output
    return Flow(jobs, output=output, name=candidate.candidate_id)


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
    refines: bool = False,
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
    refines
        Whether a job after this one refines the crystal. Until it has, the document says that it
        has not.

    Returns
    -------
    CalculationDoc
        ``failed`` with a reason where energy or forces are missing or not finite,
        ``unconverged`` where the relaxation used up its steps. Never raises for a bad
        calculation.
    """
    document = CalculationDoc.failed(candidate, scheme, engine_versions=engine_versions)
    document.jobs = job_links(jobs or {})
    document.refinement = Refinement(error=UNFINISHED) if refines else None
    calculations = (initial, relaxed, static)
    document.wall_time = total([results.elapsed_time(done) for done in calculations])
    document.cpu_time = total([results.cpu_time(done) for done in calculations])
    try:
        require_relaxed(relaxed, static, methods, engine_versions)
        document.n_steps = results.n_steps(relaxed)
        document.structure = results.relaxed_structure(static)
        document.energy_per_atom = results.energy_per_atom(static, corrections)
        document.max_force = results.max_force(static)
        document.magnetism = magnetic_state(static, first=relaxed)
    except (VogenError, AttributeError) as error:
        document.error = reason(error)
        compare_with_candidate(document)
        return document
    converged = results.is_converged(relaxed)
    document.state = CalculationState.COMPLETED if converged else CalculationState.UNCONVERGED
    if not converged:
        document.error = f"not converged after {document.n_steps} ionic steps"
    try:
        require(initial, "static calculation before relaxation")
        check_method(initial, (methods or {}).get("static"), engine_versions)
        document.initial_energy_per_atom = results.energy_per_atom(initial, corrections)
    except (VogenError, AttributeError) as error:
        document.error = document.error or f"no energy before relaxation: {reason(error)}"
    compare_with_candidate(document)
    return document


@job(data=True)
def collect(
    candidates: list[CandidateDoc],
    scheme: str,
    calculations: list[CalculationDoc | None],
    unrefined: list[CalculationDoc | None] | None = None,
) -> list[CalculationDoc]:
    """All calculations of a fan-out, in the order of the candidates.

    Where a refinement left nothing, the unrefined crystal is taken; a record that never came is
    filled in as failed.
    """
    records = unrefined or [None] * len(candidates)
    return [
        calculation
        or record
        or CalculationDoc.failed(candidate, scheme, "its jobs left no result; see their logs")
        for candidate, calculation, record in zip(candidates, calculations, records, strict=True)
    ]


def fan_out(
    engine: Engine,
    candidates: Sequence[CandidateDoc],
    name: str = "screening",
    refine: RefineMaker | None = None,
) -> Flow:
    """Flow over all candidates; its output is the list of their calculations.

    Raises
    ------
    InputError
        If there is no candidate, or one is given twice.
    """
    if not candidates:
        raise InputError("no candidates to calculate")
    check_crystals(candidates)
    return joined_flow([_piece(engine, piece, name, refine) for piece in pieces(candidates)], name)


def _piece(
    engine: Engine, candidates: Sequence[CandidateDoc], name: str, refine: RefineMaker | None
) -> Flow:
    """Flow over candidates whose documents fit into one."""
    flows = [candidate_flow(engine, candidate, refine) for candidate in candidates]
    gathered: Job = collect(
        list(candidates),
        engine.scheme,
        [flow.output for flow in flows],
        None if refine is None else [_record_of(flow).output for flow in flows],
    )
    gathered.config = TOLERANT
    gathered.update_metadata({"scheme": engine.scheme, "stage": "collect"})
    place(gathered, ANALYSIS)
    return Flow([*flows, gathered], output=gathered.output, name=name)


def _record_of(flow: Flow) -> Job:
    """Job of a candidate's flow that records the unrefined crystal."""
    found: Job = next(
        made for made, _ in flow.iterflow() if made.metadata.get("stage") == RECORD_STAGE
    )
    return found
