"""How long the README's questions take on many documents, and what the server reads for them.

    python benchmarks/query_speed.py --documents 100000

starts a server of its own, or takes the one that MONGODB_URI names, writes the documents into a
database of that name, asks each question, and prints a table. `--out` writes the same as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import click
import many_documents
import pymongo
from explained import reads, scans
from mongo_server import mongo_uri

from atomate2_vogen.stores import VogenStores, document_stores

SHARE_CHARACTERISED = 0.02
BATCH = 2000

QUESTIONS = {
    "new VO2 near the hull": {
        "formula": "VO2",
        "max_hull": 0.05,
        "unique": True,
        "novel": True,
        "limit": 20,
    },
    "half-metallic V2O3 near the hull": {
        "formula": "V2O3",
        "half_metal": True,
        "max_hull": 0.1,
        "limit": 20,
    },
    "dynamically stable V2O5, gap 0.5 to 2 eV": {
        "formula": "V2O5",
        "stable_phonons": True,
        "min_gap": 0.5,
        "max_gap": 2.0,
        "limit": 20,
    },
    "rutile type near the hull": {"space_group": 136, "max_hull": 0.1, "limit": 20},
    "on the hull, by one model": {"model_id": "model7", "max_hull": 0.0, "limit": 20},
}
"""The README's questions, as `VogenStores.query` takes them."""

WIDE = {
    "half metals of every formula": {"half_metal": True, "max_hull": 0.1, "limit": 20},
    "the best of all": {"max_hull": 0.005, "limit": 20},
}
"""Questions that must read more documents."""


def load(database, n: int) -> dict[str, float]:
    """Write the documents before there are indexes; seconds by collection."""
    seconds = {}

    def write(name: str, documents) -> None:
        begin = time.perf_counter()
        while batch := list(itertools.islice(documents, BATCH)):
            database[name].insert_many(batch, ordered=False)
        seconds[name] = round(time.perf_counter() - begin, 1)
        click.echo(f"  {name}: {seconds[name]} s", err=True)

    write("stability", many_documents.stability(n))
    ranked = [d for d in many_documents.stability(n) if d["state"] == "ranked"]
    ranked.sort(key=lambda d: d["energy_above_hull"])
    best = ranked[: int(SHARE_CHARACTERISED * n)]
    write("electronic", many_documents.electronic(best))
    write("phonons", many_documents.phonons(best))
    return seconds


@contextmanager
def timed(seconds: dict[str, float], name: str):
    """Note the seconds that a block takes under a name."""
    begin = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - begin, 1)
    click.echo(f"  {name}: {seconds[name]} s", err=True)


def cpu_seconds(server: int | None) -> float:
    """Of this process and of the server, if it runs here."""
    me = psutil.Process()
    processes = [me, *me.children(recursive=True), *([psutil.Process(server)] if server else [])]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure(stores: VogenStores, repeats: int, server: int | None) -> list[dict[str, object]]:
    """Each question `repeats` times after one that warms up."""
    found = []
    for name, question in (QUESTIONS | WIDE).items():
        rows = stores.query(**question)
        walls = []
        before = cpu_seconds(server)
        for _ in range(repeats):
            begin = time.perf_counter()
            stores.query(**question)
            walls.append(1000 * (time.perf_counter() - begin))
        cpu = 1000 * (cpu_seconds(server) - before) / repeats
        examined = [] if document_stores.select is plain_query else reads(stores, question)
        found.append(
            {
                "question": name,
                "query": question,
                "rows": len(rows),
                "median_ms": round(statistics.median(walls), 1),
                "max_ms": round(max(walls), 1),
                "cpu_ms": round(cpu, 1),
                "documents_examined": sum(e["examined"] for e in examined),
                "reads": len(examined),
                "collection_scans": len(scans(examined)),
            }
        )
    return found


def plain_query(store, criteria, properties=None, sort=None, limit=0):
    """As `stores.plans.select`, without its stages."""
    order = dict(sort) if sort else None
    return store.query(criteria, properties=properties, sort=order, limit=limit)


def server_name(client) -> str:
    """SecantusDB names itself in its replica set, and says MongoDB's version."""
    if client.admin.command("hello").get("setName") == "secantus":
        return f"SecantusDB {version('secantusdb')}"
    return f"MongoDB {client.server_info()['version']}"


def main() -> None:
    """Load, ask, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", action="store_true", help="use the documents of the last --keep")
    parser.add_argument("--plain", action="store_true", help="query without `stores.plans`")
    parser.add_argument("--server-pid", type=int, help="of MONGODB_URI, to count its CPU seconds")
    options = parser.parse_args()
    if options.plain:
        document_stores.select = plain_query
    with tempfile.TemporaryDirectory() as folder, mongo_uri(Path(folder)) as uri:
        name = f"vogen_speed_{options.documents}"
        client = pymongo.MongoClient(uri)
        seconds: dict[str, float] = {}
        if not (options.keep and name in client.list_database_names()):
            client.drop_database(name)
            seconds = load(client[name], options.documents)
        address = f"{uri.rstrip('/')}/{name}"
        with timed(seconds, "indexes"):
            VogenStores.open(address).close()
        with VogenStores.open(address) as stores:
            result = {
                "documents": {
                    name: getattr(stores, name).count({})
                    for name in ("stability", "electronic", "phonons")
                },
                "server": server_name(client),
                "python": platform.python_version(),
                "cores": psutil.cpu_count(),
                "load_before": [round(value, 1) for value in os.getloadavg()],
                "loading_seconds": seconds,
                "repeats": options.repeats,
                "questions": measure(stores, options.repeats, options.server_pid),
                "load_after": [round(value, 1) for value in os.getloadavg()],
            }
        if not options.keep:
            client.drop_database(name)
    click.echo(f"{'question':38s} rows  median ms   max ms   CPU ms  examined  scans")
    for row in result["questions"]:
        click.echo(
            f"{row['question']:38s} {row['rows']:4d} {row['median_ms']:10.1f} {row['max_ms']:8.1f} "
            f"{row['cpu_ms']:8.1f} {row['documents_examined']:9d} {row['collection_scans']:6d}"
        )
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
