"""Runs under GPAW's Python: a request file in, a result file out.

    python gpaw_driver.py request.json result.json
    python gpaw_driver.py versions
    python gpaw_driver.py valence V O

Imports only what comes with GPAW, nothing of the package that ships it. Units are eV and Å.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

PROTOCOL_VERSION = 1
DENSITY = "density.gpw"
TEXT = "gpaw.txt"
WATCH = b"watch\n"
ORPHANED = 70


class RefusedRequestError(Exception):
    """A request that cannot be carried out."""


def main() -> int:
    """Carry out what the command line asks for; the exit code."""
    from gpaw.mpi import world

    if sys.argv[1:] == ["versions"]:
        if world.rank == 0:
            print(json.dumps({"schema_version": PROTOCOL_VERSION, "versions": versions()}))  # noqa: T201
        return 0
    if sys.argv[1:2] == ["valence"]:
        if world.rank == 0:
            answer = {"schema_version": PROTOCOL_VERSION, "valence": valence(sys.argv[2:])}
            print(json.dumps(answer))  # noqa: T201
        return 0
    if world.rank == 0:
        threading.Thread(target=end_with_parent, daemon=True).start()
    request_path, result_path = Path(sys.argv[1]), Path(sys.argv[2])
    begin, begin_cpu = time.perf_counter(), time.process_time()
    try:
        request = read(request_path)
        result = TASKS[request["task"]](request)
        code = 0
    except Exception as error:
        traceback.print_exc()
        if world.size > 1 and not is_collective(error):
            # the other ranks may wait for this one for ever
            if world.rank == 0:
                write(result_path, {"error": describe(error)})
            raise
        result = {"error": describe(error)}
        code = 1
    result["versions"] = versions()
    result["n_ranks"] = world.size
    result["wall_time"] = time.perf_counter() - begin
    result["cpu_time"] = float(world.sum_scalar(time.process_time() - begin_cpu))
    if world.rank == 0:
        write(result_path, result)
    return code


def end_with_parent() -> None:
    """End this process when the one that started it is gone: then its pipe to us ends."""
    # not by way of sys.stdin, whose lock would then be held when the interpreter ends
    if os.read(0, len(WATCH)) == WATCH:
        while os.read(0, 1024):
            pass
        os._exit(ORPHANED)


def read(path: Path) -> dict:
    """A request of this driver's version."""
    request = json.loads(path.read_text(encoding="utf-8"))
    if request["schema_version"] != PROTOCOL_VERSION:
        raise RefusedRequestError(f"request of version {request['schema_version']}")
    return request


def versions() -> dict[str, str]:
    """Versions of what computes."""
    from importlib.metadata import PackageNotFoundError, version

    import ase
    import gpaw
    import numpy as np

    found = {"gpaw": gpaw.__version__, "ase": ase.__version__, "numpy": np.__version__}
    try:
        found["gpaw-data"] = version("gpaw-data")
    except PackageNotFoundError:
        found["gpaw-data"] = os.environ.get("GPAW_SETUP_PATH", "unknown")
    return found


def valence(symbols: list[str]) -> dict[str, int]:
    """Valence electrons of the data set of each element."""
    from gpaw.setup import create_setup

    return {symbol: int(create_setup(symbol).Nv) for symbol in symbols}


def is_collective(error: Exception) -> bool:
    """Whether every rank raises this error."""
    from gpaw import ConvergenceError

    return isinstance(error, (ConvergenceError, RefusedRequestError))


def describe(error: Exception) -> dict[str, str]:
    """An error as JSON."""
    from gpaw import ConvergenceError

    kind = "not converged" if isinstance(error, ConvergenceError) else type(error).__name__
    return {"kind": kind, "message": str(error) or type(error).__name__}


