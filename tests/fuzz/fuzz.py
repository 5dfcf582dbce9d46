"""Malformed inputs at every entrance of the package: what came of them, as JSON.

    python tests/fuzz/fuzz.py                          # about 6,000 inputs, minutes
    python tests/fuzz/fuzz.py --inputs 300 --seed 7
    python tests/fuzz/fuzz.py --only queries --first 118 --inputs 1   # one of them again

The same seed gives the same inputs. An input may be accepted or refused with one of the package's
errors. Faults are: another exception, more than 20 s of processor time, more than 2 GiB, a password in what is shown
or written, a file written outside the folder that was given. Inputs are tried in worker processes,
of which one that takes too long is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

MAX_SECONDS = 20.0  # of processor time, so that a busy machine makes no faults
MAX_WALL = 120.0
MAX_GIB = 2.0


def shares(inputs: int | None, only: list[str]) -> dict[str, int]:
    """Inputs per entrance, in the proportions of a full run."""
    from worker import entrances

    full = {name: one.share for name, one in entrances().items() if not only or name in only}
    if not full:
        raise SystemExit(f"no such entrance; there are {', '.join(entrances())}")
    if inputs is None:
        return full
    scale = inputs / sum(full.values())
    return {name: max(1, round(share * scale)) for name, share in full.items()}


def outcomes(seed: int, plan: list[list[Any]], folder: str) -> Iterator[dict[str, Any]]:
    """What came of the inputs of a plan, in order; workers that are lost are replaced."""
    while plan:
        for outcome in _of_one_worker(seed, plan, folder):
            yield outcome
            while plan[0][0] != outcome["entrance"]:
                del plan[0]
            plan[0][1] = outcome["number"] + 1
        while plan and plan[0][1] >= plan[0][2]:
            del plan[0]


def _of_one_worker(seed: int, plan: list[list[Any]], folder: str) -> Iterator[dict[str, Any]]:
    reading, writing = os.pipe()
    words = [sys.executable, str(HERE / "worker.py"), str(seed), json.dumps(plan), folder]
    variables = _environment(folder) | {"FUZZ_REPORT": str(writing)}
    process = psutil.Popen(words, env=variables, pass_fds=(writing,))
    os.close(writing)
    begun: dict[str, Any] | None = None
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        try:
            for told in _lines(pipe.fileno()):
                if told is None:
                    if fault := _over(process, begun):
                        yield {**(begun or {}), "result": "killed", "faults": [fault]}
                        return
                elif told.get("done"):
                    yield {"note": (begun or {}).get("note"), **checked(told)}
                    begun = None
                else:
                    begun = {**told, "_cpu": _cpu(process), "_began": time.monotonic()}
            code = process.wait()
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            process.wait()
    if begun is not None:
        yield {**begun, "result": "died", "faults": [f"worker ended with {code}"]}
    elif code:
        logs = "".join(path.read_text() for path in Path(folder).glob("*/log"))
        raise SystemExit(f"the worker ended with {code} in {plan[:1]}\n{logs[-2000:]}")


def _lines(descriptor: int) -> Iterator[dict[str, Any] | None]:
    """What the worker tells; None now and then while it is silent."""
    rest = b""
    while True:
        yield None
        if select.select([descriptor], [], [], 0.1)[0]:
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, lines)


def _over(process: psutil.Process, begun: dict[str, Any] | None) -> str | None:
    """What limit an input breaks."""
    if begun is None:
        return None
    if process.memory_info().rss > 2 * MAX_GIB * 2**30:
        return f"over {MAX_GIB:g} GiB"
    if _cpu(process) - begun["_cpu"] > 1.5 * MAX_SECONDS:
        return f"over {MAX_SECONDS:g} s"
    return f"over {MAX_WALL:g} s" if time.monotonic() - begun["_began"] > MAX_WALL else None


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _environment(folder: str) -> dict[str, str]:
    home = Path(folder) / "home"
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOGEN_")}
    return kept | {
        "HOME": str(home),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "COLUMNS": "200",
    }


def checked(told: dict[str, Any]) -> dict[str, Any]:
    """An outcome with faults for time and memory."""
    told.pop("done")
    if told["cpu_seconds"] > MAX_SECONDS:
        told["faults"].append(f"over {MAX_SECONDS:g} s")
    if told["peak_gib"] > MAX_GIB:
        told["faults"].append(f"over {MAX_GIB:g} GiB")
    return told


def fuzz(
    seed: int = 0, inputs: int | None = None, only: list[str] | None = None, first: int = 0
) -> dict[str, Any]:
    """Run it all; figures per entrance, and every fault."""
    began = time.perf_counter()
    plan = [[name, first, first + n] for name, n in shares(inputs, only or []).items()]
    made: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in plan}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for one in outcomes(seed, plan, folder):
            made[one["entrance"]].append(one)
    summary: dict[str, Any] = {"seed": seed, "inputs": sum(map(len, made.values()))}
    summary["entrances"] = {name: figures(found) for name, found in made.items()}
    summary["faults"] = [
        {k: v for k, v in one.items() if not k.startswith("_")}
        for found in made.values()
        for one in found
        if one["faults"]
    ]
    counts: Counter[str] = Counter()
    for one in summary["faults"]:
        counts.update({fault.split(":")[0] for fault in one["faults"]})
    summary["counts"] = dict(counts)
    summary["seconds"] = round(time.perf_counter() - began, 1)
    return summary


def figures(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one entrance."""
    return {
        "inputs": len(made),
        "faulty": sum(bool(one["faults"]) for one in made),
        "cpu_seconds": round(sum(one.get("cpu_seconds", MAX_SECONDS) for one in made), 1),
        "most_seconds": max((one.get("seconds", MAX_WALL) for one in made), default=0),
        "most_cpu_seconds": max((one.get("cpu_seconds", MAX_WALL) for one in made), default=0),
        "most_gib": max((one.get("peak_gib", 0.0) for one in made), default=0),
        "results": dict(Counter(one["result"] for one in made).most_common()),
    }


def main() -> None:
    """Parse the command line; exit code 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the inputs.")
    parser.add_argument("--inputs", type=int, help="Number of inputs; about 6,400 by default.")
    parser.add_argument("--only", action="append", default=[], help="Entrance; may be repeated.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first input.")
    parser.add_argument("--out", type=Path, help="JSON file for figures and faults.")
    options = parser.parse_args()
    summary = fuzz(options.seed, options.inputs, options.only, options.first)
    text = json.dumps(summary, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n")
    for one in summary["faults"]:
        sys.stdout.write(
            f"{one['entrance']} {one['number']}: {one['faults']} {one['note'][:160]}\n"
        )
    figures = json.dumps({k: summary[k] for k in ("inputs", "counts", "seconds")})
    sys.stdout.write(figures + "\n")
    raise SystemExit(bool(summary["faults"]))


if __name__ == "__main__":
    main()
