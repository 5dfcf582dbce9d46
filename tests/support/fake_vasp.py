"""Stands in for VASP: reads its input files, writes its output files, with toy physics inside.

    vasp_cmd = f"{sys.executable} …/fake_vasp.py"

Forces and stress come from `toy_crystal`, eigenvalues from `toy_bands`. Trouble on demand, by
the environment variable FAKE_VASP: ``unconverged`` (no self-consistency whatever one does),
``stubborn`` (none before ALGO = All), ``killed``, ``garbage``, ``positive`` (an energy above
zero), ``steep`` (a step uphill until POTIM is halved), ``symmetry`` (complaints until SYMPREC is
changed). FAKE_VASP_EXCHANGE raises the energy of a cell with a net moment.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import toy_bands
import toy_crystal
from fake_vasp_output import (
    write_chgcar,
    write_contcar,
    write_oszicar,
    write_outcar,
    write_vasprun,
)

MODE = os.environ.get("FAKE_VASP", "")
EXCHANGE = float(os.environ.get("FAKE_VASP_EXCHANGE", "0"))  # eV per μB of the cell's moment
ELECTRONS = {"V": 11.0, "O": 6.0}  # where no POTCAR tells


def read_incar() -> dict[str, list[str]]:
    """Tags in capitals, values as words."""
    tags = {}
    for line in Path("INCAR").read_text().splitlines():
        name, found, value = line.partition("=")
        if found:
            tags[name.strip().upper()] = value.split()
    return tags


def read_poscar() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Lattice, fractional coordinates, symbols; VASP 5 form."""
    lines = Path("POSCAR").read_text().splitlines()
    lattice = float(lines[1]) * np.array([line.split() for line in lines[2:5]], float)
    counts = [int(word) for word in lines[6].split()]
    symbols = [s for s, n in zip(lines[5].split(), counts, strict=True) for _ in range(n)]
    start = 8 if lines[7].strip()[0].lower() in "dc" else 9
    coords = [line.split()[:3] for line in lines[start : start + len(symbols)]]
    assert lines[start - 1].strip().lower().startswith("d")
    return lattice, np.array(coords, float), symbols


def read_potcar(kinds: list[str]) -> tuple[dict[str, float], list[str]]:
    """Valence electrons by element, and titles in the order of the file."""
    path = Path("POTCAR")
    if not path.is_file():
        return ELECTRONS, [f"PAW_PBE {kind}" for kind in kinds]
    electrons, titles = {}, []
    for line in path.read_text().splitlines():
        if "TITEL" in line:
            titles.append(line.split("=")[1].strip())
        if "ZVAL" in line:
            symbol = titles[-1].split()[1].split("_")[0]
            electrons[symbol] = float(line.split("ZVAL")[1].split("=")[1].split()[0])
    if [title.split()[1].split("_")[0] for title in titles] != kinds:
        sys.exit("VASP and POTCAR disagree about the elements")
    return electrons, titles


def read_kpoints(lattice: np.ndarray, tags: dict[str, list[str]]) -> dict:
    """Points, weights, and how they were asked for."""
    path = Path("KPOINTS")
    if path.is_file():
        lines = path.read_text().splitlines()
        if int(lines[1].split()[0]) > 0:
            rows = [line.split() for line in lines[3 : 3 + int(lines[1].split()[0])]]
            points = np.array([row[:3] for row in rows], float)
            weights = np.array([float(row[3]) for row in rows])
            return {"points": points, "weights": weights / weights.sum(), "mesh": None}
        assert lines[2].strip()[0].lower() == "g"
        mesh = [int(word) for word in lines[3].split()]
    else:
        spacing = float(tags.get("KSPACING", ["0.5"])[0])
        lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(lattice), axis=0)
        mesh = np.maximum(np.ceil(lengths / spacing), 1).astype(int).tolist()
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in mesh), indexing="ij"), -1).reshape(-1, 3)
    # k and -k are one point: the toy has time reversal
    partner = (-grid) % mesh
    key = np.ravel_multi_index(grid.T, mesh)
    other = np.ravel_multi_index(partner.T, mesh)
    kept = key <= other
    weights = np.where(key[kept] == other[kept], 1.0, 2.0)
    points = grid[kept] / np.array(mesh)
    points = points - np.round(points)
    return {"points": points, "weights": weights / weights.sum(), "mesh": mesh}


def relax(
    lattice: np.ndarray, frac: np.ndarray, symbols: list[str], fmax: float, steps: int
) -> list[tuple]:
    """Frames (lattice, frac, energy, forces, stress) of a relaxation, at most `steps`."""
    from ase import Atoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    atoms = Atoms(symbols, cell=lattice, scaled_positions=frac, pbc=True)
    atoms.calc = toy_crystal.calculator()
    frames = []

    def keep():
        cell, coords = atoms.cell[:].copy(), atoms.get_scaled_positions(wrap=False)
        frames.append((cell, coords, *toy_crystal.evaluate(cell, coords, symbols)))

    optimiser = BFGS(FrechetCellFilter(atoms), logfile=None)
    optimiser.attach(keep)
    # the filter's forces are those of a frame that has moved; the true ones must be met
    optimiser.run(fmax=0.8 * fmax, steps=steps - 1)
    return frames[:steps]


