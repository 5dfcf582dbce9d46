"""Every job bears a category, and so does every job that it makes."""

from __future__ import annotations

import cheap_engine
import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore
from sampler_job import GridSampleMaker
from toy_engines import fcc, lj, toy_dft

from atomate2_vogen.engines import load_engine
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs import screening, tolerance
from atomate2_vogen.jobs.placement import ANALYSIS, CATEGORIES, SAMPLING, place


def run_all(flow):
    """Run a flow; categories of all its jobs, also of those made on the way, by job name."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    found: dict[str, set] = {}

    def run(flow):
        for job, _ in flow.iterflow():
            found.setdefault(job.name.split(" ")[0], set()).add(
                job.config.manager_config.get("_category")
            )
            response = job.run(store)
            if response.replace is not None:
                run(response.replace)

    run(flow)
    return found


def test_discovery_with_all_its_jobs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    from dataclasses import replace

    flow = DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
        electronic=ElectronicFlowMaker(
            engine=replace(toy_dft(), manager_config={"_category": "dft", "_fworker": "cluster"})
        ),
        threshold=9.0,
    ).make({"VO2": 2})
    found = run_all(flow)
    every = set().union(*found.values())
    assert every == {"sampling", "forcefield", "dft", "analysis"}
    assert every <= set(CATEGORIES)
    assert found["grid"] == {SAMPLING}
    assert found["initial"] == found["relax"] == found["static"] == {"forcefield"}
    assert found["toy"] == {"dft"}
    for light in ("screening", "record", "collect", "summarise", "store_inputs", "electronic"):
        assert found[light] == {ANALYSIS}, light
    # what jobs share has not been written to
    assert screening.TOLERANT.manager_config == tolerance.UNRESOLVED.manager_config == {}


@pytest.mark.slow
def test_displacements_are_of_the_engine(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = run_all(PhononFlowMaker(engine=lj()).make([fcc()]))
    records = {found_in for name in ("phonons", "collect_phonons") for found_in in found.pop(name)}
    assert records == {ANALYSIS}
    assert set().union(*found.values()) == {"forcefield"}
    assert len(found) > 4


def test_references_too():
    flow = ReferencesFlowMaker(engine=cheap_engine.engine()).make()
    found = {job.config.manager_config["_category"] for job, _ in flow.iterflow()}
    assert found == {"forcefield", ANALYSIS}


def test_engines_know_their_category():
    assert load_engine("chgnet").manager_config == {"_category": "forcefield"}


def test_a_place_of_ones_own():
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()])
    place(flow, {"_fworker": "mine"})
    assert {job.config.manager_config["_fworker"] for job, _ in flow.iterflow()} == {"mine"}
    assert all(job.config.on_missing_references.value == "none" for job, _ in flow.iterflow())
