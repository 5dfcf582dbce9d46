"""A training in a process of its own, which its parent may kill: data, folder, result."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from tiny_model import TINY, eager

SHORT = replace(
    TINY,
    sites=replace(TINY.sites, channels=(4, 8), dropout=0.2, steps=2, epochs=4, head=4),
    lattice=replace(TINY.lattice, channels=(4, 4), dropout=0.2, steps=2, epochs=3, patience=1),
    energy=replace(TINY.energy, steps=2, epochs=3, patience=1),
    wgan=replace(TINY.wgan, steps=5),
)
"""Dropout everywhere and little patience: all that has a state is in use."""

SEED = 11


def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    """One line per epoch, at once."""
    del total, figures
    sys.stdout.write(f"{stage} {done}\n")
    sys.stdout.flush()


def main(crystals: str, folder: str, result: str) -> None:
    """Train, then write the model and its history."""
    from atomate2_vogen.data.crystals import CrystalSet
    from atomate2_vogen.models.training.pipeline import train_wgan

    with eager():
        trained = train_wgan(CrystalSet.load(crystals), SHORT, SEED, report, checkpoint=folder)
    trained.model.save(result)
    Path(result).with_suffix(".json").write_text(json.dumps(trained.history), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
