"""Documents in the files of montydb, in which earlier versions of this package kept them.

There, each collection is one SQLite file whose table ``documents`` holds BSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import bson

DATABASE = "db"
"""Folder of the files within that of the store."""


def holds_collections(folder: Path) -> bool:
    """Whether a folder has collections of montydb."""
    return any((folder / DATABASE).glob("*.collection"))


def documents(folder: Path, collection: str) -> Iterator[dict[str, Any]]:
    """Documents of a collection, the oldest first; none where montydb has no such collection.

    Raises
    ------
    sqlite3.Error
        If the file cannot be read.
    """
    path = folder / DATABASE / f"{collection}.collection"
    if not path.is_file():
        return
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        for (content,) in connection.execute("SELECT v FROM documents ORDER BY rowid"):
            yield bson.decode(content)
