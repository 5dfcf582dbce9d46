"""Number of weights of the networks of a preset, without building them.

A few hundred bytes of JSON can describe networks that fill a machine. Files are compared with
these numbers first, so that no network is built whose weights the file does not hold.
"""

from __future__ import annotations

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.hyperparameters import (
    AcceptancePreset,
    EnergyPreset,
    Preset,
    VAEPreset,
    WGANPreset,
)
from atomate2_vogen.models.networks.inputs import condition_length

NORM = 4
"""Weights per channel of a batch norm: scale, shift, moving mean and variance."""

SITES_CHANNELS, LATTICE_CHANNELS = 2, 1
"""Channels of the grids."""


MAX_TOTAL_WEIGHTS = 50_000_000
"""Most weights of all networks together; those of the paper's sizes have 8.3 million."""


def count_weights(preset: Preset, system: OxideSystem) -> dict[str, int]:
    """Weights of each network of a model, as `build_networks` names and builds them.

    The preset must have passed `Preset.check_sizes`.

    Raises
    ------
    InputError
        If they are more than `MAX_TOTAL_WEIGHTS` in all.
    """
    n_latent = preset.sites.latent + preset.lattice.latent
    n_condition = condition_length(system)
    found = {
        "sites_encoder": _encoder(preset.sites, SITES_CHANNELS),
        "sites_decoder": _decoder(preset.sites, SITES_CHANNELS),
        "lattice_encoder": _encoder(preset.lattice, LATTICE_CHANNELS),
        "lattice_decoder": _decoder(preset.lattice, LATTICE_CHANNELS),
        "energy": _energy(preset.energy, n_latent, n_condition),
        "critic": _critic(preset.wgan, n_latent, n_condition),
        "generator": _generator(preset.wgan, n_latent, n_condition),
        "acceptance": _acceptance(preset.acceptance, n_latent + n_condition),
    }
    if (total := sum(found.values())) > MAX_TOTAL_WEIGHTS:
        raise InputError(
            f"preset {preset.name}: {total:,} weights, more than {MAX_TOTAL_WEIGHTS:,}"
        )
    return found


def _dense(inputs: int, units: int) -> int:
    return inputs * units + units


def _row(inputs: int, filters: int) -> int:
    """1D convolution of kernel 5."""
    return 5 * inputs * filters + filters


def _coarse(preset: VAEPreset) -> int:
    """Voxels of the coarsest level."""
    return (preset.grid // preset.patch // 2 ** (len(preset.channels) - 1)) ** 3


def _encoder(preset: VAEPreset, n_channels: int) -> int:
    first, *others = preset.channels
    total = _dense(preset.patch**3 * n_channels, first) + 27 * first**2 + NORM * first
    before = first
    for filters in others:
        total += 27 * before * filters + NORM * filters
        before = filters
    return total + 2 * _dense(_coarse(preset) * before, preset.latent)


def _decoder(preset: VAEPreset, n_channels: int) -> int:
    before = preset.channels[-1]
    inner = _coarse(preset) * before
    total = preset.latent * inner + NORM * inner
    for filters in reversed(preset.channels[:-1]):
        total += before * filters + 8 * before * 8 * filters + NORM * filters
        before = filters
    total += 27 * before**2 + NORM * before
    return total + _dense(before, preset.head) + _dense(preset.head, preset.patch**3 * n_channels)


def _energy(preset: EnergyPreset, n_latent: int, n_condition: int) -> int:
    before, length = 8, preset.width
    total = _dense(n_latent + n_condition, preset.width * before)
    for filters in preset.channels:
        total += _row(before, filters)
        before, length = filters, -(-length // 2)
    return total + _dense(length * before + n_condition, preset.width) + _dense(preset.width, 2)


def _critic(preset: WGANPreset, n_latent: int, n_condition: int) -> int:
    before, length = preset.critic_channels[0], preset.width // 4
    total = _dense(n_latent + n_condition, length * before)
    for filters in preset.critic_channels[1:]:
        total += _row(before, filters)
        before, length = filters, -(-length // 2)
    return total + _dense(length * before + n_condition, preset.width) + _dense(preset.width, 1)


def _generator(preset: WGANPreset, n_latent: int, n_condition: int) -> int:
    total = _dense(preset.noise + n_condition, preset.width) + _dense(preset.width, preset.width)
    total += 2 * NORM * preset.width + _dense(preset.width, n_latent)
    quarter = -(-n_latent // 4)
    before = preset.generator_channels[0]
    total += _dense(preset.width, quarter * before)
    for filters in preset.generator_channels[:2]:
        total += NORM * before + _row(before, filters)
        before = filters
    total += NORM * before + _row(before, 1) + NORM * n_latent
    if preset.memory:
        total += _dense(preset.width, preset.noise) + 1  # query of the memory; gain
        total += preset.memory * (preset.noise + n_latent + 3)
    return total


def _acceptance(preset: AcceptancePreset, inputs: int) -> int:
    return _dense(inputs, preset.width) + _dense(preset.width, preset.width) + preset.width + 1
