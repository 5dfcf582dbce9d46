"""Formation energies of a system's reference phases beside experiment, as a table.

    python benchmarks/compare_references.py --system Ti-O --fit --out results/titanium/references.md

Experiment: standard enthalpies of formation that pymatgen bundles for fitting corrections
(``pymatgen/analysis/compatibility/exp_compounds.json.gz``), by formula. With ``--fit`` a second table
tells what a correction per anion that is fitted to them changes.
"""

from __future__ import annotations

import argparse
import math
from importlib.metadata import version
from pathlib import Path

from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.data.systems import load_system
from atomate2_vogen.engines import (
    AnionFit,
    fit_anion_correction,
    load_references,
    measured_formation_energies,
)
from atomate2_vogen.stability.hull import ReferenceHull


def told(fit: AnionFit) -> list[str]:
    """Table of a fit."""
    correction = fit.correction
    lines = [
        "",
        (
            f"With {correction.shift:+.3f} eV per {correction.anion} in compounds, fitted to "
            f"{len(fit.compounds)} of them; left out: with the correction fitted to the others."
        ),
        "",
        "| phase | experiment | as calculated | corrected | left out |",
        "|---|---|---|---|---|",
    ]
    for c in fit.compounds:
        cells = [
            f"{value:.3f} ({value - c.measured:+.3f})"
            for value in (c.calculated, c.corrected, c.left_out)
        ]
        lines.append(f"| {c.name} | {c.measured:.3f} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Write and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--system", default="Ti-O", help="one whose references are shipped")
    parser.add_argument("--fit", action="store_true", help="fit a correction per anion too")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    system = load_system(arguments.system)
    references = load_references(JUDGE_SCHEME, system)
    hull = ReferenceHull(references, system)
    experiment = measured_formation_energies()
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
    if arguments.fit:
        lines += told(fit_anion_correction(references, system))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