def write(path: Path, result: dict) -> None:
    """Write the result so that it is there whole or not at all."""
    partial = path.with_suffix(".part")
    text = json.dumps({"schema_version": PROTOCOL_VERSION, **result}, allow_nan=False)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def calculator(request: dict) -> Any:
    """GPAW with the parameters of a request."""
    from gpaw import GPAW, PW

    parameters = request["parameters"]
    return GPAW(
        mode=PW(parameters["cutoff"]),
        xc=parameters["xc"],
        spinpol=True,
        occupations={"name": "fermi-dirac", "width": parameters["smearing"]},
        kpts={"size": parameters["mesh"], "gamma": True},
        setups=parameters["setups"],
        maxiter=parameters["max_iterations"],
        convergence=parameters["convergence"],
        txt=TEXT,
    )


def crystal(request: dict) -> Any:
    """Crystal of a request as ASE's Atoms, with its initial moments.

    Its stress is that at a constant cutoff. GPAW's own is that at a constant number of plane
    waves, and at 500 eV the energy of the metal's semicore still falls by some meV per eV of the
    cutoff: without the correction a relaxation would squeeze an oxide by some 15 GPa.
    """
    from ase import Atoms

    class ConstantCutoffAtoms(Atoms):
        def get_stress(
            self,
            voigt: bool = True,
            apply_constraint: bool = True,
            include_ideal_gas: bool = False,
        ) -> Any:
            import numpy as np

            stress = super().get_stress(
                voigt=False,
                apply_constraint=apply_constraint,
                include_ideal_gas=include_ideal_gas,
            )
            stress = stress + pulay_stress(self, request) * np.eye(3)
            return stress.ravel()[[0, 4, 8, 5, 2, 1]] if voigt else stress

    given = request["structure"]
    return ConstantCutoffAtoms(
        given["symbols"],
        cell=given["cell"],
        scaled_positions=given["scaled_positions"],
        magmoms=given["magmoms"],
        pbc=True,
    )


def pulay_stress(atoms: Any, request: dict) -> float:
    """What a constant cutoff adds to each diagonal element of the stress, eV/Å³.

    From GPAW's estimate of dE/dE_cut, which it derives from the free atoms' partial waves.
    """
    from ase.units import Ha

    cutoff = request["parameters"]["cutoff"]
    slope = atoms.calc.setups.estimate_dedecut(cutoff / Ha)
    return float(2 / 3 * cutoff * slope / atoms.get_volume())


def state(request: dict, atoms: Any, calc: Any) -> dict:
    """What a converged self-consistent calculation tells."""
    return {
        "structure": {
            "symbols": atoms.get_chemical_symbols(),
            "cell": atoms.cell[:].tolist(),
            "scaled_positions": atoms.get_scaled_positions(wrap=False).tolist(),
        },
        "energy": float(atoms.get_potential_energy()),
        "free_energy": float(atoms.get_potential_energy(force_consistent=True)),
        "forces": atoms.get_forces().tolist(),
        "stress": atoms.get_stress(voigt=False).tolist(),
        "pulay_stress": pulay_stress(atoms, request),
        "efermi": float(calc.get_fermi_level()),
        "total_moment": float(atoms.get_magnetic_moment()),
        "site_moments": [float(moment) for moment in atoms.get_magnetic_moments()],
        "n_electrons": float(calc.get_number_of_electrons()),
    }


def static(request: dict) -> dict:
    """Energy, forces, stress and moments of a fixed crystal; keeps its density."""
    atoms, calc = crystal(request), calculator(request)
    atoms.calc = calc
    atoms.get_potential_energy()
    if request["keep_density"]:
        calc.write(DENSITY)
    return {"task": "static", **state(request, atoms, calc)}


