"""Jobs of a closed loop: the judgement of a round, and the decision on the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jobflow import Job, JobConfig, Maker, Response, job

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.jobs.known import known_structures
from atomate2_vogen.jobs.placement import ANALYSIS, place, replacement
from atomate2_vogen.jobs.rounds import EarlierRounds, read_rounds, with_finds
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    Learning,
    LoopDoc,
    ReferenceDoc,
    RoundDoc,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.bookkeeping import cpu_seconds_by_stage
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.structures.matching import KnownStructures

ROUND_STAGE = "round"
"""Value of ``metadata.stage`` of the jobs whose output is a `RoundDoc`."""

COUNTED_WITHIN = (0.1, 0.05, 0.025, 0.0)
"""Energies above hull in eV/atom within which new crystals of a round are counted."""

ROUND_LISTS = [["output", "stability"], ["output", "tasks"]]
"""Places in a `RoundDoc` whose content goes to the ``data`` store."""


def judge_round(
    number: int,
    seed: int,
    samples: Any,
    calculations: Any,
    references: Any,
    *,
    scheme: str,
    system: OxideSystem,
    threshold: float,
    earlier: EarlierRounds | None = None,
    learnt: Learning | Any = None,
) -> Job:
    """Job whose output is the `RoundDoc` of a round.

    Parameters
    ----------
    number, seed
        Of the round.
    samples
        One `SampleDoc` per formula, or references to them.
    calculations
        Those of the crystals of each sample.
    references
        Relaxed reference phases of the scheme.
    scheme
        Energy scale of the engine, which chooses the finds.
    system
        Oxide system.
    threshold
        Largest energy above hull of a find in eV/atom.
    earlier
        All rounds before.
    learnt
        What the sampler of this round had learnt.
    """
    made: Job = _judge_round(
        number,
        seed,
        samples,
        calculations,
        references,
        scheme=scheme,
        system=system,
        threshold=threshold,
        earlier=earlier,
        learnt=learnt,
    )
    made.name = f"round {number}"
    made.config = JobConfig(expose_store=True)
    made.update_metadata({"scheme": scheme, "stage": ROUND_STAGE})
    place(made, ANALYSIS)
    return made


@job(data=ROUND_LISTS, output_schema=RoundDoc)
def _judge_round(
    number: int,
    seed: int,
    samples: list[SampleDoc],
    calculations: list[list[CalculationDoc]],
    references: list[ReferenceDoc],
    *,
    scheme: str,
    system: OxideSystem,
    threshold: float,
    earlier: EarlierRounds | None,
    learnt: Learning | None,
) -> RoundDoc:
    sample = SampleDoc.merge(samples)
    done = [calculation for part in calculations for calculation in part]
    known = known_structures(system, references)
    stability = assess(done, references, system, known, joint=True) if done else []
    replays, new = told_apart(stability, earlier.new() if earlier else [])
    finds = [one for one in new if _within(one, threshold)]
    training = learnt.cpu_time if learnt else None
    seconds, n_untimed = cpu_seconds_by_stage(
        samples, done, {} if training is None else {"learning": training}
    )
    document = RoundDoc(
        number=number,
        seed=seed,
        sampler=sample.sampler,
        model_id=sample.model_id,
        scheme=scheme,
        chemsys=system.chemsys,
        hull_id=stability[0].hull_id if stability else None,
        threshold=threshold,
        requested=sample.requested,
        attempts=sample.attempts,
        rejected=sample.rejected,
        n_sampled=len(sample.candidates),
        n_relaxed=sum(one.state is not CalculationState.FAILED for one in done),
        n_ranked=sum(one.state is StabilityState.RANKED for one in stability),
        learnt=learnt,
        replays=replays,
        new={f"{limit:g}": sum(_within(one, limit) for one in new) for limit in COUNTED_WITHIN},
        new_ids=[one.candidate_id for one in new],
        finds=[one.candidate_id for one in finds],
        n_p1=sum(one.space_group_number == 1 for one in finds),
        cpu_seconds=seconds,
        n_untimed=n_untimed,
        stability=stability,
        tasks={one.candidate_id: one.jobs for one in done},
    )
    document.warnings = _warnings(document, sample)
    return document


def told_apart(
    stability: Sequence[StabilityDoc], earlier: Sequence[StabilityDoc]
) -> tuple[dict[str, str], list[StabilityDoc]]:
    """Replays and new crystals of a round.

    Parameters
    ----------
    stability
        Judged crystals of the round, in the groups of those that match each other.
    earlier
        New crystals of all rounds before.

    Returns
    -------
    replays : dict
        Earlier crystal that a ranked crystal matches, by candidate id.
    new : list of StabilityDoc
        Novel crystals that match none, the lowest of each group, by rising energy.
    """
    before = with_finds(KnownStructures({}), earlier)
    replays: dict[str, str] = {}
    new: list[StabilityDoc] = []
    for document in stability:
        if document.state is not StabilityState.RANKED:
            continue
        forms = (document.structure, document.unrefined_structure)
        twins = (before.find(form) for form in forms if form is not None)
        twin = next((name for name in twins if name is not None), None)
        if twin is not None:
            replays[document.candidate_id] = twin
        elif document.is_novel and document.is_unique:
            new.append(document)
    new.sort(key=lambda one: (one.energy_above_hull, one.candidate_id))
    return replays, new


def _within(document: StabilityDoc, limit: float) -> bool:
    above = document.energy_above_hull
    return above is not None and at_most(above, limit)


def _warnings(document: RoundDoc, sample: SampleDoc) -> list[str]:
    """What a reader of the round should know."""
    found = [
        f"{formula}: {count} fewer crystals than asked for; the sampler found no more"
        for formula, count in sample.missing.items()
    ]
    ranked = [one for one in document.stability if one.state is StabilityState.RANKED]
    limit = f"{document.threshold:g} eV/atom"
    if not document.finds:
        found.append(f"no new crystal within {limit} of the hull")
    elif len(ranked) > 1 and all(_within(one, document.threshold) for one in ranked):
        found.append(
            f"all {len(ranked)} ranked crystals lie within {limit}: the threshold chooses nothing, "
            "and replays grow; lower it"
        )
    if len(document.replays) * 2 > len(ranked):
        found.append(
            f"{len(document.replays)} of {len(ranked)} ranked crystals had been found in an "
            "earlier round"
        )
    return found


def next_round(
    loop: Maker,
    counts: dict[str, int],
    seed: int,
    *,
    rounds: Sequence[str],
    latest: Any,
    references: Any,
    parents: Any = None,
    learnt_by: str | None = None,
) -> Job:
    """Job that ends a loop with a `LoopDoc`, or replaces itself by the flow of the next round.

    Parameters
    ----------
    loop
        Maker with the settings: a `LoopFlowMaker`, whose `make_round` is called.
    counts, seed, parents
        Of the loop.
    rounds
        Identifiers of the jobs with the rounds so far.
    latest
        Reference to an output of the last of them, for which this job waits.
    references
        Relaxed reference phases, or a reference to them.
    learnt_by
        Identifier of the job in which the sampler learnt last, if it has learnt.
    """
    made: Job = _next_round(
        loop,
        counts,
        seed,
        rounds=list(rounds),
        references=references,
        parents=parents,
        learnt_by=learnt_by,
        _latest=latest,
    )
    made.name = f"after round {len(rounds)}"
    made.config = JobConfig(expose_store=True)
    # the jobs that it makes have stages of their own
    made.update_metadata({"stage": "next round"}, dynamic=False)
    place(made, ANALYSIS, inherited=False)
    return made


# no output_schema: a flow that replaces a job hands on a reference, which jobflow holds against it
@job
def _next_round(
    loop: Any,
    counts: dict[str, int],
    seed: int,
    *,
    rounds: list[str],
    references: list[ReferenceDoc],
    parents: Any,
    learnt_by: str | None,
    _latest: int,
) -> Response:
    documents = read_rounds(rounds)
    reason = stop_reason(documents, loop.rounds, loop.cpu_hours, loop.finds)
    if reason is None:
        flow = loop.make_round(
            counts,
            seed,
            references,
            parents,
            earlier=EarlierRounds.of(rounds, documents),
            documents=documents,
            learnt_by=learnt_by,
        )
        # a loop with more rounds is another job, whose rounds are those of the shorter one
        return Response(replace=replacement(flow, shared=True))
    last = documents[-1]
    light = [one.model_copy(update={"stability": [], "tasks": {}}) for one in documents]
    return Response(
        output=LoopDoc(
            chemsys=last.chemsys,
            scheme=last.scheme,
            sampler=last.sampler,
            seed=seed,
            threshold=last.threshold,
            counts=counts,
            rounds=light,
            stopped_by=reason,
        )
    )


def stop_reason(
    rounds: Sequence[RoundDoc], most: int, cpu_hours: float | None, finds: int | None
) -> str | None:
    """Why a loop ends after these rounds: rounds, CPU-hours or finds; None if it goes on."""
    if len(rounds) >= most:
        return "rounds"
    if cpu_hours is not None and math.fsum(one.cpu_hours for one in rounds) >= cpu_hours:
        return "CPU-hours"
    if finds is not None and sum(len(one.finds) for one in rounds) >= finds:
        return "finds"
    return None
