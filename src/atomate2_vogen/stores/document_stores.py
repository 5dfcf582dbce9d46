"""The collections of one project: reading and writing documents by their class."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bson.errors import BSONError
from jobflow import JobStore
from monty.json import jsanitize
from pymongo.errors import BulkWriteError, PyMongoError, ServerSelectionTimeoutError

from atomate2_vogen.errors import ArtefactError, StoreConnectionError, shortened
from atomate2_vogen.masking import mask
from atomate2_vogen.schemas import VogenDoc
from atomate2_vogen.stores.documents import KEYS, Doc, collection_of, parse, upsert_many
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments
from atomate2_vogen.stores.plans import select

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)


@dataclass(repr=False)
class DocumentStores:
    """One maggma store per class of documents, with jobflow's store beside them.

    Parameters
    ----------
    job_store
        jobflow's store.
    data
        Its additional store for large arrays and files.
    candidates, calculations, references, known, stability, consensus, dft, electronic,
    phonons, soft_modes, training
        One maggma store per document class, keyed as in `KEYS`.
    where
        Name of the stores in messages.
    """

    job_store: JobStore
    data: Store
    candidates: Store
    calculations: Store
    references: Store
    known: Store
    stability: Store
    consensus: Store
    dft: Store
    electronic: Store
    phonons: Store
    soft_modes: Store
    training: Store
    where: str = field(default="the store", kw_only=True)

    def _typed(
        self, action: Callable[[], Any], what: str = "failed", *more: type[Exception]
    ) -> None:
        """Do something; what a database raises becomes a typed error without any password.

        The driver's error is not chained: it may quote an address.
        """
        try:
            action()
        except (*FAILURES, *more) as error:
            reason = shortened(self._redact(_reason(error)))
        else:
            return
        raise StoreConnectionError(f"{self.where} {what}: {reason}")

    def _redact(self, text: str) -> str:
        for store in self._all():
            if isinstance(store, MongoDocuments | MongoBlobs):
                text = store.address.redact(text)
        return mask(text)

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
        batches: dict[tuple[str, str], list[VogenDoc]] = {}
        for document in listed:
            batches.setdefault(collection_of(type(document)), []).append(document)

        def write() -> None:
            for (collection, key), batch in batches.items():
                contents = (
                    jsanitize(document, strict=True, enum_values=True, allow_bson=True)
                    for document in batch
                )
                upsert_many(getattr(self, collection), contents, key)

        self._typed(write)
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
        for content in self.read(store, criteria, sort={key: 1}):
            try:
                document = parse(document_class, self.with_blobs(content))
            except ArtefactError as error:
                message = f"{str(content.get(key))[:100]!r} in {store.name} is {error}"
                if strict:
                    raise ArtefactError(message) from None
                logger.warning("%s; left out", message)
            else:
                yield document

    def read(
        self, store: Store, criteria: Mapping[str, Any] | None = None, **how: Any
    ) -> Iterator[dict[str, Any]]:
        """What one of the stores holds, as `maggma.core.Store.query`, with typed errors.

        Raises
        ------
        StoreConnectionError
            If the store cannot be reached.
        """
        try:
            yield from select(store, dict(criteria or {}), **how)
        except FAILURES as error:
            reason = shortened(self._redact(_reason(error)))
        else:
            return
        raise StoreConnectionError(f"{self.where} failed: {reason}")

    def _collection(self, document_class: type[VogenDoc]) -> tuple[Store, str]:
        collection, key = collection_of(document_class)
        return getattr(self, collection), key

    def with_blobs(self, value: Any) -> Any:
        """The same content with what lies in the data store put back in its place."""
        if isinstance(value, Mapping):
            if isinstance(value.get("blob_uuid"), str):
                found = self.data.query_one({"blob_uuid": value["blob_uuid"]})
                return None if found is None else found["data"]
            return {key: self.with_blobs(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.with_blobs(item) for item in value]
        return value


FAILURES: tuple[type[Exception], ...] = (OSError, sqlite3.Error, PyMongoError, BSONError)
"""What databases raise: BSONError of a damaged document."""


def _reason(error: Exception) -> str:
    """What went wrong, without the driver's description of every server."""
    text = (str(error) or repr(error)).partition(", Topology Description:")[0]
    if isinstance(error, ServerSelectionTimeoutError):
        return f"no server answers ({text}); is the address right, and does the server run?"
    if isinstance(error, BulkWriteError):  # whose text repeats the documents
        problems = {refused.get("errmsg", "") for refused in error.details.get("writeErrors", [])}
        return "; ".join(sorted(problems)) or "a write failed"
    return text
