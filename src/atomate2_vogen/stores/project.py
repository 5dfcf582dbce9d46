"""The stores of one project."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jobflow import JobStore
from maggma.stores import MemoryStore
from monty.json import jsanitize
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from atomate2_vogen.errors import ArtefactError, StoreAddressError, StoreConnectionError
from atomate2_vogen.schemas import VogenDoc
from atomate2_vogen.stores.address import MongoAddress, redact
from atomate2_vogen.stores.documents import DATA, JOBS, KEYS, Doc, parse, upsert
from atomate2_vogen.stores.embedded import EmbeddedStore
from atomate2_vogen.stores.indexes import INDEXES, ensure_indexes
from atomate2_vogen.stores.ingestion import ingest_jobs
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments, prove

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)

MakeStore = Callable[[str, str], "Store"]


@dataclass(repr=False)
class VogenStores:
    """The stores of one project, connected.

    Make one with `open` (a folder, a MongoDB URI, a YAML file or jobflow's settings) or `memory`
    (nothing is kept); use it as a context manager, or call `close`. The stores themselves are
    plain maggma stores: query them as you like.

    Parameters
    ----------
    job_store
        jobflow's store.
    data
        Its additional store for large arrays and files.
    candidates, calculations, references, stability, electronic, phonons, training
        One maggma store per document class, keyed as in `KEYS`.
    where
        What to call them in messages.
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
    where: str = field(default="the store", kw_only=True)

    @classmethod
    def open(cls, where: str | Path | None = None) -> Self:
        """Open the stores and prove that they can be read.

        Parameters
        ----------
        where
            A folder, which is made where it is missing (embedded stores, no server);
            a ``mongodb://`` or ``mongodb+srv://`` URI, its database in the path, ``vogen`` where
            there is none.

        Raises
        ------
        StoreAddressError
            If a URI cannot be read.
        StoreConnectionError
            If the folder cannot be made, written or read as a store, or the server cannot be
            reached or refuses.
        """
        text = str(where)
        if "://" in text:
            return cls._mongo(MongoAddress(text))
        return cls._folder(Path(text))

    @classmethod
    def _folder(cls, path: Path) -> Self:
        folder = path.expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreConnectionError(f"{folder} cannot hold a store: {error}") from error
        if not os.access(folder, os.W_OK):
            raise StoreConnectionError(f"{folder} cannot be written")

        def store(collection: str, key: str) -> Store:
            return EmbeddedStore(collection, database_path=str(folder), key=key)

        return cls._connected(store, store, str(folder))

    @classmethod
    def memory(cls) -> Self:
        """Stores that are lost with the process, for tests and trials."""

        def store(collection: str, key: str) -> Store:
            return MemoryStore(collection, key=key)

        return cls._connected(store, store, "memory")

    @classmethod
    def _mongo(cls, address: MongoAddress, prefix: str = "") -> Self:
        common: dict[str, Any] = {
            "database": address.database,
            "uri": address.complete,
            "password_env": address.password_env,
        }

        def documents(collection: str, key: str) -> Store:
            return MongoDocuments(collection_name=prefix + collection, key=key, **common)

        def blobs(collection: str, key: str) -> Store:
            return MongoBlobs(collection_name=prefix + collection, key=key, **common)

        return cls._connected(documents, blobs, str(address))

    @classmethod
    def _connected(cls, documents: MakeStore, blobs: MakeStore, where: str) -> Self:
        data = blobs(DATA, "blob_uuid")
        stores = cls(
            job_store=JobStore(documents(JOBS, "uuid"), additional_stores={DATA: data}),
            data=data,
            **{collection: documents(collection, key) for collection, (_, key) in KEYS.items()},
            where=where,
        )
        stores.connect()
        return stores

    def connect(self, where: str | None = None) -> None:
        """Connect every store, create the indexes that it lacks, and prove that it can be read.

        Raises
        ------
        StoreConnectionError
            If one of them cannot.
        """
        self.where = where or self.where
        with self._typed("cannot be used as a store"):
            self.job_store.connect()
            for store in self._all():
                store.connect()
            if isinstance(self.stability, MongoDocuments):
                prove(self.stability)
            self._index()
            for store in self._all():
                store.count({store.key: "any"})

    def _index(self) -> None:
        for collection, (_, key) in KEYS.items():
            store = getattr(self, collection)
            if isinstance(store, MongoDocuments):
                ensure_indexes(store._collection, (*INDEXES[collection], ("last_updated",)), key)  # noqa: SLF001
        jobs, data = self.job_store.docs_store, self.data
        if isinstance(jobs, MongoDocuments):
            ensure_indexes(jobs._collection, INDEXES[JOBS])  # noqa: SLF001
        if isinstance(data, MongoBlobs):
            ensure_indexes(data._files_collection, INDEXES[f"{DATA}.files"])  # noqa: SLF001

    @contextmanager
    def _typed(self, what: str = "failed") -> Iterator[None]:
        """Turn what a database raises into a typed error without a password anywhere in it."""
        reason = None
        try:
            yield
        except (OSError, sqlite3.Error, PyMongoError, ValueError) as error:
            if isinstance(error, StoreAddressError | ValidationError):
                raise
            reason = self._redact(str(error) or repr(error))
        if reason is not None:  # outside of the handler: the driver's error is not chained
            raise StoreConnectionError(f"{self.where} {what}: {reason}")

    def _redact(self, text: str) -> str:
        for store in self._all():
            if isinstance(store, MongoDocuments | MongoBlobs):
                text = store.address.redact(text)
        return redact(text)

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

    def __repr__(self) -> str:
        """Class and place."""
        return f"{type(self).__name__}({self.where!r})"

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
        StoreConnectionError
            If the store cannot be reached.
        """
        listed = [documents] if isinstance(documents, VogenDoc) else list(documents)
        with self._typed():
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
        trainings give their document; what lies in the data store stays there. Only what is new
        or newer is written, so this may run at any time and again.

        Returns
        -------
        dict
            Number of documents written, by collection.
        """
        return ingest_jobs(self)
