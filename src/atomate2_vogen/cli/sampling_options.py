"""Options for sampling crystals, shared by the commands that generate."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomate2_vogen.cli.options import UserPath, default_sampler
from atomate2_vogen.cli.parents import read_parents
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.loading import SAMPLERS

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.schemas.crystals import Crystal

# those that users change; `SampleMaker` takes all options of the sampler
_OPTIONS = (
    click.option(
        "--max-attempts",
        type=click.IntRange(1),
        help="wgan: number of attempts per formula before it is given up.  [default: 16384]",
    ),
    click.option(
        "--min-atoms",
        type=click.IntRange(1),
        help="wgan, search, evolution: smallest number of atoms per cell; few smaller crystals are "
        "new.  [default: 7]",
    ),
    click.option(
        "--draws",
        type=click.IntRange(1),
        help="search: number of random crystals relaxed on the potential per crystal requested; "
        "more of them give lower energies for more time.  [default: 24]",
    ),
    click.option(
        "--preselect",
        type=click.IntRange(1),
        help="wgan: number of latents generated per latent decoded; the one most likely to decode "
        "to the requested formula is decoded.  [default: 16]",
    ),
    click.option(
        "--latent-noise",
        type=click.FloatRange(0, 2),
        help="wgan: standard deviation of the noise added to each latent; larger values give more "
        "new crystals and fewer that decode.  [default: 0.8]",
    ),
    click.option(
        "--symmetry-tolerance",
        type=click.FloatRange(0, 1),
        help="wgan: distance in Å within which approximate symmetries are made exact.  "
        "[default: off]",
    ),
)
_NAMES = (
    "max_attempts",
    "min_atoms",
    "draws",
    "preselect",
    "latent_noise",
    "symmetry_tolerance",
)


MODEL_FILE = "model.zip"
"""Trained networks in the output folder of vogen train."""


@dataclass(frozen=True)
class SamplingOptions:
    """Sampling options given on the command line.

    Parameters
    ----------
    model
        File of trained networks; None takes those that are shipped, or trains.
    potential
        File of a learned potential; None takes the one that is shipped.
    judge_oversample, novel_only, novelty_margin
        As in `SampleMaker`.
    parents
        Crystals that others are made of; None takes the substitution pool.
    parents_id
        Hash of these parents.
    options
        Of the sampler, those that were given.
    """

    model: Path | None = None
    potential: Path | None = None
    judge_oversample: int = 1
    novel_only: bool = False
    novelty_margin: float = 1.0
    parents: Sequence[Crystal] | None = None
    parents_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse a margin without what it is for.

        Raises
        ------
        InputError
            If one is given without ``--novel-only``.
        """
        if self.novelty_margin > 1 and not self.novel_only:
            raise InputError("--novelty-margin: only with --novel-only")

    def identity(self) -> dict[str, Any]:
        """What of it decides which crystals are generated; nothing if all is at its default."""
        identity: dict[str, Any] = dict(self.options)
        if self.judge_oversample > 1:
            identity["judge_oversample"] = self.judge_oversample
        if self.novel_only:
            identity["novel_only"] = True
        if self.novelty_margin > 1:
            identity["novelty_margin"] = self.novelty_margin
        for name, file in (("model", self.model), ("potential", self.potential)):
            if file is not None:
                identity[name] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        if self.parents_id is not None:
            identity["parents"] = self.parents_id
        return identity


def _refuse_foreign(given: Sequence[str], sampler: str) -> None:
    """Raise if options are given that the sampler does not take."""
    takers = {name: _takers(name) for name in given}
    for needed in dict.fromkeys(takers.values()):
        if sampler not in needed:
            named = [name for name in given if takers[name] == needed]
            options = ", ".join(f"--{name.replace('_', '-')}" for name in named)
            raise InputError(f"{options}: only for --sampler {' or '.join(needed)}, not {sampler}")


def _sampler_for(given: Sequence[str], default: str) -> str:
    """Sampler where none is named: the default, unless options are given for another one."""
    fitting = [name for name in SAMPLERS if all(name in _takers(option) for option in given)]
    return default if default in fitting or not fitting else fitting[0]


def _takers(option: str) -> tuple[str, ...]:
    """Samplers that take an option."""
    searching = {"potential", "draws", "min_atoms"}
    breeding = {"parents", "min_atoms"}
    return tuple(
        name
        for name, entry in SAMPLERS.items()
        if (entry.has_networks and option not in {"parents", "potential", "draws"})
        or (entry.has_potential and option in searching)
        or (entry.has_parents and option in breeding)
    )


