"""What a folder shows: the crystals of its run, judged, and the files made from that.

The store is what is judged, by one builder; tables, CIFs, pictures and metrics are written from
its documents. So they agree with one another, with queries and with a report, and with one run
into a new folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from atomate2_vogen.cli.output import OUTDATED
from atomate2_vogen.cli.pipeline import FlowOutput, Pipeline, plural, reuse
from atomate2_vogen.cli.progress import REFERENCES, RELAXATION
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    KnownDoc,
    MetricsDoc,
    ReferenceDoc,
    SampleDoc,
    StabilityDoc,
)

if TYPE_CHECKING:
    from atomate2_vogen.engines import Engine


@dataclass(frozen=True)
class Results:
    """Documents of one judge about the crystals of a run.

    Parameters
    ----------
    stability
        One per crystal.
    calculations
        Of the same crystals; one that is gone from the store is missing.
    references
        The phases that span the hull.
    """

    stability: list[StabilityDoc]
    calculations: list[CalculationDoc]
    references: list[ReferenceDoc]

    @property
    def candidates(self) -> list[CandidateDoc]:
        """The crystals as they were given or generated."""
        return [calculation.candidate for calculation in self.calculations]

    @property
    def files(self) -> dict[str, str]:
        """Files that crystals were read from, by candidate id; empty where none was."""
        return {
            candidate.candidate_id: str(candidate.details["file"])
            for candidate in self.candidates
            if "file" in candidate.details
        }


def update_stability(
    run: Pipeline,
    engine: Engine,
    inputs: Sequence[CandidateDoc] | None = None,
    *,
    remove_orphans: bool = False,
) -> Results:
    """Bring the store's stability documents up to date, and read them.

    Parameters
    ----------
    run
        Folder and store.
    engine
        The judge.
    inputs
        Crystals that the folder is to show, in the order of the documents returned; a
        flow has calculated them (`Pipeline.run`). None leaves
        those that it shows and all that other flows have written into its store.
    remove_orphans
        Remove stability documents whose calculation is gone; with inputs they are in any case.
    """
    from atomate2_vogen.builders import build_stability
    from atomate2_vogen.builders.inputs import set_inputs

    stores = run.stores
    with run.folder.stage("stability") as notes, run.voice.stage("stability") as stage:
        if inputs is not None:
            set_inputs(stores.calculations, engine.scheme, inputs)
        built = build_stability(
            stores, [run.system], remove_orphans=remove_orphans or inputs is not None
        )
        # what a flow judged is not judged again, but taken from the job store
        written = built.written + built.ingested["stability"] + run.ingested["stability"]
        notes |= {"written": written, "removed": built.removed}
        references = _references(run, engine)
        ours = {"scheme": engine.scheme, "chemsys": run.system.chemsys}
        stability = list(stores.iterate(StabilityDoc, ours))
        if inputs is not None:
            order = {candidate.candidate_id: number for number, candidate in enumerate(inputs)}
            stability.sort(key=lambda doc: order[doc.candidate_id])
        shown = {document.stability_id for document in stability}
        calculations = [
            document
            for document in stores.iterate(CalculationDoc, {"scheme": engine.scheme})
            if document.calculation_id in shown
        ]
        hull = stability[0].hull_id if stability else None
        run.folder.note(judge=engine.scheme, hull_id=hull)
        stage.result = f"{len(references)} reference phases, hull {hull or 'not needed'}"
        stage.result += reuse(0 if written else len(stability), len(stability))
        stage.result += f", {built.removed} orphans removed" if remove_orphans else ""
    return Results(stability, calculations, references)


def _references(run: Pipeline, engine: Engine) -> list[ReferenceDoc]:
    """The phases that span the hull: shipped ones, else those that the store holds."""
    from atomate2_vogen.engines import has_references, load_references

    if has_references(engine, run.system):
        return load_references(engine, run.system)
    elements = set(run.system.elements)
    return [
        document
        for document in run.stores.iterate(ReferenceDoc, {"scheme": engine.scheme})
        if {element.symbol for element in document.structure.composition} <= elements
    ]


def report_relaxation(
    run: Pipeline, ran: FlowOutput, scheme: str, candidates: Iterable[str]
) -> None:
    """Report the relaxations of a flow that has run, and where references came from."""
    wanted = set(candidates)
    found = run.stores.read(
        run.stores.calculations, {"scheme": scheme}, properties=["candidate_id", "state"]
    )
    states = [str(one["state"]) for one in found if one["candidate_id"] in wanted]
    if references := ran.stages.get(REFERENCES):
        phases = f"{references.done} {plural('phase', references.done)}"
        run.report(ran, REFERENCES, f"{phases} relaxed", phases=references.done)
    run.report_states(ran, RELAXATION, states)


def measure(
    run: Pipeline,
    results: Results,
    sample: SampleDoc | None = None,
    measured: MetricsDoc | None = None,
) -> MetricsDoc | None:
    """Metrics of all crystals of a folder; None where the calculation of one is gone.

    Parameters
    ----------
    run
        Folder and store.
    results
        Documents of the crystals.
    sample
        Sample of the run. Requests and attempts are counted where it holds all crystals of the
        folder and no other.
    measured
        Metrics that the flow of this run left; taken where its crystals are those of the folder.
    """
    from atomate2_vogen.jobs.evaluation import measure_judged

    shown = {document.candidate_id for document in results.stability}
    is_whole = sample is not None and shown == {one.candidate_id for one in sample.candidates}
    if measured is not None and (sample is None or is_whole):
        return measured
    if len(results.calculations) < len(shown) or not (shown or sample):
        return None
    delivered = sample if sample is not None and is_whole else results.candidates
    own = list(run.stores.iterate(KnownDoc, {"chemsys": run.system.chemsys, "withdrawn": False}))
    return measure_judged(
        delivered, results.calculations, results.stability, results.references, run.system, own=own
    )


def export(run: Pipeline, results: Results, metrics: MetricsDoc | None) -> list[str]:
    """Write tables, CIFs and pictures, and remove those of earlier runs; names of what was written."""
    from atomate2_vogen.cli.exports import write_results

    table = run.folder / "stability.json"
    before = table.read_bytes() if table.is_file() else b""
    with run.folder.stage("files") as notes, run.voice.stage("files") as stage:
        notes["written"] = written = write_results(
            run.folder,
            run.system,
            stability=results.stability,
            candidates=results.candidates,
            references=results.references,
            names=results.files or None,
            metrics=metrics,
        )
        stage.result = f"in {escape(str(run.folder.path))}"
    if table.read_bytes() != before:
        for name, command in OUTDATED.items():
            if run.folder.remove_stale((), [name]):
                run.voice.warn(
                    f"  {name} was about an earlier state of the folder and is removed; "
                    f"vogen {command} {escape(str(run.folder.path))} writes it anew"
                )
    return written
