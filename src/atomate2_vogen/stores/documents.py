"""Documents as stores hold them: collections, keys, times of change, upserts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pymongo.errors import BulkWriteError, DuplicateKeyError

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    ConsensusDoc,
    DftDoc,
    ElectronicDoc,
    KnownDoc,
    PhononDoc,
    ReferenceDoc,
    SoftModeDoc,
    StabilityDoc,
    TrainingDoc,
    VogenDoc,
)
from atomate2_vogen.schemas.base import wrong_fields

if TYPE_CHECKING:
    from maggma.core import Store

Doc = TypeVar("Doc", bound=VogenDoc)

KEYS: dict[str, tuple[type[VogenDoc], str]] = {
    "candidates": (CandidateDoc, "candidate_id"),
    "calculations": (CalculationDoc, "calculation_id"),
    "references": (ReferenceDoc, "reference_id"),
    "known": (KnownDoc, "known_id"),
    "stability": (StabilityDoc, "stability_id"),
    "consensus": (ConsensusDoc, "consensus_id"),
    "dft": (DftDoc, "dft_id"),
    "electronic": (ElectronicDoc, "electronic_id"),
    "phonons": (PhononDoc, "phonon_id"),
    "soft_modes": (SoftModeDoc, "soft_mode_id"),
    "training": (TrainingDoc, "model_id"),
}
"""Collections: their document class and its key."""

JOBS, DATA = "jobs", "data"


def collection_of(document_class: type[VogenDoc]) -> tuple[str, str]:
    """Names of the collection and of the key of a document class.

    Raises
    ------
    TypeError
        If documents of this class have no collection.
    """
    for collection, (owner, key) in KEYS.items():
        if issubclass(document_class, owner):
            return collection, key
    raise TypeError(f"{document_class.__name__} has no collection")


EPOCH = datetime.fromtimestamp(0, UTC)
"""Time of a document that holds none."""


def parse(document_class: type[Doc], content: Mapping[str, Any] | VogenDoc) -> Doc:
    """Document from what a store holds; its time of change comes back in UTC.

    The output of a job that refers to outputs of others is a document already when jobflow's
    `JobStore.get_output` returns it.

    Raises
    ------
    ArtefactError
        If the content does not fit the class; the message names the fields.

    Examples
    --------
    >>> from atomate2_vogen.schemas import VogenDoc
    >>> parse(VogenDoc, {"last_updated": "2026-06-01T12:00:00"}).last_updated.isoformat()
    '2026-06-01T12:00:00+00:00'
    """
    try:
        if isinstance(content, VogenDoc):
            return document_class.model_validate(content)
        return document_class.model_validate({**content, "last_updated": moment(content)})
    except ValidationError as error:
        reason = wrong_fields(error)
    except Exception as error:  # noqa: BLE001 - pymatgen reads damaged structures in many ways
        reason = f"it cannot be read ({type(error).__name__})"
    raise ArtefactError(f"no {document_class.__name__}: {reason}")


def moment(content: Mapping[str, Any], field: str = "last_updated") -> datetime:
    """Time in UTC that a document holds, in any of the forms that stores and jobflow keep.

    Parameters
    ----------
    content
        Content of the document.
    field
        Name of the field.

    Returns
    -------
    datetime
        In milliseconds: MongoDB and the embedded store keep no more, and drop the time zone. The
        epoch where the document holds none.

    Examples
    --------
    >>> moment({"last_updated": "2026-06-01T14:00:00.123456+02:00"}).isoformat()
    '2026-06-01T12:00:00.123000+00:00'
    """
    value = content.get(field)
    if isinstance(value, Mapping):
        value = value.get("string")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        return EPOCH
    try:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # in the first or last year that there is
        return EPOCH
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


DUPLICATE_KEY, OTHER_ID = 11000, 66
"""Codes of MongoDB: the key was taken meanwhile; the document there has another ``_id``."""


def upsert(store: Store, content: Mapping[str, Any], key: str) -> None:
    """Write one document by key, safe against another process that writes the same key.

    Examples
    --------
    >>> from maggma.stores import MemoryStore
    >>> with MemoryStore(key="name") as store:
    ...     upsert(store, {"name": "a", "size": 1}, "name")
    ...     upsert(store, {"name": "a", "size": 2}, "name")
    ...     store.query_one({"name": "a"})["size"], store.count({})
    (2, 1)
    """
    named = {**content, "_id": content[key]}
    try:
        store.update(named, key=key)
    except DuplicateKeyError:
        # it came into being between the look-up and the insertion: now it can be replaced
        store.update(named, key=key)
    except BulkWriteError as error:
        codes = _codes(error)
        if codes == {OTHER_ID}:  # written without an id, which the server then made
            store.update({name: v for name, v in content.items() if name != "_id"}, key=key)
        elif codes == {DUPLICATE_KEY}:
            store.update(named, key=key)
        else:
            raise


def upsert_many(store: Store, contents: Iterable[Mapping[str, Any]], key: str) -> int:
    """Write documents by key in as few steps as the store can; number of documents written.

    Of several with the same key, the last one is written.

    Examples
    --------
    >>> from maggma.stores import MemoryStore
    >>> with MemoryStore(key="name") as store:
    ...     upsert_many(store, [{"name": "a"}, {"name": "b"}, {"name": "a"}], "name")
    2
    """
    last = {content[key]: {**content, "_id": content[key]} for content in contents}
    if len(last) < 2:
        for single in last.values():
            upsert(store, single, key)
        return len(last)
    try:
        store.update(list(last.values()), key=key)
    except DuplicateKeyError:
        again: Iterable[Mapping[str, Any]] = last.values()
    except BulkWriteError as error:
        if not _codes(error) <= {DUPLICATE_KEY, OTHER_ID}:
            raise
        # the order within a batch is left to the server, so all others are written
        failed = [refused["op"]["q"][key] for refused in error.details["writeErrors"]]
        again = [last[name] for name in failed]
    else:
        again = ()
    for content in again:
        upsert(store, content, key)
    return len(last)


def _codes(error: BulkWriteError) -> set[int]:
    return {refused["code"] for refused in error.details.get("writeErrors", [])}
