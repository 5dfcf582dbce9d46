"""The stages that verbs are made of, each resumable from what its folder's store holds.

The stages run the same Makers as `DiscoveryFlowMaker`; only the order is driven from here, so
that each can be shown, timed and found again.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc

if TYPE_CHECKING:
    from jobflow import Flow, Job

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.engines import Engine
    from atomate2_vogen.errors import VogenError
    from atomate2_vogen.managers import Failure
    from atomate2_vogen.stores import VogenStores


@dataclass(frozen=True)
class Outcome:
    """Result of one flow.

    Parameters
    ----------
    key
        Key that was given with the flow.
    number
        Number of flows that have ended, this one included.
    output
        Output of the flow, JSON-like; None if there is none.
    error
        Reason why there is no output; None if there is one.
    exception
        The first error of this package that a job raised, if there is no output.
    """

    key: str
    number: int
    output: Any = None
    error: str | None = None
    exception: VogenError | None = None

    def expect(self) -> Any:
        """Output of a flow without which the run cannot go on.

        Raises
        ------
        VogenError
            As the job raised it.
        RuntimeError
            With the reason, for other exceptions and processes that died.
        """
        if self.error is not None:
            raise self.exception or RuntimeError(f"{self.key}: {self.error}")
        return self.output


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

    def run(
        self,
        flows: Iterable[tuple[str, Flow | Job]],
        workers: int,
        ended: Callable[[Outcome], None],
    ) -> None:
        """Run flows on worker processes and report the outcome of each as it ends.

        What jobs have left is kept in ``scratch/`` until all flows have ended: a flow that was
        stopped goes on from there. An exception of `ended` stops all.
        """
        from atomate2_vogen.managers import Event, run_parallel

        keys: list[str] = []
        numbers = itertools.count(1)
        failures: dict[int, list[Failure]] = {}

        def drawn() -> Iterator[Flow | Job]:
            for key, flow in flows:
                keys.append(key)
                yield flow

        def on_event(event: Event) -> None:
            if event.failure is not None:
                failures.setdefault(event.flow_number, []).append(event.failure)
            if event.ends_flow:
                key = keys[event.flow_number]
                failed = failures.get(event.flow_number, ())
                ended(self._outcome(key, next(numbers), event.output, failed))

        scratch = self.folder / "scratch"
        run_parallel(
            drawn(),
            self.stores.job_store,
            workers=workers,
            folder=scratch,
            log_dir=self.logs,
            on_event=on_event,
        )
        if not failures:
            shutil.rmtree(scratch)

    def _outcome(
        self, key: str, number: int, reference: Any, failures: Sequence[Failure]
    ) -> Outcome:
        from jobflow.core.reference import find_and_resolve_references

        try:
            output = find_and_resolve_references(
                reference, self.stores.job_store, deserialize=False
            )
        except ValueError:  # jobflow's error for an output that never came
            reasons = [f"{failure.name}: {failure.error}" for failure in failures]
            known = [failure.exception for failure in failures if failure.exception]
            return Outcome(
                key,
                number,
                error="; ".join(reasons) or "no output",
                exception=next(iter(known), None),
            )
        return Outcome(key, number, output)

    def relax(
        self, engine: Engine, candidates: Sequence[CandidateDoc], workers: int
    ) -> list[CalculationDoc]:
        """Energies of candidates before and after relaxation, in their order.

        Finished calculations are taken from the store; failed ones are tried once more.
        """
        from atomate2_vogen.jobs.screening import candidate_flow
        from atomate2_vogen.schemas.calculations import calculation_id
        from atomate2_vogen.stores import parse

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

            def ended(outcome: Outcome) -> None:
                if outcome.error is None:
                    doc = parse(CalculationDoc, outcome.output)
                else:
                    doc = CalculationDoc.failed(
                        todo[outcome.key], scheme, outcome.error, engine.engine_versions
                    )
                self.stores.save(doc)
                done[doc.calculation_id] = doc
                remark = f"{doc.candidate_id} {doc.state.value}"
                stage.advance(reused + outcome.number, len(wanted), remark)

            flows = ((key, candidate_flow(engine, candidate)) for key, candidate in todo.items())
            self.run(flows, workers, ended)
            states = [done[key].state.value for key in wanted]
            notes |= {"candidates": len(wanted), "reused": reused, "retried": len(failed)}
            notes |= {state: states.count(state) for state in sorted(set(states))}
            parts = [f"{states.count(state)} {state}" for state in sorted(set(states))]
            stage.result = f"{len(wanted)} crystals: {', '.join(parts)}" + reuse(
                reused, len(wanted)
            )
        return [done[key] for key in wanted]


def reuse(reused: int, total: int) -> str:
    """Words on how much of a stage was there already."""
    if not reused:
        return ""
    return " [cyan](reused)[/cyan]" if reused == total else f" [cyan]({reused} reused)[/cyan]"
