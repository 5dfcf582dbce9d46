"""Where documents live: one collection per document class, beside jobflow's own job store.

The embedded default keeps everything in one folder (montydb on sqlite, through maggma's
`MontyStore`): no server, the data outlive the process, several processes may write at once.
Its limits: no indexes and no aggregation, and every query reads the whole collection, which is
right for thousands of documents and wrong for millions. Those belong into MongoDB, of which
`VogenStores.open` takes the URI.

Documents of ours are upserted by key, and the key is also their ``_id``: two processes that
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
