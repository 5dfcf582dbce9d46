"""Which stores an address stands for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import JobStore
from maggma.stores import MemoryStore

from atomate2_vogen.errors import StoreAddressError, StoreConnectionError
from atomate2_vogen.files import user_path
from atomate2_vogen.stores.address import MongoAddress
from atomate2_vogen.stores.configuration import (
    address_of,
    embedded_folder,
    guarded,
    jobflow_store,
    read_store_file,
    require_data,
)
from atomate2_vogen.stores.documents import DATA, JOBS
from atomate2_vogen.stores.embedded import EmbeddedStore, holds_store
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments

if TYPE_CHECKING:
    from maggma.core import Store

RUN_STORE = "store"
"""Where the output folder of a run has its store."""

CREATE = "VogenStores.open(…, create=True) makes an empty one"

MakeStore = Callable[[str, str], "Store"]


@dataclass(frozen=True)
class Plan:
    """Stores that are not connected yet.

    Parameters
    ----------
    where
        What to call them in messages.
    documents
        Makes the store of a collection with a key.
    job_store
        jobflow's, with its data store.
    own_jobs
        Whether to create indexes in the job store: not in one that jobflow's settings name.
    """

    where: str
    documents: MakeStore
    job_store: JobStore
    own_jobs: bool = True

    @property
    def data(self) -> Store:
        """The store of large objects."""
        job_store: Any = self.job_store
        return job_store.additional_stores[DATA]


def plan_for(where: str | Path | None, *, create: bool = False) -> Plan:
    """As `VogenStores.open`."""
    if where is None:
        return in_settings()
    text = str(where)
    if isinstance(where, str) and "://" in text:
        return in_mongo(MongoAddress(text))
    path = user_path(text, StoreAddressError)
    if path.suffix in {".yaml", ".yml"} and not path.is_dir():
        file = read_store_file(path)
        return in_mongo(file.address, file.prefix)
    return in_folder(path, create=create)


def in_memory() -> Plan:
    """Lost with the process."""

    def documents(collection: str, key: str) -> Store:
        return MemoryStore(collection, key=key)

    return Plan("memory", documents, _jobs(documents, documents))


def in_folder(path: Path, *, create: bool = False) -> Plan:
    """Embedded, in a folder: that of the store, or the output folder of a run, whose store it is.

    Raises
    ------
    StoreAddressError
        If there is none, and none is to be made.
    StoreConnectionError
        If the folder cannot be made or written.
    """
    whole = path.expanduser().resolve()
    found = next((folder for folder in (whole / RUN_STORE, whole) if holds_store(folder)), None)
    if found is None and not create:
        raise StoreAddressError(
            f"{path}: no store in it; give the output folder of vogen discover or vogen evaluate, "
            "the folder of a store, a mongodb:// URI, or a YAML file that names a database "
            f"({CREATE})"
        )
    folder = found or whole
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreConnectionError(f"{folder} cannot hold a store: {error}") from error
    if not os.access(folder, os.W_OK):
        raise StoreConnectionError(f"{folder} cannot be written")

    def documents(collection: str, key: str) -> Store:
        return EmbeddedStore(collection, database_path=str(folder), key=key)

    return Plan(str(folder), documents, _jobs(documents, documents))


def in_mongo(address: MongoAddress, prefix: str = "") -> Plan:
    """In a MongoDB database, large objects in its GridFS."""
    common: dict[str, Any] = {
        "database": address.database,
        "uri": address.complete,
        "password_env": address.password_env,
    }

    def documents(collection: str, key: str) -> Store:
        return MongoDocuments(collection_name=prefix + collection, key=key, **common)

    def blobs(collection: str, key: str) -> Store:
        return MongoBlobs(collection_name=prefix + collection, key=key, **common)

    return Plan(str(address), documents, _jobs(documents, blobs))


def in_settings(prefix: str = "vogen_") -> Plan:
    """Beside the job store of jobflow's settings, in the same database."""
    found = jobflow_store()
    require_data(found)
    if (folder := embedded_folder(found.docs_store)) is not None:

        def embedded(collection: str, key: str) -> Store:
            return EmbeddedStore(prefix + collection, database_path=str(folder), key=key)

        return Plan(str(folder), embedded, found, own_jobs=False)
    job_store = guarded(found)
    address, client = address_of(job_store.docs_store)

    def documents(collection: str, key: str) -> Store:
        return MongoDocuments(
            address.database,
            prefix + collection,
            address.complete,
            password_env=address.password_env,
            mongoclient_kwargs=client,
            key=key,
        )

    return Plan(str(address), documents, job_store, own_jobs=False)


def _jobs(documents: MakeStore, blobs: MakeStore) -> JobStore:
    return JobStore(documents(JOBS, "uuid"), additional_stores={DATA: blobs(DATA, "blob_uuid")})
