"""Very many crystals through one discovery flow on MongoDB: the largest document of each kind.

Run with ``python benchmarks/discover_many.py --crystals 20000 --out FILE``. Crystals and
energies cost nothing (`instant_engine`); everything else is what users run: the flow, its jobs,
and a job store on a MongoDB server (`mongo_server`), which refuses documents above 16 MiB.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import bson
import instant_engine
import pymongo
from bson.raw_bson import RawBSONDocument
from cheap_engine import references
from fireworks.core.firework import FWAction
from jobflow import Flow
from jobflow.managers.fireworks import flow_to_workflow
from mongo_server import mongo_uri

from atomate2_vogen.flows import DiscoveryFlowMaker
from atomate2_vogen.schemas import DiscoveryDoc
from atomate2_vogen.stores import VogenStores, parse

MEASURED = 40
"""Flows of which the sizes as FireWorks keeps them are measured: all of the first levels."""


class Runner:
    """Runs jobs one after the other, and notes how large they are."""

    def __init__(self, stores: VogenStores) -> None:
        self.stores = stores
        self.jobs: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.firework = self.action = self.measured = 0

    def run(self, flow: Flow) -> None:
        """All jobs of a flow and those that they make."""
        for job, _ in flow.iterflow():
            kind = (job.metadata.get("stage") or job.name).split(" part")[0]
            begin = time.perf_counter()
            response = job.run(self.stores.job_store)
            self.seconds[kind] += time.perf_counter() - begin
            self.jobs[kind] += 1
            total = sum(self.jobs.values())
            if total % 2000 == 0:
                click.echo(f"{total} jobs, {_memory()} MiB", err=True)
            if response.replace is not None:
                self.measure(response.replace)
                self.run(response.replace)

    def measure(self, flow: Flow) -> None:
        """Sizes of a flow that a job made, as FireWorks writes it into its database."""
        self.measured += 1
        if self.measured > MEASURED:
            return
        workflow = flow_to_workflow(flow, self.stores.job_store)
        action = FWAction(detours=[workflow]).to_dict()
        self.action = max(self.action, len(bson.encode(action)))
        sizes = [len(bson.encode(firework.to_db_dict())) for firework in workflow.fws]
        self.firework = max(self.firework, *sizes)


def _memory() -> int:
    """Peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def largest_documents(uri: str) -> dict[str, dict[str, int]]:
    """Number of documents, largest and whole size in bytes, by collection."""
    found = {}
    with pymongo.MongoClient(uri, document_class=RawBSONDocument) as client:
        database = client.get_default_database()
        for name in sorted(database.list_collection_names()):
            sizes = [len(document.raw) for document in database[name].find()]
            if sizes:
                found[name] = {"count": len(sizes), "largest": max(sizes), "all": sum(sizes)}
    return found


def discover(crystals: int, uri: str) -> dict[str, Any]:
    """One run; what was measured."""
    each, rest = divmod(crystals, len(instant_engine.FORMULAS))
    counts = {f: each + (i < rest) for i, f in enumerate(instant_engine.FORMULAS)}
    flow = DiscoveryFlowMaker(
        sampler=instant_engine.InstantSampleMaker(),
        engine=instant_engine.engine(),
        references=references(instant_engine.SCHEME),
        refine=None,  # its energies change at random with the cell: there is nothing to refine
    ).make({formula: count for formula, count in counts.items() if count})
    with VogenStores.open(uri, create=True) as stores:
        runner = Runner(stores)
        runner.measure(flow)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        runner.run(flow)
        wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        output = stores.job_store.get_output(flow.output.uuid, load=True)
        document = parse(DiscoveryDoc, output)
        written = stores.ingest_jobs()
        calculated = document.n_calculated
        ids = {judged.candidate_id for judged in document.stability}
    return {
        "crystals": crystals,
        "n_candidates": document.n_candidates,
        "n_calculated": calculated,
        "n_stability": len(document.stability),
        "n_distinct_ids": len(ids),
        "states": Counter(judged.state.value for judged in document.stability),
        "ingested": {name: count for name, count in written.items() if count},
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "peak_mib": _memory(),
        "jobs": dict(runner.jobs),
        "seconds": {kind: round(value, 1) for kind, value in runner.seconds.items()},
        "largest_firework": runner.firework,
        "largest_action": runner.action,
        "collections": largest_documents(uri),
    }


@click.command()
@click.option("--crystals", default=[20_000], multiple=True, help="Crystals of a run.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
def main(crystals: tuple[int, ...], out: Path) -> None:
    """Measure each number of crystals in a database of its own."""
    rows = []
    load = [round(value, 1) for value in os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder, mongo_uri(Path(folder)) as server:
        for number in crystals:
            rows.append(discover(number, f"{server.rstrip('/')}/many_{number}"))
            content = {
                "date": datetime.now(UTC).date().isoformat(),
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "load_before": load,
                "rows": rows,
            }
            out.write_text(json.dumps(content, indent=1) + "\n")
            click.echo(json.dumps(rows[-1]))


if __name__ == "__main__":
    main()
