# ruff: noqa: T201 - a program that prints
"""Stands in for GPAW's Python: answers the driver's protocol with free electrons and springs.

    python standin_gpaw.py [--temper WORD] DRIVER REQUEST RESULT

The first argument after the options is the driver, which is not run. Energies and bands have
closed forms, so that tests know what must come back. A temper makes it misbehave.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

VERSION = 1
ENERGY = -7.0  # eV per atom
EFERMI = 1.0
GAP_DOWN = 3.0
ELECTRONS = 4  # of each atom
VERSIONS = {"gpaw": "0.standin", "ase": "0", "numpy": np.__version__, "gpaw-data": "0"}


def bands(kpoints: np.ndarray) -> np.ndarray:
    """Two spins, two bands: up crosses the Fermi level, down has a gap of GAP_DOWN at Gamma."""
    wave = (np.cos(2 * np.pi * kpoints).sum(axis=1) - 3) / 6  # 0 at Gamma, down to -1
    up = np.stack([EFERMI + 0.5 + wave, EFERMI + 4 - wave], axis=1)
    down = np.stack([EFERMI - 1 + wave, EFERMI + GAP_DOWN - 1 - wave], axis=1)
    return np.stack([up, down])


def static(request: dict) -> dict:
    """Energy per atom ENERGY, no forces, the moments that were asked for, halved.

    `exchange` eV are added for each μB of the net moment.
    """
    given = request["structure"]
    n_atoms = len(given["symbols"])
    moments = [moment / 2 for moment in given["magmoms"]]
    if request.get("keep_density"):
        Path("density.gpw").write_text("the density")
    return {
        "structure": {key: given[key] for key in ("symbols", "cell", "scaled_positions")},
        "energy": ENERGY * n_atoms + request.get("exchange", 0) * abs(sum(moments)),
        "free_energy": ENERGY * n_atoms - 0.01,
        "forces": np.zeros((n_atoms, 3)).tolist(),
        "stress": (0.001 * np.eye(3)).tolist(),
        "efermi": EFERMI,
        "total_moment": sum(moments),
        "site_moments": moments,
        "n_electrons": float(ELECTRONS * n_atoms),
    }


def relax(request: dict) -> dict:
    """The cell grows by a tenth in the given number of steps."""
    result = static(request)
    result["structure"]["cell"] = (1.1 * np.array(request["structure"]["cell"])).tolist()
    step = {"energy": result["energy"], "max_force": 0.01}
    return {**result, "converged": request["relax"]["steps"] > 1, "steps": [step] * 3}


def line(request: dict) -> dict:
    """Bands at the points that were asked for."""
    assert Path(request["density"]).read_text() == "the density"
    kpoints = np.array(request["kpoints"])
    return {
        "structure": request["structure"],
        "efermi": EFERMI,
        "kpoints": kpoints.tolist(),
        "eigenvalues": bands(kpoints).tolist(),
    }


def uniform(request: dict) -> dict:
    """Bands on the whole mesh, a flat density of states, and d states on the first atom."""
    axes = [np.arange(size) / size for size in request["mesh"]]
    kpoints = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    energies = np.arange(-5, 5, request["dos"]["step"])
    total = np.stack([np.full(len(energies), 2.0), np.full(len(energies), 1.0)])
    projected = [
        {"atom": 0, "l": 2, "m": m, "densities": (total * (m + 1) / 20).tolist()} for m in range(5)
    ]
    return {
        "structure": request["structure"],
        "efermi": EFERMI,
        "efermi_mesh": EFERMI + 0.01,
        "mesh": request["mesh"],
        "kpoints": kpoints.tolist(),
        "weights": [1 / len(kpoints)] * len(kpoints),
        "eigenvalues": bands(kpoints).tolist(),
        "dos": {
            "energies": energies.tolist(),
            "total": total.tolist(),
            "projected": projected,
        },
    }


TASKS = {"static": static, "relax": relax, "line": line, "uniform": uniform}


def main() -> int:
    """Answer one request, or misbehave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--temper", default="")
    parser.add_argument("--exchange", type=float, default=0.0)
    parser.add_argument("driver")
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    temper = options.temper
    if temper == "no gpaw":
        print("ModuleNotFoundError: No module named 'gpaw'", file=sys.stderr)
        return 1
    assert Path(options.driver).name == "gpaw_driver.py"
    if options.arguments == ["versions"]:
        print("a greeting of the queueing system")
        print(json.dumps({"schema_version": VERSION, "versions": VERSIONS}))
        return 0
    if options.arguments[0] == "valence":
        valence = dict.fromkeys(options.arguments[1:], ELECTRONS)
        print(json.dumps({"schema_version": VERSION, "valence": valence}))
        return 0
    request_file, result_file = options.arguments
    request = json.loads(Path(request_file).read_text())
    assert request["schema_version"] == VERSION
    request["exchange"] = options.exchange
    if temper == "parallel not converged":
        temper = "not converged" if min(request["structure"]["magmoms"]) >= 0 else ""
    Path("gpaw.txt").write_text("iter: 1\niter: 2  the end of the text of GPAW\n")
    print("what the driver printed", flush=True)
    if temper == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if temper == "exits":
        return 3
    if temper == "silent":
        return 0
    if temper == "hangs":
        # a child of its own, as mpiexec has
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("pids.json").write_text(json.dumps([os.getpid(), child.pid]))
        time.sleep(600)
    result = {
        "schema_version": VERSION,
        "task": request["task"],
        "versions": VERSIONS,
        "n_ranks": 1,
        "cpu_time": 0.5,
        **TASKS[request["task"]](request),
    }
    text = json.dumps(result)
    if temper == "not converged":
        text = json.dumps(
            {
                "schema_version": VERSION,
                "error": {"kind": "not converged", "message": "KohnShamConvergenceError"},
            }
        )
    elif temper == "error":
        text = json.dumps(
            {"schema_version": VERSION, "error": {"kind": "AtomsTooClose", "message": "0.1"}}
        )
    elif temper == "garbage":
        text = text[: len(text) // 2]
    elif temper == "nan":
        text = json.dumps({**result, "energy": float("nan")})
    elif temper == "version":
        text = json.dumps({**result, "schema_version": VERSION + 1})
    elif temper == "task":
        text = json.dumps({**result, "task": "other"})
    elif temper == "field":
        result.pop("efermi")
        text = json.dumps(result)
    elif temper == "crystal":
        result["structure"] = {**result["structure"], "cell": (9 * np.eye(3)).tolist()}
        text = json.dumps(result)
    elif temper == "atoms":
        symbols = result["structure"]["symbols"]
        result["structure"] = {**result["structure"], "symbols": symbols[::-1]}
        text = json.dumps(result)
    elif temper == "shape":
        result["forces"] = result["forces"][:-1]
        text = json.dumps(result)
    Path(result_file).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
