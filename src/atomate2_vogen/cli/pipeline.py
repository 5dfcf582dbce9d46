"""The stages that verbs are made of, each resumable from what its folder's store holds.

The stages run the same Makers as `DiscoveryFlowMaker`; only the order is driven from here, so
that each can be shown, timed and found again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc

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
        from atomate2_vogen.schemas.calculations import calculation_id

        scheme = engine.scheme
        wanted = {calculation_id(c.candidate_id, scheme): c for c in candidates}
        self.stores.ingest_jobs()
        done = {
            doc.calculation_id: doc
            for doc in self.stores.iterate(CalculationDoc, {"scheme": scheme})
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
                    doc = CalculationDoc.failed(
                        todo[outcome.key], engine.scheme, outcome.error, engine.engine_versions
                    )
                self.stores.save(doc)
                yield doc


def reuse(reused: int, total: int) -> str:
    """Words on how much of a stage was there already."""
    if not reused:
        return ""
    return " [cyan](reused)[/cyan]" if reused == total else f" [cyan]({reused} reused)[/cyan]"
