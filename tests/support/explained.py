"""What a server does for a query, by its own explain()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atomate2_vogen.stores import document_stores, plans
from atomate2_vogen.stores.plans import pipeline


def reads(stores: Any, question: dict[str, Any]) -> list[dict[str, Any]]:
    """Every read of `stores.query(**question)`: collection, stages of its plan, what it examined."""
    found = []
    plain = plans.select

    def watched(store, criteria, properties=None, sort=None, limit=0):
        found.append(explain(store, pipeline(store.key, criteria, properties, sort, limit)))
        return plain(store, criteria, properties, sort, limit)

    document_stores.select = watched
    try:
        stores.query(**question)
    finally:
        document_stores.select = plain
    return found


def explain(store: Any, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Explain an aggregation."""
    collection = store._collection
    command = {"aggregate": collection.name, "pipeline": stages, "cursor": {}}
    answer = collection.database.command("explain", command, verbosity="executionStats")
    plan = _first(answer, "winningPlan")
    statistics = _first(answer, "executionStats") or {}
    return {
        "collection": collection.name,
        "stages": [stage for stage in _every(plan, "stage") if isinstance(stage, str)],
        "indexes": [name for name in _every(plan, "indexName") if isinstance(name, str)],
        "examined": statistics.get("totalDocsExamined", 0),
    }


def scans(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that read a whole collection, or of which nothing is known."""
    return [
        read for read in found if "COLLSCAN" in read["stages"] or not {*read["stages"]} & INDEXED
    ]


INDEXED = {"IXSCAN", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "IDHACK", "EOF", "COUNT_SCAN"}


def _every(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for item in value.values():
            yield from _every(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _every(item, name)


def _first(value: Any, name: str) -> Any:
    return next(_every(value, name), None)
