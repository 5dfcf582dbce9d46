"""Hyperparameters of the networks and of their training, as plain data with bounds.

A preset may come from a file that somebody else wrote, so every field states the values that it
may have: a few hundred bytes could otherwise ask for networks that fill a machine.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import Field, TypeAdapter, ValidationError

from atomate2_vogen.errors import InputError

LOSSES = ("wasserstein", "gan")
LABELS = ("both", "relaxed", "as it stands")
PENALTIES = ("clip", "lipschitz", "none")

MAX_LAYER_WEIGHTS = 50_000_000
"""Most weights of a VAE's latent layer; the paper's sizes need 1.6 million."""


def _within(low: float, high: float) -> Any:
    """Bounds of a number that must already have its field's type."""
    return Field(strict=True, ge=low, le=high)


def _levels(most: int) -> Any:
    """Bounds of the number of levels of a network."""
    return Field(strict=True, min_length=1, max_length=most)


_Length = Annotated[int, _within(1, 10_000_000)]  # of a training: costs time, but no memory
_Batch = Annotated[int, _within(1, 65_536)]
_Rate = Annotated[float, _within(1e-9, 10.0)]
_Dropout = Annotated[float, _within(0.0, 0.99)]
_Share = Annotated[float, _within(0.0, 1.0)]
_Factor = Annotated[float, _within(0.0, 1e6)]
_Noise = Annotated[float, _within(0.0, 100.0)]
_Maps = tuple[Annotated[int, _within(1, 512)], ...]


@dataclass(frozen=True)
class VAEPreset:
    """Hyperparameters of one variational autoencoder and of its training.

    Parameters
    ----------
    grid
        Voxels along an edge.
    latent
        Length of the latent vector.
    patch
        Edge in voxels of the cubes that are folded into channels before the first convolution
        and unfolded after the last.
    channels
        Feature maps per level, finest first; each level has half the edge of the one before.
    periodic
        Whether convolutions pad circularly (the sites grid is periodic, the lattice grid is not).
    circular_max
        Edge in voxels of the finest level that is padded circularly; finer ones are padded with
        zeros.
    head
        Hidden feature maps of the pointwise layer before the output.
    beta
        Weight of the Kullback-Leibler term; both terms are sums over one crystal.
    anneal_epochs
        Epochs over which the weight rises linearly from zero.
    dropout
        Fraction of features dropped before the latent layers.
    latent_noise
        Standard deviation of extra Gaussian noise on the decoder's training input, in units of
        the posterior width.
    learning_rate
        Peak of the learning rate: a warm-up, then a cosine to zero.
    batch, steps, epochs
        Crystals per step, steps per epoch, largest number of epochs.
    patience
        Epochs without a better validation reconstruction after which training stops.
    gate_steps
        Training steps after which blank reconstructions are an error.
    sigma
        Width of the Gaussians of the sites grid in voxels. The physical width is sigma/grid;
        the cross-entropy of a box grows with sigma³, and beta should with it.
    precision
        ``float32``, or ``mixed_bfloat16``: weights, statistics, latents and losses stay
        single precision while training computes features in bfloat16. Encoding and decoding
        with the trained weights is single precision either way.

    Examples
    --------
    >>> preset = VAEPreset(grid=32, latent=200, patch=4, channels=(32, 96), periodic=True)
    >>> preset.beta, preset.batch
    (0.3, 32)
    """

    grid: Annotated[int, _within(1, 128)]
    latent: Annotated[int, _within(1, 1024)]
    patch: Annotated[int, _within(1, 8)]
    channels: Annotated[_Maps, _levels(6)]
    periodic: Annotated[bool, Field(strict=True)]
    circular_max: Annotated[int, _within(0, 128)] = 8
    head: Annotated[int, _within(1, 512)] = 64
    beta: _Factor = 0.3
    anneal_epochs: Annotated[int, _within(0, 10_000_000)] = 4
    dropout: _Dropout = 0.1
    latent_noise: _Noise = 0.0
    learning_rate: _Rate = 2e-3
    batch: _Batch = 32
    steps: _Length = 50
    epochs: _Length = 20
    patience: _Length = 6
    gate_steps: Annotated[int, _within(0, 10_000_000)] = 600
    sigma: Annotated[float, _within(0.5, 100.0)] = 1.0
    precision: Literal["float32", "mixed_bfloat16"] = "float32"

    @property
    def coarsest_edge(self) -> int:
        """Edge of the coarsest level in voxels."""
        # each further level halves the edge
        return self.grid // self.patch // 2 ** (len(self.channels) - 1)


