"""Energy models on reference phases: reactions, formation energies, order of phases, CPU time.

    OMP_NUM_THREADS=1 python benchmarks/energy_models.py --out results/energy_models

Energies are those of the shipped references, which each model relaxed itself; measured ones are
pymatgen's. The order of phases is compared with OQMD's PBE energies, above its hull, of which the
references were chosen. CPU time is of energy, forces and stress of α-V2O5 (14 atoms), one thread.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from pymatgen.core import Composition
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.stats import spearmanr

from atomate2_vogen import TITANIUM, VANADIUM, OxideSystem, load_references
from atomate2_vogen.engines import load_engine, measured_formation_energies, reference_structures
from atomate2_vogen.engines.forcefields import shared_calculator
from atomate2_vogen.engines.loading import ENGINES
from atomate2_vogen.files import write_atomically
from atomate2_vogen.schemas import ReferenceDoc
from atomate2_vogen.stability import ReferenceHull

REACTIONS: dict[str, tuple[dict[str, int], str]] = {
    "V2O3 + V2O5 -> 4 VO2": ({"V2O3": 1, "V2O5": 1}, "VO2"),
    "V2O3 + VO2 -> V3O5": ({"V2O3": 1, "VO2": 1}, "V3O5"),
}
"""Left side, and the product on the right."""

REPEATS = 10
"""Single points that are timed; the fastest counts."""


def models() -> list[str]:
    """Engines of force fields, by name."""
    return [name for name, entry in ENGINES.items() if entry.phonons and not entry.bands]


def lowest(references: Sequence[ReferenceDoc]) -> dict[str, float]:
    """Lowest energy per atom of each formula."""
    found: dict[str, float] = {}
    for one in references:
        formula = one.structure.composition.reduced_formula
        found[formula] = min(found.get(formula, np.inf), one.energy_per_atom)
    return found


def reaction_energy(energies: Mapping[str, float], left: Mapping[str, int], right: str) -> float:
    """Reaction energy in eV per atom; negative where the product is lower."""
    atoms = {formula: n * Composition(formula).num_atoms for formula, n in left.items()}
    before = sum(energies[formula] * n for formula, n in atoms.items()) / sum(atoms.values())
    return float(energies[right] - before)


def formation_errors(references: Sequence[ReferenceDoc], system: OxideSystem) -> dict[str, float]:
    """Formation energy less the measured one of each compound that is measured, eV/atom."""
    hull = ReferenceHull(references, system)
    measured = measured_formation_energies()
    return {
        formula: hull.position(Composition(formula), energy).formation_energy - measured[formula][0]
        for formula, energy in lowest(references).items()
        if formula in measured and len(Composition(formula)) > 1
    }


def order_of_phases(references: Sequence[ReferenceDoc], system: OxideSystem) -> dict[str, Any]:
    """Differences to the lowest phase of the same formula, beside OQMD's."""
    source = {phase.source: phase.source_stability for phase in reference_structures(system)}
    ours, theirs = [], []
    for formula, energy in lowest(references).items():
        phases = [one for one in references if one.formula == formula]
        if len(phases) < 2 or len(Composition(formula)) < 2:
            continue
        least = min(source[one.source] for one in phases)
        ours += [one.energy_per_atom - energy for one in phases]
        theirs += [source[one.source] - least for one in phases]
    difference = np.subtract(ours, theirs)
    return {
        "n": len(ours),
        "rank_correlation": float(spearmanr(ours, theirs).statistic),
        "mean_absolute_difference": float(np.abs(difference).mean()),
    }


def bixbyite_above_corundum(references: Sequence[ReferenceDoc]) -> float | None:
    """Difference of the two V2O3 in eV/atom; None where one of the two relaxed into the other."""
    found = {one.name: one.energy_per_atom for one in references}
    names = ("V2O3 Ia-3", "V2O3 R-3c")
    return found[names[0]] - found[names[1]] if all(name in found for name in names) else None