def relax(request: dict) -> dict:
    """Positions and, if asked for, the cell brought below a force."""
    import numpy as np
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    atoms, calc = crystal(request), calculator(request)
    atoms.calc = calc
    wanted = request["relax"]
    steps: list[dict] = []

    def largest_force() -> float:
        return float(np.linalg.norm(atoms.get_forces(), axis=1).max())

    def record() -> None:
        steps.append({"energy": float(atoms.get_potential_energy()), "max_force": largest_force()})

    while True:
        # a cell filter tests forces in the frame of its starting cell; go on from a fresh one
        # while the true forces are above the criterion
        begun = len(steps)
        target: Any = FrechetCellFilter(atoms) if wanted["cell"] else atoms
        optimiser = BFGS(target, logfile="relax.log", maxstep=wanted["max_step"])
        optimiser.attach(record)
        left = wanted["steps"] - max(0, begun - 1)
        reached = bool(optimiser.run(fmax=wanted["fmax"], steps=left))
        del steps[begun : begun + (begun > 0)]  # a fresh frame starts where the last one ended
        converged = reached and largest_force() <= wanted["fmax"]
        if converged or not reached or len(steps) > wanted["steps"]:
            break
    return {"task": "relax", "converged": converged, "steps": steps, **state(request, atoms, calc)}


def restart(request: dict) -> Any:
    """Calculator with the density that a static calculation left, of the same crystal."""
    import numpy as np
    from gpaw import GPAW

    calc = GPAW(request["density"], txt=None)
    given, found = crystal(request), calc.get_atoms()
    same = (
        len(given) == len(found)
        and (given.numbers == found.numbers).all()
        and np.abs(given.cell[:] - found.cell[:]).max() < 1e-5
        and np.abs(given.positions - found.positions).max() < 1e-5
    )
    if not same:
        raise RefusedRequestError(
            f"{request['density']} is the density of another crystal ({found.symbols})"
        )
    return calc


def non_scf(request: dict, **arguments: Any) -> tuple[Any, float, int]:
    """Bands in the fixed potential of a converged density: calculator and E_F of the latter."""
    from math import ceil

    ground = restart(request)
    occupied = ceil((ground.get_number_of_electrons() + abs(ground.get_magnetic_moment())) / 2)
    wanted = occupied + ceil(request["empty_bands"] * occupied)
    efermi = float(ground.get_fermi_level())
    calc = ground.fixed_density(
        # the highest ones converge slowly and are dropped
        nbands=wanted + max(3, ceil(0.1 * wanted)),
        convergence={"bands": wanted, "eigenstates": request["bands_tolerance"]},
        # in a fixed potential long cycles waste nothing: half the time of GPAW's two steps
        eigensolver={"name": "davidson", "niter": 3},
        maxiter=request["parameters"]["max_iterations"],
        txt=TEXT,
        **arguments,
    )
    return calc, efermi, wanted


def eigenvalues(calc: Any, n_bands: int) -> Any:
    """Energies in eV, shape (spins, k-points, bands)."""
    import numpy as np

    return np.array(
        [
            [
                calc.get_eigenvalues(kpt=k, spin=spin)[:n_bands]
                for k in range(len(calc.get_ibz_k_points()))
            ]
            for spin in range(calc.get_number_of_spins())
        ]
    )


def line(request: dict) -> dict:
    """Bands at given points."""
    calc, efermi, n_bands = non_scf(
        request, kpts=request["kpoints"], symmetry="off", update_fermi_level=False
    )
    return {
        "task": "line",
        "structure": request["structure"],
        "efermi": efermi,
        "kpoints": request["kpoints"],
        "eigenvalues": eigenvalues(calc, n_bands).round(6).tolist(),
    }


def uniform(request: dict) -> dict:
    """Bands on a mesh, and the density of states with its projections."""
    calc, efermi, n_bands = non_scf(
        request, kpts={"size": request["mesh"], "gamma": True}, update_fermi_level=True
    )
    bands = eigenvalues(calc, n_bands)
    weights = calc.get_k_point_weights()
    return {
        "task": "uniform",
        "structure": request["structure"],
        "efermi": efermi,
        "efermi_mesh": float(calc.get_fermi_level()),
        "mesh": request["mesh"],
        "kpoints": calc.get_ibz_k_points().tolist(),
        "weights": weights.tolist(),
        "eigenvalues": bands.round(6).tolist(),
        "dos": density_of_states(calc, bands, weights, efermi, request["dos"]),
    }


