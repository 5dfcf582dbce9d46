"""Make the next item while the last one is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterator[Item]) -> Generator[Item]:
    """The same items, each made in another thread while the one before is used.

    Worth it where making them releases Python's lock, as networks and numpy do. The items and
    their order stay the same. What making them raises is raised here, in its turn.

    Parameters
    ----------
    items
        Advanced by one thread alone, and at most one item further than what was asked for. Close
        this generator to have no more made; the one that is being made is waited for.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as maker:
        coming = maker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = maker.submit(next, items, _END)
            yield item  # type: ignore[misc]
