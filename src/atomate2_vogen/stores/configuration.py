"""Where the stores are: from a YAML file, or from jobflow's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobflow import JobStore
from jobflow.settings import JobflowSettings
from maggma.core import Store
from maggma.stores import GridFSStore, MemoryStore, MongoStore, MontyStore
from pydantic import ValidationError

from atomate2_vogen.errors import StoreAddressError
from atomate2_vogen.stores.address import DEFAULT_DATABASE, PASSWORD_ENV, MongoAddress
from atomate2_vogen.stores.documents import DATA
from atomate2_vogen.stores.embedded import EmbeddedStore
from atomate2_vogen.stores.mongo import MongoBlobs, MongoDocuments
from atomate2_vogen.stores.names import unknown_name
from atomate2_vogen.structured import read_structured

FIELDS: dict[str, type] = {
    "uri": str,
    "host": str,
    "port": int,
    "username": str,
    "password": str,
    "password_env": str,
    "auth_source": str,
    "database": str,
    "collection_prefix": str,
}
"""Fields of the YAML file."""

_OF_THE_USER = {"username", "password", "authsource", "authmechanism"}
_FOR_THE_URI = {
    "authsource": "authSource",
    "authmechanism": "authMechanism",
    "authmechanismproperties": "authMechanismProperties",
    "tlscertificatekeyfilepassword": "tlsCertificateKeyFilePassword",
}

MEND = (
    "name MongoDB stores in ~/.jobflow.yaml (or the file that JOBFLOW_CONFIG_FILE names), as "
    "jobflow's documentation shows, or give a folder, a MongoDB URI or a YAML file"
)


@dataclass(frozen=True)
class StoreFile:
    """What a YAML file says: an address, and what collection names begin with."""

    address: MongoAddress
    prefix: str = ""


def read_store_file(path: Path) -> StoreFile:
    """Read the YAML file of a MongoDB database.

    Its fields are ``uri``, or ``host`` with ``port`` and ``auth_source``; ``username``, and
    ``password`` or ``password_env``, the name of an environment variable that has it;
    ``database``; ``collection_prefix``.

    Raises
    ------
    StoreAddressError
        If the file is missing, no such file, or holds something else. The message never repeats
        a value.
    """
    content = _read_yaml(path)
    for name, value in content.items():
        if name not in FIELDS:
            raise StoreAddressError(f"{path}: {unknown_name('field', name, FIELDS)}")
        if isinstance(value, bool) or not isinstance(value, FIELDS[name]):
            kind = "a whole number" if FIELDS[name] is int else "text; put it in quotes"
            raise StoreAddressError(f"{path}: {name} must be {kind}")
    has_uri = "uri" in content
    if has_uri == ("host" in content):
        raise StoreAddressError(f"{path}: give either uri or host")
    if has_uri and (twice := sorted({"port", "username", "password", "auth_source"} & {*content})):
        raise StoreAddressError(f"{path}: {', '.join(twice)} belong into the uri, or use host")
    if {"password", "password_env"} <= {*content}:
        raise StoreAddressError(f"{path}: give either password or password_env")
    if {"password", "password_env"} & {*content} and not has_uri and "username" not in content:
        raise StoreAddressError(f"{path}: a password without a username")
    return StoreFile(_address_of(path, content), content.get("collection_prefix", ""))


def _read_yaml(path: Path) -> dict[str, Any]:
    content = read_structured(path, StoreAddressError)
    if not isinstance(content, dict):
        raise StoreAddressError(f"{path}: must hold fields, such as uri: mongodb://host/database")
    return content


def _address_of(path: Path, content: Mapping[str, Any]) -> MongoAddress:
    reason = None
    try:
        password_env = content.get("password_env", PASSWORD_ENV)
        if "uri" in content:
            return MongoAddress(content["uri"], password_env, content.get("database"))
        database = content.get("database", DEFAULT_DATABASE)
        username = content.get("username")
        options = {"authSource": content.get("auth_source", database)} if username else {}
        return MongoAddress.of(
            content["host"],
            content.get("port", 27017),
            database=database,
            username=username,
            password=content.get("password"),
            password_env=password_env,
            options=options,
        )
    except StoreAddressError as error:
        reason = str(error)
    raise StoreAddressError(f"{path}: {reason}")


def jobflow_store() -> JobStore:
    """The job store of jobflow's settings.

    Raises
    ------
    StoreAddressError
        If the settings cannot be read. The message repeats no value of them.
    """
    try:
        return JobflowSettings().JOB_STORE
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, found["loc"])) for found in error.errors())
        reason = f"{fields or 'they'} cannot be used"
    except Exception as error:  # noqa: BLE001 - reading a file and making stores raise many types
        reason = type(error).__name__
    raise StoreAddressError(f"jobflow's settings cannot be read ({reason}); {MEND}")


def address_of(store: Store) -> tuple[MongoAddress, dict[str, Any]]:
    """Address of a MongoDB store of maggma, and what else its client is given.

    Raises
    ------
    StoreAddressError
        If it is none, or reached through a tunnel.
    """
    if not isinstance(store, MongoStore | GridFSStore) or isinstance(store, MemoryStore):
        raise StoreAddressError(
            f"the job store of jobflow's settings is a {type(store).__name__}, beside which there "
            f"is no place for collections; {MEND}"
        )
    if isinstance(store, MongoDocuments | MongoBlobs):
        return store.address, store.mongoclient_kwargs
    if store.ssh_tunnel is not None:
        raise StoreAddressError(
            "the job store of jobflow's settings uses ssh_tunnel; open the tunnel yourself "
            "(ssh -L) and give its local port as host and port"
        )
    given = {key.lower(): (key, value) for key, value in store.mongoclient_kwargs.items()}
    rest = dict(v for k, v in given.items() if k not in {*_OF_THE_USER, *_FOR_THE_URI})
    options = {name: str(given[key][1]) for key, name in _FOR_THE_URI.items() if key in given}
    if store.uri is not None and not ({"username", "password"} & {*given}):
        if not options:
            return MongoAddress(store.uri, database=store.database), rest
        joint = "&" if "?" in store.uri else "?" if "/" in store.uri.partition("://")[2] else "/?"
        uri = store.uri + joint + "&".join(f"{k}={v}" for k, v in options.items())
        return MongoAddress(uri, database=store.database), rest
    username = store.username or given.get("username", ("", None))[1]
    password = store.password or given.get("password", ("", None))[1]
    if username and store.auth_source:
        options.setdefault("authSource", store.auth_source)
    address = MongoAddress.of(
        store.uri or store.host,
        store.port,
        database=store.database,
        username=username,
        password=password or None,
        options=options,
    )
    return address, rest


def guarded(job_store: JobStore) -> JobStore:
    """The same job store whose MongoDB stores do not write their passwords anywhere."""
    held: Any = job_store  # its own types are those of MSONable's methods of the same names
    documents = held.docs_store
    address, client = address_of(documents)
    more = {
        name: _guarded_blobs(store) if type(store) is GridFSStore else store
        for name, store in held.additional_stores.items()
    }
    kept = MongoDocuments(
        address.database,
        documents.collection_name,
        address.complete,
        password_env=address.password_env,
        mongoclient_kwargs=client,
    )
    return JobStore(kept, additional_stores=more, save=held.save, load=held.load)


def _guarded_blobs(store: GridFSStore) -> MongoBlobs:
    address, client = address_of(store)
    return MongoBlobs(
        address.database,
        store.collection_name,
        address.complete,
        password_env=address.password_env,
        mongoclient_kwargs=client,
        searchable_fields=sorted({*store.searchable_fields} - {"job_uuid", "job_index"}),
        compression=store.compression,
        ensure_metadata=store.ensure_metadata,
    )


def embedded_folder(store: Store) -> Path | None:
    """Folder of an embedded store, or of maggma's with montydb; None for any other."""
    if isinstance(store, EmbeddedStore):
        return Path(store.database_path)
    if isinstance(store, MontyStore) and store.storage == "sqlite":
        return Path(store.database_path) if store.database_name == "db" else None
    return None


def require_data(job_store: JobStore) -> None:
    """Refuse a job store that would lose large objects after a job has run.

    Raises
    ------
    StoreAddressError
        If it has no additional store named ``data``.
    """
    held: Any = job_store
    if type(held.docs_store) is MemoryStore:
        raise StoreAddressError(
            f"jobflow's settings name no job store (its default is lost with the process); {MEND}"
        )
    if DATA not in dict(held.additional_stores):
        raise StoreAddressError(
            f"the job store of jobflow's settings has no additional store named {DATA}, which "
            "large arrays and models need; add additional_stores: data: type: GridFSStore … "
            "beside docs_store"
        )
