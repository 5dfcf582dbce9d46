"""Formation energies of a system's reference phases beside experiment, as a table.

    python scripts/compare_references.py --system Ti-O --out results/titanium/references.md

Experiment: standard enthalpies of formation that pymatgen bundles for fitting corrections
(``pymatgen/analysis/compatibility/exp_compounds.json.gz``), by formula.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from importlib.metadata import version
from pathlib import Path

from pymatgen.analysis import compatibility
from pymatgen.core import Composition

from atomate2_vogen.analysis.hull import ReferenceHull
from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.data.systems import load_system
from atomate2_vogen.engines.references import load_references


def measured() -> dict[str, tuple[float, float]]:
    """Formation energy and its uncertainty in eV/atom, by reduced formula."""
    file = Path(compatibility.__file__).parent / "exp_compounds.json.gz"
    found = {}
    for row in json.loads(gzip.decompress(file.read_bytes())):
        n = Composition(row["formula"]).num_atoms
        found[Composition(row["formula"]).reduced_formula] = (
            row["exp energy"] / n,
            row["uncertainty"] / n,
        )
    return found


def main() -> None:
    """Write and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--system", default="Ti-O", help="one whose references are shipped")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    system = load_system(arguments.system)
    references = load_references(JUDGE_SCHEME, system)
    hull = ReferenceHull(references, system)
    experiment = measured()
    lines = [
        (
            f"Judge {JUDGE_SCHEME}, hull {hull.hull_id}, {len(references)} phases; "
            f"pymatgen {version('pymatgen')}. eV/atom."
        ),
        "",
        "| phase | atoms | formation energy | above hull | experiment | difference |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(
        references,
        key=lambda r: (
            r.structure.composition.get_atomic_fraction(system.anion),
            r.energy_per_atom,
        ),
    )
    for reference in order:
        composition = reference.structure.composition
        position = hull.position(composition, reference.energy_per_atom)
        formation, above = position.formation_energy, position.energy_above_hull
        cells = ["", ""]
        if reference.formula in experiment:
            value, error = experiment[reference.formula]
            spread = "" if math.isnan(error) else f" ± {error:.3f}"
            cells = [f"{value:.3f}{spread}", f"{formation - value:+.3f}"]
        lines.append(
            f"| {reference.name} | {len(reference.structure)} | {formation:.3f} | {above:.3f} "
            f"| {cells[0]} | {cells[1]} |".replace("|  |", "| |").replace("|  |", "| |")
        )
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
