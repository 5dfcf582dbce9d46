"""Where documents live: one collection per document class, beside jobflow's own job store.

The embedded default keeps everything in one folder (montydb on sqlite, through maggma's
`MontyStore`): no server, the data outlive the process, several processes may write at once.
Its limits: no indexes and no aggregation, and every query reads the whole collection, which is
right for thousands of documents and wrong for millions.

Documents of ours are upserted by key, and the key is also their ``_id``: two processes that
write the same document at once cannot make two of it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from jobflow import JobStore
from maggma.stores import MemoryStore, MontyStore
from monty.json import jsanitize
from montydb.errors import DuplicateKeyError as MontyDuplicateKeyError
from montydb.storage import StorageDuplicateKeyError
from pydantic import ValidationError
from pymongo.errors import DuplicateKeyError, PyMongoError

from atomate2_vogen.errors import ArtefactError, StoreConnectionError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    ElectronicDoc,
    PhononDoc,
    ReferenceDoc,
    SampleDoc,
    StabilityDoc,
    TrainingDoc,
    VogenDoc,
)

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)

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


class EmbeddedStore(MontyStore):
    """A `MontyStore` that several processes may connect to at once.

    montydb rewrites its two settings files on every connection, and a process that reads them
    at that moment finds them empty. So processes connect, and make collections, in turn.
    """

    def connect(self, force_reset: bool = False) -> None:
        """Connect, and make the collection if it is missing."""
        if self._coll is not None and not force_reset:
            return
        folder = Path(self.database_path)
        with _lock(folder / ".lock"):
            super().connect(force_reset)
            if not (folder / self.database_name / f"{self.collection_name}.collection").exists():
                # a reader in another process must never meet this document: only once, here
                self._collection.insert_one({"_id": "first"})
                self._collection.delete_one({"_id": "first"})


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Wait for the file to be free, and keep it; a process that dies gives it back."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@dataclass
class VogenStores:
    """The stores of one project, connected.

    Make one with `open` (a folder) or `memory` (nothing is kept); use it as a context manager,
    or call `close`. The stores themselves are plain maggma stores: query them as you like.

    Parameters
    ----------
    job_store
        jobflow's store.
    data
        Its additional store for large arrays and files.
    candidates, calculations, references, stability, electronic, phonons, training
        One maggma store per document class, keyed as in `KEYS`.
    """

    job_store: JobStore
    data: Store
    candidates: Store
    calculations: Store
    references: Store
    stability: Store
    electronic: Store
    phonons: Store
    training: Store

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the embedded stores in a folder, which is made where it is missing.

        Raises
        ------
        StoreConnectionError
            If the folder cannot be made, written or read as a store.
        """
        folder = Path(path).expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreConnectionError(f"{folder} cannot hold a store: {error}") from error
        if not os.access(folder, os.W_OK):
            raise StoreConnectionError(f"{folder} cannot be written")

        def store(collection: str, key: str) -> Store:
            return EmbeddedStore(collection, database_path=str(folder), key=key)

        return cls._connected(store, str(folder))

    @classmethod
    def memory(cls) -> Self:
        """Stores that are lost with the process, for tests and trials."""

        def store(collection: str, key: str) -> Store:
            return MemoryStore(collection, key=key)

        return cls._connected(store, "memory")

    @classmethod
    def _connected(cls, store: Any, where: str) -> Self:
        data = store(DATA, "blob_uuid")
        stores = cls(
            job_store=JobStore(store(JOBS, "uuid"), additional_stores={DATA: data}),
            data=data,
            **{collection: store(collection, key) for collection, (_, key) in KEYS.items()},
        )
        stores.connect(where)
        return stores

    def connect(self, where: str = "the store") -> None:
        """Connect every store and prove that it can be read.

        Raises
        ------
        StoreConnectionError
            If one of them cannot.
        """
        try:
            self.job_store.connect()
            for store in self._all():
                store.connect()
                store.count({store.key: "any"})
        except (OSError, sqlite3.Error, PyMongoError, ValueError) as error:
            raise StoreConnectionError(f"{where} cannot be used as a store: {error}") from error

    def _all(self) -> list[Store]:
        jobs = [self.job_store.docs_store, self.data]
        return [*jobs, *(getattr(self, collection) for collection in KEYS)]

    def close(self) -> None:
        """Close every store."""
        for store in self._all():
            store.close()

    def __enter__(self) -> Self:
        """The stores, for ``with``."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def save(self, documents: VogenDoc | Iterable[VogenDoc]) -> int:
        """Upsert documents into the collection of their class, by key.

        Returns
        -------
        int
            Number of documents written.

        Raises
        ------
        TypeError
            If a document has no collection.
        """
        listed = [documents] if isinstance(documents, VogenDoc) else list(documents)
        for document in listed:
            store, key = self._collection(type(document))
            content = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
            upsert(store, content, key)
        return len(listed)

    def load(
        self, document_class: type[Doc], criteria: Mapping[str, Any] | None = None
    ) -> list[Doc]:
        """Documents of a class that match a MongoDB-style query, sorted by key.

        Raises
        ------
        ArtefactError
            If a stored document does not fit its class.
        TypeError
            If the class has no collection.
        """
        return list(self.iterate(document_class, criteria, strict=True))

    def iterate(
        self,
        document_class: type[Doc],
        criteria: Mapping[str, Any] | None = None,
        *,
        strict: bool = False,
    ) -> Iterator[Doc]:
        """As `load`, one by one; malformed documents are skipped with a warning unless strict."""
        store, key = self._collection(document_class)
        for content in store.query(dict(criteria or {}), sort={key: 1}):
            try:
                yield parse(document_class, self._with_blobs(content))
            except ValidationError as error:
                message = (
                    f"{content.get(key)!r} in {store.name} is no {document_class.__name__}: "
                    f"{error.error_count()} fields do not fit"
                )
                if strict:
                    raise ArtefactError(message) from error
                logger.warning(message)

    def _collection(self, document_class: type[VogenDoc]) -> tuple[Store, str]:
        for collection, (owner, key) in KEYS.items():
            if issubclass(document_class, owner):
                return getattr(self, collection), key
        raise TypeError(f"{document_class.__name__} has no collection")

    def _with_blobs(self, value: Any) -> Any:
        """The same content with what lies in the data store put back in its place."""
        if isinstance(value, Mapping):
            if "blob_uuid" in value:
                found = self.data.query_one({"blob_uuid": value["blob_uuid"]})
                return None if found is None else found["data"]
            return {key: self._with_blobs(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_blobs(item) for item in value]
        return value

    def ingest_jobs(self) -> dict[str, int]:
        """Copy what finished jobs returned from the job store into the collections.

        Samples give candidates, records give calculations, electronic and phonon documents,
        trainings give their document; what lies in the data store stays there. Only what is new or newer is written, so this may
        run at any time and again.

        Returns
        -------
        dict
            Number of documents written, by collection.
        """
        classes: dict[type[VogenDoc], tuple[str, str]] = {
            SampleDoc: ("candidates", "candidate_id"),
            CalculationDoc: ("calculations", "calculation_id"),
            ElectronicDoc: ("electronic", "electronic_id"),
            PhononDoc: ("phonons", "phonon_id"),
            TrainingDoc: ("training", "model_id"),
        }
        written = dict.fromkeys((collection for collection, _ in classes.values()), 0)
        for output_class, (collection, key) in classes.items():
            store: Store = getattr(self, collection)
            held = {
                content.get(key): moment(content)
                for content in store.query({}, properties=[key, "last_updated"])
            }
            query = {"output.@class": output_class.__name__}
            for job in self.job_store.docs_store.query(query, properties=["output"]):
                output = job["output"]
                if not isinstance(output, Mapping):
                    continue  # a list of such documents, each of which has a job of its own
                found = output["candidates"] if output_class is SampleDoc else [output]
                for content in jsanitize(found, allow_bson=True):
                    changed = moment(content)
                    if content[key] not in held or changed > held[content[key]]:
                        upsert(store, {**content, "last_updated": changed}, key)
                        held[content[key]] = changed
                        written[collection] += 1
        return written


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
