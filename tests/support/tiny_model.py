"""A preset that trains in seconds, and a model trained with it on a slice of the data set."""

from __future__ import annotations

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
from filelock import FileLock

from atomate2_vogen.models.networks.hyperparameters import (
    AcceptancePreset,
    EnergyPreset,
    Preset,
    VAEPreset,
    WGANPreset,
)

TINY = Preset(
    name="tiny",
    sites=VAEPreset(
        grid=16,
        latent=24,
        patch=2,
        channels=(12, 16),
        periodic=True,
        head=16,
        dropout=0.0,
        beta=0.05,
        anneal_epochs=2,
        batch=16,
        steps=8,
        epochs=4,
    ),
    lattice=VAEPreset(
        grid=16,
        latent=6,
        patch=4,
        channels=(8, 8),
        periodic=False,
        head=8,
        dropout=0.0,
        beta=0.01,
        batch=16,
        steps=8,
        epochs=3,
    ),
    energy=EnergyPreset(width=16, channels=(8, 8), batch=16, steps=4, epochs=2),
    wgan=WGANPreset(
        noise=8,
        width=32,
        generator_channels=(8, 4),
        critic_channels=(4, 8),
        critic_steps=2,
        batch=16,
        steps=6,
    ),
    acceptance=AcceptancePreset(latents=40, width=16, batch=16, steps=4, epochs=2),
)


@pytest.fixture(scope="session")
def tiny() -> Preset:
    return TINY


@pytest.fixture(scope="session")
def crystals():
    """A few hundred crystals of the data set with made-up labels (a line plus noise)."""
    from atomate2_vogen.data.dataset import load_dataset

    every = load_dataset()
    small = every.select(every.n_atoms <= 6)
    some = np.sort(np.random.default_rng(0).permutation(len(small))[:300])
    small = small.select(some)
    share = small.counts[:, 0] / small.n_atoms
    small.energies[:] = -8 + 2 * share + np.random.default_rng(1).normal(0, 0.5, len(small))
    return small


@pytest.fixture(scope="session")
def trained(tiny, crystals, tmp_path_factory, worker_id):
    """Trained once for all processes that run tests: the second one waits for the first."""
    from atomate2_vogen.models.trained_model import TrainedModel
    from atomate2_vogen.models.training.pipeline import TrainingResult, train_wgan

    if worker_id == "master":
        with eager():
            return train_wgan(crystals, tiny, seed=3)
    shared = tmp_path_factory.getbasetemp().parent / "trained.pickle"
    with FileLock(shared.with_suffix(".lock")):
        if not shared.exists():
            with eager():
                result = train_wgan(crystals, tiny, seed=3)
            content = vars(result) | {"model": result.model.to_bytes()}
            shared.write_bytes(pickle.dumps(content))
            return result
    content = pickle.loads(shared.read_bytes())
    return TrainingResult(**content | {"model": TrainedModel.from_bytes(content["model"])})


@contextmanager
def eager():
    """Run steps one by one: for a few steps, compiling them takes longest by far."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(run_eagerly=True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(run_eagerly=False)
