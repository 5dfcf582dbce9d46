"""The two tables of a collection, row by row, within a transaction of the caller.

One has the documents as bytes, the other a column for each indexed field: SQL searches and sorts
on a table that is a twentieth as large.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import bson
from pymongo.errors import DuplicateKeyError

from atomate2_vogen.stores.embedded.criteria import Column, Condition, FieldPath
from atomate2_vogen.stores.embedded.records import head_and_body, join, needs_body
from atomate2_vogen.stores.embedded.values import Entry, entry_at, is_opaque

Document = dict[str, Any]
Columns = dict[str, Column]

DUPLICATE_KEY = 11000
"""MongoDB's code for a value that may be there only once."""


class Tables:
    """Tables of the collection with a number.

    Parameters
    ----------
    number
        As the table ``collections`` has it.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.documents, self.values = f"documents_{number}", f"values_{number}"

    def make(self, connection: sqlite3.Connection) -> None:
        """Create the tables, with an index on ``_id``."""
        connection.execute(
            f"CREATE TABLE {self.documents} (row INTEGER PRIMARY KEY, head BLOB, body BLOB)"
        )
        connection.execute(f"CREATE TABLE {self.values} (row INTEGER PRIMARY KEY)")
        self.add_index(connection, ("_id",), unique=True)

    def columns(self, connection: sqlite3.Connection) -> Columns:
        """Columns by field."""
        rows = connection.execute(
            "SELECT path, number, has_opaque FROM fields WHERE collection = ?", (self.number,)
        )
        return {path: Column(f"f{number}", bool(opaque)) for path, number, opaque in rows}

    def rows(
        self, connection: sqlite3.Connection, where: Condition, more: str = "ORDER BY row"
    ) -> list[int]:
        """Rows for which a condition holds, in order."""
        sql = f"SELECT row FROM {self.values}{_where(where)} {more}"  # noqa: S608
        return [row for (row,) in connection.execute(sql, where.values)]

    def read(
        self,
        connection: sqlite3.Connection,
        rows: Sequence[int],
        paths: Iterable[FieldPath] | None = None,
        where: Condition | None = None,
    ) -> dict[int, Document]:
        """Documents of those rows that are there, and for which a condition holds.

        Parameters
        ----------
        rows
            At most some hundreds.
        paths
            Fields that are needed; in others there may be placeholders. None for all.
        where
            None for no condition.
        """
        listed = ", ".join(map(str, rows))
        among = f"SELECT row FROM {self.values}{_where(where)}" if where and where.sql else ""  # noqa: S608
        heads = connection.execute(
            f"SELECT row, head FROM {self.documents} WHERE row IN ({listed})"  # noqa: S608
            + (f" AND row IN ({among} AND row IN ({listed}))" if among else ""),
            where.values if where and among else (),
        )
        found: dict[int, Document] = {row: bson.decode(head) for row, head in heads}
        with_body = [row for row, head in found.items() if needs_body(head, paths)]
        if with_body:
            listed = ", ".join(map(str, with_body))
            for row, body in connection.execute(
                f"SELECT row, body FROM {self.documents} WHERE row IN ({listed})"  # noqa: S608
            ):
                join(found[row], body)
        return found

    def insert(
        self, connection: sqlite3.Connection, columns: Columns, document: Mapping[str, Any]
    ) -> None:
        """Add a document; it gets an ``_id`` where it has none.

        Raises
        ------
        pymongo.errors.DuplicateKeyError
            If a unique index has its value already.
        """
        whole = {"_id": document["_id"] if "_id" in document else bson.ObjectId(), **document}
        row = connection.execute(
            f"INSERT INTO {self.documents} (head, body) VALUES (?, ?)",  # noqa: S608
            head_and_body(whole),
        ).lastrowid
        names = "".join(f", {column.name}" for column in columns.values())
        marks = ", ?" * len(columns)
        with _typed_duplicates():
            connection.execute(
                f"INSERT INTO {self.values} (row{names}) VALUES (?{marks})",  # noqa: S608
                (row, *self._entries(connection, columns, whole)),
            )

    def replace(
        self,
        connection: sqlite3.Connection,
        columns: Columns,
        row: int,
        document: Mapping[str, Any],
    ) -> None:
        """Write a document over that of a row.

        Raises
        ------
        pymongo.errors.DuplicateKeyError
            If a unique index has its value already.
        """
        connection.execute(
            f"UPDATE {self.documents} SET head = ?, body = ? WHERE row = ?",  # noqa: S608
            (*head_and_body(document), row),
        )
        entries = self._entries(connection, columns, document)
        self._set_values(connection, columns, row, entries)

    def delete(self, connection: sqlite3.Connection, rows: Iterable[int]) -> None:
        """Delete rows."""
        numbers = [(row,) for row in rows]
        for table in (self.documents, self.values):
            connection.executemany(f"DELETE FROM {table} WHERE row = ?", numbers)  # noqa: S608

    def distinct(
        self, connection: sqlite3.Connection, column: Column, where: Condition
    ) -> list[Entry]:
        """Different entries of a column among the rows for which a condition holds."""
        sql = f"SELECT DISTINCT {column.name} FROM {self.values}{_where(where)}"  # noqa: S608
        return [stored for (stored,) in connection.execute(sql, where.values)]

    def count(self, connection: sqlite3.Connection, where: Condition) -> int:
        """Number of rows for which a condition holds."""
        sql = f"SELECT count(*) FROM {self.values}{_where(where)}"  # noqa: S608
        return int(connection.execute(sql, where.values).fetchone()[0])

    def has_index(self, connection: sqlite3.Connection, fields: Sequence[str]) -> bool:
        """Whether there is an index on these fields in this order."""
        columns = self.columns(connection)
        if not columns.keys() >= set(fields):
            return False
        name = self._index_name([columns[field] for field in fields], unique=False)
        sql = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = ?"
        return bool(connection.execute(sql, (name,)).fetchone()[0])

    def add_index(
        self, connection: sqlite3.Connection, fields: Sequence[str], *, unique: bool = False
    ) -> None:
        """Make an index on fields that have columns, if it is missing.

        Raises
        ------
        pymongo.errors.DuplicateKeyError
            If it is to be unique, and two documents have the same values.
        """
        self.add_columns(connection, fields)
        columns = self.columns(connection)
        indexed = [columns[field] for field in fields]
        name, names = self._index_name(indexed, unique=unique), ", ".join(c.name for c in indexed)
        kind = "UNIQUE INDEX" if unique else "INDEX"
        with _typed_duplicates():
            connection.execute(f"CREATE {kind} IF NOT EXISTS {name} ON {self.values} ({names})")

    def add_columns(self, connection: sqlite3.Connection, fields: Iterable[str]) -> None:
        """Add columns for fields that have none, and fill them."""
        columns = self.columns(connection)
        new: Columns = {}
        for field in dict.fromkeys(fields):
            if field not in columns:
                number = len(columns) + len(new)
                connection.execute(
                    "INSERT INTO fields (collection, path, number) VALUES (?, ?, ?)",
                    (self.number, field, number),
                )
                # no type: SQLite keeps a value as it is
                connection.execute(f"ALTER TABLE {self.values} ADD COLUMN f{number}")
                new[field] = Column(f"f{number}", has_opaque=False)
        if not new:
            return
        for chunk in chunks(self.rows(connection, Condition())):
            found = self.read(connection, chunk, [tuple(field.split(".")) for field in new])
            for row, document in found.items():
                self._set_values(connection, new, row, self._entries(connection, new, document))

    def _set_values(
        self,
        connection: sqlite3.Connection,
        columns: Columns,
        row: int,
        entries: Sequence[Entry],
    ) -> None:
        names = ", ".join(f"{column.name} = ?" for column in columns.values())
        with _typed_duplicates():
            connection.execute(
                f"UPDATE {self.values} SET {names} WHERE row = ?",  # noqa: S608
                (*entries, row),
            )

    def _entries(
        self, connection: sqlite3.Connection, columns: Columns, document: Mapping[str, Any]
    ) -> list[Entry]:
        """Entries for the columns; notes which of them are opaque for the first time."""
        made: list[Entry] = []
        for field, column in columns.items():
            made.append(entry_at(document, field.split(".")))
            if is_opaque(made[-1]) and not column.has_opaque:
                connection.execute(
                    "UPDATE fields SET has_opaque = 1 WHERE collection = ? AND path = ?",
                    (self.number, field),
                )
                columns[field] = Column(column.name, has_opaque=True)
        return made

    def _index_name(self, columns: Sequence[Column], *, unique: bool) -> str:
        kind = "unique" if unique else "index"
        return "_".join([kind, str(self.number), *(column.name for column in columns)])


def chunks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """Rows in portions to read at once: small at first, for who wants one document takes one."""
    first, size = 0, 16
    while first < len(rows):
        yield rows[first : first + size]
        first, size = first + size, min(2 * size, 512)


def _where(condition: Condition | None) -> str:
    return f" WHERE {condition.sql}" if condition is not None and condition.sql else ""


@contextmanager
def _typed_duplicates() -> Iterator[None]:
    """What MongoDB raises, with words of its kind."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise DuplicateKeyError(
            f"a document has this key already: {error}", DUPLICATE_KEY
        ) from error
