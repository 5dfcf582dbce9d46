"""What networks weigh is known before they are built; files are held against it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import bare_model
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import TINY

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.models import trained_model
from atomate2_vogen.models.networks.building import build_networks
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.presets import PRESETS
from atomate2_vogen.models.networks.weight_counts import count_weights
from atomate2_vogen.models.shipped import shipped_path
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training import trained_stage
from atomate2_vogen.models.training.trained_stage import TrainedStage, stages_of

channels = st.integers(1, 9)


@st.composite
def presets(draw):
    def rows(low, high):
        return tuple(draw(st.lists(channels, min_size=low, max_size=high)))

    lattice = replace(TINY.lattice, channels=rows(1, 2), latent=draw(channels), head=draw(channels))
    sites = replace(
        TINY.sites, channels=rows(1, 3), latent=draw(channels), patch=draw(st.sampled_from([1, 2]))
    )
    wgan = replace(
        TINY.wgan,
        noise=draw(channels),
        width=draw(st.integers(4, 40)),
        memory=draw(st.integers(0, 5)),
        generator_channels=rows(2, 2),
        critic_channels=rows(1, 3),
    )
    energy = replace(TINY.energy, width=draw(st.integers(1, 40)), channels=rows(1, 4))
    return replace(TINY, sites=sites, lattice=lattice, wgan=wgan, energy=energy)


@given(presets(), st.integers(1, 40))
@settings(max_examples=8, deadline=None)
def test_weights_are_counted_as_keras_counts_them(preset, max_atoms):
    preset.check_sizes()
    system = replace(VANADIUM, max_atoms=max_atoms)
    built = {name: net.count_params() for name, net in build_networks(preset, system).items()}
    assert count_weights(preset, system) == built


def test_the_shipped_networks_have_the_weights_of_their_preset():
    counts = count_weights(PRESETS["paper"], VANADIUM)
    with zipfile.ZipFile(shipped_path("paper", VANADIUM)) as archive:
        for name, count in counts.items():
            size = archive.getinfo(f"{name}.weights.h5").file_size
            assert 4 * count <= size <= 5 * count + 2_000_000


@pytest.fixture(scope="module")
def data():
    return bare_model.bare_model(TINY).to_bytes()


@pytest.fixture
def nothing_is_built(monkeypatch):
    def refuse(*_):
        raise AssertionError("a network is built")

    monkeypatch.setattr(trained_model, "build_networks", refuse)
    monkeypatch.setattr(trained_stage, "build_networks", refuse)


def changed(data, change):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def put(*path, value):
    def change(config):
        for step in path[:-1]:
            config = config[step]
        config[path[-1]] = value

    return change


HOSTILE = [
    put("preset", "sites", "channels", value=[512] * 3),
    put("preset", "wgan", "width", value=2048),
    put("preset", "wgan", "memory", value=20_000),
    put("preset", "energy", "width", value=1024),
    put("preset", "acceptance", "width", value=1024),
    put("system", "max_atoms", value=200),
    put("system", "max_atoms", value=10**9),
    put("system", "max_atoms", value="20"),
    put("system", "metal", value=["V"]),
    put("system", "oxidation_states", value={"V": 3, "O": -2}),
    *(
        put("preset", part, name, value=value)
        for part, name in [
            ("sites", "dropout"), ("sites", "channels"), ("sites", "grid"), ("sites", "periodic"),
            ("lattice", "beta"), ("energy", "l2"), ("energy", "channels"), ("wgan", "clip"),
            ("wgan", "generator_channels"), ("wgan", "loss"), ("acceptance", "width"),
        ]
        for value in [5.5, -1, "x", None, [], [None], {}, float("nan"), True, 10**12]
        if [name, value] not in (["periodic", True], ["beta", 5.5], ["clip", 5.5])  # valid ones
    ),
    put("preset", "name", value=[1]),
    put("preset", "wgan", value=[]),
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE)
def test_nothing_is_built_of_a_hostile_configuration(data, change, nothing_is_built):
    with pytest.raises(ArtefactError):
        TrainedModel.from_bytes(changed(data, change))


def test_presets_within_bounds_pass():
    for preset in (TINY, *PRESETS.values()):
        Preset.from_dict(json.loads(json.dumps(preset.as_dict()))).check_sizes()


def test_too_many_weights_in_all():
    wide = replace(TINY.sites, channels=(512,) * 3, latent=500)
    with pytest.raises(InputError, match="weights, more than"):
        count_weights(replace(TINY, sites=wide, lattice=replace(wide, grid=64)), VANADIUM)


def test_a_stage_is_known_by_its_id_before_anything_is_built(monkeypatch, nothing_is_built):
    monkeypatch.undo()
    model = bare_model.bare_model(TINY)
    model.provenance["dataset_id"] = "x"
    state = stages_of(model)[1].archive()
    again = TrainedStage.from_archive(state)
    assert again.model_id == state.header["model_id"]

    def refuse(*_):
        raise AssertionError("a network is built")

    monkeypatch.setattr(trained_stage, "build_networks", refuse)
    state.header["preset"]["energy"]["width"] = 1024
    with pytest.raises(ArtefactError, match="its content has the id"):
        TrainedStage.from_archive(state)
    state.header["model_id"] = trained_stage._digest(state.header, state.arrays)
    with pytest.raises(ArtefactError, match="weights of energy"):
        TrainedStage.from_archive(state)
