"""Train on crystals and energies of your own, a few hundred or more, and generate new ones.

Usage: python examples/train_on_my_data.py CIFS ENERGIES.csv [FOLDER] [PRESET] [ATTEMPTS]

ENERGIES.csv has the columns file and energy_per_atom (eV/atom, all of one method). PRESET quick takes
minutes on one core; paper is the size of the publication, and also learns from the relaxations that
come with the package, whose energies are CHGNet's.
"""

from __future__ import annotations

import sys

from jobflow import Flow, run_locally

from atomate2_vogen import VogenStores
from atomate2_vogen.data import crystals_from_files, make_artefact, read_energies
from atomate2_vogen.jobs import SampleMaker, TrainWGANMaker
from atomate2_vogen.schemas import SampleDoc, TrainingDoc
from atomate2_vogen.stores import parse


def main(
    cifs: str,
    energies: str,
    folder: str = "my_training_store",
    preset: str = "quick",
    attempts: str = "64",
) -> None:
    """Files that cannot be used are named; stopped, it goes on from its last epoch."""
    crystals, bad = crystals_from_files([cifs], read_energies(energies))
    for file in bad:
        print(f"left out: {type(file.error).__name__}: {file.error}")
    print(f"{len(crystals)} crystals, {crystals.is_distinct.sum()} distinct")
    print({split: int((crystals.splits == split).sum()) for split in set(crystals.splits)})

    dataset = make_artefact("my_dataset.npz", crystals.to_bytes())
    training = TrainWGANMaker(preset=preset, checkpoint_dir=f"{folder}/checkpoints").make(dataset)
    sample = SampleMaker(sampler="wgan", options={"max_attempts": int(attempts)})
    made = sample.make({"VO2": 4}, training=training.output)
    with VogenStores.open(folder, create=True) as stores:
        run_locally(Flow([training, made]), store=stores.job_store, ensure_success=True)
        trained = parse(TrainingDoc, stores.job_store.get_output(training.uuid, load=True))
        found = parse(SampleDoc, stores.job_store.get_output(made.uuid, load=True))
        stores.ingest_jobs()
    for name, value in trained.metrics.items():
        print(f"{name:34} {value:10.3f}")
    print(f"model {trained.model_id}: {len(found.candidates)} crystals, {found.attempts} attempts")


if __name__ == "__main__":
    main(*sys.argv[1:])
