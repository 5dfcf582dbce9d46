"""The same flow leaves the same documents under every manager."""

from __future__ import annotations

import contextlib

import cheap_engine
import loop_engine
import pytest
import toy_engines
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import run_locally
from sampler_job import GridSampleMaker

from atomate2_vogen.engines.references import ReferencePhase
from atomate2_vogen.flows import (
    DiscoveryFlowMaker,
    ElectronicFlowMaker,
    EvaluateMaker,
    PhononFlowMaker,
    ReferencesFlowMaker,
    ScreeningFlowMaker,
    submit,
)
from atomate2_vogen.managers import run_parallel
from atomate2_vogen.stores import VogenStores

VARYING = {
    *("last_updated", "calculation_updated", "wall_time", "cpu_time", "cpu_seconds"),
    *("uuid", "dir_name", "completed_at", "finds_per_cpu_hour", "judge_cpu_time", "elapsed_time"),
    *("_id", "blob_uuid", "hosts", "jobs", "tasks"),
}
"""Keys whose values differ from run to run: times, identifiers, folders."""

COLLECTIONS = ("candidates", "calculations", "references", "electronic", "phonons", "stability")


def discovery():
    """All stages; one formula fails to relax."""
    return DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
        electronic=ElectronicFlowMaker(engine=toy_engines.toy_dft()),
        phonons=PhononFlowMaker(engine=toy_engines.lj(), supercell=(1, 1, 1)),
        threshold=10.0,
    ).make({"VO2": 2, "V2O3": 1}, seed=0)


def closed_loop():
    """Two rounds of evolution, the second of which has parents of the first."""
    return loop_engine.loop(threshold=0.3).make({"V3O7": 2}, seed=1)


def evaluation():
    crystals = [cheap_engine.candidate("VO2", index) for index in range(2)]
    maker = EvaluateMaker(engine=cheap_engine.engine(), references=cheap_engine.references())
    return maker.make(crystals)


def screening():
    crystals = [cheap_engine.crystal("VO2"), cheap_engine.crystal("V2O5")]
    return ScreeningFlowMaker(engine=cheap_engine.engine()).make(crystals)


def references():
    phases = [
        ReferencePhase(name, cheap_engine.crystal(name, edge), 0.0)
        for name, edge in (("V", 2.2), ("O2", 2.8), ("VO", 2.8))
    ]
    return ReferencesFlowMaker(engine=cheap_engine.engine()).make(phases)


def electronic():
    return ElectronicFlowMaker(engine=toy_engines.toy_dft()).make([cheap_engine.crystal("VO2")])


def phonons():
    maker = PhononFlowMaker(engine=toy_engines.lj(), supercell=(1, 1, 1))
    return maker.make([toy_engines.fcc()])


def comparable(content):
    """Content without what varies; numbers to nine digits, as processes round differently."""
    if isinstance(content, dict):
        return {key: comparable(value) for key, value in content.items() if key not in VARYING}
    if isinstance(content, list | tuple):
        return [comparable(value) for value in content]
    # as text: NaN, which a failed calculation may leave, differs from itself
    return f"{content:.9g}" if isinstance(content, float) else content


def documents(stores):
    """Everything that the flow left in the collections, and the outputs of its jobs by name."""
    stores.ingest_jobs()
    found = {}
    for name in COLLECTIONS:
        store = getattr(stores, name)
        found[name] = sorted((comparable(d) for d in store.query({})), key=lambda d: d[store.key])
    rounds = stores.job_store.query({"output.@class": "RoundDoc"}, ["output"], load=True)
    found["rounds"] = sorted((comparable(d["output"]) for d in rounds), key=lambda d: d["number"])
    jobs = stores.job_store.query({}, ["name", "index"], load=False)
    found["jobs"] = sorted((job["name"], job["index"]) for job in jobs)
    return found


def locally(flow, folder):
    with VogenStores.open(folder / "locally", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, create_folders=True, log=False)
        return documents(stores)


def in_parallel(flow, folder):
    with VogenStores.open(folder / "parallel", create=True) as stores:
        run_parallel(flow, stores.job_store, workers=2, folder=folder / "jobs")
        return documents(stores)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [discovery, closed_loop, evaluation, screening, references, electronic, phonons],
    ids=lambda f: f.__name__,
)
def test_documents_are_the_same_under_every_manager(make, tmp_path, launchpad, stores):
    first = locally(make(), tmp_path)
    assert any(first[name] for name in COLLECTIONS)
    assert in_parallel(make(), tmp_path) == first
    submit(make(), launchpad, store=stores.job_store)
    with contextlib.chdir(tmp_path):
        rapidfire(launchpad, FWorker(), sleep_time=0.01, strm_lvl="ERROR")
    assert documents(stores) == first
