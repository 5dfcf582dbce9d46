"""Tables and pictures of bands and phonons: what ``vogen discover`` shows after the hull."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomate2_vogen.cli.progress import ELECTRONIC, PHONONS
from atomate2_vogen.schemas import CharacterisationState, DiscoveryDoc, ElectronicDoc, PhononDoc

if TYPE_CHECKING:
    from pathlib import Path

    from atomate2_vogen.cli.pipeline import FlowOutput, Pipeline

Characterised = ElectronicDoc | PhononDoc


@dataclass(frozen=True)
class Characterisation:
    """How documents of one kind are shown.

    Parameters
    ----------
    name
        Name of the stage, of its folder of pictures and of its JSON file.
    document
        Class of its documents.
    key
        Field that identifies a document.
    draw
        Draws a completed document into a file.
    large
        Fields that stay in the store.
    """

    name: str
    document: type[Characterised]
    key: str
    draw: Callable[[Any, Path], Any]
    large: Sequence[str]


def show(
    run: Pipeline, ran: FlowOutput, requested: Sequence[str]
) -> tuple[list[Characterised], list[str]]:
    """Report, list and draw the bands and phonons of a discovery.

    Files show these crystals and all others of the folder that were characterised before.

    Parameters
    ----------
    run
        Folder and store.
    ran
        The flow, which has run; its output is a `DiscoveryDoc`.
    requested
        Names of the stages that were asked for: ``electronic``, ``phonons``.

    Returns
    -------
    documents : list
        Stage by stage, in the order of the crystals, without their large fields.
    written : list of str
        Names of files.
    """
    from atomate2_vogen.cli.exports import folder_of, plain
    from atomate2_vogen.jobs.characterisation import without_large

    summary: DiscoveryDoc = ran.output
    every: list[Characterised] = []
    written: list[str] = []
    for kind in (kind for kind in _kinds() if kind.name in requested):
        documents: list[Any] = getattr(summary, kind.name)
        run.report_states(ran, kind.name, [document.state.value for document in documents])
        every += documents
        shown = _all_of_folder(run, kind, documents)
        listed = [plain(without_large(document, kind.large)) for document in shown]
        run.folder.write(f"{kind.name}.json", json.dumps(listed, indent=1) + "\n")
        written.append(f"{kind.name}.json")
        (run.folder / kind.name).mkdir(exist_ok=True)
        # a picture shows what a query finds: the newest of several engines
        newest = sorted(shown, key=lambda document: document.last_updated)
        completed = {d.candidate_id: d for d in newest if d.state is not _FAILED}
        for name, document in completed.items():
            with run.folder.replacing(f"{name}.png", kind.name) as path:
                kind.draw(document, path)
        pictures = {f"{kind.name}/{name}.png" for name in completed}
        run.folder.remove_stale(pictures, [f"{kind.name}/"])
        if completed:
            written.append(folder_of(kind.name, len(completed)))
    return every, written


_FAILED = CharacterisationState.FAILED


def _kinds() -> tuple[Characterisation, Characterisation]:
    from atomate2_vogen.jobs import electronic, phonons
    from atomate2_vogen.plotting import plot_electronic, plot_phonons

    return (
        Characterisation(
            ELECTRONIC, ElectronicDoc, "electronic_id", plot_electronic, electronic.DATA
        ),
        Characterisation(PHONONS, PhononDoc, "phonon_id", plot_phonons, phonons.DATA),
    )


def _all_of_folder(
    run: Pipeline, kind: Characterisation, documents: Sequence[Characterised]
) -> list[Characterised]:
    """These documents, then those of the same kind about other crystals of the folder.

    They are read whole; those whose job left nothing are not in the store.
    """
    stores = run.stores
    crystals = stores.read(
        stores.stability, {"chemsys": run.system.chemsys}, properties=["candidate_id"]
    )
    candidates = {str(content.get("candidate_id")) for content in crystals}
    found = {
        getattr(document, kind.key): document
        for document in stores.iterate(kind.document)
        if document.candidate_id in candidates
    }
    keys = [getattr(document, kind.key) for document in documents]
    first = [found.pop(key, document) for key, document in zip(keys, documents, strict=True)]
    return [*first, *found.values()]
