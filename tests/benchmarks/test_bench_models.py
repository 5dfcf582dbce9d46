"""Speed of training steps and of decoding at the quick preset's sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.building import build_networks
from atomate2_vogen.models.networks.inputs import condition_length
from atomate2_vogen.models.networks.presets import PRESETS
from atomate2_vogen.models.networks.vae import VAE, build_decoder
from atomate2_vogen.samplers import load_sampler
from atomate2_vogen.samplers.wgan import WGANSampler

QUICK, PAPER = PRESETS["quick"], PRESETS["paper"]


@pytest.mark.parametrize(
    ("preset", "channels"),
    [
        pytest.param(QUICK.sites, 2, id="quick-sites"),
        pytest.param(QUICK.lattice, 1, id="quick-lattice"),
        pytest.param(PAPER.sites, 2, id="paper-sites"),
        pytest.param(replace(PAPER.sites, precision="float32"), 2, id="paper-sites-float32"),
        pytest.param(PAPER.lattice, 1, id="paper-lattice"),
    ],
)
def test_training_step(benchmark, preset, channels):
    vae = VAE(preset, channels, "sites" if channels == 2 else "lattice")
    vae.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=50.0), jit_compile=False)
    x = np.random.default_rng(0).random((preset.batch, *(preset.grid,) * 3, channels))
    x = x.astype("f4")
    vae.train_on_batch(x)
    benchmark.extra_info["samples"] = preset.batch
    benchmark.pedantic(vae.train_on_batch, (x,), rounds=6, warmup_rounds=1)


@pytest.fixture(scope="module")
def networks():
    return build_networks(QUICK, VANADIUM)


def test_generate(benchmark, networks):
    noise = np.zeros((64, QUICK.wgan.noise), "f4")
    condition = np.zeros((64, condition_length(VANADIUM)), "f4")
    benchmark(run, networks["generator"], [noise, condition])


@pytest.mark.parametrize("compiled", [False, True])
def test_decode_sites(benchmark, compiled):
    decoder = build_decoder(PAPER.sites, 2, "sites")
    latents = np.random.default_rng(0).normal(size=(16, PAPER.sites.latent)).astype("f4")
    benchmark.extra_info["samples"] = 16
    benchmark.pedantic(run, (decoder, latents), {"compiled": compiled}, rounds=10, warmup_rounds=2)


def test_sample(benchmark):
    """Attempts of the shipped sampler, read and told apart."""
    sampler = WGANSampler(load_sampler("wgan").model, max_attempts=128)
    sampler.sample({"VO2": 1})  # the networks become graphs
    benchmark.extra_info["attempts"] = 128
    benchmark.pedantic(sampler.sample, ({"VO2": 128},), rounds=2)
