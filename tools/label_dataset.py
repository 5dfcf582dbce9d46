"""Label the substituted crystals of a system with the default judge and ship the labels.

Usage: ``python tools/label_dataset.py [--system Ti-O] [--checkpoint FILE]``

Uses the function that `BuildDatasetMaker` uses. Killed and started again with the same
checkpoint file it goes on where it was.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from atomate2_vogen.data.crystals import substitute
from atomate2_vogen.data.labels import label_crystals, shipped_labels_path
from atomate2_vogen.data.systems import load_system


def main() -> None:
    """Label, write the file, say what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=Path("labels.part.npz"))
    parser.add_argument("--system", default="V-O", help="e.g. Ti-O, or a file of an OxideSystem")
    arguments = parser.parse_args()
    system = load_system(arguments.system)
    console = Console()
    crystals = substitute(system)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as bar:
        task = bar.add_task("labels", total=None)
        result = label_crystals(
            crystals,
            checkpoint=arguments.checkpoint,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    target = shipped_labels_path(system, result.labels.scheme)
    result.labels.save(target)
    quartiles = np.nanpercentile(result.energies, [0, 25, 50, 75, 100])
    console.print(f"{len(crystals)} crystals, {len(result.labels.energies)} different")
    console.print(f"min, quartiles, max in eV/atom: {np.round(quartiles, 3).tolist()}")
    console.print(
        f"{len(result.failures)} failures",
        Counter(reason.split(":")[0] for reason in result.failures.values()),
    )
    console.print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
