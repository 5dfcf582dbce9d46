"""Train the networks stage by stage, see what they reached, and generate crystals.

Usage: python examples/train.py [FOLDER] [PRESET]
"""

from __future__ import annotations

import sys

from jobflow import Flow, run_locally

from atomate2_vogen.jobs import (
    BuildDatasetMaker,
    SampleMaker,
    TrainEnergyMaker,
    TrainVAEMaker,
    TrainWGANMaker,
)
from atomate2_vogen.plotting import plot_training
from atomate2_vogen.schemas import SampleDoc, TrainingDoc
from atomate2_vogen.stores import VogenStores, parse


def main(folder: str = "train_store", preset: str = "quick") -> None:
    """Stop it at any time: run again, each stage goes on from its last epoch."""
    options = {"preset": preset, "checkpoint_dir": f"{folder}/checkpoints"}
    dataset = BuildDatasetMaker(checkpoint_dir=f"{folder}/checkpoints").make()
    vae = TrainVAEMaker(**options).make(dataset.output)
    energy = TrainEnergyMaker(**options).make(dataset.output, vae.output)
    # without vae and energy, this one Maker would train them too
    wgan = TrainWGANMaker(**options).make(dataset.output, vae=vae.output, energy=energy.output)
    sample = SampleMaker(sampler="wgan", options={"max_attempts": 64}).make(
        {"VO2": 4}, training=wgan.output
    )

    with VogenStores.open(folder, create=True) as stores:
        flow = Flow([dataset, vae, energy, wgan, sample])
        run_locally(flow, store=stores.job_store, ensure_success=True)
        training = parse(TrainingDoc, stores.job_store.get_output(wgan.uuid, load=True))
        made = parse(SampleDoc, stores.job_store.get_output(sample.uuid, load=True))
    for name, value in training.metrics.items():
        print(f"{name:34} {value:10.3f}")
    print(f"{len(made.candidates)} crystals from {made.attempts} attempts")
    plot_training(training, f"{folder}/learning_curves.png")
    print(f"{folder}/learning_curves.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
