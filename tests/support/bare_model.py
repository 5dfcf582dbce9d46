"""Models that need no training: random weights, and a mirror that loses nothing."""

from __future__ import annotations

import numpy as np

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.voxels.codec import VoxelCodec


def bare_model(preset, seed=0, system=VANADIUM):
    """A whole model of a preset's sizes with the weights that a seed gives."""
    from atomate2_vogen.models.networks.backend import keras
    from atomate2_vogen.models.networks.building import build_networks
    from atomate2_vogen.models.networks.energy import KNOTS, EnergyScale
    from atomate2_vogen.models.trained_model import TrainedModel

    keras.utils.set_random_seed(seed)
    n_latent = preset.sites.latent + preset.lattice.latent
    rng = np.random.default_rng(seed)
    return TrainedModel(
        preset,
        system,
        build_networks(preset, system),
        mean=rng.normal(0, 0.1, n_latent),
        width=rng.uniform(0.5, 1.5, n_latent),
        energy_scale=EnergyScale(-8.0, 1.0, -1.0, 4.0, (0.5,) * len(KNOTS), 2.0),
        cells={},
        provenance={"seed": seed},
    )


class MirrorModel:
    """Its latents are the grids themselves, so that nothing is lost in between.

    Parameters
    ----------
    spoil
        Called with the latents before they are decoded; may change them.
    """

    model_id = "mirror"
    system = VANADIUM

    def __init__(self, spoil=lambda latents: latents, n_sites=32, n_lattice=32):
        self.codec = VoxelCodec(VANADIUM, n_sites=n_sites, n_lattice=n_lattice)
        self.spoil = spoil

    def encode(self, sites, lattices):
        return np.concatenate([sites.reshape(len(sites), -1), lattices.reshape(len(sites), -1)], 1)

    def decode_sites(self, latents):
        return self.decode(latents)[0]

    def decode_lattices(self, latents):
        return self.decode(latents)[1]

    def decode(self, latents):
        latents = self.spoil(latents.copy())
        cut = int(np.prod(self.codec.sites_shape))
        return (
            latents[:, :cut].reshape(-1, *self.codec.sites_shape),
            latents[:, cut:].reshape(-1, *self.codec.lattice_shape),
        )
