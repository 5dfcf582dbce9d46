"""One collection of documents: MongoDB's operations, each in a transaction."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mongomock_ng.filtering import resolve_sort_key

from atomate2_vogen.stores.embedded import montydb
from atomate2_vogen.stores.embedded.criteria import (
    Condition,
    Criteria,
    FieldPath,
    matches,
    normalised,
    paths,
    to_sql,
)
from atomate2_vogen.stores.embedded.database import Database
from atomate2_vogen.stores.embedded.projection import Projection, projection
from atomate2_vogen.stores.embedded.tables import Columns, Document, Tables, chunks
from atomate2_vogen.stores.embedded.values import Entry, entry, value_of

logger = logging.getLogger(__name__)

Properties = Mapping[str, Any] | Iterable[str] | None


class Collection:
    """Documents with an ``_id`` each.

    Parameters
    ----------
    folder
        Folder of the store.
    name
        Name of the collection. It is made if it is missing, with the documents that montydb
        holds under the same name in the same folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._indexes: set[tuple[str, ...]] = set()
        self._database = Database(folder)
        try:
            self._tables = self._make(folder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def find(
        self,
        criteria: Mapping[str, Any] | None = None,
        properties: Properties = None,
        sort: Mapping[str, int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Documents that meet criteria; the oldest first unless sorted.

        No transaction stays open between two of them: a document that another process changes
        meanwhile is returned as it is then, and only if it still meets the criteria.

        Parameters
        ----------
        criteria
            MongoDB criteria.
        properties
            Fields to return, see `projection`.
        sort
            1 (ascending) or -1 (descending) by field.
        skip, limit
            Number of documents to leave out first, and to return at most; 0 for all.
        """
        wanted, tested, order = projection(properties), normalised(criteria), dict(sort or {})
        with self._database.reading() as connection:
            columns = self._tables.columns(connection)
            where, undecided = to_sql(tested, columns)
            by_columns = _are_sortable(order, columns)
            in_sql = by_columns and not undecided
            more = _order(order, columns) if by_columns else "ORDER BY row"
            if in_sql and (skip or limit):
                more += f" LIMIT {limit or -1} OFFSET {skip}"
            rows = self._tables.rows(connection, where, more)
        if not by_columns:
            rows = self._sorted(rows, undecided, where, order)
        found = self._read(rows, undecided, where, wanted)
        documents = (wanted.apply(document) for _, document in found)
        if in_sql or not (skip or limit):
            return documents
        return itertools.islice(documents, skip, skip + limit if limit else None)

    def count(self, criteria: Mapping[str, Any] | None = None) -> int:
        """Number of documents that meet criteria."""
        tested = normalised(criteria)
        with self._database.reading() as connection:
            where, undecided = to_sql(tested, self._tables.columns(connection))
            if not undecided:
                return self._tables.count(connection, where)
            rows = self._tables.rows(connection, where)
        return sum(1 for _ in self._read(rows, undecided, where, NOTHING))

    def distinct(self, field: str, criteria: Mapping[str, Any] | None = None) -> list[Any]:
        """Different values of a field; those of an array one by one."""
        tested = normalised(criteria)
        with self._database.reading() as connection:
            columns = self._tables.columns(connection)
            (where, undecided), column = to_sql(tested, columns), columns.get(field)
            if not undecided and column is not None and not column.has_opaque:
                found = self._tables.distinct(connection, column, where)
                if None not in found:  # which may be null or missing
                    return [value_of(stored) for stored in found]
        values: dict[Entry, Any] = {}
        for document in self.find(criteria, [field]):
            for value in _values_at(document, field.split(".")):
                values.setdefault(entry(value), value)
        return list(values.values())

    def insert_one(self, document: Document) -> None:
        """As `insert_many`."""
        self.insert_many([document])

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Add all documents or none; those without an ``_id`` get one.

        Raises
        ------
        pymongo.errors.DuplicateKeyError
            If an ``_id`` is there already.
        """
        with self._database.writing() as connection:
            columns = self._tables.columns(connection)
            for document in documents:
                self._tables.insert(connection, columns, document)

    def replace_many(self, documents: Iterable[Document], key: Sequence[str]) -> None:
        """Write all documents or none, each over the one with the same key where there is one.

        A document keeps the ``_id`` that it was first written with.

        Raises
        ------
        KeyError
            If a document has no such field.
        pymongo.errors.DuplicateKeyError
            If another document has the same ``_id``, or value of a unique index.
        """
        asked = [({name: document[name] for name in key}, document) for document in documents]
        self.ensure_indexes([key])
        with self._database.writing() as connection:
            columns = self._tables.columns(connection)
            for criteria, document in asked:
                where, undecided = to_sql(normalised(criteria), columns)
                rows = self._tables.rows(connection, where)
                row, held = next(self._matching(connection, rows, undecided), (None, {}))
                if row is None:
                    self._tables.insert(connection, columns, document)
                else:
                    whole = {**document, "_id": held["_id"]}
                    self._tables.replace(connection, columns, row, whole)

    def delete_many(self, criteria: Mapping[str, Any] | None) -> int:
        """Delete the documents that meet criteria; their number."""
        tested = normalised(criteria)
        with self._database.writing() as connection:
            where, undecided = to_sql(tested, self._tables.columns(connection))
            rows = self._tables.rows(connection, where)
            if undecided:
                rows = [row for row, _ in self._matching(connection, rows, undecided)]
            self._tables.delete(connection, rows)
        return len(rows)

    def ensure_indexes(self, indexes: Iterable[Sequence[str]], *, unique: bool = False) -> None:
        """Make indexes that are missing, each on fields in their order.

        Raises
        ------
        pymongo.errors.DuplicateKeyError
            If they are to be unique, and two documents have the same values.
        """
        missing = [fields for fields in map(tuple, indexes) if fields not in self._indexes]
        if missing and not unique:
            with self._database.reading() as connection:
                there = [f for f in missing if self._tables.has_index(connection, f)]
            self._indexes.update(there)
            missing = [fields for fields in missing if fields not in self._indexes]
        if not missing:
            return
        with self._database.writing() as connection:
            # documents are read once for all columns
            self._tables.add_columns(connection, itertools.chain(*missing))
            for fields in missing:
                self._tables.add_index(connection, fields, unique=unique)
        self._indexes.update(missing)

    def _make(self, folder: Path) -> Tables:
        """The tables; the first process that comes makes them, and the others wait."""
        with self._database.reading() as connection:
            number = _number(connection, self.name)
        if number is not None:
            return Tables(number)
        with self._database.writing() as connection:
            number = _number(connection, self.name)
            if number is not None:
                return Tables(number)
            made = connection.execute("INSERT INTO collections (name) VALUES (?)", (self.name,))
            tables = Tables(int(made.lastrowid or 0))
            tables.make(connection)
            columns, number = tables.columns(connection), 0
            for number, document in enumerate(montydb.documents(folder, self.name), 1):  # noqa: B007
                tables.insert(connection, columns, document)
        if number:
            logger.warning(
                "%s: %d documents of %s were taken over from montydb; its files are no longer "
                "read and may be deleted",
                folder,
                number,
                self.name,
            )
        return tables

    def _read(
        self, rows: Sequence[int], undecided: Criteria, where: Condition, wanted: Projection
    ) -> Iterator[tuple[int, Document]]:
        """Documents of the rows that meet the criteria, in the order of the rows."""
        needed = _together(wanted.paths, paths(undecided))
        for chunk in chunks(rows):
            with self._database.reading() as connection:
                found = self._tables.read(connection, chunk, needed, where)
            for row in chunk:
                document = found.get(row)
                if document is not None and matches(undecided, document):
                    yield row, document

    def _sorted(
        self, rows: Sequence[int], undecided: Criteria, where: Condition, order: Mapping[str, int]
    ) -> list[int]:
        """Rows that meet the criteria, sorted in Python."""
        by = [(name, _direction(direction)) for name, direction in order.items()]
        fields = Projection(lambda document: document, tuple(tuple(n.split(".")) for n, _ in by))
        keyed = [
            (row, [resolve_sort_key(name, document) for name, _ in by])
            for row, document in self._read(rows, undecided, where, fields)
        ]
        for place, (_, direction) in reversed([*enumerate(by)]):
            keyed.sort(key=lambda one: one[1][place], reverse=direction < 0)
        return [row for row, _ in keyed]

    def _matching(
        self, connection: Any, rows: Sequence[int], undecided: Criteria
    ) -> Iterator[tuple[int, Document]]:
        """Rows that meet the criteria, with their documents, within a transaction."""
        needed = paths(undecided)
        for chunk in chunks(rows):
            for row, document in self._tables.read(connection, chunk, needed).items():
                if matches(undecided, document):
                    yield row, document


NOTHING = Projection(lambda document: document, ())


def _together(
    first: tuple[FieldPath, ...] | None, second: tuple[FieldPath, ...] | None
) -> tuple[FieldPath, ...] | None:
    """Fields of both; None for all."""
    return None if first is None or second is None else (*first, *second)


def _number(connection: Any, name: str) -> int | None:
    sql = "SELECT number FROM collections WHERE name = ?"
    found = connection.execute(sql, (name,)).fetchone()
    return None if found is None else int(found[0])


def _direction(direction: Any) -> int:
    return int(getattr(direction, "value", direction))


def _are_sortable(order: Iterable[str], columns: Columns) -> bool:
    return all(name in columns and not columns[name].has_opaque for name in order)


def _order(order: Mapping[str, int], columns: Columns) -> str:
    """Equal documents in the order of their making, as MongoDB and mongomock."""
    by = [
        f"{columns[name].name} {'DESC' if _direction(direction) < 0 else 'ASC'}"
        for name, direction in order.items()
    ]
    return f"ORDER BY {', '.join([*by, 'row'])}"


def _values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Values at a path; those of each member of an array."""
    if isinstance(value, list):
        for item in value:
            yield from _values_at(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])
