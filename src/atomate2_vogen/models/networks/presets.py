"""Sizes and training times of the networks, as plain data.

`quick` trains in minutes on two cores; `paper` has the sizes of the paper's Table 1.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.bounds import check_values

LOSSES = ("wasserstein", "gan")
LABELS = ("both", "relaxed", "as it stands")
PENALTIES = ("clip", "lipschitz", "none")


@dataclass(frozen=True)
class VAEPreset:
    """One variational autoencoder and its training.

    Parameters
    ----------
    grid
        Voxels along an edge.
    latent
        Length of the latent vector.
    patch
        Cubes of patch³ voxels are folded into channels before the first convolution and
        unfolded after the last.
    channels
        Feature maps per level, finest first; each level has half the edge of the one before.
    sigma
        Width of the Gaussians of the sites grid in voxels. The physical width is sigma/grid;
        the cross-entropy of a box grows with sigma³, and beta should with it.
    precision
        ``float32``, or ``mixed_bfloat16``: weights, statistics, latents and losses stay
        single precision while training computes features in bfloat16. Encoding and decoding
        with the trained weights is single precision either way.
    periodic
        Circular padding (the sites grid is periodic, the lattice grid is not).
    circular_max
        Coarsest levels, up to this edge, are padded circularly; finer ones with zeros.
    head
        Hidden feature maps of the pointwise layer before the output.
    beta
        Weight of the Kullback-Leibler term; both terms are sums over one crystal.
    anneal_epochs
        Epochs over which the weight rises linearly from zero.
    dropout
        Share of features dropped before the latent layers.
    latent_noise
        Extra Gaussian noise, in units of the posterior width, on what the decoder is
        trained on.
    learning_rate
        Peak of the schedule: a warm-up, then a cosine to zero.
    batch, steps, epochs
        Crystals per step, steps per epoch, epochs.
    patience
        Epochs without a better validation reconstruction after which training stops.
    gate_steps
        Steps after which boxes must no longer be blank.
    """

    grid: int
    latent: int
    patch: int
    channels: tuple[int, ...]
    periodic: bool
    circular_max: int = 8
    head: int = 64
    beta: float = 0.3
    anneal_epochs: int = 4
    dropout: float = 0.1
    latent_noise: float = 0.0
    learning_rate: float = 2e-3
    batch: int = 32
    steps: int = 50
    epochs: int = 20
    patience: int = 6
    gate_steps: int = 600
    sigma: float = 1.0
    precision: str = "float32"


@dataclass(frozen=True)
class EnergyPreset:
    """The energy CNN on joint latents and its training.

    Parameters
    ----------
    width
        Units of the dense layers.
    channels
        Feature maps of the convolutions, in order.
    dropout, l2
        Share of features dropped before the last layers; weight decay.
    learning_rate
        Peak of the schedule.
    batch, steps, epochs, patience
        Latents per step, steps per epoch, epochs, epochs without a better validation error
        after which training stops.
    labels
        What a training with relaxations learns: ``both`` kinds of energy, ``relaxed`` ones
        alone, or only the energy of every crystal ``as it stands``, which then is the target.
    """

    width: int = 64
    channels: tuple[int, ...] = (32, 64, 64)
    dropout: float = 0.1
    l2: float = 1e-4
    learning_rate: float = 2e-3
    batch: int = 128
    steps: int = 50
    epochs: int = 30
    patience: int = 8
    labels: str = "both"

    def __post_init__(self) -> None:
        """Refuse unknown names.

        Raises
        ------
        InputError
            If `labels` is none of the above.
        """
        if self.labels not in LABELS:
            raise InputError(
                f"energy.labels is {reprlib.repr(self.labels)}, not one of {', '.join(LABELS)}"
            )


@dataclass(frozen=True)
class WGANPreset:
    """Generator and critic in the joint latent, and their training.

    Parameters
    ----------
    noise
        Length of the noise vector.
    width
        Units of the dense layers.
    generator_channels, critic_channels
        Feature maps of the convolutions, in order.
    loss
        ``wasserstein``, or ``gan``: the cross-entropy of a plain GAN, for comparison.
    penalty
        What keeps the critic smooth: ``clip`` (weight clipping, the paper's), ``lipschitz``
        (see `models.wgan.CriticUpdate`) or, for a plain GAN only, ``none``.
    penalty_weight
        Of the penalty ``lipschitz``.
    clip
        Weights of a critic's layer stay within plus and minus this over √(its inputs).
    critic_steps
        Critic updates per generator update.
    energy_weight
        Weight of the predicted energy (eV/atom) in the generator's loss.
    target_share
        Share of the training crystals that are drawn evenly from the target formulas.
    batch, steps
        Latents per update; generator updates.
    memory
        Training latents that the generator holds and mixes (see `models.networks.memory`); 0 is the
        paper's generator, which makes latents from noise alone.
    sharpness
        Standard deviation of the logits by which it mixes them.
    remainder
        Size, in standard deviations of a latent, of what the dense and convolutional path
        adds to the mixture at the start.
    box_weight
        Weight of the decoded box's error in atoms (`models.memory.box_error`) in the
        generator's loss; 0 leaves the decoder out.
    temperature
        T in eV/atom: crystals of one target formula are drawn, and looked up in the memory,
        with weights exp(-(E - min E)/T) of their energy labels; 0 draws them evenly.
    """

    noise: int = 64
    width: int = 256
    generator_channels: tuple[int, ...] = (32, 16)
    critic_channels: tuple[int, ...] = (16, 32, 64)
    dropout: float = 0.1
    l2: float = 1e-5
    clip: float = 1.0
    critic_steps: int = 5
    generator_rate: float = 2e-4
    critic_rate: float = 2e-4
    energy_weight: float = 0.1
    target_share: float = 0.5
    batch: int = 128
    steps: int = 1500
    loss: str = "wasserstein"
    penalty: str = "clip"
    penalty_weight: float = 10.0
    memory: int = 0
    sharpness: float = 4.0
    remainder: float = 0.3
    box_weight: float = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        """Refuse unknown names.

        Raises
        ------
        InputError
            If `loss` or `penalty` is none of the above, or nothing keeps the critic of a
            Wasserstein loss from growing without limit.
        """
        if self.loss not in LOSSES:
            raise InputError(
                f"wgan.loss is {reprlib.repr(self.loss)}, not one of {', '.join(LOSSES)}"
            )
        if self.penalty not in PENALTIES:
            raise InputError(
                f"wgan.penalty is {reprlib.repr(self.penalty)}, not one of {', '.join(PENALTIES)}"
            )
        if (self.loss, self.penalty) == ("wasserstein", "none"):
            raise InputError("wgan.loss wasserstein needs a penalty: clip or lipschitz")


@dataclass(frozen=True)
class AcceptancePreset:
    """The acceptance network on joint latents and its training.

    Parameters
    ----------
    latents
        Generated latents that are decoded to learn from.
    latent_noise
        Standard deviation of the noise that is added to them, as the sampler adds it.
    width
        Units of the dense layers.
    dropout, l2
        Share of features dropped; weight decay.
    learning_rate
        Peak of the schedule.
    batch, steps, epochs, patience
        Latents per step, steps per epoch, epochs, epochs without a better validation loss
        after which training stops.
    """

    latents: int = 12288
    latent_noise: float = 0.8
    width: int = 128
    dropout: float = 0.3
    l2: float = 1e-4
    learning_rate: float = 1e-3
    batch: int = 128
    steps: int = 50
    epochs: int = 40
    patience: int = 6


@dataclass(frozen=True)
class Preset:
    """Everything that decides a training, save data and seed.

    Parameters
    ----------
    name
        Key in `PRESETS`.
    sites, lattice
        The two autoencoders.
    energy, wgan, acceptance
        The networks in the joint latent.
    per_group
        Crystals of one prototype group with equal counts that are kept for training.
    rattle
        Standard deviation in Å of the displacement of every atom in training.
    strain
        Standard deviation of the strain of every cell in training.
    p_moved
        Share of training grids with another setting or origin than the canonical one.
    p_random
        Share of training grids that hold a random point set.
    relaxed
        Whether the energy network and the WGAN also learn from crystals at the end of a
        relaxation, and the energy network from the energy there; such a training must be given
        relaxations. The autoencoders learn from the data set alone.
    """

    name: str
    sites: VAEPreset
    lattice: VAEPreset
    energy: EnergyPreset
    wgan: WGANPreset
    acceptance: AcceptancePreset = AcceptancePreset()
    per_group: int = 6
    rattle: float = 0.06
    strain: float = 0.02
    p_moved: float = 0.2
    p_random: float = 0.15
    relaxed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Nested dict of plain JSON values."""
        return asdict(self)

    def check_sizes(self) -> None:
        """Refuse values of the wrong kind, and sizes that could exhaust a machine.

        Raises
        ------
        InputError
            If a value is of the wrong kind or out of bounds.
        """
        check_values(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_dict`.

        Raises
        ------
        InputError
            If a field is missing, unknown or of the wrong kind.
        """
        parts: dict[str, Any] = {
            "sites": VAEPreset,
            "lattice": VAEPreset,
            "energy": EnergyPreset,
            "wgan": WGANPreset,
            "acceptance": AcceptancePreset,
        }
        built: dict[str, Any] = {}
        for key, value in _known(cls, values).items():
            if key in parts:
                known = _known(parts[key], value)
                built[key] = parts[key](
                    **{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
                )
            else:
                built[key] = value
        if not isinstance(built["name"], str) or not isinstance(built["relaxed"], bool):
            raise InputError("Preset has a name that is no text, or relaxed is not true or false")
        return cls(**built)


def _known(cls: type, values: Any) -> dict[str, Any]:
    """The values, if they are exactly the fields of a preset class."""
    if not isinstance(values, Mapping):
        raise InputError(f"{cls.__name__} is {type(values).__name__}, not a mapping")
    names = {field.name for field in fields(cls)}
    if set(values) != names:
        differing = ", ".join(sorted(names ^ set(values)))
        raise InputError(f"{cls.__name__} has missing or unknown fields: {differing}")
    return dict(values)


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
    """A preset by name; one that is already a preset is passed through.

    Raises
    ------
    InputError
        If there is no preset of that name.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise InputError(f"no preset is called {preset!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[preset]
