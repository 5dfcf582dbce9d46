"""The stages of ``vogen discover`` after the hull: bands and phonons of the best crystals.

The same flows as `DiscoveryFlowMaker` runs; each crystal is a flow of its own here, so that it
can be shown, run beside others, and found again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.cli.pipeline import Outcome, reuse
from atomate2_vogen.schemas import CharacterisationState, ElectronicDoc, PhononDoc, StabilityDoc

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import Flow

    from atomate2_vogen.cli.pipeline import Pipeline
    from atomate2_vogen.engines import Engine

Document = ElectronicDoc | PhononDoc


@dataclass(frozen=True)
class Stage:
    """One kind of characterisation.

    Parameters
    ----------
    name
        Of the stage, its folder of pictures and its JSON file.
    document
        Class of its documents.
    flow
        Gives the flow of one relaxed crystal, whose output is a list of one document.
    failed
        Gives the document of one whose flow left nothing, for the reason given.
    draw
        Draws a completed document into a file.
    large
        Fields that stay in the store.
    scheme
        Energy scale of the documents.
    """

    name: str
    document: type[Document]
    flow: Callable[[StabilityDoc], Flow]
    failed: Callable[[StabilityDoc, str], Document]
    draw: Callable[[Any, Path], Any]
    large: Sequence[str]
    scheme: str


def make_stages(
    electronic: str | None = None, phonons: str | None = None, system: OxideSystem = VANADIUM
) -> list[Stage]:
    """Stages with their engines, which are made here: what is missing shows before any work.

    Parameters
    ----------
    electronic, phonons
        Names of engines; None leaves the stage out.
    system
        Oxide system.

    Raises
    ------
    EngineCapabilityError
        If an engine cannot do the stage that it is given for.
    MissingDependencyError, EngineSetupError
        If an engine lacks what it needs.
    """
    from atomate2_vogen.engines import load_engine

    stages = []
    if electronic:
        stages.append(_electronic_stage(load_engine(electronic, system), system))
    if phonons:
        stages.append(_phonon_stage(load_engine(phonons, system)))
    return stages


def characterise(
    run: Pipeline, stages: Sequence[Stage], chosen: Sequence[StabilityDoc], workers: int
) -> tuple[list[Document], list[str]]:
    """Run what is left of the stages for some relaxed crystals, and draw it.

    Completed documents are taken from the store; failed ones are tried once more, and those that
    were stopped go on after the last of their jobs that had ended. Files show these crystals and
    all others of the folder that were characterised before.

    Returns
    -------
    documents : list
        Stage by stage, in the order of the crystals.
    written : list of str
        Names of files.
    """
    from atomate2_vogen.cli.exports import plain
    from atomate2_vogen.jobs.characterisation import light

    every: list[Document] = []
    written: list[str] = []
    for stage in stages:
        documents = _run(run, stage, chosen, workers)
        every += documents
        shown = _all_of_folder(run, stage, documents)
        listed = [plain(light(document, stage.large)) for document in shown]
        run.folder.write(f"{stage.name}.json", json.dumps(listed, indent=1) + "\n")
        written.append(f"{stage.name}.json")
        (run.folder / stage.name).mkdir(exist_ok=True)
        # a picture shows what a query finds: the newest of several engines
        newest = sorted(shown, key=lambda document: document.last_updated)
        completed = {d.candidate_id: d for d in newest if not _has_failed(d)}
        for name, document in completed.items():
            with run.folder.replacing(f"{name}.png", stage.name) as path:
                stage.draw(document, path)
        pictures = {f"{stage.name}/{name}.png" for name in completed}
        run.folder.remove_stale(pictures, [f"{stage.name}/"])
        if completed:
            written.append(f"{stage.name}/ ({len(completed)} files)")
    return every, written


def _all_of_folder(run: Pipeline, stage: Stage, documents: Sequence[Document]) -> list[Document]:
    """These documents, then those of the stage's kind about other crystals of the folder."""
    stores = run.stores
    crystals = stores.read(
        stores.stability, {"chemsys": run.system.chemsys}, properties=["candidate_id"]
    )
    candidates = {str(content.get("candidate_id")) for content in crystals}
    there = {_key(document) for document in documents}
    others = [
        document
        for document in stores.iterate(stage.document)
        if document.candidate_id in candidates and _key(document) not in there
    ]
    return [*documents, *others]


