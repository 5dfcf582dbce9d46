"""Named sets of hyperparameters.

`quick` trains in minutes on two cores; `paper` has the sizes of the paper's Table 1.

>>> {name: preset.sites.grid for name, preset in PRESETS.items()}
{'quick': 32, 'paper': 64}
"""

from __future__ import annotations

from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.hyperparameters import (
    AcceptancePreset,
    EnergyPreset,
    Preset,
    VAEPreset,
    WGANPreset,
)

PRESETS: dict[str, Preset] = {
    "quick": Preset(
        name="quick",
        sites=VAEPreset(
            grid=32,
            latent=200,
            patch=4,
            channels=(32, 96),
            periodic=True,
            head=96,
            epochs=10,
            gate_steps=500,
        ),
        lattice=VAEPreset(
            grid=16,
            latent=25,
            patch=2,
            channels=(16, 32),
            periodic=False,
            head=32,
            dropout=0.0,
            steps=40,
            epochs=6,
            batch=64,
        ),
        energy=EnergyPreset(steps=40, epochs=8),
        wgan=WGANPreset(
            width=128,
            generator_channels=(16, 8),
            critic_channels=(8, 16, 32),
            batch=64,
            steps=350,
            memory=2048,
            remainder=1.0,
        ),
        acceptance=AcceptancePreset(latents=2048, epochs=20),
    ),
    "paper": Preset(
        name="paper",
        sites=VAEPreset(
            grid=64,
            latent=200,
            patch=4,
            channels=(32, 64, 128),
            periodic=True,
            circular_max=16,
            head=64,
            sigma=2.0,
            precision="mixed_bfloat16",
            beta=1.6,
            dropout=0.1,
            batch=32,
            steps=300,
            epochs=16,
            anneal_epochs=4,
            patience=16,
            learning_rate=2e-3,
        ),
        lattice=VAEPreset(
            grid=32,
            latent=25,
            patch=2,
            channels=(16, 32, 64),
            periodic=False,
            head=32,
            batch=64,
            steps=150,
            epochs=15,
            patience=15,
        ),
        energy=EnergyPreset(epochs=100, patience=15, dropout=0.3, l2=1e-3),
        wgan=WGANPreset(steps=1500, memory=1024, remainder=0.3, temperature=0.2),
        per_group=20,
        relaxed=True,
    ),
}
"""Presets by name."""


def get_preset(preset: str | Preset) -> Preset:
    """Preset of a name; a `Preset` is returned unchanged.

    Parameters
    ----------
    preset
        Key of `PRESETS`, or a preset.

    Raises
    ------
    InputError
        If there is no preset of that name.

    Examples
    --------
    >>> get_preset("paper").sites.grid
    64
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise InputError(f"no preset is called {preset!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[preset]