def seconds_per_step(name: str) -> float:
    """CPU seconds of energy, forces and stress of α-V2O5."""
    maker = load_engine(name).static_maker
    calculator = shared_calculator(maker.calculator_meta, maker.calculator_kwargs)
    (crystal,) = [one for one in load_references("CHGNet-0.3.0") if one.name == "V2O5 Pmmn"]
    atoms = AseAtomsAdaptor.get_atoms(crystal.structure)
    atoms.calc = calculator
    times = []
    for seed in range(REPEATS + 1):
        atoms.rattle(0.01, seed=seed)
        begin = time.process_time()
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()
        times.append(time.process_time() - begin)
    return min(times[1:])  # the first one compiles


def measure(name: str) -> dict[str, Any]:
    """Row of one model."""
    engine = load_engine(name)
    references = load_references(engine, VANADIUM)
    energies = lowest(references)
    return {
        "engine": name,
        "scheme": engine.scheme,
        "functional": engine.functional,
        "training_data": list(engine.training_data),
        "reactions": {
            label: reaction_energy(energies, *sides) for label, sides in REACTIONS.items()
        },
        "formation_errors_V-O": formation_errors(references, VANADIUM),
        "formation_errors_Ti-O": formation_errors(load_references(engine, TITANIUM), TITANIUM),
        "bixbyite_above_corundum": bixbyite_above_corundum(references),
        "order_V-O": order_of_phases(references, VANADIUM),
        "order_Ti-O": order_of_phases(load_references(engine, TITANIUM), TITANIUM),
        "cpu_ms_per_step": 1000 * seconds_per_step(name),
    }


def measured_reactions() -> dict[str, float]:
    """The same from measured formation energies, where all are known."""
    table = {formula: value[0] for formula, value in measured_formation_energies().items()}
    return {
        label: reaction_energy(table, left, right)
        for label, (left, right) in REACTIONS.items()
        if {*left, right} <= set(table)
    }


def markdown(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, float]) -> str:
    """Tables for people, energies in meV/atom."""

    def meV(value: float | None) -> str:  # noqa: N802 - the unit
        return "–" if value is None else f"{1000 * value:+.1f}"

    def spread(errors: Mapping[str, float]) -> str:
        return f"{1000 * np.mean(np.abs(list(errors.values()))):.0f} (n = {len(errors)})"

    header = [
        "model",
        "functional",
        *(f"{label} ({meV(measured.get(label))})" for label in REACTIONS),
        "bixbyite - corundum V2O3",
        "formation energy, mean error V-O",
        "Ti-O",
        "phases of one formula against OQMD: mean difference, rank correlation",
        "CPU ms per step",
    ]
    lines = [header, ["---", "---", *("---:" for _ in header[2:])]]
    for row in rows:
        order = row["order_V-O"]
        difference = 1000 * order["mean_absolute_difference"]
        lines.append(
            [
                row["engine"],
                row["functional"],
                *(meV(row["reactions"][label]) for label in REACTIONS),
                meV(row["bixbyite_above_corundum"]),
                spread(row["formation_errors_V-O"]),
                spread(row["formation_errors_Ti-O"]),
                f"{difference:.1f}, {order['rank_correlation']:.2f} (n = {order['n']})",
                f"{row['cpu_ms_per_step']:.0f}",
            ]
        )
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"Energies in meV/atom; in brackets what is measured.\n\n{table}\n"


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(*, out: Path) -> None:
    """Measure every model, write ``models.json`` and ``models.md``."""
    rows = [measure(name) for name in models()]
    measured = measured_reactions()
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("chgnet", "sevenn", "diep", "torch")},
        "measured_reactions": measured,
        "models": rows,
    }
    text = markdown(rows, measured)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "models.json", json.dumps(content, indent=1) + "\n")
    write_atomically(out / "models.md", text)
    click.echo(text)


if __name__ == "__main__":
    main()
