"""Reference phases of a run: shipped, or relaxed once and found again in the folder's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomate2_vogen.cli.pipeline import Outcome, reuse

if TYPE_CHECKING:
    from atomate2_vogen.cli.pipeline import Pipeline
    from atomate2_vogen.engines import Engine
    from atomate2_vogen.schemas import ReferenceDoc


def reference_phases(run: Pipeline, engine: Engine, workers: int = 1) -> list[ReferenceDoc]:
    """Relaxed reference phases of the run's system in the engine's scheme.

    A phase that fails ends it all: a hull without one of its vertices gives wrong numbers that
    look right. What was relaxed stays, and the same command goes on from there.

    Raises
    ------
    MissingReferenceError
        If neither references nor their starting structures are shipped for the system.
    """
    from atomate2_vogen.engines import has_references, load_references, reference_structures
    from atomate2_vogen.engines.references import check_references
    from atomate2_vogen.flows.references import ReferencesFlowMaker
    from atomate2_vogen.jobs.references import distinct_references
    from atomate2_vogen.schemas import ReferenceDoc
    from atomate2_vogen.stores import parse

    if has_references(engine, run.system):
        return load_references(engine, run.system)
    sources = {phase.source: phase for phase in reference_structures(run.system)}

    def relaxed() -> dict[str, ReferenceDoc]:
        found = {}
        query = {"output.@class": ReferenceDoc.__name__}
        for held in run.stores.job_store.query(query, properties=["output"]):
            # a phase by itself, or the list that the flow of all ends with
            outputs = held["output"] if isinstance(held["output"], list) else [held["output"]]
            for document in (parse(ReferenceDoc, output) for output in outputs):
                if document.scheme == engine.scheme and document.source in sources:
                    found[document.source] = document
        return found

    maker = ReferencesFlowMaker(engine=engine, system=run.system)
    with run.folder.stage("references") as notes, run.voice.stage("references") as stage:
        done = relaxed()
        reused = len(done)
        flows = [(s, maker.make_one(phase)) for s, phase in sources.items() if s not in done]
        stage.advance(reused, len(sources), f"{reused} reused" if reused else "")

        def ended(outcome: Outcome) -> None:
            outcome.expect()
            stage.advance(reused + outcome.number, len(sources), outcome.key)

        run.run(flows, workers, ended)
        references = distinct_references(list(relaxed().values()))
        check_references(references, engine.scheme, run.system)
        notes |= {"phases": len(sources), "reused": reused, "distinct": len(references)}
        stage.result = f"{len(references)} phases, relaxed from {len(sources)}"
        stage.result += reuse(reused, len(sources))
    return references