def _check_potential(file: Path | None, system: OxideSystem) -> None:
    """Refuse a potential that jobs, perhaps on other hosts, could not use.

    Raises
    ------
    ArtefactError
        If the file is damaged.
    InputError
        If it is of another system.
    MissingModelError
        If no file is given and no potential is shipped for the system.
    """
    if file is None:
        from atomate2_vogen.potential.shipped import require_potential

        require_potential(system)
    else:
        from atomate2_vogen.potential import Potential

        Potential.load(file).require_system(system)


def sampling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one argument ``sampling``."""
    wrapped = click.option(
        "--novelty-margin",
        type=click.FloatRange(1, 3),
        default=1.0,
        show_default=True,
        help="With --novel-only: factor on the matching tolerances. Values above 1 also leave out "
        "crystals that resemble a known one, most of which would relax into it.",
    )(_sampling_options(function))
    return click.option(
        "--novel-only",
        is_flag=True,
        help="Leave out crystals that match a known phase or prototype before relaxation.",
    )(wrapped)


def loop_sampling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a loop, in which known crystals and earlier finds are always left out."""
    inner = _sampling_options(function)

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, novel_only=True, **kwargs)

    margins = ", ".join(f"{entry.margin:g} for {name}" for name, entry in SAMPLERS.items())
    return click.option(
        "--novelty-margin",
        type=click.FloatRange(1, 3),
        help="Factor on the matching tolerances within which a crystal resembles a known one or an "
        f"earlier find, and is left out before relaxation.  [default: {margins}]",
    )(wrapped)


def _sampling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from atomate2_vogen.chemistry import VANADIUM

        system = kwargs["system"] or VANADIUM
        names = ("preset", "model", "potential", "parents", *_NAMES)
        decisive = [name for name in names if kwargs[name] not in {None, ()}]
        if kwargs["sampler"] is None:
            kwargs["sampler"] = _sampler_for(decisive, default_sampler(system))
        _refuse_foreign(decisive, kwargs["sampler"])
        if kwargs["novelty_margin"] is None:
            kwargs["novelty_margin"] = SAMPLERS[kwargs["sampler"]].margin
        given = {name: kwargs.pop(name) for name in _NAMES}
        paths: tuple[Path, ...] = kwargs.pop("parents")
        if paths:
            parents, parents_id = read_parents(paths, kwargs["system"])
        else:
            parents, parents_id = None, None
        sampling = SamplingOptions(
            model=kwargs.pop("model"),
            potential=kwargs.pop("potential"),
            judge_oversample=kwargs.pop("judge_oversample"),
            novel_only=kwargs.pop("novel_only"),
            novelty_margin=kwargs.pop("novelty_margin"),
            parents=parents,
            parents_id=parents_id,
            options={name: value for name, value in given.items() if value is not None},
        )
        sampling.check()
        if SAMPLERS[kwargs["sampler"]].has_potential:
            _check_potential(sampling.potential, system)
        return function(*args, sampling=sampling, **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    wrapped = click.option(
        "--potential",
        type=UserPath(exists=True, dir_okay=False),
        help="search: file of a learned potential, as tools/train_potential.py writes it.  "
        "[default: the shipped potential]",
    )(wrapped)
    wrapped = click.option(
        "--parents",
        multiple=True,
        type=UserPath(exists=True),
        help="evolution: crystals that others are made of: structure files, a folder of them, or "
        "an earlier result, of which those within 0.1 eV/atom of the hull are taken that do not "
        "resemble each other; may be repeated.  [default: substituted prototypes]",
    )(wrapped)
    wrapped = click.option(
        "--judge-oversample",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Number of crystals generated per crystal requested; those lowest in energy by single "
        "points of the energy model are kept.",
    )(wrapped)
    return model_option(wrapped)


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--model``."""
    return click.option(
        "--model",
        type=UserPath(exists=True),
        callback=_model_file,
        help="File of trained networks, or a folder written by vogen train.  [default: the shipped "
        "networks]",
    )(function)


def _model_file(
    _context: click.Context, _parameter: click.Parameter, value: Path | None
) -> Path | None:
    if value is None or not value.is_dir():
        return value
    if not (inside := value / MODEL_FILE).is_file():
        raise InputError(f"--model {value}: no {MODEL_FILE} in this folder")
    return inside
