"""Categories of jobs, by which workers of a workflow manager choose them.

Every job of this package bears a category, as FireWorks' ``_category``; those of an engine take
the engine's. A worker that names categories takes only these, one that names none takes all.
`run_locally` does not look at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobflow import CURRENT_JOB, Flow, Job

from atomate2_vogen.engines.base import CATEGORY, DFT, FORCE_FIELD
from atomate2_vogen.jobs.identity import identified_flow

TRAINING, SAMPLING, ANALYSIS = "training", "sampling", "analysis"
CATEGORIES = (TRAINING, SAMPLING, FORCE_FIELD, DFT, ANALYSIS)
"""Data set and networks; crystals; relaxation and phonons with a force field; with density
functional theory; everything that takes seconds, such as records and hulls."""


def place(made: Job | Flow, where: str | Mapping[str, Any], *, inherited: bool = True) -> None:
    """Put a job, or every job of a flow, into a category; in place.

    Parameters
    ----------
    made
        Job or flow.
    where
        Category, or another configuration for the workflow manager (an engine's
        ``manager_config``).
    inherited
        Whether the jobs that it makes when it runs are of the same category. Otherwise they
        keep their own.
    """
    config = {CATEGORY: where} if isinstance(where, str) else dict(where)
    jobs = [made] if isinstance(made, Job) else [job for job, _ in made.iterflow()]
    for job in jobs:
        # a new object: configurations are shared between jobs
        job.config = replace(job.config, manager_config=dict(config), pass_manager_config=inherited)
        if not inherited:
            # the job that jobflow adds to hand on the output of what was made
            job.update_config({"manager_config": dict(config)}, name_filter="store_inputs")


def replacement(made: Flow, *, shared: bool = False) -> Job | Flow:
    """Flow that the running job replaces itself by.

    Its jobs of the category analysis get the configuration of the running job. A second run of the
    job makes jobs with the same identifiers. Outside of a job, where its function is called
    directly, the flow stays as it is.

    Parameters
    ----------
    made
        The flow.
    shared
        Whether another job that makes the same jobs makes these very jobs, which a manager need
        not run again. Otherwise their identifiers depend on the running job.
    """
    current = CURRENT_JOB.job
    if current is None:
        return made
    configuration = current.config.manager_config
    for job, _ in made.iterflow():
        if configuration and job.config.manager_config == {CATEGORY: ANALYSIS}:
            job.config = replace(job.config, manager_config=dict(configuration))
    return identified_flow(made, "" if shared else current.uuid)