def main() -> None:
    """One run."""
    tags = read_incar()
    number = {k: float(v[0]) for k, v in tags.items() if v and _is_number(v[0])}
    lattice, frac, symbols = read_poscar()
    kinds = list(dict.fromkeys(symbols))
    electrons, titles = read_potcar(kinds)
    for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR"):
        Path(name).write_text("")
    print(" running on    1 total cores\n distrk:  each k-point on    1 cores")
    if MODE == "symmetry" and "SYMPREC" not in tags:
        print(" VERY BAD NEWS! internal error in subroutine INVGRP: rotation matrix was not found "
              "(increase SYMPREC) ")  # fmt: skip
        sys.exit(1)
    if MODE == "garbage":
        for name in ("vasprun.xml", "OUTCAR", "OSZICAR", "CONTCAR"):
            Path(name).write_text("<modeling>\n \x00 not what it should be")
        return

    ispin = int(number.get("ISPIN", 1))
    initial = _repeated(tags.get("MAGMOM", []), len(symbols))
    u = [float(value) for value in tags.get("LDAUU", [])] if _true(tags, "LDAU") else []
    nelect = sum(electrons[symbol] for symbol in symbols)
    if number.get("ICHARG", 2) > 10:
        _check_charge_density(lattice, u)
    kpoints = read_kpoints(lattice, tags)
    nsw, nelm = int(number.get("NSW", 0)), int(number.get("NELM", 60))

    if nsw > 0 and number.get("IBRION", 0) in (1, 2, 3):
        assert number.get("ISIF", 2) == 3
        frames = relax(lattice, frac, symbols, -number.get("EDIFFG", -0.05), nsw)
    else:
        frames = [(lattice, frac, *toy_crystal.evaluate(lattice, frac, symbols))]
    algorithm = tags.get("ALGO", ["Normal"])[0].lower()
    stuck = MODE == "unconverged" or (MODE == "stubborn" and algorithm != "all")
    cycles = nelm if stuck else 5
    if MODE == "positive":
        frames = [(*frame[:2], frame[2] + 1000.0, *frame[3:]) for frame in frames]
    if MODE == "steep" and number.get("POTIM", 0.5) > 0.3:
        first = frames[0]
        frames = [first, (*first[:2], first[2] + 2.0 * len(symbols), *first[3:]), *frames[1:]]

    moments = toy_bands.moments(symbols, initial, ispin)
    total = abs(sum(moments))
    frames = [(*frame[:2], frame[2] + EXCHANGE * total, *frame[3:]) for frame in frames]
    final = frames[-1]
    nbands = int(
        number.get("NBANDS", max(nelect / 2 + max(len(symbols) // 2, 3), 0.6 * nelect) + total)
    )
    energies, shares = toy_bands.bands(
        kpoints["points"], symbols, nelect, nbands, total, max(u, default=0.0)
    )
    run = {
        "tags": tags, "number": number, "symbols": symbols, "kinds": kinds, "titles": titles,
        "electrons": electrons, "nelect": nelect, "ispin": ispin, "nbands": nbands, "nsw": nsw,
        "nelm": nelm, "u": u, "initial": initial, "kpoints": kpoints, "frames": frames,
        "cycles": cycles, "moment": sum(moments), "moments": moments, "energies": energies[:ispin], "shares": shares[:ispin],
        "fermi": toy_bands.fermi_level(energies, kpoints["weights"], nelect, ispin),
        "start": (lattice, frac),
    }  # fmt: skip
    write_oszicar(run)
    if MODE == "killed":
        Path("vasprun.xml").write_text('<?xml version="1.0"?>\n<modeling>\n <generator>\n')
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write_contcar(run, final)
    write_outcar(run)
    write_vasprun(run)
    if tags.get("LCHARG", [".TRUE."])[0].strip(".").lower().startswith("t"):
        write_chgcar(run, final)
    Path("WAVECAR").write_bytes(b"")
    print(" reached required accuracy" if not stuck else " not converged")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _true(tags: dict[str, list[str]], name: str) -> bool:
    return tags.get(name, ["F"])[0].strip(".").upper().startswith("T")


def _repeated(words: list[str], natoms: int) -> list[float]:
    """MAGMOM with its n*m shorthand; 1 µB each where nothing is said."""
    moments = []
    for word in words:
        count, found, value = word.partition("*")
        moments += [float(value)] * int(count) if found else [float(word)]
    return moments or [1.0] * natoms


def _check_charge_density(lattice: np.ndarray, u: list[float]) -> None:
    """ICHARG = 11 reads CHGCAR: it must be there, of this cell and of this U."""
    path = Path("CHGCAR")
    if not path.is_file():
        sys.exit("ERROR: charge density could not be read from file CHGCAR for ICHARG>10")
    lines = path.read_text().splitlines()
    written = np.array([line.split() for line in lines[2:5]], float)
    if not np.allclose(written, lattice, atol=1e-4):
        sys.exit("ERROR: CHGCAR is of another cell")
    if lines[0].split()[1:] != [f"{value:g}" for value in u]:
        sys.exit("ERROR: CHGCAR was made with another U")


if __name__ == "__main__":
    main()
