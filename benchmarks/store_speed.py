"""How fast stores without a server of the user's are: the embedded one, montydb, and SecantusDB.

    python benchmarks/store_speed.py --documents 1000 5000 20000 --out speeds.json

writes stability documents of about 6 kB, with electronic and phonon documents of the best, and
measures what people wait for. Every combination runs in a process of its own. Milliseconds are
wall time; CPU milliseconds, of all processes that take part, depend less on a busy machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import click
import many_documents
import psutil
from jobflow import JobStore
from mongo_server import mongo_uri
from query_speed import QUESTIONS, SHARE_CHARACTERISED, cpu_seconds

from atomate2_vogen.stores import KEYS, VogenStores

ATOMS = 24
"""Atoms of each crystal: its document has about 6 kB."""

STORES = ("embedded", "montydb", "SecantusDB")

UPSERTS = {"embedded": 1000, "SecantusDB": 1000, "montydb": 3}
"""Documents that are written again one by one; times are given for 1,000."""


def montydb_stores(folder: Path) -> VogenStores:
    """The stores as earlier versions had them: maggma's, with montydb."""
    from maggma.stores import MontyStore

    def store(name: str, key: str) -> MontyStore:
        return MontyStore(name, database_path=str(folder), key=key)

    jobs = JobStore(store("jobs", "uuid"), additional_stores={"data": store("data", "blob_uuid")})
    stores = {name: store(name, key) for name, (_, key) in KEYS.items()}
    made = VogenStores(job_store=jobs, data=jobs.additional_stores["data"], **stores)
    made.connect(str(folder))
    return made


@contextmanager
def opener(kind: str, folder: Path) -> Iterator[Callable[[], VogenStores]]:
    """A function that opens the stores."""
    if kind == "SecantusDB":
        os.environ.pop("MONGODB_URI", None)
        with mongo_uri(folder) as uri:
            yield lambda: VogenStores.open(f"{uri}/speed", create=True)
    elif kind == "montydb":
        yield lambda: montydb_stores(folder)
    else:
        yield lambda: VogenStores.open(folder, create=True)


class Clock:
    """Wall and CPU milliseconds of calls, by name."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def __call__(self, name: str, call: Callable[[], Any], repeats: int, scale: float = 1) -> Any:
        """Call, and keep the median; the last result."""
        walls, result, before = [], None, cpu_seconds(None)
        for _ in range(repeats):
            begin = time.perf_counter()
            result = call()
            walls.append(time.perf_counter() - begin)
        cpu = (cpu_seconds(None) - before) / repeats
        self.found[name] = {
            "ms": round(1000 * scale * statistics.median(walls), 2),
            "cpu_ms": round(1000 * scale * cpu, 2),
            "repeats": repeats,
        }
        click.echo(f"  {name}: {self.found[name]}", err=True)
        return result


def measure(kind: str, n: int) -> dict[str, Any]:
    """One store with n documents."""
    documents = list(many_documents.stability(n, atoms=ATOMS))
    ranked = sorted(
        (d for d in documents if d["state"] == "ranked"), key=lambda d: d["energy_above_hull"]
    )
    best = ranked[: int(SHARE_CHARACTERISED * n)]
    few = 1 if kind == "montydb" else 15
    clock, rows = Clock(), {}
    with tempfile.TemporaryDirectory() as name, opener(kind, Path(name)) as opened:
        stores = opened()
        clock("insert all", lambda: stores.stability._collection.insert_many(documents), 1)
        stores.electronic._collection.insert_many(list(many_documents.electronic(best)))
        stores.phonons._collection.insert_many(list(many_documents.phonons(best)))
        stores.close()
        stores = clock("open", opened, 1 if kind == "montydb" else 5)
        asked = itertools.cycle(d["stability_id"] for d in documents[:: max(1, n // 100)])
        clock(
            "by key",
            lambda: stores.stability.query_one({"stability_id": next(asked)}),
            1 if kind == "montydb" else 200,
        )
        for question, conditions in QUESTIONS.items():
            rows[question] = len(
                clock(question, lambda asked=conditions: stores.query(**asked), few)
            )
        again = documents[: UPSERTS[kind]]
        clock(
            "1,000 upserts",
            lambda: [stores.stability.update(d, key="stability_id") for d in again],
            1,
            1000 / len(again),
        )
        assert stores.stability.count({}) == n
        stores.close()
        # a server's address is of no use to others here, and montydb is no store of ours any more
        command = ask_on_the_command_line(Path(name)) if kind == "embedded" else None
    return {
        "store": kind,
        "documents": n,
        "bytes_per_document": _size(documents[:100]),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "vogen_query": command,
        "rows": rows,
        "times": clock.found,
    }


def ask_on_the_command_line(folder: Path) -> dict[str, float]:
    """Wall and CPU seconds and peak memory in MB of ``vogen query``, start of Python included."""
    question = ["--formula", "VO2", "--max-hull", "0.05", "--unique", "--novel", "--limit", "20"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    measured = subprocess.run(
        [sys.executable, "-c", PEAK, "query", folder, *question],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wall = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    peak = int(measured.stderr.rpartition("VmHWM:")[2].split()[0]) / 1024
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": round(peak)}


# getrusage would tell the peak of the process that started it, if that is higher
PEAK = """
import atexit, sys
from pathlib import Path
from atomate2_vogen.cli.main import main
atexit.register(lambda: sys.stderr.write(Path("/proc/self/status").read_text()))
main()
"""
"""Run the command line, and tell the peak memory at the end."""


def _size(documents: list[dict[str, Any]]) -> int:
    import bson

    return sum(len(bson.encode(d)) for d in documents) // len(documents)


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    """Lines: one measured thing each, a column for each store and number of documents."""
    heads = [f"{r['store']} {r['documents']}" for r in results]
    yield f"{'wall ms (CPU ms)':40s}" + "".join(f"{head:>24s}" for head in heads)
    for name in results[0]["times"]:
        cells = [r["times"][name] for r in results]
        yield f"{name:40s}" + "".join(
            f"{c['ms']:>13.1f} ({c['cpu_ms']:.1f})".rjust(24) for c in cells
        )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--out", type=Path, help="JSON; what it holds already is kept")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        click.echo(json.dumps(measure(options.stores[0], options.documents[0])))
        return
    results: list[dict[str, Any]] = []
    if options.out and options.out.is_file():
        results = json.loads(options.out.read_text(encoding="utf-8"))["results"]
    for n, kind in itertools.product(options.documents, options.stores):
        click.echo(f"{kind}, {n} documents", err=True)
        command = [sys.executable, __file__, "--one", "--stores", kind, "--documents", str(n)]
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results = [r for r in results if (r["store"], r["documents"]) != (kind, n)]
        results.append(json.loads(made.stdout))
        results.sort(key=lambda r: (r["documents"], STORES.index(r["store"])))
        if options.out:
            content = {
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "montydb": version("montydb"),
                "secantusdb": version("secantusdb"),
                "cores": psutil.cpu_count(),
                "load": [round(value, 1) for value in os.getloadavg()],
                "results": results,
            }
            options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    click.echo("\n".join(table(results)))


if __name__ == "__main__":
    main()
