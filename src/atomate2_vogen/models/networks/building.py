"""All networks of a model, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.models.networks.acceptance import build_acceptance
from atomate2_vogen.models.networks.energy import build_energy
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import condition_length
from atomate2_vogen.models.networks.vae import build_decoder, build_encoder
from atomate2_vogen.models.networks.wgan import build_critic, build_generator


def build_networks(
    preset: Preset, system: OxideSystem, names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Untrained networks for generation and reconstruction, by name.

    They compute in single precision, also after training in another one: bfloat16 logits would
    shift the peaks of decoded grids.

    Parameters
    ----------
    preset
        Sizes of the networks.
    system
        Oxide system, whose largest cell sets the length of the condition vector.
    names
        Which networks; None means all.
    """
    n_latent = preset.sites.latent + preset.lattice.latent
    n_condition = condition_length(system)
    sites, lattice = (replace(part, precision="float32") for part in (preset.sites, preset.lattice))
    builders: dict[str, Callable[[], Any]] = {
        "sites_encoder": lambda: build_encoder(sites, 2, "sites"),
        "sites_decoder": lambda: build_decoder(sites, 2, "sites"),
        "lattice_encoder": lambda: build_encoder(lattice, 1, "lattice"),
        "lattice_decoder": lambda: build_decoder(lattice, 1, "lattice"),
        "energy": lambda: build_energy(preset.energy, n_latent, n_condition),
        "critic": lambda: build_critic(preset.wgan, n_latent, n_condition, "critic"),
        "generator": lambda: build_generator(preset.wgan, n_latent, n_condition),
        "acceptance": lambda: build_acceptance(preset.acceptance, n_latent, n_condition),
    }
    return {name: builders[name]() for name in (builders if names is None else names)}


def without_optimizers(
    preset: Preset, system: OxideSystem, trained: Mapping[str, Any]
) -> dict[str, Any]:
    """Copies of trained networks without optimizers, whose state would triple the file."""
    networks = build_networks(preset, system, trained)
    for name, network in networks.items():
        network.set_weights(trained[name].get_weights())
    return networks
