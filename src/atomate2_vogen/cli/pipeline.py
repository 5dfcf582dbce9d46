"""The stages that verbs are made of, each resumable from what its folder's store holds.

The stages run the same Makers as `DiscoveryFlowMaker`; only the order is driven from here, so
that each can be shown, timed and found again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    MetricsDoc,
    ReferenceDoc,
    SampleDoc,
    StabilityDoc,
)

if TYPE_CHECKING:
    from jobflow import Flow, Job

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.cli.runner import Outcome
    from atomate2_vogen.engines import Engine
    from atomate2_vogen.stores import VogenStores


@dataclass
class Pipeline:
    """What every stage needs.

    Parameters
    ----------
    folder
        Output folder, open.
    stores
        Its stores, connected.
    voice
        Consoles.
    system
        Oxide system.
    """

    folder: OutputFolder
    stores: VogenStores
    voice: Voice
    system: OxideSystem

    @property
    def logs(self) -> Path:
        """Folder for what libraries say."""
        path = self.folder / "logs"
        path.mkdir(exist_ok=True)
        return path

    def side_by_side(
        self, flows: Iterable[tuple[str, Flow | Job]], workers: int, *, resumable: bool = False
    ) -> contextlib.closing[Generator[Outcome]]:
        """Outcomes of flows on worker processes, which end with the context; see `run_flows`.

        Resumable flows keep what their jobs leave in ``scratch/`` until they have ended.
        """
        from atomate2_vogen.cli.runner import run_flows

        return contextlib.closing(
            run_flows(
                flows,
                self.stores.job_store,
                workers=workers,
                log_dir=self.logs,
                scratch=self.folder / "scratch" if resumable else None,
            )
        )

    def relax(
        self, engine: Engine, candidates: Sequence[CandidateDoc], workers: int
    ) -> list[CalculationDoc]:
        """Energies of candidates before and after relaxation, in their order.

        Finished calculations are taken from the store; failed ones are tried once more.
        """
        from atomate2_vogen.jobs.screening import calculation_id

        scheme = engine.scheme
        wanted = {calculation_id(c.candidate_id, scheme): c for c in candidates}
        self.stores.ingest_jobs()
        done = {
            doc.calculation_id: doc
            for doc in self.stores.load(CalculationDoc, {"scheme": scheme})
            if doc.calculation_id in wanted
        }
        failed = [key for key, doc in done.items() if doc.state is CalculationState.FAILED]
        reused = len(done) - len(failed)
        todo = {key: candidate for key, candidate in wanted.items() if key not in done}
        todo |= {key: wanted[key] for key in failed}
        with self.folder.stage("relaxation") as notes, self.voice.stage("relaxation") as stage:
            stage.advance(reused, len(wanted), f"{reused} reused" if reused else "")
            for number, doc in enumerate(self._calculate(engine, todo, workers), reused + 1):
                done[doc.calculation_id] = doc
                stage.advance(number, len(wanted), f"{doc.candidate_id} {doc.state.value}")
            states = [done[key].state.value for key in wanted]
            notes |= {"candidates": len(wanted), "reused": reused, "retried": len(failed)}
            notes |= {state: states.count(state) for state in sorted(set(states))}
            parts = [f"{states.count(state)} {state}" for state in sorted(set(states))]
            stage.result = f"{len(wanted)} crystals: {', '.join(parts)}" + reuse(
                reused, len(wanted)
            )
        return [done[key] for key in wanted]

    def _calculate(
        self, engine: Engine, todo: dict[str, CandidateDoc], workers: int
    ) -> Iterator[CalculationDoc]:
        """Run what is left to do; every result is stored before it is handed on."""
        from atomate2_vogen.jobs.screening import candidate_flow
        from atomate2_vogen.stores import parse

        flows = ((key, candidate_flow(engine, candidate)) for key, candidate in todo.items())
        with self.side_by_side(flows, workers) as outcomes:
            for outcome in outcomes:
                if outcome.error is None:
                    doc = parse(CalculationDoc, outcome.output)
                else:
                    candidate = todo[outcome.key]
                    doc = CalculationDoc(
                        calculation_id=outcome.key,
                        candidate_id=candidate.candidate_id,
                        scheme=engine.scheme,
                        state=CalculationState.FAILED,
                        error=outcome.error,
                        candidate=candidate,
                        engine_versions=engine.engine_versions,
                    )
                self.stores.save(doc)
                yield doc

    def build(
        self,
        engine: Engine,
        candidates: Sequence[CandidateDoc],
        *,
        remove_orphans: bool = False,
    ) -> tuple[list[StabilityDoc], list[ReferenceDoc]]:
        """Bring the store's stability documents up to date; those of the candidates."""
        from atomate2_vogen.builders.stability import StabilityBuilder
        from atomate2_vogen.cli.references import reference_phases

        references = reference_phases(self, engine)
        with self.folder.stage("stability") as notes, self.voice.stage("stability") as stage:
            self.stores.save(references)
            builder = StabilityBuilder(
                self.stores.calculations,
                self.stores.references,
                self.stores.stability,
                systems=[self.system],
                remove_orphans=remove_orphans,
            )
            notes["written"] = written = builder.build()
            notes["removed"] = builder.n_removed
            ids = {candidate.candidate_id for candidate in candidates}
            stability = [
                doc
                for doc in self.stores.load(StabilityDoc, {"scheme": engine.scheme})
                if doc.candidate_id in ids
            ]
            stage.result = self._judged(engine, stability, references)
            stage.result += reuse(0 if written else len(stability), len(stability))
            stage.result += f", {builder.n_removed} orphans removed" if remove_orphans else ""
        return stability, references

    def judge(
        self,
        engine: Engine,
        candidates: Sequence[CandidateDoc],
        calculations: Sequence[CalculationDoc],
    ) -> tuple[list[StabilityDoc], MetricsDoc, list[ReferenceDoc]]:
        """Stability of these calculations among themselves, whatever else the store holds."""
        from atomate2_vogen.cli.references import reference_phases
        from atomate2_vogen.jobs.evaluation import judge_and_measure

        references = reference_phases(self, engine)
        with self.folder.stage("stability") as notes, self.voice.stage("stability") as stage:
            stability, metrics = judge_and_measure(
                candidates, calculations, references, self.system
            )
            self.stores.save(references)
            notes["written"] = self.stores.save(stability)
            stage.result = self._judged(engine, stability, references)
        return stability, metrics, references

    def measure(
        self,
        sample: SampleDoc,
        calculations: Sequence[CalculationDoc],
        stability: Sequence[StabilityDoc],
        references: Sequence[ReferenceDoc],
    ) -> MetricsDoc:
        """Metrics of what was sampled."""
        from atomate2_vogen.analysis.metrics import measure
        from atomate2_vogen.jobs.known import novelty_pool

        return measure(
            sample,
            calculations,
            stability,
            self.system,
            novelty_pool=novelty_pool(
                self.system, references, sorted({doc.formula for doc in stability})
            ),
        )

    def _judged(
        self,
        engine: Engine,
        stability: Sequence[StabilityDoc],
        references: Sequence[ReferenceDoc],
    ) -> str:
        """Note who judged; a line about it."""
        hull = stability[0].hull_id if stability else None
        self.folder.note(judge=engine.scheme, hull_id=hull)
        return f"{len(references)} reference phases, hull {hull or 'not needed'}"

    def export(
        self,
        stability: Sequence[StabilityDoc],
        candidates: Sequence[CandidateDoc],
        references: Sequence[ReferenceDoc],
        names: Mapping[str, str] | None = None,
        metrics: MetricsDoc | None = None,
    ) -> list[str]:
        """Write tables, CIFs and pictures; names of what was written."""
        from atomate2_vogen.cli.exports import write_results

        with self.folder.stage("files") as notes, self.voice.stage("files") as stage:
            notes["written"] = write_results(
                self.folder,
                self.system,
                stability=stability,
                candidates=candidates,
                references=references,
                names=names,
                metrics=metrics,
            )
            stage.result = f"in {self.folder.path}"
        return list(notes["written"])

    def stored_candidates(self) -> list[CandidateDoc]:
        """Candidates of every calculation in the store."""
        self.stores.ingest_jobs()
        return [doc.candidate for doc in self.stores.load(CalculationDoc)]


def reuse(reused: int, total: int) -> str:
    """Words on how much of a stage was there already."""
    if not reused:
        return ""
    return " [cyan](reused)[/cyan]" if reused == total else f" [cyan]({reused} reused)[/cyan]"