@dataclass(frozen=True)
class EnergyPreset:
    """Hyperparameters of the energy CNN on joint latents and of its training.

    Parameters
    ----------
    width
        Units of the dense layers.
    channels
        Feature maps of the convolutions, in order.
    dropout
        Fraction of features dropped before the last layers.
    l2
        Weight decay.
    learning_rate
        Peak of the learning rate.
    batch, steps, epochs
        Latents per step, steps per epoch, largest number of epochs.
    patience
        Epochs without a better validation error after which training stops.
    labels
        Energies that a training with relaxations learns: ``both`` kinds, ``relaxed`` ones
        alone, or only the energy of every crystal ``as it stands``, which then is the target.

    Examples
    --------
    >>> EnergyPreset(epochs=100).channels
    (32, 64, 64)
    """

    width: Annotated[int, _within(1, 1024)] = 64
    channels: Annotated[_Maps, _levels(8)] = (32, 64, 64)
    dropout: _Dropout = 0.1
    l2: _Share = 1e-4
    learning_rate: _Rate = 2e-3
    batch: _Batch = 128
    steps: _Length = 50
    epochs: _Length = 30
    patience: _Length = 8
    labels: str = "both"

    def __post_init__(self) -> None:
        """Refuse unknown names.

        Raises
        ------
        InputError
            If `labels` is none of the above.
        """
        _check_choice("energy.labels", self.labels, LABELS)


@dataclass(frozen=True)
class WGANPreset:
    """Hyperparameters of generator and critic in the joint latent and of their training.

    Parameters
    ----------
    noise
        Length of the noise vector.
    width
        Units of the dense layers.
    generator_channels, critic_channels
        Feature maps of the convolutions, in order.
    dropout
        Fraction of features dropped in the critic.
    l2
        Weight decay.
    clip
        Largest absolute weight of a layer of the critic, times the square root of the number of
        its inputs.
    critic_steps
        Critic updates per generator update.
    generator_rate, critic_rate
        Learning rates.
    energy_weight
        Weight of the predicted energy (eV/atom) in the generator's loss.
    target_share
        Fraction of the training crystals that are drawn evenly from the target formulas.
    batch, steps
        Latents per update; generator updates.
    loss
        ``wasserstein``, or ``gan``: the cross-entropy of a plain GAN, for comparison.
    penalty
        Method that keeps the critic smooth: ``clip`` (weight clipping, the paper's),
        ``lipschitz`` (see `models.networks.wgan.CriticUpdate`) or, for a plain GAN only,
        ``none``.
    penalty_weight
        Weight of the penalty ``lipschitz``.
    memory
        Number of training latents that the generator holds and mixes (see
        `models.networks.memory`); 0 is the paper's generator, which makes latents from noise
        alone.
    sharpness
        Standard deviation of the logits by which it mixes them.
    remainder
        Initial size of the contribution of the dense and convolutional path to the mixture, in
        standard deviations of a latent.
    box_weight
        Weight of the decoded box's error in atoms (`models.networks.memory.box_error`) in the
        generator's loss; 0 leaves the decoder out.
    temperature
        Temperature T in eV/atom: crystals of one target formula are drawn, and looked up in the
        memory, with weights exp(-(E - min E)/T) of their energy labels; 0 draws them evenly.

    Examples
    --------
    >>> WGANPreset(loss="gan", penalty="none").steps
    1500
    >>> WGANPreset(loss="hinge")
    Traceback (most recent call last):
    ...
    atomate2_vogen.errors.InputError: wgan.loss is 'hinge', not one of wasserstein, gan
    """

    noise: Annotated[int, _within(1, 4096)] = 64
    width: Annotated[int, _within(4, 2048)] = 256
    generator_channels: Annotated[_Maps, Field(strict=True, min_length=2, max_length=2)] = (32, 16)
    critic_channels: Annotated[_Maps, _levels(8)] = (16, 32, 64)
    dropout: _Dropout = 0.1
    l2: _Share = 1e-5
    clip: Annotated[float, _within(1e-9, 1e6)] = 1.0
    critic_steps: Annotated[int, _within(1, 1000)] = 5
    generator_rate: _Rate = 2e-4
    critic_rate: _Rate = 2e-4
    energy_weight: _Factor = 0.1
    target_share: _Share = 0.5
    batch: _Batch = 128
    steps: _Length = 1500
    loss: str = "wasserstein"
    penalty: str = "clip"
    penalty_weight: _Factor = 10.0
    memory: Annotated[int, _within(0, 20_000)] = 0
    sharpness: _Factor = 4.0
    remainder: Annotated[float, _within(-1e6, 1e6)] = 0.3
    box_weight: _Factor = 0.0
    temperature: _Factor = 0.0

    def __post_init__(self) -> None:
        """Refuse unknown names.

        Raises
        ------
        InputError
            If `loss` or `penalty` is none of the above, or nothing keeps the critic of a
            Wasserstein loss from growing without limit.
        """
        _check_choice("wgan.loss", self.loss, LOSSES)
        _check_choice("wgan.penalty", self.penalty, PENALTIES)
        if (self.loss, self.penalty) == ("wasserstein", "none"):
            raise InputError("wgan.loss wasserstein needs a penalty: clip or lipschitz")


