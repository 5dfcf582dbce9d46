"""Flows to FireWorks: each once, its jobs to the workers that can run them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomate2_vogen.engines.base import CATEGORY
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.launchpads import reaching
from atomate2_vogen.jobs.identity import identify
from atomate2_vogen.jobs.placement import CATEGORIES

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow
    from jobflow import Flow, Job, JobStore

IDENTITY = "vogen_flow"
"""Name of the flow's identity in the metadata of its workflow."""


@dataclass(frozen=True)
class Submission:
    """What became of a submission.

    Parameters
    ----------
    identity
        Of the flow: a hash of what it is asked to do.
    fw_ids
        Fireworks of its workflow.
    new
        Whether it was added now; False where the same flow was there already.
    categories
        Jobs by category, as far as they exist; others are made when the flow runs.

    Examples
    --------
    >>> from atomate2_vogen.flows import Submission
    >>> submission = Submission("a1b2", fw_ids=(7, 8), new=True, categories={"sampling": 2})
    >>> submission.fw_ids
    (7, 8)
    """

    identity: str
    fw_ids: tuple[int, ...]
    new: bool
    categories: Mapping[str, int]


def submit(
    flow: Flow | Job,
    launchpad: LaunchPad,
    *,
    store: JobStore | None = None,
    categories: Mapping[str, str | Mapping[str, Any]] | None = None,
    allow_external_references: bool = False,
) -> Submission:
    """Add a flow to a LaunchPad, unless the same flow is there.

    Two flows are the same if they are asked to do the same: sampler, counts, seed, engine,
    structures, settings. Where their jobs run makes no difference. The second one adds nothing.

    Parameters
    ----------
    flow
        Of this package, or any other of jobflow's. The functions of its jobs must be importable
        by the workers; nothing of a script itself is.
    launchpad
        Open; see `open_launchpad`.
    store
        Job store that the workers write to, e.g. ``VogenStores.open(uri).job_store``, which
        carries no password. None for that of jobflow's settings on each worker.
    categories
        Other names for the categories of `jobs.placement.CATEGORIES`, or what else FireWorks is
        to be told about their jobs, for example ``{"dft": {"_fworker": "cluster"}}``. Jobs that
        are made when the flow runs are told the same.
    allow_external_references
        Whether jobs may read what jobs of other flows left in the store.

    Raises
    ------
    InputError
        If there is no such category.
    LaunchPadConnectionError
        If the database does not answer or refuses.
    """
    from jobflow.managers.fireworks import flow_to_workflow
    from pymongo.errors import DuplicateKeyError

    prepared, identity = prepare_flow(flow, categories)
    with reaching(launchpad):
        launchpad.workflows.create_index(f"metadata.{IDENTITY}", unique=True, sparse=True)
        if (there := _found(launchpad, identity)) is not None:
            return there
    workflow = flow_to_workflow(
        prepared,
        store,  # type: ignore[arg-type] # None is that of the worker
        allow_external_references=allow_external_references,
        metadata={IDENTITY: identity},
    )
    with reaching(launchpad):
        try:
            launchpad.add_wf(workflow)
        except DuplicateKeyError:
            # somebody has submitted it at the same moment; FireWorks adds the Fireworks first
            launchpad.fireworks.delete_many({"fw_id": {"$in": list(workflow.id_fw)}})
            there = _found(launchpad, identity)
            if there is None:
                raise
            return there
    return Submission(
        identity, tuple(sorted(workflow.id_fw)), new=True, categories=_counted(workflow)
    )


def prepare_flow(
    flow: Flow | Job, categories: Mapping[str, str | Mapping[str, Any]] | None = None
) -> tuple[Flow | Job, str]:
    """The flow that `submit` adds, for another workflow manager: with identifiers of its content.

    Parameters
    ----------
    flow
        As of `submit`.
    categories
        As of `submit`; for jobflow-remote for example ``{"dft": {"worker": "cluster"}}``.

    Returns
    -------
    flow : Flow or Job
        Another one; its jobs have other uuids.
    identity : str
        The same for all flows that are asked to do the same.

    Raises
    ------
    InputError
        If there is no such category.

    Examples
    --------
    >>> from atomate2_vogen import DiscoveryFlowMaker
    >>> from atomate2_vogen.flows import prepare_flow
    >>> maker = DiscoveryFlowMaker(sampler="substitution")
    >>> (_, first), (_, second) = (prepare_flow(maker.make({"VO2": 2}, seed=1)) for _ in range(2))
    >>> first == second
    True
    """
    from monty.json import MontyDecoder, MontyEncoder

    if unknown := sorted({*(categories or {})} - {*CATEGORIES}):
        raise InputError(
            f"no category {unknown[0]!r}; jobs are of {', '.join(CATEGORIES[:-1])} or "
            f"{CATEGORIES[-1]}"
        )
    text, identity = identify(json.dumps(flow.as_dict(), cls=MontyEncoder))
    content = _renamed(json.loads(text), categories or {})
    made: Flow | Job = MontyDecoder().process_decoded(content)
    return made, identity


def _found(launchpad: LaunchPad, identity: str) -> Submission | None:
    """What is there of a flow."""
    held = launchpad.workflows.find_one({f"metadata.{IDENTITY}": identity}, {"nodes": 1})
    if held is None:
        return None
    numbers: dict[str, int] = {}
    nodes = held["nodes"]
    for firework in launchpad.fireworks.find({"fw_id": {"$in": nodes}}, {f"spec.{CATEGORY}": 1}):
        category = firework.get("spec", {}).get(CATEGORY, "")
        numbers[category] = numbers.get(category, 0) + 1
    return Submission(identity, tuple(sorted(nodes)), new=False, categories=numbers)


def _counted(workflow: Workflow) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for firework in workflow.fws:
        category = firework.spec.get(CATEGORY, "")
        numbers[category] = numbers.get(category, 0) + 1
    return numbers


def _renamed(content: Any, categories: Mapping[str, str | Mapping[str, Any]]) -> Any:
    """JSON in which what managers are told, by jobs and by engines, has other categories."""
    if isinstance(content, list):
        return [_renamed(value, categories) for value in content]
    if not isinstance(content, dict):
        return content
    told = {key: _renamed(value, categories) for key, value in content.items()}
    wanted = categories.get(told[CATEGORY]) if isinstance(told.get(CATEGORY), str) else None
    if wanted is None:
        return told
    if isinstance(wanted, str):
        return {**told, CATEGORY: wanted}
    return {**{key: value for key, value in told.items() if key != CATEGORY}, **wanted}
