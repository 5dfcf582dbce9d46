"""Energies of a crystal, of the turned crystal and of its mirror image, by every energy model.

    OMP_NUM_THREADS=1 python benchmarks/mirror_images.py --out results/energy_models/mirror_images.json

The crystal is a cell of V2O4 without any symmetry. Where the image has another energy, forces in
symmetric crystals lack mirrors and inversions, and phonopy must not use these.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase import Atoms

from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.forcefields import shared_calculator
from atomate2_vogen.files import write_atomically

ENGINES = ("chgnet", "chgnet-r2scan", "diep", "sevennet", "sevennet-l3i5")
CELL = np.array([[4.2, 0.3, 0.1], [0.2, 4.6, -0.3], [0.5, 0.1, 5.0]])
SITES = np.array(
    [[0, 0, 0], [2.1, 2.2, 0.4], [1.9, 0.2, 1.5], [0.3, 2.0, 2.4], [2.2, 2.1, 2.5], [0.4, 0.3, 2.2]]
)
NOISE = 5e-5
"""eV/atom, of single precision."""


def changes_of_energy(engine: str) -> dict[str, float]:
    """Energy of the turned crystal and of the mirror image less that of the crystal, eV/atom."""
    maker: Any = load_engine(engine).static_maker
    calculator = shared_calculator(maker.calculator_meta, dict(maker.calculator_kwargs))
    moved = SITES + np.random.default_rng(0).normal(0, 0.1, SITES.shape)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))

    def energy(change: np.ndarray) -> float:
        atoms = Atoms("V2O4", cell=CELL @ change.T, positions=moved @ change.T, pbc=True)
        atoms.calc = calculator
        return float(atoms.get_potential_energy()) / len(atoms)

    here = energy(np.eye(3))
    return {"rotation": energy(turn) - here, "mirror image": energy(-np.eye(3)) - here}


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file.")
def main(*, out: Path) -> None:
    """Measure all models, write the rows."""
    content = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": {name: version(name) for name in ("chgnet", "sevenn", "diep", "torch")},
        "eV_per_atom": {name: changes_of_energy(name) for name in ENGINES},
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(out, text)
    click.echo(text)


if __name__ == "__main__":
    main()
