"""The stores of one project."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from atomate2_vogen.errors import InputError, StoreAddressError
from atomate2_vogen.stores.document_stores import DocumentStores
from atomate2_vogen.stores.documents import DATA, JOBS, KEYS
from atomate2_vogen.stores.embedded import EmbeddedStore
from atomate2_vogen.stores.filters import CrystalFilter
from atomate2_vogen.stores.indexes import INDEXES, ensure_indexes
from atomate2_vogen.stores.ingestion import ingest_jobs
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments, has_collections, prove
from atomate2_vogen.stores.opening import CREATE, Plan, in_memory, in_settings, plan_for
from atomate2_vogen.stores.queries import CrystalRows, find


@dataclass(repr=False)
class VogenStores(DocumentStores):
    """The stores of one project, connected.

    Make one with `open` (a folder, a MongoDB URI, a YAML file or jobflow's settings) or `memory`
    (nothing is kept); use it as a context manager, or call `close`. The stores themselves are
    plain maggma stores: query them as you like.

    Parameters are those of `DocumentStores`.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores, load_references
    >>> with VogenStores.memory() as stores:
    ...     written = stores.save(load_references("CHGNet-0.3.0"))
    ...     written == stores.references.count({"scheme": "CHGNet-0.3.0"})
    True
    """

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
        return cls._of(plan_for(where, create=create), create=create or where is None)

    @classmethod
    def from_settings(cls, collection_prefix: str = "vogen_") -> Self:
        """Open the job store of jobflow's settings, and our collections in the same database.

        DocumentStores that are missing are made: the settings name the database.

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
