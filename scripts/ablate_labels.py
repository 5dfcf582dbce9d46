"""Measure what each kind of energy label is worth to the energy network.

Usage: python scripts/ablate_labels.py FOLDER [--preset paper] [--seeds 3] [--out FILE]

FOLDER holds the checkpoints of a training of that preset (``checkpoints/`` of ``vogen train``);
its autoencoders are taken and the energy network is trained anew on their latents: on both kinds
of labels, on energies after relaxation alone, and on energies as crystals stand alone. All are
judged on the energies that held-out crystals relax to, beside the mean by composition.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.models.presets import LABELS, get_preset
from atomate2_vogen.models.stages import train_energy, train_vae

SHOWN = {
    "test_energy_n": "n",
    "test_energy_mae": "MAE (eV/atom)",
    "test_energy_r2": "R²",
    "test_energy_of_ends_mae": "MAE from the end (eV/atom)",
}

console = Console()


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--seed", type=int, default=0, help="of the autoencoders")
    parser.add_argument("--seeds", type=int, default=3, help="energy networks per row")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    preset, crystals = get_preset(arguments.preset), load_dataset()
    relaxations = RelaxedSet.load(relaxed_path(crystals.system))
    vae = train_vae(crystals, preset, arguments.seed, checkpoint=arguments.folder)
    rows: dict[str, dict[str, list[float]]] = {}
    for labels in LABELS:
        asked = replace(preset, relaxed=True, energy=replace(preset.energy, labels=labels))
        found = [
            train_energy(crystals, vae, asked, seed=seed, relaxations=relaxations).metrics
            for seed in range(arguments.seeds)
        ]
        rows[labels] = {key: [float(one[key]) for one in found] for key in SHOWN}
        if labels == LABELS[0]:
            by_composition = {
                "test_energy_n": [found[0]["test_energy_n"]],
                "test_energy_mae": [found[0]["test_energy_mae_composition_mean"]],
                "test_energy_r2": [found[0]["test_energy_r2_composition_mean"]],
            }
    rows["mean by composition"] = by_composition
    table = Table("labels", *SHOWN.values(), title=f"{len(relaxations)} relaxations")
    for name, figures in rows.items():
        cells = [
            f"{np.mean(figures[key]):.3f} ± {np.std(figures[key]):.3f}" if key in figures else "–"
            for key in SHOWN
        ]
        table.add_row(name, *cells)
    console.print(table)
    if arguments.out:
        record = {"vae": vae.model_id, "preset": preset.name, "rows": rows}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
