"""Many candidates from the LaunchPad by two `rlaunch` processes that are killed, and their database too.

    python tests/faults/survive_kills.py --candidates 200 --seed 1

Crystals of the sampler ``substitution`` are relaxed for a few steps with CHGNet, once by
workers that are killed three times, with a database that is killed once, recovered with
`vogen recover`'s function as documented; and once on this machine without any of that. What is in the
stores is compared. Figures go to ``tests/faults/results``. With ``--engine cheap`` springs
instead of CHGNet.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SUPPORT = HERE.parent / "support"
sys.path.insert(0, str(SUPPORT))

from farm import Database, Farm, end_with_parent  # noqa: E402

KILLS, RESTART = (0.15, 0.35, 0.75), 0.55
"""Shares of the jobs that have ended when a worker is killed, and the database."""

BATCH = 5
STEPS = 4
ENERGY, LENGTH = 1e-5, 1e-4
"""eV/atom and Å within which two runs agree."""

RUNNING = {"state": "RUNNING"}
ENDED = {"state": {"$in": ["COMPLETED", "FIZZLED"]}}
"""Of launches; counting Fireworks would keep the database from its work."""
OPEN = {"state": {"$in": ["READY", "WAITING", "RUNNING", "RESERVED"]}}
"""Of workflows."""


def say(begin: float, text: str) -> None:
    """One line, with the time."""
    sys.stdout.write(f"{time.monotonic() - begin:7.1f} s  {text}\n")
    sys.stdout.flush()


def make_engine(name: str, steps: int):
    """The judge: CHGNet for a few steps, or springs."""
    if name == "cheap":
        import cheap_engine

        return cheap_engine.engine(steps=steps)
    from atomate2_vogen.engines import chgnet

    engine = chgnet()
    short = replace(engine.relax_maker, steps=steps)
    return replace(engine, scheme=f"{engine.scheme}, {steps} steps", relax_maker=short)


def make_candidates(count: int, seed: int):
    """As many crystals of all three formulas."""
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.samplers import load_sampler

    formulas = VANADIUM.target_formulas
    share, more = divmod(count, len(formulas))
    counts = {formula: share + (i < more) for i, formula in enumerate(formulas)}
    counts = {formula: number for formula, number in counts.items() if number}
    found = load_sampler("substitution").sample(counts, seed=seed).candidates
    if len(found) < count:
        # a formula has fewer prototypes than that: the others make up for it
        extra = load_sampler("substitution").sample(dict.fromkeys(counts, count), seed=seed)
        known = {candidate.candidate_id for candidate in found}
        found += [c for c in extra.candidates if c.candidate_id not in known][: count - len(found)]
    return found


class Workers:
    """`rlaunch` processes."""

    def __init__(self, farm: Farm) -> None:
        self.farm, self.number = farm, 0
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folders: dict[int, str] = {}

    @property
    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Those at work."""
        self.processes = [process for process in self.processes if process.poll() is None]
        return self.processes

    def start(self, most: int) -> None:
        """Start workers until there are so many."""
        while len(self.alive) < most:
            folder = self.farm.folder / f"launches-{self.number}"
            folder.mkdir()
            self.number += 1
            command = ["-l", str(self.farm.file), "--loglvl", "WARNING"]
            command += ["rapidfire", "--sleep", "1", "--max_loops", "15"]
            paths = [str(SUPPORT), os.environ.get("PYTHONPATH", "")]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [str(Path(sys.executable).with_name("rlaunch")), *command],
                    cwd=folder,
                    env={
                        **os.environ,
                        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                        "OMP_NUM_THREADS": "1",
                    },
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call
                )
            self.processes.append(process)
            self.folders[process.pid] = str(folder)

    def kill(self, launchpad, dice: random.Random) -> str:
        """SIGKILL one that is at a job; the name of the job."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            self.start(2)
            for launch in launchpad.launches.find(RUNNING, {"launch_dir": 1, "fw_id": 1}):
                for process in self.alive:
                    if launch["launch_dir"].startswith(self.folders[process.pid] + "/"):
                        time.sleep(dice.uniform(0, 0.2))
                        process.kill()
                        process.wait()
                        query = {"fw_id": launch["fw_id"]}
                        return launchpad.fireworks.find_one(query, {"name": 1})["name"]
            time.sleep(0.01)
        return "nothing: no job was running"


def disturbed(farm, database, engine, candidates, seed, begin):
    """Submit, work, kill, recover; documents, and what befell them."""
    from atomate2_vogen.flows.recovery import recover
    from atomate2_vogen.flows.screening import ScreeningFlowMaker
    from atomate2_vogen.flows.submission import submit
    from atomate2_vogen.stores import VogenStores

    launchpad = farm.launchpad()
    launchpad.reset(None, require_password=False)
    batches = [candidates[start : start + BATCH] for start in range(0, len(candidates), BATCH)]
    with VogenStores.open(farm.where, create=True) as stores:
        for batch in batches * 2:  # every flow twice: the second time it is found
            flow = ScreeningFlowMaker(engine=engine).make(batch)
            submit(flow, launchpad, store=stores.job_store)
    total = launchpad.fireworks.count_documents({})
    say(begin, f"{len(batches)} workflows, {total} jobs, each submitted twice")
    dice, workers = random.Random(seed), Workers(farm)
    events = sorted([*((share, "kill") for share in KILLS), (RESTART, "restart")])
    told, repaired = [], Counter()

    def put_right(**options):
        found = recover(launchpad, locked_after=3, **options)
        repaired.update({k: len(v) for k, v in vars(found).items() if k != "fizzled"})
        return found

    workers.start(2)
    while launchpad.workflows.count_documents(OPEN):
        time.sleep(1)
        done = launchpad.launches.count_documents(ENDED)
        if events and done >= events[0][0] * total:
            _, kind = events.pop(0)
            if kind == "kill":
                kind = f"kill at {workers.kill(launchpad, dice)}"
            else:
                database.kill()
                time.sleep(2)
                database.start()
            told.append({"what": kind, "after_jobs": done, "s": round(time.monotonic() - begin, 1)})
            say(begin, f"{kind} after {done} of {total} jobs")
            put_right()  # while the others are at work
            workers.start(2)
        if not workers.alive:
            put_right(lost_after=0)
            workers.start(2)
    put_right(lost_after=0)
    for process in workers.alive:
        process.wait(120)
    say(begin, f"all {total} jobs have ended")
    with VogenStores.open(farm.where) as stores:
        stores.ingest_jobs()
        documents = list(stores.calculations.query({}))
        jobs = Counter(
            (j["uuid"], j["index"]) for j in stores.job_store.query({}, ["uuid", "index"])
        )
    states = Counter(f["state"] for f in launchpad.fireworks.find({}, {"state": 1}))
    copies = sum(number - 1 for number in jobs.values())
    extra = launchpad.fireworks.count_documents({}) - total
    return documents, {
        "jobs": total,
        "job_states": dict(states),
        "events": told,
        "worker_processes": workers.number,
        "repaired": {kind: number for kind, number in repaired.items() if number},
        "copies_of_job_documents": copies,
        "copies_of_fireworks": extra,
    }


def undisturbed(engine, candidates, folder):
    """The same candidates on this machine."""
    from atomate2_vogen.jobs.screening import candidate_flow
    from atomate2_vogen.managers import run_parallel
    from atomate2_vogen.stores import VogenStores

    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH")])
    )
    with VogenStores.open(folder, create=True) as stores:
        flows = [candidate_flow(engine, candidate) for candidate in candidates]
        result = run_parallel(flows, stores.job_store, workers=2)
        return {
            candidate.candidate_id: stores.job_store.get_output(output.uuid)
            for candidate, output in zip(candidates, result.outputs, strict=True)
        }


def differ(ours, theirs) -> bool:
    """Whether two calculations are not the same."""
    if ours["state"] != theirs["state"] or ours.get("n_steps") != theirs.get("n_steps"):
        return True
    for name in ("energy_per_atom", "initial_energy_per_atom"):
        one, other = ours.get(name), theirs.get(name)
        if (one is None) != (other is None) or (one is not None and abs(one - other) > ENERGY):
            return True
    if ours.get("structure") is None:
        return theirs.get("structure") is not None
    cells = [found["structure"]["lattice"]["matrix"] for found in (ours, theirs)]
    return not np.allclose(*cells, rtol=0, atol=LENGTH)


def main() -> None:
    """Run, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("chgnet", "cheap"), default="chgnet")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each relaxation")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    begin = time.monotonic()
    candidates, engine = (
        make_candidates(given.candidates, given.seed),
        make_engine(given.engine, given.steps),
    )
    wanted = {candidate.candidate_id for candidate in candidates}
    say(begin, f"{len(wanted)} candidates")
    with tempfile.TemporaryDirectory(prefix="survive-") as scratch:
        folder = Path(scratch)
        database = Database(folder)
        database.start()
        try:
            farm = Farm(database.uri, "survive", folder / "farm")
            documents, figures = disturbed(farm, database, engine, candidates, given.seed, begin)
        finally:
            database.kill()
        middle = time.monotonic()
        reference = undisturbed(engine, candidates, folder / "store")
    say(begin, "the same without disturbance")
    found = Counter(document["candidate_id"] for document in documents)
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": given.seed,
        "engine": engine.scheme,
        "candidates": len(wanted),
        "workers": 2,
        "accounted": len(wanted & found.keys()),
        "duplicates": sum(number - 1 for number in found.values())
        + figures["copies_of_job_documents"]
        + figures["copies_of_fireworks"],
        "lost": len(wanted - found.keys()),
        "different_from_undisturbed": sum(
            differ(document, reference[document["candidate_id"]]) for document in documents
        ),
        "states": dict(Counter(document["state"] for document in documents)),
        **figures,
        "seconds_disturbed": round(middle - begin, 1),
        "seconds_undisturbed": round(time.monotonic() - middle, 1),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    (given.out / f"survive_kills_{len(wanted)}_{given.engine}.json").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
