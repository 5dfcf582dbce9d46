"""Samplers by name."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.data.labels import EnergyFunction
    from atomate2_vogen.models.trained_model import TrainedModel
    from atomate2_vogen.samplers.base import Sampler


@dataclass(frozen=True)
class SamplerName:
    """Entry in the table of samplers.

    Parameters
    ----------
    sampler
        Class of the sampler, as ``module:class``; it is imported when it is needed.
    has_networks
        Whether it samples from trained networks. Its first argument is then a `TrainedModel`,
        otherwise it takes the oxide system as ``system``.
    has_parents
        Whether it makes crystals of others, which it takes as ``parents``.
    has_potential
        Whether it relaxes crystals on a learned potential, which it takes as ``potential``.
    margin
        Factor on the tolerances of matching at which a closed loop refuses known crystals and
        earlier finds. What resembles one mostly relaxes into it, so it is above 1, unless the
        sampler's crystals are nearly relaxed.
    """

    sampler: str
    has_networks: bool = False
    has_parents: bool = False
    has_potential: bool = False
    margin: float = 2.0


HOME = "atomate2_vogen.samplers"

# the command line reads this table too: nothing heavy may be imported for it
SAMPLERS: dict[str, SamplerName] = {
    "search": SamplerName(f"{HOME}.search:SearchSampler", has_potential=True, margin=1.0),
    "evolution": SamplerName(f"{HOME}.evolution:EvolutionSampler", has_parents=True),
    "wgan": SamplerName(f"{HOME}.wgan:WGANSampler", has_networks=True),
    "substitution": SamplerName(f"{HOME}.substitution:SubstitutionSampler"),
    "random": SamplerName(f"{HOME}.random_symmetric:RandomSampler"),
}
"""Samplers by name."""

PAPER_SAMPLERS = ("wgan", "search", "substitution", "random")
"""Samplers that make the paper's request: its generator first, the others to compare it with."""

DEFAULT = "search"
"""Sampler where none is named."""

WITHOUT_POTENTIAL = "evolution"
"""Sampler where none is named on the command line and no potential is shipped for the system."""


def load_sampler(
    name: str = DEFAULT,
    *,
    system: OxideSystem | None = None,
    model: TrainedModel | str | Path | None = None,
    preset: str = "paper",
    judge_oversample: int = 1,
    judge: Callable[[], EnergyFunction] | None = None,
    scheme: str | None = None,
    **options: Any,
) -> Sampler:
    """A sampler, ready to use.

    Parameters
    ----------
    name
        One of `SAMPLERS`.
    system
        Oxide system; by default the one that the package is about.
    model
        Trained networks or their file, for ``wgan``; by default those that are shipped.
    preset
        Which of the shipped ones.
    judge_oversample
        Crystals drawn per crystal asked for; those of the lowest single-point energies
        are kept (`FilteredSampler`). 1 keeps all and computes no energies.
    judge, scheme
        Function that loads the energy model, and the name of its scale; CHGNet by default.
    options
        Further arguments of the sampler's constructor.

    Returns
    -------
    Sampler
        Its `sample({formula: number}, seed)` makes crystals.

    Raises
    ------
    InputError
        If there is no such sampler or option, an option is out of range, or the model is of
        another system.
    MissingModelError
        If no model is given and none is shipped.
    ArtefactError
        If the model's file is damaged.

    Examples
    --------
    >>> from atomate2_vogen import load_sampler
    >>> sampler = load_sampler("substitution")
    >>> len(sampler.sample({"VO2": 2}, seed=0).candidates)
    2
    """
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.samplers.base import check_whole

    if name not in SAMPLERS:
        raise InputError(f"unknown sampler {name!r}; take one of {', '.join(SAMPLERS)}")
    entry = SAMPLERS[name]
    if model is not None and not entry.has_networks:
        raise InputError(f"the sampler {name} uses no trained model; leave `model` out")
    check_whole("judge_oversample", judge_oversample)
    system = system or VANADIUM
    networks = [_networks(model, preset, system)] if entry.has_networks else []
    given = options if entry.has_networks else {"system": system, **options}
    try:
        sampler: Sampler = resolve_name(entry.sampler)(*networks, **given)
    except TypeError as error:
        raise InputError(f"options of the sampler {name}: {error}") from error
    if judge_oversample == 1:
        return sampler
    from atomate2_vogen.data.labels import JUDGE_SCHEME, chgnet_energies
    from atomate2_vogen.samplers.filtered import FilteredSampler

    return FilteredSampler(
        sampler,
        judge or chgnet_energies,
        judge_oversample,
        scheme=scheme or JUDGE_SCHEME,
    )


def _networks(
    model: TrainedModel | str | Path | None, preset: str, system: OxideSystem
) -> TrainedModel:
    from atomate2_vogen.models.shipped import load_shipped
    from atomate2_vogen.models.trained_model import TrainedModel

    if model is None:
        return load_shipped(preset, system)
    networks = model if isinstance(model, TrainedModel) else TrainedModel.load(model)
    if networks.system.chemsys != system.chemsys:
        source = networks.model_id if isinstance(model, TrainedModel) else model
        raise InputError(
            f"the model {source} is of {networks.system.chemsys}, asked for is {system.chemsys}; "
            f"train one: vogen train --system {system.metal}-{system.anion}"
        )
    return networks
