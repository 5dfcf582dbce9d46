"""Links from documents to the jobs that they were made from."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from atomate2_vogen.errors import InputError, MissingTaskError
from atomate2_vogen.schemas.base import VogenDoc


class JobLink(BaseModel):
    """Identifiers of one job in jobflow's job store.

    Examples
    --------
    >>> JobLink(uuid="6ba7b812-9dad-11d1-80b4-00c04fd430c8", index=1).index
    1
    """

    uuid: str
    index: int | None = Field(
        None,
        description="number of the output that was read: 2 where a flow replaced the job; None "
        "where there was none, or where the worker has no access to the store: the last one",
    )


class JobLinks(BaseModel):
    """Links to the jobs that something was made from."""

    main_stage: ClassVar[str] = "static"

    jobs: dict[str, JobLink] = Field(
        default_factory=dict, description="jobs with the calculations, by stage"
    )

    def task(self, store: Any, stage: str | None = None, *, load: bool = True) -> Any:
        """Task document that atomate2 made of a calculation.

        Parameters
        ----------
        store
            `VogenStores`, or the `JobStore` that the flow ran with.
        stage
            Key of `jobs`. The default is ``static``, the calculation that the energy is from, or
            ``phonons`` of a `PhononDoc`.
        load
            Whether to read large objects, such as bands, from the additional stores.

        Returns
        -------
        object
            The document as the job returned it, such as atomate2's `ForceFieldTaskDocument` or
            emmet's `TaskDoc`.

        Raises
        ------
        InputError
            If the document has no job of this stage.
        MissingTaskError
            If the store does not hold its output, or the job failed and left none.
        """
        stage = stage or self.main_stage
        if stage not in self.jobs:
            stages = ", ".join(sorted(self.jobs)) or "none: it was made by an earlier version"
            raise InputError(f"no job of stage {stage!r} is linked; linked stages: {stages}")
        return task_of(store, self.jobs[stage], stage, load=load)


class LinkedDoc(VogenDoc, JobLinks):
    """Document with links to the jobs that it was made from."""


def task_of(store: Any, link: JobLink, stage: str, *, load: bool = True) -> Any:
    """Task document of a linked job; arguments and errors as of `LinkedDoc.task`."""
    from monty.json import MontyDecoder

    job_store = getattr(store, "job_store", store)
    try:
        output = job_store.get_output(link.uuid, which=link.index or "last", load=load)
    except ValueError as error:
        raise MissingTaskError(
            f"no output of the {stage} job {link.uuid} in this job store; give the store that "
            "the flow ran with"
        ) from error
    task = MontyDecoder().process_decoded(output)
    # by name: the class belongs to the jobs, which documents know nothing of
    if type(task).__name__ == "JobFailure":
        raise MissingTaskError(f"the {stage} job {link.uuid} failed: {task.error}")
    return task
