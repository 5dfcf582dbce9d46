"""Train the package's networks anew from their autoencoders on, e.g. after more relaxations.

Usage: python tools/retrain.py FOLDER

The autoencoders learn from crystals alone, not from energies, and are those of the package; the
energy network, the WGAN and the acceptance network are trained as ``vogen train`` does. FOLDER
then holds the same files, ``tools/ship_model.py FOLDER`` puts them into the package. Killed
and started again it goes on where it was. ``vogen train`` trains the autoencoders too.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

from atomate2_vogen.cli.sampling_options import MODEL_FILE
from atomate2_vogen.cli.train import DOCUMENT, FIGURE, document_json
from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.jobs.training import TrainWGANMaker
from atomate2_vogen.models.shipped import load_shipped, shipped_path
from atomate2_vogen.models.training.trained_stage import TrainedStage, stages_of
from atomate2_vogen.plotting.training import plot_training

NETWORKS = ("sites", "lattice")
PARTS = ("pools", "sites", "lattice", "vae_metrics")
OTHERS = ("seconds_", "acceptance", "test_energy")  # metrics that are not the autoencoders'


def shipped_autoencoders() -> TrainedStage:
    """Those of the package, with how their training went."""
    model = load_shipped()
    path = shipped_path(model.preset.name, model.system).with_suffix(".json")
    document = json.loads(path.read_text(encoding="utf-8"))
    metrics = document["metrics"]
    return replace(
        stages_of(model)[0],
        history={name: document["history"][name] for name in NETWORKS},
        metrics={k: v for k, v in metrics.items() if not k.startswith(OTHERS)},
        seconds={part: metrics[f"seconds_{part}"] for part in PARTS},
        backend=document["backend"],
    )


def main() -> None:
    """Train, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    stage, crystals = shipped_autoencoders(), load_dataset()
    maker = TrainWGANMaker(
        preset=stage.preset.name,
        system=stage.system,
        checkpoint_dir=str((folder / "checkpoints").absolute()),
    )
    document = maker.make.original(
        maker,
        make_artefact("dataset.npz", crystals.to_bytes()),
        arguments.seed,
        vae=make_artefact("vae.npz", stage.to_bytes()),
    )
    (folder / MODEL_FILE).write_bytes(read_artefact(document.artefact))
    (folder / DOCUMENT).write_text(document_json(document), encoding="utf-8")
    plot_training(document, folder / FIGURE)


if __name__ == "__main__":
    main()
