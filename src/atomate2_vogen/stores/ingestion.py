"""From what finished jobs returned to the collections."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monty.json import jsanitize

from atomate2_vogen.schemas import (
    CalculationDoc,
    ElectronicDoc,
    PhononDoc,
    SampleDoc,
    TrainingDoc,
    VogenDoc,
)
from atomate2_vogen.stores.documents import moment, upsert_many

if TYPE_CHECKING:
    from maggma.core import Store

    from atomate2_vogen.stores.project import VogenStores

logger = logging.getLogger(__name__)

OUTPUTS: dict[type[VogenDoc], tuple[str, str]] = {
    SampleDoc: ("candidates", "candidate_id"),
    CalculationDoc: ("calculations", "calculation_id"),
    ElectronicDoc: ("electronic", "electronic_id"),
    PhononDoc: ("phonons", "phonon_id"),
    TrainingDoc: ("training", "model_id"),
}
"""Collection and key of what jobs return, by its class."""


def ingest_jobs(stores: VogenStores) -> dict[str, int]:
    """Copy what finished jobs returned from the job store; see `VogenStores.ingest_jobs`."""
    written = dict.fromkeys((collection for collection, _ in OUTPUTS.values()), 0)
    for output_class, (collection, key) in OUTPUTS.items():
        store: Store = getattr(stores, collection)
        held = {
            content.get(key): moment(content)
            for content in store.query({}, properties=[key, "last_updated"])
        }
        new: dict[str, dict[str, Any]] = {}
        query = {"output.@class": output_class.__name__}
        for job in stores.job_store.docs_store.query(query, properties=["uuid", "output"]):
            output = job["output"]
            if not isinstance(output, Mapping):
                continue  # a list of such documents, each of which has a job of its own
            found = output.get("candidates") if output_class is SampleDoc else [output]
            for content in jsanitize(found, allow_bson=True) if isinstance(found, list) else [None]:
                if not isinstance(content, Mapping) or not content.get(key):
                    logger.warning(
                        "job %s holds a damaged %s: left out",
                        job.get("uuid"),
                        output_class.__name__,
                    )
                    continue
                changed = moment(content)
                if content[key] not in held or changed > held[content[key]]:
                    new[content[key]] = {**content, "last_updated": changed}
                    held[content[key]] = changed
        written[collection] = upsert_many(store, new.values(), key)
    return written
