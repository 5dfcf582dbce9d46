"""The SQLite file of a folder: connections, transactions, and which tables are whose."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "documents.sqlite"
"""Name of the file in the folder of the store."""

LOCK = ".documents.lock"

FORMAT = 1
"""Version of the tables; a file of a later one is refused."""

PATIENCE = 120.0
"""Seconds that a write waits for those of other processes."""

_TABLES = """
CREATE TABLE IF NOT EXISTS collections (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS fields (
    collection INTEGER NOT NULL,
    path TEXT NOT NULL,
    number INTEGER NOT NULL,
    has_opaque INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, path)
);
"""

_of_the_parent: list[sqlite3.Connection] = []
# closing a connection that a fork brought along could take the parent's locks away


class Database:
    """A connection to the file of a folder.

    Readers see the last committed state and never wait; writers take turns. What a process that
    is killed has not committed is undone.

    Parameters
    ----------
    folder
        Folder of the store; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._connection = self._open()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._owner == os.getpid():
                self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the file throughout."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other write can come between; undone if it raises."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._current()
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _current(self) -> sqlite3.Connection:
        """The connection; a new one in a process that was forked with it."""
        if self._owner != os.getpid():
            _of_the_parent.append(self._connection)
            self._owner, self._connection = os.getpid(), self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # the first process makes the file; setting its journal mode does not wait for others
        with _exclusive(self.path.with_name(LOCK)):
            connection = sqlite3.connect(
                self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                # a power cut may undo the last writes, but breaks nothing; a kill undoes none
                connection.execute("PRAGMA synchronous = NORMAL")
                self._check_format(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _check_format(self, connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise sqlite3.DatabaseError(
                f"{self.path} was written by a later version of atomate2-vogen; update it"
            )
        if found == 0:
            connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {FORMAT};COMMIT")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Wait for the lock file to be free, and keep it; a process that dies releases it."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
