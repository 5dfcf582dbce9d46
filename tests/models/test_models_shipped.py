"""Models that come with the package: found by name, checked, and missed with a hint."""

from __future__ import annotations

import dataclasses

import pytest
from bare_model import bare_model

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import ArtefactError, InputError, MissingModelError
from atomate2_vogen.models import shipped
from atomate2_vogen.models.shipped import load_shipped, shipped_path
from atomate2_vogen.samplers import load_sampler

NIOBIUM = dataclasses.replace(
    VANADIUM,
    metal="Nb",
    target_formulas=("NbO2",),
    oxidation_states={"Nb": (4,), "O": (-2,)},
    atomic_volumes={"Nb": 15.0, "O": 10.0},
    minimum_distances={"Nb-Nb": 2.0, "Nb-O": 1.5, "O-O": 2.0},
)


@pytest.fixture(scope="module")
def model(tiny):
    return bare_model(tiny)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shipped, "shipped_path", lambda preset, system: tmp_path / f"{system.chemsys}-{preset}.zip"
    )
    return tmp_path


def test_names_tell_system_and_preset():
    path = shipped_path("paper", VANADIUM)
    assert path.name == "wgan-O-V-paper.zip"
    assert path.parent.name == "files"


def test_what_is_not_shipped_says_how_to_train_it(folder):
    with pytest.raises(
        MissingModelError, match=r"Nb-O.*'paper'.*TrainWGANMaker.*train --system Nb-O"
    ):
        load_shipped("paper", NIOBIUM)
    with pytest.raises(MissingModelError, match="give the model or its file"):
        load_sampler("wgan")


def test_shipped_model_samples_in_one_line(folder, model):
    (folder / "O-V-tiny.zip").write_bytes(model.to_bytes())
    sampler = load_sampler("wgan", preset="tiny", max_attempts=4, batch=4)
    assert sampler.model_id == model.model_id
    assert sum(sampler.sample({"VO2": 1}).attempts.values()) <= 4


def test_files_that_are_not_what_their_name_says(folder, model):
    (folder / "O-V-paper.zip").write_bytes(model.to_bytes())
    with pytest.raises(ArtefactError, match="preset tiny"):
        load_shipped()
    (folder / "O-V-paper.zip").write_bytes(b"broken")
    with pytest.raises(ArtefactError, match=r"O-V-paper\.zip"):
        load_shipped()


def test_a_model_of_another_system(folder, model, tmp_path):
    path = tmp_path / "model.zip"
    model.save(path)
    assert load_sampler("wgan", model=path).model_id == model.model_id
    with pytest.raises(InputError, match=r"is of O-V, asked for is Nb-O; .*--system Nb-O"):
        load_sampler("wgan", model=path, system=NIOBIUM)
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_sampler("wgan", model=tmp_path / "nothing.zip")
