"""The embedded store: one folder, no server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maggma.stores import MontyStore
from monty.json import jsanitize


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

    def write_many(self, documents: list[dict[str, Any]], key: str) -> None:
        """Upsert documents that carry an ``_id``, with one look at the collection.

        montydb reads the whole collection for every document that it replaces.

        Raises
        ------
        montydb.errors.BulkWriteError
            If another process has written one of them meanwhile.
        """
        made = [jsanitize(document, allow_bson=True) for document in documents]
        held = {content.get(key): content["_id"] for content in self.query({}, [key])}
        there = [{**content, "_id": held[content[key]]} for content in made if content[key] in held]
        missing = [content for content in made if content[key] not in held]
        if there:
            self._collection._storage.update_many(self._collection, there)  # noqa: SLF001
        if missing:
            self._collection.insert_many(missing)


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
