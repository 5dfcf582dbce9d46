"""Reading a collection by one of its indexes.

What an index can answer goes into a first stage of its own, what is left into a second. MongoDB
joins the two again and plans for itself; servers that only speak its protocol, and use an index
for a filter only if it answers the whole of it, are spared a scan of the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from atomate2_vogen.stores.documents import KEYS
from atomate2_vogen.stores.indexes import INDEXES
from atomate2_vogen.stores.mongo import MongoDocuments

if TYPE_CHECKING:
    from maggma.core import Store


def select(
    store: Store,
    criteria: dict[str, Any],
    properties: list[str] | None = None,
    sort: Mapping[str, int] | None = None,
    limit: int = 0,
) -> Iterator[dict[str, Any]]:
    """Documents of a store, as `maggma.core.Store.query`."""
    if isinstance(store, MongoDocuments):
        stages = pipeline(store.key, criteria, properties, sort, limit)
        yield from store._collection.aggregate(stages, allowDiskUse=True)  # noqa: SLF001
    else:
        order: Any = dict(sort) if sort else None
        yield from store.query(criteria, properties=properties, sort=order, limit=limit)


def pipeline(
    key: str,
    criteria: Mapping[str, Any],
    properties: list[str] | None = None,
    sort: Mapping[str, int] | None = None,
    limit: int = 0,
) -> list[dict[str, Any]]:
    """Stages of an aggregation that gives the documents of the collection with this key."""
    first, rest = split(key, criteria)
    stages: list[dict[str, Any]] = [{"$match": part} for part in (first, rest) if part]
    if sort:
        stages.append({"$sort": dict(sort)})
    if limit:
        stages.append({"$limit": limit})
    if properties:
        stages.append({"$project": dict.fromkeys(properties, 1)})
    return stages


def split(key: str, criteria: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one index of the collection with this key answers, and the rest."""
    collection = next((name for name, (_, theirs) in KEYS.items() if theirs == key), None)
    indexes = ((key,), *INDEXES.get(collection or "", ()), ("last_updated",))
    fields = next((index for index in indexes if index[0] in criteria), ())
    names = []
    for name in fields:
        if name not in criteria:
            break
        names.append(name)
        if isinstance(criteria[name], Mapping):
            break  # no equality: what comes after it is not in order
    first = {name: criteria[name] for name in names}
    return first, {name: value for name, value in criteria.items() if name not in first}
