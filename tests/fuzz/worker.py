"""A process that tries inputs one after the other and tells its parent of each.

``python worker.py SEED PLAN FOLDER``, its plan JSON like ``[["queries", 0, 100]]`` (from, up to),
writes two lines of JSON per input to the file descriptor that the variable FUZZ_REPORT names: one
before, one after.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from attack import SECRET, Attack, Entrance, Place  # noqa: E402


def entrances() -> dict[str, Entrance]:
    """All of them by name."""
    from entrances_files import Energies, LaunchPads, StoreFiles, Structures
    from entrances_models import Arrays, Models
    from entrances_runs import Documents, RunFiles
    from entrances_text import Counts, Queries, Settings, Systems

    kinds: tuple[Any, ...] = (
        Counts, Structures, Systems, Settings, StoreFiles, Queries, LaunchPads, RunFiles, Documents,
        Energies, Models, Arrays,
    )  # fmt: skip
    return {kind.name: kind() for kind in kinds}


def main(seed: str, plan: str, folder: str) -> None:
    """Try the inputs of a plan."""
    report = os.fdopen(int(os.environ["FUZZ_REPORT"]), "w", buffering=1)
    warnings.simplefilter("ignore")
    root = Path(tempfile.mkdtemp(dir=folder))
    log = root / "log"
    handle = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    every = entrances()
    for name, first, last in json.loads(plan):
        every[name].prepare(root)
        for number in range(first, last):
            where = {"entrance": name, "number": number}
            rng = random.Random(f"{seed}|{name}|{number}")
            place = Place(root / "case")
            os.chdir(place.inputs)
            attack = every[name].attack(rng, place)
            report.write(json.dumps({**where, "note": attack.note}) + "\n")
            os.truncate(log, 0)
            outcome = tried(attack, place, log)
            report.write(json.dumps({**where, "done": True, **outcome}) + "\n")
            os.chdir(root)
            shutil.rmtree(place.root)
    shutil.rmtree(root)


def tried(attack: Attack, place: Place, log: Path) -> dict[str, Any]:
    """What became of one input."""
    before = place.snapshot()
    reset_peak()
    began = time.perf_counter(), time.process_time()
    faults: list[str] = []
    result, told = "accepted", ""
    try:
        attack.run()
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        told = f"{error!r} {error} " + "".join(traceback.format_exception(error))
        result = judged(error, faults)
    outcome = {
        "seconds": round(time.perf_counter() - began[0], 3),
        "cpu_seconds": round(time.process_time() - began[1], 3),
        "peak_gib": round(peak_gib(), 3),
        "result": result,
    }
    sys.stdout.flush()
    sys.stderr.flush()
    written = log.read_text(errors="replace")
    if result == "accepted" and (
        refused := re.search(r"^vogen: (\w+):|^(Usage):", written, re.MULTILINE)
    ):
        outcome["result"] = refused[1] or refused[2]
    if SECRET in told or SECRET in written:
        faults.append("secret shown")
    if "Traceback (most recent call last)" in written:
        faults.append("traceback printed: " + written.strip().splitlines()[-1][:200])
    if (after := place.snapshot()) != before:
        changed = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
        faults.append(f"files outside: {changed[:3]}")
    if attack.writes and secret_in(place.out):
        faults.append("secret written")
    return {**outcome, "faults": faults}


def judged(error: BaseException, faults: list[str]) -> str:
    """The class of a typed error; anything else is a fault."""
    from atomate2_vogen.errors import VogenError

    if not isinstance(error, VogenError):
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "atomate2_vogen" in frame.filename]
        at = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        text = str(error).splitlines()[0][:200] if str(error) else ""
        faults.append(f"traceback: {type(error).__name__} in {at}: {text}")
    return type(error).__name__


def secret_in(folder: Path) -> bool:
    """Whether a file that was written holds the secret."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return any(SECRET.encode() in path.read_bytes() for path in files)


def reset_peak() -> None:
    """Forget the largest memory so far (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_gib() -> float:
    """Largest resident memory since `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 2**20
    return 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