def density_of_states(calc: Any, bands: Any, weights: Any, efermi: float, options: dict) -> dict:
    """Total and projected density of states in states/eV per cell, Gaussian broadening."""
    import numpy as np

    n_spins, _, n_bands = bands.shape
    # above the lowest energy of the highest band, states are missing
    top = bands[:, :, -1].min() - 3 * options["width"]
    energies = np.arange(efermi - options["below"], top, options["step"])
    if len(energies) < 2:
        raise RefusedRequestError("no energy window: raise empty_bands")
    projected = []
    channels = projections(calc, n_bands)
    totals = []
    densities: list[list] = [[] for _ in channels]
    for spin in range(n_spins):
        distance = (energies[:, None] - bands[spin].reshape(-1)) / options["width"]
        broad = np.exp(-0.5 * distance**2) / (options["width"] * np.sqrt(2 * np.pi))
        broad *= np.repeat(weights, n_bands)
        totals.append(broad.sum(axis=1).round(6).tolist())
        for channel, density in zip(channels, densities, strict=True):
            density.append((broad @ channel["weights"][spin].reshape(-1)).round(6).tolist())
    for channel, density in zip(channels, densities, strict=True):
        projected.append(
            {"atom": channel["atom"], "l": channel["l"], "m": channel["m"], "densities": density}
        )
    return {"energies": energies.round(6).tolist(), "total": totals, "projected": projected}


def projections(calc: Any, n_bands: int) -> list[dict]:
    """Weight of each bound partial wave in each state, by atom and orbital.

    The irreducible part of the zone has no more symmetry than one of its points: each weight is
    averaged over the symmetry operations, as GPAW does with its density matrices; without it
    equivalent atoms would get different densities.
    """
    import numpy as np
    from gpaw.new.symmetry import SymmetrizationPlan

    ibz = calc.dft.ibzwfs.ibz
    setups = calc.setups
    plan = SymmetrizationPlan(ibz.symmetries, [setup.l_j for setup in setups])
    n_spins, n_kpoints = calc.get_number_of_spins(), len(calc.get_ibz_k_points())
    weights: dict[tuple[int, int], Any] = {}
    for atom, setup in enumerate(setups):
        for ell, n in zip(setup.l_j, setup.n_j, strict=True):
            if n >= 0:
                shape = (2 * ell + 1, n_spins, n_kpoints, n_bands)
                weights.setdefault((atom, int(ell)), np.zeros(shape))
    atom_map = ibz.symmetries.atommap_sa
    for wave in calc.wfs.kpt_u:
        held = wave.projections
        for atom, setup in enumerate(setups):
            rotations = plan.rotations(setup.l_j)
            for source, rotation in zip(atom_map[:, atom], rotations, strict=True):
                if source not in held:
                    continue
                begin = 0
                turned = np.asarray(held[source])[:n_bands] @ rotation.T
                for ell, n in zip(setup.l_j, setup.n_j, strict=True):
                    end = begin + 2 * ell + 1
                    if n >= 0:
                        weights[atom, int(ell)][:, wave.s, wave.k] += (
                            np.abs(turned[:, begin:end]) ** 2
                        ).T / len(rotations)
                    begin = end
    channels = []
    for (atom, ell), values in sorted(weights.items()):
        calc.comm.sum(values)
        channels += [
            {"atom": atom, "l": ell, "m": m, "weights": values[m]} for m in range(2 * ell + 1)
        ]
    return channels


TASKS = {"static": static, "relax": relax, "line": line, "uniform": uniform}

if __name__ == "__main__":
    sys.exit(main())
