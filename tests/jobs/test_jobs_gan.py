"""GAN and WGAN trained alike, on a model that takes seconds."""

from __future__ import annotations

import pytest
from jobflow import run_locally
from tiny_model import eager

from atomate2_vogen import VogenStores
from atomate2_vogen.data import dataset
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs import TrainGanMaker
from atomate2_vogen.models import shipped
from atomate2_vogen.schemas import GanDoc
from atomate2_vogen.stores import parse


@pytest.fixture
def small(monkeypatch, trained, crystals):
    """The small model and its data in the place of those that are shipped."""
    monkeypatch.setattr(shipped, "load_shipped", lambda _preset, _system: trained.model)
    monkeypatch.setattr(dataset, "load_dataset", lambda _system: crystals)
    return trained.model


def train(kind, seed=1):
    job = TrainGanMaker(kind=kind, steps=4, decoded=3, show_progress=False).make(seed=seed)
    with VogenStores.memory() as stores, eager():
        run_locally(job, store=stores.job_store, log=False, ensure_success=True)
        return parse(GanDoc, stores.job_store.get_output(job.uuid))


def test_both_kinds_differ_in_their_loss_alone(small):
    gan, wgan = train("GAN"), train("WGAN")
    assert (gan.kind, wgan.kind) == ("GAN", "WGAN")
    assert gan.autoencoders == wgan.autoencoders == small.model_id
    assert gan.steps == wgan.steps == 4
    assert gan.model_id != wgan.model_id
    # a cross-entropy is never negative; both have a loss for every step
    assert min(gan.history["loss"]) >= 0
    assert len(gan.history["loss"]) == len(wgan.history["loss"]) == 4
    for document in (gan, wgan):
        # three latents of each of three formulas, none of them filtered
        assert document.decoded["exact_composition"].total == 9
        assert document.decoded["sound"].count <= document.decoded["exact_composition"].count


def test_a_seed_decides_the_training(small):
    first, second, other = train("WGAN"), train("WGAN"), train("WGAN", seed=2)
    assert first.model_id == second.model_id != other.model_id
    assert first.history == second.history
    assert small.model_id == first.autoencoders


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "VAE"}, "'VAE'"),
        ({"steps": 0}, "steps is 0"),
        ({"decoded": 1.5}, "decoded is 1.5"),
    ],
)
def test_what_cannot_be_trained(options, message):
    with pytest.raises(InputError, match=message):
        TrainGanMaker(**options)