def _key(document: Document) -> str:
    return document.electronic_id if isinstance(document, ElectronicDoc) else document.phonon_id


def _run(
    run: Pipeline, stage: Stage, chosen: Sequence[StabilityDoc], workers: int
) -> list[Document]:
    """Documents of the crystals, in their order."""
    from atomate2_vogen.jobs.electronic import NO_RESULT

    by_id = {document.candidate_id: document for document in chosen}
    criteria = {"scheme": stage.scheme, "candidate_id": {"$in": list(by_id)}}

    def stored() -> dict[str, Document]:
        run.stores.ingest_jobs()
        return {d.candidate_id: d for d in run.stores.iterate(stage.document, criteria)}

    with run.folder.stage(stage.name) as notes, run.voice.stage(stage.name) as shown:
        done = {key for key, document in stored().items() if not _has_failed(document)}
        todo = [document for key, document in by_id.items() if key not in done]
        reused, crashed = len(done), dict[str, Document]()
        shown.advance(reused, len(by_id), f"{reused} reused" if reused else "")
        flows = ((document.candidate_id, stage.flow(document)) for document in todo)

        def ended(outcome: Outcome) -> None:
            if outcome.error is not None:
                crashed[outcome.key] = stage.failed(by_id[outcome.key], outcome.error)
            shown.advance(reused + outcome.number, len(by_id), outcome.key)

        run.run(flows, workers, ended)
        run.stores.save(crashed.values())
        found = stored()
        missing = {
            key: stage.failed(document, NO_RESULT)
            for key, document in by_id.items()
            if key not in found
        }
        run.stores.save(missing.values())
        documents = [(found | missing)[key] for key in by_id]
        n_failed = sum(_has_failed(document) for document in documents)
        notes |= {"crystals": len(by_id), "reused": reused, "failed": n_failed}
        shown.result = f"{len(by_id)} crystals, {n_failed} failed" + reuse(reused, len(by_id))
    return documents


def _has_failed(document: Document) -> bool:
    return document.state is CharacterisationState.FAILED


def _electronic_stage(engine: Engine, system: OxideSystem) -> Stage:
    from atomate2_vogen.flows.electronic import ElectronicFlowMaker, check_bands
    from atomate2_vogen.jobs.electronic import DATA, band_scheme, failed_electronic
    from atomate2_vogen.jobs.subjects import subjects_from
    from atomate2_vogen.plotting.electronic import plot_electronic

    check_bands(engine)

    def failed(document: StabilityDoc, reason: str) -> ElectronicDoc:
        return failed_electronic(subjects_from([document])[0], engine, reason)

    return Stage(
        "electronic",
        ElectronicDoc,
        lambda document: ElectronicFlowMaker(engine=engine, system=system).make([document]),
        failed,
        plot_electronic,
        DATA,
        band_scheme(engine),
    )


def _phonon_stage(engine: Engine) -> Stage:
    from atomate2_vogen.flows.phonons import PhononFlowMaker
    from atomate2_vogen.jobs.phonons import DATA, failed_phonons
    from atomate2_vogen.jobs.subjects import subjects_from
    from atomate2_vogen.plotting.phonons import plot_phonons

    maker = PhononFlowMaker(engine=engine)
    maker.check()

    def failed(document: StabilityDoc, reason: str) -> PhononDoc:
        name = maker.supercell_name_of(maker.supercell)
        return failed_phonons(subjects_from([document])[0], engine, name, reason)

    return Stage(
        "phonons",
        PhononDoc,
        lambda document: maker.make([document]),
        failed,
        plot_phonons,
        DATA,
        engine.scheme,
    )
