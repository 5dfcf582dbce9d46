"""The embedded store as a maggma store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maggma.core import Store, StoreError
from monty.json import jsanitize
from pydash import get, has, set_
from pymongo.errors import DuplicateKeyError

from atomate2_vogen.stores.embedded import montydb
from atomate2_vogen.stores.embedded.collection import Collection, Document, Properties
from atomate2_vogen.stores.embedded.database import FILE
from atomate2_vogen.stores.embedded.values import Entry, entry


def holds_store(folder: Path) -> bool:
    """Whether an embedded store lies in a folder, of this or of an earlier version."""
    return (folder / FILE).is_file() or montydb.holds_collections(folder)


class EmbeddedStore(Store):
    """A maggma store in a folder: no server, indexed, and for several processes at once.

    All collections of a folder share one SQLite file. It understands the criteria that maggma's
    `MemoryStore` understands, and gives the same answers. The processes must run on one machine,
    for SQLite coordinates them through shared memory; for several hosts use MongoDB.

    A folder that an earlier version filled through montydb is converted when it is opened.

    Parameters
    ----------
    collection_name
        Name of the collection.
    database_path
        Folder of the store; made if it is missing.
    kwargs
        For maggma's `Store`, such as ``key``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from atomate2_vogen.stores import EmbeddedStore
    >>> with TemporaryDirectory() as folder:
    ...     with EmbeddedStore("crystals", folder, key="name") as store:
    ...         store.update([{"name": "rutile", "volume": 62.4}, {"name": "corundum"}])
    ...         store.query_one({"volume": {"$gt": 60}}, ["name"])["name"]
    'rutile'
    """

    def __init__(self, collection_name: str, database_path: str | Path, **kwargs: Any) -> None:
        self.collection_name = collection_name
        self.database_path = str(database_path)
        self.kwargs = kwargs
        self._coll: Collection | None = None
        super().__init__(**kwargs)

    @property
    def name(self) -> str:
        """Folder and collection."""
        return f"embedded://{self.database_path}/{self.collection_name}"

    @property
    def _collection(self) -> Collection:
        """The collection.

        Raises
        ------
        maggma.core.StoreError
            If the store is not connected.
        """
        if self._coll is None:
            raise StoreError(f"connect {self.name} before using it")
        return self._coll

    def connect(self, force_reset: bool = False) -> None:
        """Open the file, and make it and the collection where they are missing."""
        if self._coll is not None and not force_reset:
            return
        self.close()
        self._coll = Collection(Path(self.database_path), self.collection_name)
        self._coll.ensure_indexes([(self.key,), (self.last_updated_field,)])

    def close(self) -> None:
        """Close the file; `connect` opens it again."""
        if self._coll is not None:
            self._coll.close()
            self._coll = None

    def count(self, criteria: Mapping[str, Any] | None = None) -> int:
        """Number of documents that meet criteria."""
        return self._collection.count(criteria)

    def query(
        self,
        criteria: Mapping[str, Any] | None = None,
        properties: Properties = None,
        sort: Mapping[str, Any] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Documents that meet criteria.

        Parameters
        ----------
        criteria
            MongoDB criteria.
        properties
            Fields to return: a list, or a mapping to 1 (these alone) or 0 (all others).
        sort
            1 (ascending) or -1 (descending) by field.
        skip, limit
            Number of documents to leave out first, and to return at most; 0 for all.
        """
        yield from self._collection.find(criteria, properties, sort, skip, limit)

    def update(
        self, docs: Document | Sequence[Document], key: Sequence[str] | str | None = None
    ) -> None:
        """Write documents, each over the one with the same key; all of them or none.

        Parameters
        ----------
        docs
            One document or several.
        key
            Field, or fields, by which documents are the same; None for the store's key.

        Raises
        ------
        KeyError
            If a document has no such field.
        ValueError
            If a strict validator refuses a document.
        pymongo.errors.DuplicateKeyError
            If another document has the same ``_id``.
        """
        listed = docs if isinstance(docs, list | tuple) else [docs]
        made = [jsanitize(doc, allow_bson=True, recursive_msonable=True) for doc in listed]
        by = key or self.key
        fields = [by] if isinstance(by, str) else list(by)
        if valid := [doc for doc in made if self._is_valid(doc)]:
            self._collection.replace_many(valid, fields)

    def _is_valid(self, document: Document) -> bool:
        if self.validator is None or self.validator.is_valid(document):
            return True
        errors = self.validator.validation_errors(document)
        if getattr(self.validator, "strict", False):
            raise ValueError(errors)
        self.logger.error(errors)
        return False

    def remove_docs(self, criteria: Mapping[str, Any]) -> None:
        """Delete the documents that meet criteria."""
        self._collection.delete_many(criteria)

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Make an index on a field; False if it is to be unique and two documents share a value."""
        try:
            self._collection.ensure_indexes([(key,)], unique=unique)
        except DuplicateKeyError:
            return False
        return True

    def ensure_indexes(self, indexes: Iterable[Sequence[str]]) -> None:
        """Make several indexes, each on fields in their order."""
        self._collection.ensure_indexes(indexes)

    def distinct(
        self,
        field: str,
        criteria: Mapping[str, Any] | None = None,
        all_exist: bool = False,  # noqa: ARG002 - no store of maggma looks at it
    ) -> list[Any]:
        """Different values of a field, those of an array one by one."""
        return self._collection.distinct(field, criteria)

    def groupby(  # noqa: PLR0917 - maggma's signature
        self,
        keys: list[str] | str,
        criteria: Mapping[str, Any] | None = None,
        properties: Properties = None,
        sort: Mapping[str, Any] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[Document, list[Document]]]:
        """Documents that agree in some fields, together; those without the fields are left out.

        Parameters
        ----------
        keys
            Field or fields.
        criteria, properties, sort, skip, limit
            Of the documents, see `query`.

        Yields
        ------
        tuple
            The values that they agree in, and the documents.
        """
        names = [keys] if isinstance(keys, str) else list(keys)
        wanted = [*names, *properties] if properties else names
        groups: dict[tuple[Entry, ...], tuple[Document, list[Document]]] = {}
        for document in self.query(criteria, wanted, sort, skip, limit):
            if not all(has(document, name) for name in names):
                continue
            found = [get(document, name) for name in names]
            shared: Document = {}
            for name, value in zip(names, found, strict=True):
                set_(shared, name, value)
            groups.setdefault(tuple(map(entry, found)), (shared, []))[1].append(document)
        yield from groups.values()

    def __eq__(self, other: object) -> bool:
        """Whether both are the same collection of the same folder."""
        return isinstance(other, EmbeddedStore) and self._identity == other._identity

    def __hash__(self) -> int:
        """Of folder and collection."""
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, ...]:
        return self.database_path, self.collection_name, self.last_updated_field
