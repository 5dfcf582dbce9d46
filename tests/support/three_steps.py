"""Three updates of each network on whatever backend is set, from given weights and batches.

Usage: KERAS_BACKEND=... python three_steps.py WEIGHTS.npz LOSSES.json

The first process writes its start weights, later ones take them over.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_model import TINY

LATENT, CONDITION, BATCH, STEPS = 30, 43, 16, 3


def networks():
    """Every trained network of the package, compiled as in training; nothing is random."""
    from atomate2_vogen.models.networks import wgan
    from atomate2_vogen.models.networks.backend import keras
    from atomate2_vogen.models.networks.energy import build_energy, masked_huber
    from atomate2_vogen.models.networks.vae import VAE
    from atomate2_vogen.models.training.fitting import CLIP_NORM, schedule

    keras.utils.set_random_seed(0)
    adversarial = replace(TINY.wgan, dropout=0.0)
    made = {
        # no dropout, and the latent is its mean: 1 + latent_noise is what noise is multiplied by
        "sites": VAE(replace(TINY.sites, latent_noise=-1.0), 2, "sites"),
        "lattice": VAE(replace(TINY.lattice, latent_noise=-1.0), 1, "lattice"),
        "energy": build_energy(replace(TINY.energy, dropout=0.0), LATENT, CONDITION),
    }
    for name in ("sites", "lattice"):
        made[name].compile(
            optimizer=keras.optimizers.Adam(schedule(2e-3, 9), global_clipnorm=CLIP_NORM),
            jit_compile=False,
        )
    made["energy"].compile(
        optimizer=keras.optimizers.AdamW(schedule(2e-3, 9), global_clipnorm=1.0),
        loss=masked_huber,
        jit_compile=False,
    )
    for loss in ("wasserstein", "gan"):
        preset = replace(adversarial, loss=loss)
        critic = wgan.build_critic(preset, LATENT, CONDITION, f"critic_{loss}")
        twin = wgan.build_critic(preset, LATENT, CONDITION, f"twin_{loss}")
        generator = wgan.build_generator(preset, LATENT, CONDITION)
        frozen = build_energy(replace(TINY.energy, dropout=0.0), LATENT, CONDITION)
        made[f"critic {loss}"] = wgan.CriticUpdate(critic, loss)
        made[f"generator {loss}"] = wgan.Composite(generator, twin, frozen, 0.1, loss=loss)
        for name in (f"critic {loss}", f"generator {loss}"):
            made[name].compile(optimizer=keras.optimizers.RMSprop(2e-3), jit_compile=False)
    return made


def main(weights: str, losses: str) -> None:
    """Load or keep the weights, train, write the losses."""
    made = networks()
    if Path(weights).exists():
        with np.load(weights) as stored:
            for name, network in made.items():
                kept = [stored[f"{name}/{i}"] for i in range(len(network.get_weights()))]
                network.set_weights(kept)
    else:
        arrays = {
            f"{name}/{i}": value
            for name, network in made.items()
            for i, value in enumerate(network.get_weights())
        }
        np.savez(weights, **arrays)
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype("f4")

    history = {name: [] for name in made}
    for _ in range(STEPS):
        for name, channels in (("sites", 2), ("lattice", 1)):
            grids = rng.random((BATCH, 16, 16, 16, channels)).astype("f4") ** 4
            history[name].append(made[name].train_on_batch(grids, return_dict=True))
        inputs = (normal(BATCH, LATENT), normal(BATCH, CONDITION))
        targets = normal(BATCH, 2)
        targets[::3, 0] = np.nan
        history["energy"].append(made["energy"].train_on_batch(inputs, targets, return_dict=True))
        for loss in ("wasserstein", "gan"):
            real, condition = normal(BATCH, LATENT), normal(BATCH, CONDITION)
            noise = normal(BATCH, TINY.wgan.noise)
            update, composite = made[f"critic {loss}"], made[f"generator {loss}"]
            fake = composite.generator([noise, condition], training=False)
            from atomate2_vogen.models.networks.backend import keras

            fake = keras.ops.convert_to_numpy(fake)
            figures = update.train_on_batch((real, fake, condition), return_dict=True)
            history[f"critic {loss}"].append(figures)
            composite.follow(update.critic, float(figures["loss"]))
            figures = composite.train_on_batch((noise, condition), return_dict=True)
            history[f"generator {loss}"].append(figures)
    plain = {
        name: [{key: float(value) for key, value in step.items()} for step in steps]
        for name, steps in history.items()
    }
    Path(losses).write_text(json.dumps(plain), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
