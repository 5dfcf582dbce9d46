"""Speed of training steps and of decoding at the quick preset's sizes."""

from __future__ import annotations

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.models.artefact import build_networks
from atomate2_vogen.models.backend import keras, run
from atomate2_vogen.models.batches import condition_length
from atomate2_vogen.models.presets import PRESETS
from atomate2_vogen.models.vae import VAE

QUICK = PRESETS["quick"]


@pytest.mark.parametrize(("name", "channels"), [("sites", 2), ("lattice", 1)])
def test_training_step(benchmark, name, channels):
    preset = getattr(QUICK, name)
    vae = VAE(preset, channels, name)
    vae.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    x = np.random.default_rng(0).random((preset.batch, *(preset.grid,) * 3, channels))
    x = x.astype("f4")
    vae.train_on_batch(x)
    benchmark.extra_info["samples"] = preset.batch
    benchmark(vae.train_on_batch, x)


@pytest.fixture(scope="module")
def networks():
    return build_networks(QUICK, VANADIUM)


def test_generate(benchmark, networks):
    noise = np.zeros((64, QUICK.wgan.noise), "f4")
    condition = np.zeros((64, condition_length(VANADIUM)), "f4")
    benchmark(run, networks["generator"], [noise, condition])


def test_decode_sites(benchmark, networks):
    latents = np.random.default_rng(0).normal(size=(64, QUICK.sites.latent)).astype("f4")
    benchmark.extra_info["samples"] = 64
    benchmark(run, networks["sites_decoder"], latents)
