"""maggma's MongoDB stores with an address that can be shown.

A store of maggma writes its password wherever it is written itself: into Fireworks, logs and its
own name. These do not: as JSON they carry the public address and the name of the environment
variable that has the password; within the process, and in processes started from it, they keep
what they were given.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import gridfs
import pymongo
from maggma.stores import GridFSStore, MongoStore
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from atomate2_vogen.stores.address import PASSWORD_ENV, MongoAddress

OPEN_SECONDS = 8.0
"""How long opening waits for a server, unless the URI says serverSelectionTimeoutMS."""

MOST_SECONDS = 15.0
"""Upper limit of the time for opening a store; a URI may only give less."""

PATIENCE_MS = 60_000
"""How long any later operation does: a server that restarts costs a worker nothing."""


class _Addressed:
    """What both stores share: an address, and a client for it."""

    address: MongoAddress
    mongoclient_kwargs: dict[str, Any]
    database: str
    collection_name: str

    @property
    def name(self) -> str:
        """Server, database and collection."""
        return f"{self.address}/{self.collection_name}"

    def client(self) -> MongoClient[Any]:
        """A new client; it connects when it is first used."""
        options = {"serverSelectionTimeoutMS": PATIENCE_MS}
        options = {k: v for k, v in options.items() if k.lower() not in self.address.options}
        return MongoClient(self.address.full, **(options | self.mongoclient_kwargs))

    def __getstate__(self) -> dict[str, Any]:
        """For processes started from this one: with the password, if it was given."""
        return {**self.as_dict(), "uri": self.address.complete}  # type: ignore[attr-defined]


class MongoDocuments(_Addressed, MongoStore):
    """Collection of documents in MongoDB; the password is in no serialised form of it.

    Parameters
    ----------
    database, collection_name
        Where in the server.
    uri
        Address of the server.
    password_env
        Environment variable with the password, where the URI has a user and no password.
    mongoclient_kwargs
        For pymongo's client.
    kwargs
        For maggma's store, such as ``key``.

    Examples
    --------
    >>> store = MongoDocuments("vogen", "stability", "mongodb://me:secret@host", key="stability_id")
    >>> "secret" in str(store.as_dict())
    False
    """

    def __init__(
        self,
        database: str,
        collection_name: str,
        uri: str,
        *,
        password_env: str = PASSWORD_ENV,
        mongoclient_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.address = MongoAddress(uri, password_env, database)
        self.password_env = password_env
        super().__init__(
            database,
            collection_name,
            uri=self.address.public,
            mongoclient_kwargs=mongoclient_kwargs,
            **kwargs,
        )

    def connect(self, force_reset: bool = False) -> None:
        """Make the client."""
        if self._coll is None or force_reset:
            self._coll: Any = self.client()[self.database][self.collection_name]


class MongoBlobs(_Addressed, GridFSStore):
    """Large objects in GridFS, as jobflow puts them there: by ``blob_uuid``.

    Parameters
    ----------
    database, collection_name, uri, password_env, mongoclient_kwargs
        As `MongoDocuments`.
    searchable_fields, compression, ensure_metadata
        As `maggma.stores.GridFSStore`.
    kwargs
        For maggma's store, such as ``key``.

    Examples
    --------
    >>> store = MongoBlobs("vogen", "data", "mongodb://me:secret@host", key="blob_uuid")
    >>> "secret" in str(store.as_dict())
    False
    """

    def __init__(
        self,
        database: str,
        collection_name: str,
        uri: str,
        *,
        password_env: str = PASSWORD_ENV,
        mongoclient_kwargs: dict[str, Any] | None = None,
        searchable_fields: list[str] | None = None,
        compression: bool = False,
        ensure_metadata: bool = False,
        **kwargs: Any,
    ) -> None:
        self.address = MongoAddress(uri, password_env, database)
        self.password_env = password_env
        super().__init__(
            database,
            collection_name,
            uri=self.address.public,
            mongoclient_kwargs=mongoclient_kwargs,
            searchable_fields=searchable_fields,
            compression=compression,
            ensure_metadata=ensure_metadata,
            **kwargs,
        )

    def connect(self, force_reset: bool = False) -> None:
        """Make the client."""
        if self._coll is None or force_reset:
            database = self.client()[self.database]
            self._coll = gridfs.GridFS(database, self.collection_name)
            self._files_collection = database[f"{self.collection_name}.files"]
            files = MongoStore.from_collection(self._files_collection)
            files.last_updated_field = f"metadata.{self.last_updated_field}"
            files.key = self.key
            self._fs: Any = files
            self._chunks_collection = database[f"{self.collection_name}.chunks"]


def prove(store: MongoDocuments) -> None:
    """Reach the server and log in, or raise pymongo's error soon.

    Raises
    ------
    pymongo.errors.PyMongoError
        If the server does not answer in time or refuses.
    """
    milliseconds = store.address.options.get("serverselectiontimeoutms", "")
    seconds = int(milliseconds) / 1000 if milliseconds.isdigit() else OPEN_SECONDS
    ping(store._collection.database, seconds)  # noqa: SLF001 - maggma has no other way


def ping(database: Database[Any], seconds: float) -> None:
    """Let a server answer within so many seconds (0: `MOST_SECONDS`, which is the most).

    A read would be tried again until its time is up, and `pymongo.timeout` takes the place of the
    driver's own time for finding a server.

    Raises
    ------
    pymongo.errors.PyMongoError
        If it does not.
    """
    with pymongo.timeout(min(seconds or MOST_SECONDS, MOST_SECONDS)):
        database.command("ping")


def has_collections(store: MongoDocuments, names: Collection[str]) -> bool:
    """Whether any of these collections is in the database; a user who may not ask is believed.

    Raises
    ------
    pymongo.errors.PyMongoError
        If the server cannot be reached.
    """
    try:
        there = store._collection.database.list_collection_names()  # noqa: SLF001
    except OperationFailure:
        return True
    return not set(names).isdisjoint(there)
