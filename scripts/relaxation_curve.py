"""Measure what more relaxations are worth to the energy network: a learning curve.

Usage: python scripts/relaxation_curve.py [--shares 0.25 0.5 0.75 1] [--seeds 3] [--out FILE]

The autoencoders are those of the package. The energy network is trained anew on a share of the
relaxations whose crystals training may see, drawn by the seed, and judged on the energies that
held-out crystals relax to, always the same ones, beside the mean by composition.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.ends import starts
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.models.shipped import load_shipped
from atomate2_vogen.models.stagefile import autoencoders
from atomate2_vogen.models.stages import train_energy

SHOWN = {
    "test_energy_mae": "MAE (eV/atom)",
    "test_energy_r2": "R²",
    "test_energy_mae_composition_mean": "MAE, mean by composition",
    "test_energy_r2_composition_mean": "R²",
}

console = Console()


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0])
    parser.add_argument("--seeds", type=int, default=3, help="draws and networks per share")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    crystals, relaxations = load_dataset(), RelaxedSet.load(relaxed_path(VANADIUM))
    model, records = load_shipped(), relaxations.records()
    vae, begun = autoencoders(model), starts(crystals, relaxations)
    held_out = (begun >= 0) & (crystals.splits[begun] != "train")
    kept, free = np.flatnonzero(held_out), np.flatnonzero(~held_out)
    rows = []
    for share in arguments.shares:
        for seed in range(arguments.seeds):
            n = round(share * len(free))
            drawn = np.random.default_rng(seed).permutation(free)[:n]
            chosen = [records[index] for index in sorted([*kept, *drawn])]
            begin = time.perf_counter()
            metrics = train_energy(
                crystals,
                vae,
                vae.preset,
                seed=seed,
                relaxations=RelaxedSet.from_records(chosen),
            ).metrics
            row = {"relaxations": n, "seed": seed, "n": int(metrics["test_energy_n"])}
            row |= {key: round(float(metrics[key]), 4) for key in SHOWN}
            rows.append(row)
            console.print(row, f"{time.perf_counter() - begin:.0f} s")
    table = Table("relaxations to learn from", *SHOWN.values())
    for n in sorted({row["relaxations"] for row in rows}):
        of = [row for row in rows if row["relaxations"] == n]
        cells = ([row[key] for row in of] for key in SHOWN)
        table.add_row(str(n), *(f"{np.mean(cell):.3f} ± {np.std(cell):.3f}" for cell in cells))
    console.print(table)
    if arguments.out:
        record = {"model": model.model_id, "preset": vae.preset.name, "rows": rows}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
