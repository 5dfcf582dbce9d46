"""The stores of one project."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bson.errors import BSONError
from jobflow import JobStore
from monty.json import jsanitize
from pymongo.errors import BulkWriteError, PyMongoError, ServerSelectionTimeoutError

from atomate2_vogen.errors import (
    ArtefactError,
    InputError,
    StoreAddressError,
    StoreConnectionError,
    shortened,
)
from atomate2_vogen.masking import mask
from atomate2_vogen.schemas import VogenDoc
from atomate2_vogen.stores.documents import DATA, JOBS, KEYS, Doc, collection_of, parse, upsert_many
from atomate2_vogen.stores.embedded import EmbeddedStore
from atomate2_vogen.stores.filters import CrystalFilter
from atomate2_vogen.stores.indexes import INDEXES, ensure_indexes
from atomate2_vogen.stores.ingestion import ingest_jobs
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments, has_collections, prove
from atomate2_vogen.stores.opening import CREATE, Plan, in_memory, in_settings, plan
from atomate2_vogen.stores.plans import select
from atomate2_vogen.stores.queries import CrystalRows, find

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)


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
        Name of the stores in messages.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores, load_references
    >>> with VogenStores.memory() as stores:
    ...     written = stores.save(load_references("CHGNet-0.3.0"))
    ...     written == stores.references.count({"scheme": "CHGNet-0.3.0"})
    True
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
    _own_jobs: bool = field(default=False, kw_only=True)

    @classmethod
    def open(cls, where: str | Path | None = None, *, create: bool = False) -> Self:
        """Open the stores and prove that they can be read.

        Parameters
        ----------
        where
            The folder of a store, or the output folder of a run, whose store it stands for
            (embedded stores, no server); a ``mongodb://`` or ``mongodb+srv://`` URI, its database
            in the path, ``vogen`` where there is none; a ``.yaml`` file, see `read_store_file`;
            None for `from_settings`.
        create
            Make an empty store where there is none.

        Raises
        ------
        StoreAddressError
            If there is no store and none is to be made, or a URI, a file or the settings cannot
            be read.
        StoreConnectionError
            If the folder cannot be made, written or read as a store, or the server cannot be
            reached or refuses.
        """
        return cls._of(plan(where, create=create), create=create or where is None)

    @classmethod
    def from_settings(cls, collection_prefix: str = "vogen_") -> Self:
        """Open the job store of jobflow's settings, and our collections in the same database.

        Collections that are missing are made: the settings name the database.

        Parameters
        ----------
        collection_prefix
            What the names of our collections begin with: the database may hold others.

        Raises
        ------
        StoreAddressError
            If jobflow's settings cannot be read, name no job store, or one beside which there is
            no place.
        StoreConnectionError
            As `open`.
        """
        return cls._of(in_settings(collection_prefix))

    @classmethod
    def memory(cls) -> Self:
        """Stores that are lost with the process, for tests and trials."""
        return cls._of(in_memory())

    @classmethod
    def _of(cls, planned: Plan, *, create: bool = True) -> Self:
        stores: dict[str, Any] = {
            name: planned.documents(name, key) for name, (_, key) in KEYS.items()
        }
        made = cls(
            job_store=planned.job_store,
            data=planned.data,
            **stores,
            where=planned.where,
        )
        made._own_jobs = planned.own_jobs
        made.connect(create=create)
        return made

    def connect(self, where: str | None = None, *, create: bool = True) -> None:
        """Connect every store, create the indexes that it lacks, and prove that it can be read.

        Parameters
        ----------
        where
            What to call the stores in messages from now on.
        create
            Make the collections where a database holds none of them.

        Raises
        ------
        StoreAddressError
            If the database holds none of the collections and they are not to be made.
        StoreConnectionError
            If a store cannot be connected.
        """
        self.where = where or self.where
        self._typed(self._reach, "cannot be used as a store", ValueError)
        if not create:
            self._check_existence()
        self._typed(self._prepare, "cannot be used as a store", ValueError)

    def _reach(self) -> None:
        self.job_store.connect()
        for store in self._all():
            store.connect()
        if isinstance(self.stability, MongoDocuments):
            prove(self.stability)

    def _check_existence(self) -> None:
        """Refuse a database without any of the collections; a folder was checked before."""
        stability = self.stability
        if not isinstance(stability, MongoDocuments):
            return
        prefix = stability.collection_name.removesuffix("stability")
        names = [prefix + name for name in (*KEYS, JOBS)]
        there: list[bool] = []
        self._typed(lambda: there.append(has_collections(stability, names)))
        if not any(there):
            raise StoreAddressError(f"{self.where}: no store in this database ({CREATE})")

    def _prepare(self) -> None:
        self._index()
        for store in self._all():
            store.count({store.key: "any"})

    def _index(self) -> None:
        for collection, (_, key) in KEYS.items():
            store = getattr(self, collection)
            if isinstance(store, MongoDocuments):
                ensure_indexes(store._collection, (*INDEXES[collection], ("last_updated",)), key)  # noqa: SLF001
            elif isinstance(store, EmbeddedStore):
                store.ensure_indexes(INDEXES[collection])
        if not self._own_jobs:
            return  # jobflow's settings name the job store: other projects may use it
        jobs, data = self.job_store.docs_store, self.data
        if isinstance(jobs, MongoDocuments):
            ensure_indexes(jobs._collection, INDEXES[JOBS])  # noqa: SLF001
        if isinstance(data, MongoBlobs):
            ensure_indexes(data._files_collection, INDEXES[f"{DATA}.files"])  # noqa: SLF001
        if isinstance(jobs, EmbeddedStore):
            jobs.ensure_indexes(INDEXES[JOBS])

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

    def query(
        self,
        conditions: CrystalFilter | None = None,
        *,
        sort: str = "energy_above_hull",
        limit: int = 0,
        **more: Any,
    ) -> CrystalRows:
        """Crystals that meet conditions, with what is known of their electrons and phonons.

        Parameters
        ----------
        conditions
            What to look for; or give the fields of `CrystalFilter` by name, for example
            ``query(max_hull=0.1, novel=True, half_metal=True)``.
        sort
            Field of `CrystalRow`; with a minus before it, largest first.
        limit
            Most rows; 0 for all.

        Returns
        -------
        CrystalRows
            A sequence of `CrystalRow`; ``to_frame()`` gives it to pandas.

        Raises
        ------
        InputError
            For an unknown condition, value or field.
        StoreConnectionError
            If the store cannot be reached.
        """
        if conditions is not None and more:
            raise InputError("give either a filter or its fields by name")
        return find(self, conditions or CrystalFilter.make(more), sort, limit)

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

    def ingest_jobs(self) -> dict[str, int]:
        """Copy what finished jobs returned from the job store into the collections.

        Samples give candidates, records give calculations, electronic and phonon documents,
        trainings give their document, and summaries of flows give stability documents; large
        objects stay in the data store. Only what is new or newer is written, so this may run at
        any time and again.

        Returns
        -------
        dict
            Number of documents written, by collection.
        """
        written: dict[str, int] = {}
        self._typed(lambda: written.update(ingest_jobs(self)))
        return written


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
