"""Reading a collection by one of its indexes.

What an index can answer goes into a first stage, what is left into a second. MongoDB joins the two
again and makes its own plan; servers that only speak its protocol, and use an index for a filter
only if it answers the whole of it, are spared a scan of the collection.

That is why it stays: at 20,000 stability documents in SecantusDB 0.7.0b3 the question for new VO2
near the hull takes 11 ms of CPU time this way and 4.6 s with `maggma.core.Store.query`, that for
half-metallic V2O3 8 ms and 3.5 s (``benchmarks/store_speed.py`` and ``benchmarks/query_speed.py
--plain``, 2026-11-30). The embedded store makes its own plan.
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
    """Documents of a store, as `maggma.core.Store.query`.

    Parameters
    ----------
    store
        Store that is connected.
    criteria
        MongoDB-style query.
    properties
        Fields to return; all by default.
    sort
        Fields to sort by; 1 ascending, -1 descending.
    limit
        Largest number of documents; 0 for all.

    Examples
    --------
    >>> from maggma.stores import MemoryStore
    >>> with MemoryStore(key="name") as store:
    ...     store.update([{"name": "a", "size": 2}, {"name": "b", "size": 1}])
    ...     [found["name"] for found in select(store, {"size": {"$lt": 3}}, sort={"size": 1})]
    ['b', 'a']
    """
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
    first, rest = split_criteria(key, criteria)
    stages: list[dict[str, Any]] = [{"$match": part} for part in (first, rest) if part]
    if sort:
        stages.append({"$sort": dict(sort)})
    if limit:
        stages.append({"$limit": limit})
    if properties:
        stages.append({"$project": dict.fromkeys(properties, 1)})
    return stages


def split_criteria(key: str, criteria: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one index of the collection with this key answers, and the rest."""
    collection = next((name for name, (_, its_key) in KEYS.items() if its_key == key), None)
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
