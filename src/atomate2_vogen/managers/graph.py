"""Graph of flows that grow while they run: which jobs may start now, and what a failure means.

The rules are those of jobflow's `run_locally`, for jobs that run side by side. A job may start
when each job that it refers to has ended, together with every job that replaced it or that it
made as a detour; what it made as an addition waits for nobody.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobflow import Flow, Job

MADE_BEFORE_CHILDREN = ("replace", "detour")
"""Diversions that the children of a job wait for."""


@dataclass
class Node:
    """A job in the graph.

    Parameters
    ----------
    job
        The job.
    order
        Number of the flow, then the position in it; jobs that may start do so in this order, so
        that the chain of one crystal ends before that of the next begins.
    parents
        Uuids of the jobs that it refers to.
    owner
        The job that made it, if that waits for it.
    n_open
        Number of parents that have not ended.
    n_made
        Number of jobs that it made, that its children wait for and that have not ended.
    has_run
        Whether the job itself has ended.
    attempts
        How often it was started.
    """

    job: Job
    order: tuple[int, ...]
    parents: tuple[str, ...]
    owner: Node | None = None
    children: list[Node] = field(default_factory=list)
    n_open: int = 0
    n_made: int = 0
    has_run: bool = False
    attempts: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """Uuid and index, as in the job store."""
        return self.job.uuid, self.job.index

    @property
    def stage(self) -> str:
        """``metadata["stage"]`` of the job, else its name."""
        return str(self.job.metadata.get("stage", self.job.name))

    @property
    def flow_number(self) -> int:
        """Number of the flow that it belongs to, in the order in which flows were added."""
        return self.order[0]


class Graph:
    """Jobs of flows and of the flows that these jobs make."""

    def __init__(self) -> None:
        self.n_jobs: Counter[str] = Counter()
        """Number of jobs known so far, by stage."""
        self.n_ended: Counter[str] = Counter()
        """Number of those that ended, failed or were skipped."""
        self.n_left: list[int] = []
        """Number of jobs of each flow that have not ended."""
        self.failed: dict[str, str] = {}
        """Reasons by uuid of the jobs that raised."""
        self.skipped: list[Node] = []
        """Jobs that did not run because a job that they need failed or stopped them."""
        self._unusable: set[str] = set()
        self._stopped: set[str] = set()
        self._ready: list[tuple[tuple[int, ...], Node]] = []

    def add(self, flow: Flow) -> int:
        """Add a flow that needs nothing of the others; its number."""
        self.n_left.append(0)
        number = len(self.n_left) - 1
        self._add(flow, (number,), None)
        return number

    def _add(self, flow: Flow, prefix: tuple[int, ...], owner: Node | None) -> None:
        """Add the jobs of a flow, each nested flow in one piece."""
        nodes: dict[str, Node] = {}
        # jobflow's order is by depth: all relaxations of a screening before the first record
        positions = {uuid: position for position, uuid in enumerate(flow.all_uuids)}
        for job, parents in flow.iterflow():
            node = Node(job, (*prefix, positions[job.uuid]), tuple(parents), owner)
            for uuid in parents:
                # a reference to a job outside of this flow is to one that has ended
                if uuid in nodes:
                    nodes[uuid].children.append(node)
                    node.n_open += 1
            nodes[job.uuid] = node
        self.n_jobs.update(node.stage for node in nodes.values())
        self.n_left[prefix[0]] += len(nodes)
        if owner is not None:
            owner.n_made += len(nodes)
        # in two steps: a job without parents may be skipped at once, and ends its children then
        for node in [node for node in nodes.values() if not node.n_open]:
            self._release(node)

    def next(self) -> Node | None:
        """Take the first job that may start, or None if all that is left waits."""
        return heapq.heappop(self._ready)[1] if self._ready else None

    def put_back(self, node: Node) -> None:
        """Let a job that was taken be taken again."""
        heapq.heappush(self._ready, (node.order, node))

    def ended(self, node: Node, made: dict[str, Flow], *, stop_children: bool = False) -> None:
        """Record that a job has ended, with the flows that it made."""
        if stop_children:
            self._stopped.add(node.job.uuid)
        for number, (kind, flow) in enumerate(made.items()):
            owner = node if kind in MADE_BEFORE_CHILDREN else None
            self._add(flow, (*node.order, number), owner)
        self._settle(node)

    def raised(self, node: Node, reason: str) -> None:
        """Record that a job raised; what needs its output is skipped."""
        self.failed[node.job.uuid] = reason
        self._unusable.add(node.job.uuid)
        self._settle(node)

    def _release(self, node: Node) -> None:
        """Make a job whose parents have ended ready, or skip it."""
        from jobflow import OnMissing

        needs_all = node.job.config.on_missing_references == OnMissing.ERROR
        if self._stopped.intersection(node.parents):
            self._stopped.add(node.job.uuid)
        elif needs_all and self._unusable.intersection(node.parents):
            self._unusable.add(node.job.uuid)
        else:
            heapq.heappush(self._ready, (node.order, node))
            return
        self.skipped.append(node)
        self._settle(node)

    def _settle(self, node: Node) -> None:
        """Count a job as ended; release its children, and those of its owners, if nothing keeps them."""
        node.has_run = True
        self.n_ended[node.stage] += 1
        self.n_left[node.flow_number] -= 1
        waiting = [node]
        while waiting:
            done = waiting.pop()
            if not done.has_run or done.n_made:
                continue
            for child in done.children:
                child.n_open -= 1
                if not child.n_open:
                    self._release(child)
            if done.owner is not None:
                done.owner.n_made -= 1
                waiting.append(done.owner)
