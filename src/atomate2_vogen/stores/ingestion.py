"""Copies of the documents that finished jobs returned, in the collections."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from monty.json import jsanitize

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.schemas import (
    CalculationDoc,
    ConsensusDoc,
    DftDoc,
    DiscoveryDoc,
    ElectronicDoc,
    EvaluationDoc,
    KnownDoc,
    PhononDoc,
    ReferenceDoc,
    RoundDoc,
    SampleDoc,
    SoftModeDoc,
    StabilityDoc,
    TrainingDoc,
    VogenDoc,
)
from atomate2_vogen.stores.documents import moment, parse, upsert_many
from atomate2_vogen.stores.plans import select

if TYPE_CHECKING:
    from maggma.core import Store

    from atomate2_vogen.stores.document_stores import DocumentStores

logger = logging.getLogger(__name__)

COLLECTIONS_OF: dict[type[VogenDoc], tuple[str, str]] = {
    SampleDoc: ("candidates", "candidate_id"),
    CalculationDoc: ("calculations", "calculation_id"),
    ReferenceDoc: ("references", "reference_id"),
    KnownDoc: ("known", "known_id"),
    ConsensusDoc: ("consensus", "consensus_id"),
    DftDoc: ("dft", "dft_id"),
    ElectronicDoc: ("electronic", "electronic_id"),
    PhononDoc: ("phonons", "phonon_id"),
    SoftModeDoc: ("soft_modes", "soft_mode_id"),
    TrainingDoc: ("training", "model_id"),
}
"""Collection and key of what jobs return, by its class."""

SUMMARIES = (DiscoveryDoc.__name__, EvaluationDoc.__name__, RoundDoc.__name__)
"""Classes of outputs with a list of stability documents, which lies in the data store."""

BATCH = 200
"""Outputs that are read at once: those with crystals and bands are large."""


def ingest_jobs(stores: DocumentStores) -> dict[str, int]:
    """Copy what finished jobs returned from the job store; see `VogenStores.ingest_jobs`.

    Of outputs that the collections hold already, only ids and times are read. Which are new is
    seen from these alone, not from a time up to which all was read: outputs come late, from
    clocks that differ.
    """
    written = dict.fromkeys((collection for collection, _ in COLLECTIONS_OF.values()), 0)
    for output_class, (collection, key) in COLLECTIONS_OF.items():
        store: Store = getattr(stores, collection)
        held = {
            content[key]: moment(content)
            for content in select(store, {}, properties=[key, "last_updated"])
            if _is_whole(content, key)
        }
        of_samples = output_class is SampleDoc
        # what is written, and from which job, latest first
        chosen: dict[str, tuple[Any, datetime]] = {}
        names = ["_id", "uuid", "completed_at"]
        if of_samples:  # their list lies in the data store and can only be read as a whole
            names.append("output.candidates")
        else:
            names += [f"output.{key}", "output.last_updated"]
        query = {"output.@class": output_class.__name__}
        for job in _read(stores, query, names, whole=of_samples):
            for name, changed in _times(job, output_class, key):
                known = chosen[name][1] if name in chosen else held.get(name)
                if known is None or changed > known:
                    chosen[name] = (job["_id"], changed)
        sources = list(dict.fromkeys(identifier for identifier, _ in chosen.values()))
        for start in range(0, len(sources), BATCH):
            new: list[dict[str, Any]] = []
            batch = {"_id": {"$in": sources[start : start + BATCH]}}
            for job in _read(stores, batch, ["_id", "output"], whole=of_samples):
                for content in jsanitize(_outputs(job, output_class), allow_bson=True):
                    choice = chosen.get(str(content[key])) if _is_whole(content, key) else None
                    if choice is not None and choice[0] == job["_id"]:
                        new.append({**content, "last_updated": choice[1]})
            written[collection] += upsert_many(store, new, key)
    return written | {"stability": _ingest_stability(stores)}


def _ingest_stability(stores: DocumentStores) -> int:
    """Copy the stability documents of flows for calculations that have none; number written.

    A document is taken only if it was made from the version of the calculation that the
    collection holds, which both state, so that no clocks of two machines are compared. Whether
    its hull and its groups are those of the whole collection is left to the builder.
    """
    wanted = _without_stability(stores)
    if not wanted:
        return 0
    written = 0
    jobs = list(
        stores.job_store.docs_store.query(
            {"output.@class": {"$in": list(SUMMARIES)}},
            properties=["uuid", "output.stability", "output.last_updated"],
        )
    )
    # of two flows that judged the same calculation, the later had the newer references
    for job in sorted(jobs, key=lambda job: moment(job["output"]), reverse=True):
        if not wanted:
            break
        found = []
        listed = stores.with_blobs(job)["output"].get("stability")
        for content in listed if isinstance(listed, list) else ():
            name = content.get("stability_id") if isinstance(content, Mapping) else None
            if isinstance(name, str) and name not in wanted:
                continue
            try:
                document = parse(StabilityDoc, content if isinstance(content, Mapping) else {})
            except ArtefactError as error:
                _warn_of_damage(job, StabilityDoc, str(error))
                continue
            if document.calculation_updated == wanted[document.stability_id]:
                found.append(document)
                del wanted[document.stability_id]
        written += stores.save(found)
    return written


def _without_stability(stores: DocumentStores) -> dict[str, datetime]:
    """Time of change of the calculations without a stability document of this version, by id."""
    properties = ["calculation_id", "last_updated", "withdrawn"]
    wanted: dict[str, datetime] = {
        content["calculation_id"]: moment(content)
        for content in select(stores.calculations, {}, properties=properties)
        if _is_whole(content, "calculation_id") and content.get("withdrawn") is not True
    }
    properties = ["stability_id", "calculation_updated"]
    for content in select(stores.stability, {}, properties=properties):
        name = content.get("stability_id")
        if isinstance(name, str) and wanted.get(name) == moment(content, "calculation_updated"):
            del wanted[name]
    return wanted


def _read(
    stores: DocumentStores, query: dict[str, Any], properties: list[str], *, whole: bool
) -> Iterator[dict[str, Any]]:
    """Documents of jobs; of samples with their candidates, which lie in the data store."""
    for job in stores.job_store.docs_store.query(query, properties=properties):
        yield stores.with_blobs(job) if whole else job


def _outputs(job: Mapping[str, Any], output_class: type[VogenDoc]) -> list[Any]:
    """Documents of a job that are to be stored.

    A list that collects the outputs of other jobs is passed over, except for references, to
    which only the job that collects them gives final names, and a user's known crystals.
    """
    output = job.get("output")
    if output_class in {ReferenceDoc, KnownDoc}:
        return output if isinstance(output, list) else []
    if not isinstance(output, Mapping):
        return []
    if output_class is not SampleDoc:
        return [output]
    found = output.get("candidates")
    return found if isinstance(found, list) else [found]


def _times(
    job: Mapping[str, Any], output_class: type[VogenDoc], key: str
) -> Iterator[tuple[str, datetime]]:
    """Key and time of change in UTC of what a job returned.

    For an output without a time it is that at which the job was completed, which jobflow
    writes in the worker's local time and without a zone.
    """
    for content in _outputs(job, output_class):
        if not _is_whole(content, key):
            _warn_of_damage(job, output_class)
            continue
        changed = moment(content)
        if content.get("last_updated") is None and isinstance(job.get("completed_at"), str):
            with suppress(ValueError):
                local = datetime.fromisoformat(job["completed_at"])
                changed = moment({"last_updated": local.astimezone(UTC)})
        yield content[key], changed


def _warn_of_damage(
    job: Mapping[str, Any], output_class: type[VogenDoc], why: str = "it has no key"
) -> None:
    logger.warning(
        "job %s holds a damaged %s: left out (%s)", job.get("uuid"), output_class.__name__, why
    )


def _is_whole(content: Any, key: str) -> bool:
    return isinstance(content, Mapping) and isinstance(content.get(key), str)
