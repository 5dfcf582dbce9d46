"""Measure what relaxations, and each kind of energy label, are worth to the energy network.

Usage: python benchmarks/ablate_labels.py [--shares 0.25 0.5] [--seeds 3] [--out FILE]

The autoencoders are those of the package. The energy network is trained anew on both kinds of
labels, on energies after relaxation alone, on energies as crystals stand alone, without the
relaxations of random crystals, and on shares of the relaxations, drawn by the seed. All are judged
on the energies that held-out crystals relax to, always the same ones, beside the mean by
composition.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.ends import starts
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.models.networks.hyperparameters import LABELS, Preset
from atomate2_vogen.models.shipped import load_shipped
from atomate2_vogen.models.training.stages import train_energy
from atomate2_vogen.models.training.trained_stage import stages_of

SHOWN = {
    "test_energy_n": "n",
    "test_energy_mae": "MAE (eV/atom)",
    "test_energy_r2": "R²",
    "test_energy_of_ends_mae": "MAE from the end (eV/atom)",
}
BY_COMPOSITION = "mean by composition"

console = Console()


def cases(
    preset: Preset, random: np.ndarray, shares: list[float]
) -> Iterator[tuple[str, Preset, np.ndarray, float]]:
    """Name, preset, mask of the relaxations, and share of them that is learned from."""
    every = np.ones_like(random)
    for labels in LABELS:
        energy = replace(preset.energy, labels=labels)
        yield labels, replace(preset, energy=energy), every, 1.0
    if random.any():
        yield f"{LABELS[0]}, of the data set's crystals", preset, ~random, 1.0
    for share in shares:
        yield f"{LABELS[0]}, {share:.0%} of the relaxations", preset, every, share


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shares", type=float, nargs="*", default=[0.25, 0.5])
    parser.add_argument("--seeds", type=int, default=3, help="draws and networks per row")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    crystals, relaxations = load_dataset(), RelaxedSet.load(relaxed_path(VANADIUM))
    vae, records = stages_of(load_shipped())[0], relaxations.records()
    begun = starts(crystals, relaxations)
    held_out = (begun >= 0) & (crystals.splits[begun] != "train")
    rows: list[dict[str, str | float]] = []
    for name, preset, taken, share in cases(vae.preset, begun < 0, arguments.shares):
        free = np.flatnonzero(taken & ~held_out)
        for seed in range(arguments.seeds):
            n, begin = round(share * len(free)), time.perf_counter()
            drawn = np.random.default_rng(seed).permutation(free)[:n]
            chosen = sorted([*np.flatnonzero(held_out), *drawn])
            metrics = train_energy(
                crystals,
                vae,
                preset,
                seed=seed,
                relaxations=RelaxedSet.from_records([records[index] for index in chosen]),
            ).metrics
            row = {"labels": name, "relaxations": n, "seed": seed}
            row |= {key: round(float(metrics[key]), 4) for key in SHOWN}
            rows.append(row)
            if name == LABELS[0]:
                mean = {"labels": BY_COMPOSITION, "relaxations": n, "seed": seed}
                keys = {key: f"{key}_composition_mean" for key in SHOWN if not key.endswith("_n")}
                mean |= {key: round(float(metrics[of]), 4) for key, of in keys.items()}
                rows.append(mean | {"test_energy_n": row["test_energy_n"]})
            console.print(row, f"{time.perf_counter() - begin:.0f} s")
            if arguments.out:
                record = {"autoencoders": vae.model_id, "preset": vae.preset.name, "rows": rows}
                arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    table = Table("labels", "relaxations to learn from", *SHOWN.values())
    for name in dict.fromkeys(row["labels"] for row in rows):
        of = [row for row in rows if row["labels"] == name]
        cells = ([float(row[key]) for row in of] for key in SHOWN)
        figures = (f"{np.mean(cell):.3f} ± {np.std(cell):.3f}" for cell in cells)
        table.add_row(str(name), str(of[0]["relaxations"]), *figures)
    console.print(table)


if __name__ == "__main__":
    main()
