"""Links from documents to the jobs whose outputs they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobflow import CURRENT_JOB, OutputReference

from atomate2_vogen.schemas import JobLink


def job_links(jobs: Mapping[str, str | Any]) -> dict[str, JobLink]:
    """Links of the current job's inputs, with the index of the last output of each.

    Parameters
    ----------
    jobs
        Identifiers of jobs, or references to their outputs, by stage. Other values are left out.

    Returns
    -------
    dict
        Links by stage. They have an index if the current job is configured with
        ``expose_store=True`` and its store holds the outputs.
    """
    uuids = {
        stage: value.uuid if isinstance(value, OutputReference) else value
        for stage, value in jobs.items()
        if isinstance(value, OutputReference | str)
    }
    indices: dict[str, int] = {}
    if CURRENT_JOB.store is not None:
        # the output that a reference resolves to is that of the highest index
        criteria = {"uuid": {"$in": sorted(uuids.values())}}
        for found in CURRENT_JOB.store.query(criteria, properties=["uuid", "index"]):
            indices[found["uuid"]] = max(found["index"], indices.get(found["uuid"], 0))
    return {stage: JobLink(uuid=uuid, index=indices.get(uuid)) for stage, uuid in uuids.items()}
