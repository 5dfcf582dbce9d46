"""Documents as stores hold them: collections, keys, times of change, upserts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from montydb.errors import DuplicateKeyError as MontyDuplicateKeyError
from montydb.storage import StorageDuplicateKeyError
from pymongo.errors import DuplicateKeyError

from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    ElectronicDoc,
    PhononDoc,
    ReferenceDoc,
    StabilityDoc,
    TrainingDoc,
    VogenDoc,
)

if TYPE_CHECKING:
    from maggma.core import Store

Doc = TypeVar("Doc", bound=VogenDoc)

KEYS: dict[str, tuple[type[VogenDoc], str]] = {
    "candidates": (CandidateDoc, "candidate_id"),
    "calculations": (CalculationDoc, "calculation_id"),
    "references": (ReferenceDoc, "reference_id"),
    "stability": (StabilityDoc, "stability_id"),
    "electronic": (ElectronicDoc, "electronic_id"),
    "phonons": (PhononDoc, "phonon_id"),
    "training": (TrainingDoc, "model_id"),
}
"""Collections: their document class and its key."""

JOBS, DATA = "jobs", "data"


def parse(document_class: type[Doc], content: Mapping[str, Any]) -> Doc:
    """Document from what a store holds; its time of change comes back in UTC.

    Raises
    ------
    pydantic.ValidationError
        If the content does not fit the class.
    """
    return document_class.model_validate({**content, "last_updated": moment(content)})


def moment(content: Mapping[str, Any]) -> datetime:
    """Time of the last change in UTC, from any of the forms that stores and jobflow keep.

    MongoDB and montydb drop the time zone and keep milliseconds. The epoch where none is held.
    """
    value = content.get("last_updated")
    if isinstance(value, Mapping):
        value = value.get("string")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        return datetime.fromtimestamp(0, UTC)
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


_ALREADY_THERE = (DuplicateKeyError, MontyDuplicateKeyError, StorageDuplicateKeyError)


def upsert(store: Store, content: dict[str, Any], key: str) -> None:
    """Write one document by key, safe against another process that writes the same key."""
    content = {**content, "_id": content[key]}
    try:
        store.update(content, key=key)
    except _ALREADY_THERE:
        # it came into being between the look-up and the insertion: now it can be replaced
        store.update(content, key=key)
