"""Files in the job store's `data` store, where jobs on any host find them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from jobflow import OutputReference
from jobflow.core.schemas import JobStoreDocument
from monty.json import jsanitize

from atomate2_vogen.schemas import Artefact

if TYPE_CHECKING:
    from jobflow import JobStore


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
    document = JobStoreDocument(
        uuid=name,
        index=1,
        output=jsanitize({"artefact": artefact}, strict=True, enum_values=True, allow_bson=True),
        completed_at=datetime.now().isoformat(),  # noqa: DTZ005 - as jobflow writes it
        metadata={"stage": "artefact"},
        hosts=[],
        name=artefact.filename,
    )
    if job_store.query_one({"uuid": name}, ["uuid"]) is None:
        job_store.update(document, key=["uuid", "index"], save={"data": ["artefact"]})
    reference: OutputReference = OutputReference(name)["artefact"]
    return reference
