"""The embedded store: a maggma store in one SQLite file of a folder, without a server.

`store` is the maggma store; `collection` is one collection with its tables and transactions;
`criteria` turns MongoDB criteria into SQL; `values` are the entries of indexed columns, `records`
the documents as bytes, `projection` the selection of properties; `montydb` reads the folders that
earlier versions wrote.
"""

from __future__ import annotations

from atomate2_vogen.stores.embedded.store import EmbeddedStore, holds_store

__all__ = ["EmbeddedStore", "holds_store"]
