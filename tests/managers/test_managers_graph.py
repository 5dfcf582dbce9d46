"""Jobs start in an order that jobflow allows, whatever order they end in."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings
from jobflow import Flow, JobConfig, OnMissing, job

from atomate2_vogen.managers.graph import Graph


@job
def node(*_):
    return 1


@st.composite
def flows(draw, depth=2):
    """A flow of jobs that need earlier ones, and what each job does when it runs."""
    jobs, deeds = [], {}
    for _ in range(draw(st.integers(1, 5))):
        parents = draw(st.lists(st.sampled_from(jobs), unique=True)) if jobs else []
        one = node(*[parent.output for parent in parents])
        if draw(st.booleans()):
            one.config = JobConfig(on_missing_references=OnMissing.NONE)
        kinds = ["end", "end", "raise", "stop"] + ["replace", "detour", "addition"] * (depth > 0)
        kind = draw(st.sampled_from(kinds))
        made = draw(flows(depth=depth - 1)) if kind in {"replace", "detour", "addition"} else None
        deeds[one.uuid] = kind, made
        jobs.append(one)
    return Flow(jobs), deeds


def run(flow, deeds, data):
    """Run with any number of workers that end in any order; uuids in order of start and of end."""
    graph, started, ended, running = Graph(), [], [], []
    graph.add(flow)
    deeds = dict(deeds)
    while True:
        while (one := graph.next()) is not None:
            # what it needs must have ended before
            started.append(one.job.uuid)
            over = {*ended, *(skipped.job.uuid for skipped in graph.skipped)}
            assert {*one.parents} <= over, "a parent still runs"
            running.append(one)
        if not running:
            return graph, started
        one = running.pop(data.draw(st.integers(0, len(running) - 1)))
        kind, made = deeds[one.job.uuid]
        flows = {}
        if made is not None:
            flows[kind] = made[0]
            deeds |= made[1]
        ended.append(one.job.uuid)
        if kind == "raise":
            graph.raised(one, "raised")
        else:
            graph.ended(one, flows, stop_children=kind == "stop")


def expected(flow, deeds):
    """What runs by jobflow's rules, one job after the other (`jobflow.run_locally`)."""
    ran, errored, stopped = set(), set(), set()

    def go(flow, deeds):
        for one, parents in flow.iterflow():
            if stopped & {*parents}:
                stopped.add(one.uuid)
                continue
            needs_all = one.config.on_missing_references == OnMissing.ERROR
            if errored & {*parents} and needs_all:
                errored.add(one.uuid)
                continue
            ran.add(one.uuid)
            kind, made = deeds[one.uuid]
            if kind == "raise":
                errored.add(one.uuid)
            if kind == "stop":
                stopped.add(one.uuid)
            if made is not None:
                go(*made)

    go(flow, deeds)
    return ran


@settings(max_examples=150, deadline=None)
@given(flows(), st.data())
def test_what_runs_is_what_run_locally_runs_and_parents_come_first(made, data):
    flow, deeds = made
    graph, started = run(flow, deeds, data)
    assert len(started) == len(set(started))
    assert set(started) == expected(flow, deeds)
    assert graph.n_jobs.total() == len(started) + len(graph.skipped)
    assert graph.n_left == [0]


def test_children_wait_for_what_replaced_their_parent():
    first, inner = node(), node()
    child = node(first.output)
    graph = Graph()
    graph.add(Flow([first, child]))
    one = graph.next()
    graph.ended(one, {"replace": Flow([inner])})
    assert graph.next().job is inner
    assert graph.next() is None


def test_the_chain_of_one_crystal_ends_before_the_next_begins():
    chains = []
    for _ in range(3):
        first = node()
        chains += [first, node(first.output)]
    graph = Graph()
    graph.add(Flow(chains))
    order = []
    while (one := graph.next()) is not None:
        order.append(one.job.uuid)
        graph.ended(one, {})
    assert len(order) == 6
    assert all(
        order.index(after.uuid) - order.index(before.uuid) == 1
        for before, after in zip(chains[::2], chains[1::2], strict=True)
    )


def test_it_does_also_where_all_need_one_job_and_one_needs_all():
    """As in a screening: what collects the crystals at the end joins their chains."""
    root = node()
    chains, ends = [], []
    for _ in range(3):
        first = node(root.output)
        last = node(first.output)
        chains.append(Flow([first, last], output=last.output))
        ends.append(last.output)
    collect = node(*ends)
    graph = Graph()
    graph.add(Flow([root, Flow([*chains, collect], output=collect.output)]))
    order = []
    while (one := graph.next()) is not None:
        order.append(one.job.uuid)
        graph.ended(one, {})
    jobs = [job.uuid for chain in chains for job in chain.jobs]
    assert order == [root.uuid, *jobs, collect.uuid]
