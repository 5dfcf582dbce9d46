"""Where documents live: one collection per document class, beside jobflow's own job store.

The embedded default keeps everything in one folder (`EmbeddedStore`, an SQLite file): no server,
indexed, the data outlive the process, several processes may write at once. Its limit: all of them
must run on one machine. Several hosts share a MongoDB, of which `VogenStores.open` takes the URI.

Documents are upserted by key, and the key is also their ``_id``: two processes that
write the same document at once cannot make two of it.
"""

from __future__ import annotations

from atomate2_vogen.stores.documents import DATA, JOBS, KEYS, moment, parse, upsert, upsert_many
from atomate2_vogen.stores.embedded import EmbeddedStore
from atomate2_vogen.stores.filters import CrystalFilter
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments
from atomate2_vogen.stores.plans import select
from atomate2_vogen.stores.project import VogenStores
from atomate2_vogen.stores.queries import CrystalRow, CrystalRows

__all__ = [
    "DATA",
    "JOBS",
    "KEYS",
    "CrystalFilter",
    "CrystalRow",
    "CrystalRows",
    "EmbeddedStore",
    "MongoBlobs",
    "MongoDocuments",
    "VogenStores",
    "moment",
    "parse",
    "select",
    "upsert",
    "upsert_many",
]