@dataclass(frozen=True)
class AcceptancePreset:
    """Hyperparameters of the acceptance network on joint latents and of its training.

    Parameters
    ----------
    latents
        Number of generated latents that are decoded as training data.
    latent_noise
        Standard deviation of the noise that is added to them, as the sampler adds it.
    width
        Units of the dense layers.
    dropout
        Fraction of features dropped.
    l2
        Weight decay.
    learning_rate
        Peak of the learning rate.
    batch, steps, epochs
        Latents per step, steps per epoch, largest number of epochs.
    patience
        Epochs without a better validation loss after which training stops.

    Examples
    --------
    >>> AcceptancePreset(latents=2048).width
    128
    """

    latents: Annotated[int, _within(1, 100_000_000)] = 12288
    latent_noise: _Noise = 0.8
    width: Annotated[int, _within(1, 1024)] = 128
    dropout: _Dropout = 0.3
    l2: _Share = 1e-4
    learning_rate: _Rate = 1e-3
    batch: _Batch = 128
    steps: _Length = 50
    epochs: _Length = 40
    patience: _Length = 6


@dataclass(frozen=True)
class Preset:
    """Hyperparameters of a whole training: together with data and seed they decide its result.

    Parameters
    ----------
    name
        Key in `PRESETS`.
    sites, lattice
        Hyperparameters of the two autoencoders.
    energy, wgan, acceptance
        Hyperparameters of the networks in the joint latent.
    per_group
        Largest number of training crystals of one prototype group with equal atom counts.
    rattle
        Standard deviation in Å of the displacement of every atom in training.
    strain
        Standard deviation of the strain of every cell in training.
    p_moved
        Fraction of training grids with another setting or origin than the canonical one.
    p_random
        Fraction of training grids that hold a random point set.
    relaxed
        Whether the energy network and the WGAN also learn from crystals at the end of a
        relaxation, and the energy network from the energy there; such a training must be given
        relaxations. The autoencoders learn from the data set alone.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from atomate2_vogen.models import get_preset
    >>> preset = get_preset("quick")
    >>> shorter = replace(preset, name="shorter", wgan=replace(preset.wgan, steps=100))
    >>> Preset.from_dict(shorter.as_dict()) == shorter
    True
    """

    name: Annotated[str, Field(strict=True)]
    sites: VAEPreset
    lattice: VAEPreset
    energy: EnergyPreset
    wgan: WGANPreset
    acceptance: AcceptancePreset = AcceptancePreset()
    per_group: Annotated[int, _within(1, 1_000_000)] = 6
    rattle: Annotated[float, _within(0.0, 10.0)] = 0.06
    strain: _Share = 0.02
    p_moved: _Share = 0.2
    p_random: _Share = 0.15
    relaxed: Annotated[bool, Field(strict=True)] = False

    def as_dict(self) -> dict[str, Any]:
        """Nested dict of plain JSON values."""
        return asdict(self)

    def check_sizes(self) -> None:
        """Refuse values of the wrong type, and sizes that could exhaust a machine.

        Raises
        ------
        InputError
            If a value has the wrong type or is out of bounds.
        """
        try:
            _validator().validate_python(self.as_dict())
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"])
            self._refuse(f"{field} is {reprlib.repr(first['input'])}: {first['msg'].lower()}")
        for name, part in (("sites", self.sites), ("lattice", self.lattice)):
            # a wider Gaussian would overlap with its own periodic images
            if part.sigma > part.grid / 16:
                self._refuse(f"{name}.sigma is {part.sigma:g}, more than grid/16")
            if part.coarsest_edge < 2:
                self._refuse(f"{name}.grid is too small for its levels")
            if part.coarsest_edge**3 * part.channels[-1] * part.latent > MAX_LAYER_WEIGHTS:
                self._refuse(f"the {name} latent layer is too large")

    def _refuse(self, reason: str) -> NoReturn:
        raise InputError(f"preset {self.name}: {reason}") from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `as_dict`.

        Raises
        ------
        InputError
            If a field is missing, unknown or has the wrong type.
        """
        parts: dict[str, Any] = {
            "sites": VAEPreset,
            "lattice": VAEPreset,
            "energy": EnergyPreset,
            "wgan": WGANPreset,
            "acceptance": AcceptancePreset,
        }
        built = _exact_fields(cls, values)
        for key, part in parts.items():
            known = _exact_fields(part, built[key])
            # JSON has lists alone, and only tuples can be compared with a preset's
            built[key] = part(
                **{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
            )
        if not isinstance(built["name"], str) or not isinstance(built["relaxed"], bool):
            raise InputError("Preset has a name that is no text, or relaxed is not true or false")
        return cls(**built)


@cache
def _validator() -> TypeAdapter[Preset]:
    return TypeAdapter(Preset)


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{field} is {reprlib.repr(value)}, not one of {', '.join(choices)}")


def _exact_fields(cls: type, values: Any) -> dict[str, Any]:
    """Copy of a mapping that has exactly the fields of a preset class."""
    if not isinstance(values, Mapping):
        raise InputError(f"{cls.__name__} is {type(values).__name__}, not a mapping")
    names = {field.name for field in fields(cls)}
    if set(values) != names:
        differing = ", ".join(sorted(names ^ set(values)))
        raise InputError(f"{cls.__name__} has missing or unknown fields: {differing}")
    return dict(values)
