"""Jobs that ask further energy models about crystals that one has found.

Per crystal and model: relax -> static -> opinion, from the crystal as the first model relaxed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobflow import Flow, Job, job

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.engines.base import EnergyCorrections, Engine
from atomate2_vogen.engines.methods import Method
from atomate2_vogen.errors import MissingReferenceError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import GuardedMaker
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.outcomes import require_relaxed, total
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import RECORDING
from atomate2_vogen.schemas import (
    ConsensusDoc,
    EnergyModel,
    Opinion,
    ReferenceDoc,
    ReferenceLevel,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.consensus import (
    consensus_document,
    first_opinion,
    place_opinion,
    reference_levels,
)
from atomate2_vogen.stability.judging import SYMMETRY_PRECISION
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import KnownStructures, rmsd
from atomate2_vogen.structures.symmetry import space_group

CONFIRM_STAGE = "consensus"
"""Value of ``metadata.stage`` of the jobs whose output is a `ConsensusDoc`."""


def energy_model(engine: Engine) -> EnergyModel:
    """Name and origin of the energies of an engine."""
    return EnergyModel(
        engine=engine.name,
        scheme=engine.scheme,
        functional=engine.functional,
        training_data=list(engine.training_data),
        engine_versions=engine.engine_versions,
    )


@job
def find_levels(
    references: list[ReferenceDoc], system: OxideSystem, formulas: list[str]
) -> dict[str, ReferenceLevel]:
    """Hull energy and lowest known phase of each formula; see `stability.reference_levels`."""
    return reference_levels(references, system, formulas)


@job(output_schema=Opinion)
def record_opinion(
    find: StabilityDoc,
    model: EnergyModel,
    system: OxideSystem,
    *,
    relaxed: Any,
    static: Any,
    levels: Mapping[str, ReferenceLevel] | None,
    corrections: EnergyCorrections | None = None,
    methods: Mapping[str, Method] | None = None,
    jobs: Mapping[str, str] | None = None,
) -> Opinion:
    """What a further model says about a crystal after its calculations.

    Parameters
    ----------
    find
        The crystal, by the model that found it.
    model
        The further model.
    system
        Oxide system, whose smallest distances tell a collapsed crystal.
    relaxed, static
        Task documents, a `JobFailure`, or None where a job left nothing.
    levels
        Of the model, by formula; None where its reference phases could not be relaxed.
    corrections
        Added to the energy before it is recorded.
    methods
        Methods of the stages ``relax`` and ``static``; a task document that tells of another one
        is refused.
    jobs
        Identifiers of the jobs with the calculations, by stage.

    Returns
    -------
    Opinion
        ``failed``, ``unconverged`` or ``collapsed`` with a reason where there is no energy to
        rank. Never raises for a bad calculation.
    """
    opinion = Opinion(model=model, state=StabilityState.FAILED, jobs=job_links(jobs or {}))
    opinion.cpu_time = total([results.cpu_time(done) for done in (relaxed, static)])
    try:
        if levels is None:
            raise MissingReferenceError(
                f"the reference phases of scheme {model.scheme} could not be relaxed; see the logs"
            )
        require_relaxed(relaxed, static, methods, model.engine_versions)
        opinion.n_steps = results.n_steps(relaxed)
        structure = results.relaxed_structure(static)
        opinion.structure = structure
        opinion.energy_per_atom = results.energy_per_atom(static, corrections)
        if message := too_close(structure, system):
            opinion.state = StabilityState.COLLAPSED
            opinion.reason = f"collapsed: {message}"
            return opinion
        place_opinion(opinion, levels[find.formula])
        symbol, number = space_group(structure, SYMMETRY_PRECISION)
        opinion.space_group_symbol, opinion.space_group_number = symbol, number
        opinion.rmsd = rmsd(find.structure, structure) if find.structure else None
    except (VogenError, AttributeError) as error:
        opinion.reason = reason(error)
        return opinion
    if not results.is_converged(relaxed):
        opinion.state = StabilityState.UNCONVERGED
        opinion.reason = f"not converged after {opinion.n_steps} ionic steps"
        return opinion
    opinion.state = StabilityState.RANKED
    if find.structure is not None:
        # the tolerances by which crystals are unique and novel
        opinion.left_basin = KnownStructures({"": find.structure}).find(structure) is None
    return opinion


@job(output_schema=ConsensusDoc)
def record_consensus(
    find: StabilityDoc,
    model: EnergyModel,
    levels: Mapping[str, ReferenceLevel],
    models: list[EnergyModel],
    opinions: list[Opinion | None],
) -> ConsensusDoc:
    """Consensus about one crystal.

    Parameters
    ----------
    find
        The crystal, by the model that found it.
    model, levels
        This model, and its levels by formula.
    models, opinions
        The further models and their opinions; None where a job left nothing.
    """
    others = [
        opinion
        or Opinion(
            model=asked,
            state=StabilityState.FAILED,
            reason="its jobs left no result; see their logs",
        )
        for asked, opinion in zip(models, opinions, strict=True)
    ]
    return consensus_document(find, [first_opinion(find, model, levels[find.formula]), *others])


@job(data=True)
def collect_consensus(documents: list[ConsensusDoc | None]) -> list[ConsensusDoc]:
    """All documents, in the order of the crystals; one that never came is left out."""
    return [document for document in documents if document is not None]


def opinion_flow(engine: Engine, find: StabilityDoc, levels: Any, system: OxideSystem) -> Flow:
    """Flow of one crystal and one further model; its output is an `Opinion`."""
    relax = GuardedMaker(engine.relax_maker).make(find.structure)
    static = GuardedMaker(engine.static_maker).make(relax.output)
    opinion = record_opinion(
        find,
        energy_model(engine),
        system,
        relaxed=relax.output,
        static=static.output,
        levels=levels,
        corrections=engine.energy_corrections,
        methods=engine.methods,
        jobs={"relax": relax.uuid, "static": static.uuid},
    )
    opinion.config = RECORDING
    stages: dict[str, Job] = {"relax": relax, "static": static, "opinion": opinion}
    for stage, made in stages.items():
        made.update_metadata(
            {
                "candidate_id": find.candidate_id,
                "scheme": engine.scheme,
                "stage": f"confirm {stage}",
            }
        )
        made.name = f"{stage} {find.candidate_id} {engine.name}"
        place(made, ANALYSIS if stage == "opinion" else engine.manager_config)
    return Flow(
        list(stages.values()), output=opinion.output, name=f"{find.candidate_id} {engine.name}"
    )


def consensus_flow(
    engine: Engine,
    engines: Sequence[Engine],
    find: StabilityDoc,
    levels: Mapping[str, Any],
    system: OxideSystem,
) -> Flow:
    """Flow of one crystal; its output is a `ConsensusDoc`.

    Parameters
    ----------
    engine
        That found the crystal.
    engines
        The further ones.
    find
        The crystal.
    levels
        By scheme, or references to them.
    system
        Oxide system.
    """
    asked = [opinion_flow(other, find, levels[other.scheme], system) for other in engines]
    document = record_consensus(
        find,
        energy_model(engine),
        levels[engine.scheme],
        [energy_model(other) for other in engines],
        [flow.output for flow in asked],
    )
    document.config = RECORDING
    document.name = f"{CONFIRM_STAGE} {find.candidate_id}"
    document.update_metadata({"candidate_id": find.candidate_id, "stage": CONFIRM_STAGE})
    place(document, ANALYSIS)
    return Flow([*asked, document], output=document.output, name=find.candidate_id)
