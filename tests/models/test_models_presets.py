"""Presets: round trip, bounds, and the sizes of the paper's Table 1."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.building import build_networks
from atomate2_vogen.models.networks.energy import OUTPUTS
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import condition_length
from atomate2_vogen.models.networks.presets import PRESETS, get_preset


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_survives_json(name):
    preset = PRESETS[name]
    assert Preset.from_dict(json.loads(json.dumps(preset.as_dict()))) == preset
    preset.check_sizes()


def test_unknown_names_and_fields():
    with pytest.raises(InputError, match=r"'huge'.*quick"):
        get_preset("huge")
    values = PRESETS["quick"].as_dict()
    with pytest.raises(InputError, match="colour"):
        Preset.from_dict({**values, "colour": 1})
    with pytest.raises(InputError, match="VAEPreset"):
        Preset.from_dict({**values, "sites": 3})


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("sites", {"grid": 4096}),
        ("lattice", {"latent": -1}),
        ("sites", {"channels": (10**6,)}),
        ("sites", {"channels": ()}),
        ("sites", {"channels": (8,), "patch": 1}),
        ("wgan", {"noise": 1.5}),
    ],
)
def test_hostile_sizes_are_refused(part, change):
    preset = PRESETS["quick"]
    with pytest.raises(InputError, match=part):
        replace(preset, **{part: replace(getattr(preset, part), **change)}).check_sizes()


FIELDS = [
    (part.name, field.name)
    for part in fields(Preset)
    if is_dataclass(getattr(PRESETS["quick"], part.name))
    for field in fields(getattr(PRESETS["quick"], part.name))
]


@pytest.mark.parametrize("value", [None, "x", float("nan"), float("inf"), -1e9, 10**12, [], ("8",)])
@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_every_field_of_every_network_is_bounded(part, name, value):
    """Also a field that somebody adds: the error names it."""
    preset = PRESETS["quick"]
    with pytest.raises(InputError, match=rf"{part}\.{name}"):
        replace(preset, **{part: replace(getattr(preset, part), **{name: value})}).check_sizes()


@pytest.mark.parametrize("name", ["per_group", "rattle", "strain", "p_moved", "p_random"])
@pytest.mark.parametrize("value", [None, "x", True, float("nan"), -1, 10**12])
def test_every_number_of_a_preset_is_bounded(name, value):
    with pytest.raises(InputError, match=f"preset quick: {name} is"):
        replace(PRESETS["quick"], **{name: value}).check_sizes()


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number(value):
    preset = PRESETS["quick"]
    with pytest.raises(InputError, match=r"wgan\.energy_weight"):
        replace(preset, wgan=replace(preset.wgan, energy_weight=value)).check_sizes()


def test_grid_that_cannot_be_halved(tiny):
    from atomate2_vogen.models.networks.vae import build_encoder

    with pytest.raises(InputError, match="18"):
        build_encoder(replace(tiny.sites, grid=18), 2, "sites")


def test_paper_preset_has_the_papers_sizes():
    networks = build_networks(PRESETS["paper"], VANADIUM)
    shapes = {name: network.output_shape for name, network in networks.items()}
    assert networks["sites_encoder"].input_shape == (None, 64, 64, 64, 2)
    assert shapes["sites_encoder"] == [(None, 200), (None, 200)]
    assert shapes["sites_decoder"] == (None, 64, 64, 64, 2)
    assert networks["lattice_encoder"].input_shape == (None, 32, 32, 32, 1)
    assert shapes["lattice_encoder"] == [(None, 25), (None, 25)]
    assert shapes["lattice_decoder"] == (None, 32, 32, 32, 1)
    assert shapes["generator"] == (None, 225)
    assert shapes["critic"] == (None, 1)
    assert shapes["energy"] == (None, len(OUTPUTS))
    noise = np.zeros((1, 64), "f4")
    condition = np.zeros((1, condition_length(VANADIUM)), "f4")
    assert networks["generator"]([noise, condition]).shape == (1, 225)
    # dense latent layers of the sites VAE: 4³·128 features to and from 200 numbers
    dense = 4**3 * 128 * (3 * 200 + 1) + 2 * 200
    total = networks["sites_encoder"].count_params() + networks["sites_decoder"].count_params()
    assert dense < total < 1.5 * dense
