"""What lies in the job store's `data` store without a job, where jobs on any host find it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobflow import OutputReference
from jobflow.core.schemas import JobStoreDocument
from monty.json import jsanitize

from atomate2_vogen.schemas import Artefact

if TYPE_CHECKING:
    from jobflow import JobStore


def keep(
    job_store: JobStore,
    identifier: str,
    content: Mapping[str, Any],
    *,
    name: str,
    metadata: dict[str, Any],
) -> None:
    """Put fields where the output of a job would be, each of them into the `data` store.

    Parameters
    ----------
    job_store
        Connected.
    identifier
        The uuid of the job; what is there already is replaced.
    content
        Fields.
    name, metadata
        For those who look into the store.
    """
    document = JobStoreDocument(
        uuid=identifier,
        index=1,
        output=jsanitize(content, strict=True, enum_values=True, allow_bson=True),
        completed_at=datetime.now().isoformat(),  # noqa: DTZ005 - as jobflow writes it
        metadata=metadata,
        hosts=[],
        name=name,
    )
    fields: Any = [["output", field] for field in content]
    job_store.update(document, key=["uuid", "index"], save={"data": fields})


def keep_artefact(job_store: JobStore, artefact: Artefact) -> OutputReference:
    """Put a file into the `data` store; what a job is given instead of the file.

    A Firework holds the arguments of its job and may have 16 MB at most; networks have more.

    Parameters
    ----------
    job_store
        Connected; the one that the workers use.
    artefact
        The file, as `make_artefact` gives it. The same file is kept once.

    Returns
    -------
    OutputReference
        To the file. The flow needs ``allow_external_references=True``.
    """
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"artefact {artefact.sha256}"))
    if job_store.query_one({"uuid": name}, ["uuid"]) is None:
        content = {"artefact": artefact}
        keep(job_store, name, content, name=artefact.filename, metadata={"stage": "artefact"})
    reference: OutputReference = OutputReference(name)["artefact"]
    return reference
