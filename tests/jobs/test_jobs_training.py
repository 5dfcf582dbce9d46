"""Training and sampling as jobs: documents, stores, and what they refuse."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from tiny_model import eager
from train_tiny import SHORT

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.jobs.training import TrainEnergyMaker, TrainVAEMaker, TrainWGANMaker
from atomate2_vogen.models.networks import presets
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.trained_stage import TrainedStage
from atomate2_vogen.schemas import SampleDoc, TrainingDoc


@pytest.fixture
def registered(monkeypatch, tiny):
    monkeypatch.setitem(presets.PRESETS, "tiny", tiny)


@pytest.fixture
def training_is_done(monkeypatch, trained):
    """The session's training, instead of another of the same seed."""
    from atomate2_vogen.models.training import pipeline as training

    calls = []

    def train_wgan(crystals, preset, seed, progress, **stages):
        assert not any(stages.values())
        calls.append((len(crystals), preset, seed))
        progress("sites", 1, 2, {"reconstruction": 3.0})
        return trained

    monkeypatch.setattr(training, "train_wgan", train_wgan)
    return calls


@pytest.fixture
def artefact(crystals):
    return make_artefact("dataset.npz", crystals.to_bytes())


@pytest.mark.usefixtures("registered")
def test_from_data_set_to_candidates(artefact, training_is_done, crystals, trained):
    """The weights travel through the data store, not inside the documents."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    train = TrainWGANMaker(preset="tiny").make(artefact, 3)
    sample = SampleMaker(
        sampler="wgan", options={"max_attempts": 8, "batch": 8, "oversample": 1}
    ).make({"VO2": 1}, seed=2, training=train.output)
    outputs = run_locally(Flow([train, sample]), store=store, ensure_success=True, log=False)
    assert training_is_done == [(len(crystals), "tiny", 3)]
    document = store.get_output(train.uuid, load=True)
    bare = next(store.docs_store.query({"uuid": train.uuid}))["output"]
    assert "content" not in json.dumps(bare["artefact"], default=str)
    document = TrainingDoc.model_validate(document)
    model = TrainedModel.from_bytes(read_artefact(document.artefact))
    assert document.model_id == model.model_id == trained.model.model_id
    assert document.dataset_id == crystals.dataset_id
    assert document.config == json.loads(json.dumps(model.preset.as_dict()))
    assert document.history == trained.history
    assert document.metrics["seconds_wgan"] > 0
    made = outputs[sample.uuid][1].output
    assert isinstance(made, SampleDoc)
    assert made.model_id == model.model_id
    assert made.seed == 2
    assert made.attempts["VO2"] == len(made.candidates) + sum(made.rejected["VO2"].values())


@pytest.mark.slow
def test_stage_by_stage(artefact, monkeypatch, crystals, tmp_path):
    """Three jobs hand networks on through the data store; the last file holds all of them."""
    monkeypatch.setitem(presets.PRESETS, "short", SHORT)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    options = {"preset": "short", "checkpoint_dir": str(tmp_path / "kept")}
    vae = TrainVAEMaker(**options).make(artefact, 5)
    energy = TrainEnergyMaker(**options).make(artefact, vae.output, 5)
    wgan = TrainWGANMaker(**options).make(artefact, 5, vae=vae.output, energy=energy.output)
    with eager():
        run_locally(Flow([vae, energy, wgan]), store=store, ensure_success=True, log=False)
    documents = {}
    for job in (vae, energy, wgan):
        bare = next(store.docs_store.query({"uuid": job.uuid}))["output"]
        assert "content" not in json.dumps(bare["artefact"], default=str)
        document = TrainingDoc.model_validate(store.get_output(job.uuid, load=True))
        documents[document.stage] = document
        assert document.dataset_id == crystals.dataset_id
        assert document.config == json.loads(json.dumps(SHORT.as_dict()))
        assert document.peak_memory > 0.1
        assert document.wall_time >= document.metrics[f"seconds_{list(document.history)[-1]}"]
    assert list(documents) == ["vae", "energy", "wgan"]
    assert set(documents["vae"].history) == {"sites", "lattice"}
    assert documents["wgan"].history.keys() == {"sites", "lattice", "energy", "wgan", "acceptance"}
    assert documents["wgan"].history["lattice"] == documents["vae"].history["lattice"]
    assert documents["wgan"].metrics["test_match"] == documents["vae"].metrics["test_match"]
    stages = [
        TrainedStage.from_bytes(read_artefact(documents[k].artefact)) for k in ("vae", "energy")
    ]
    assert [stage.model_id for stage in stages] == [
        documents[k].model_id for k in ("vae", "energy")
    ]
    assert stages[1].parent == stages[0].model_id
    model = TrainedModel.from_bytes(read_artefact(documents["wgan"].artefact))
    for stage in stages:
        for name, network in stage.networks.items():
            for ours, theirs in zip(
                model.networks[name].get_weights(), network.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    # the same folder, all in one job: nothing is left to train
    again = TrainWGANMaker(**options)
    with monkeypatch.context() as patch:
        patch.setattr("keras.Model.fit", None)
        patch.setattr("atomate2_vogen.models.networks.wgan.CriticUpdate.train_on_batch", None)
        assert again.make.original(again, artefact, 5).model_id == model.model_id
    # a file of another kind is none of a stage
    with pytest.raises(ArtefactError, match="damaged or not such a file"):
        TrainEnergyMaker(**options).make.original(
            TrainEnergyMaker(**options), artefact, documents["wgan"], 5
        )


@pytest.mark.parametrize("kind", [TrainVAEMaker, TrainEnergyMaker, TrainWGANMaker])
def test_the_seed_is_no_setting_of_a_maker(kind):
    with pytest.raises(TypeError, match="seed"):
        kind(seed=1)
    assert inspect.signature(kind.make).parameters["seed"].default == 0


def test_data_set_of_another_system(artefact, registered):
    other = OxideSystem(
        metal="Nb",
        target_formulas=("NbO2",),
        oxidation_states={"Nb": (4,), "O": (-2,)},
        atomic_volumes={"Nb": 15.0, "O": 10.0},
        minimum_distances={"Nb-Nb": 2.0, "Nb-O": 1.5, "O-O": 2.0},
    )
    with pytest.raises(InputError, match=r"O-V.*Nb-O"):
        TrainWGANMaker(preset="tiny", system=other).make.original(
            TrainWGANMaker(preset="tiny", system=other), artefact
        )


def test_unknown_names():
    with pytest.raises(InputError, match=r"'gan'.*wgan"):
        SampleMaker(sampler="gan")


def test_wgan_needs_a_training():
    maker = SampleMaker(sampler="wgan", preset="one that is never shipped")
    with pytest.raises(InputError, match="TrainWGANMaker"):
        maker.make.original(maker, {"VO2": 1})


def test_options_that_the_sampler_lacks():
    maker = SampleMaker(sampler="substitution", options={"colour": 1})
    with pytest.raises(InputError, match=r"substitution.*colour"):
        maker.make.original(maker, {"VO2": 1})


def test_baselines_run_behind_the_same_maker():
    maker = SampleMaker(sampler="substitution")
    sample = maker.make.original(maker, {"VO2": 2}, seed=1)
    assert sample.sampler == "substitution"
    assert len(sample.candidates) == 2
    assert np.isfinite(sample.wall_time)
