"""Options on how crystals are drawn from a sampler, shared by the verbs that generate."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from atomate2_vogen.cli.options import UserPath
from atomate2_vogen.errors import InputError

_OPTIONS = (
    click.option(
        "--max-attempts",
        type=click.IntRange(1),
        help="wgan: attempts after which a formula is given up.  [default: 16384]",
    ),
    click.option(
        "--min-atoms",
        type=click.IntRange(1),
        help="wgan: fewest atoms of a cell; smaller ones hold little that is new.  [default: 7]",
    ),
    click.option(
        "--preselect",
        type=click.IntRange(1),
        help="wgan: latents generated per latent decoded; the one likeliest to give a crystal as "
        "asked for is.  [default: 16]",
    ),
    click.option(
        "--oversample",
        type=click.IntRange(1),
        help="wgan: latents generated per latent decoded; those of the lowest predicted energy "
        "are.  [default: 1]",
    ),
    click.option(
        "--truncation",
        type=click.FloatRange(0, 2, min_open=True),
        help="wgan: standard deviation of the generator's noise.  [default: 1]",
    ),
    click.option(
        "--latent-noise",
        type=click.FloatRange(0, 2),
        help="wgan: noise added to each latent; more of it makes more that is new and less that "
        "decodes.  [default: 0.8]",
    ),
    click.option(
        "--energy-steps",
        type=click.IntRange(0),
        help="wgan: steps of each latent down the predicted energy.  [default: 0]",
    ),
    click.option(
        "--projections",
        type=click.IntRange(0),
        help="wgan: how often a box is read, voxelised afresh and decoded again.  [default: 1]",
    ),
    click.option(
        "--miscount",
        type=click.IntRange(0),
        help="wgan: most atoms by which a box may be off to be projected at all.  [default: 2]",
    ),
    click.option(
        "--stop-when-read",
        is_flag=True,
        default=None,
        help="wgan: project no box further that reads as what was asked for.",
    ),
    click.option(
        "--told-counts",
        is_flag=True,
        default=None,
        help="wgan: the reader of a box may know how many atoms were asked for.",
    ),
    click.option(
        "--symmetry-tolerance",
        type=click.FloatRange(0, 1),
        help="wgan: make symmetries exact that a crystal has within so many Å.  [default: off]",
    ),
)
_NAMES = (
    "max_attempts",
    "min_atoms",
    "preselect",
    "oversample",
    "truncation",
    "latent_noise",
    "energy_steps",
    "projections",
    "miscount",
    "stop_when_read",
    "told_counts",
    "symmetry_tolerance",
)


MODEL_FILE = "model.zip"
"""Trained networks in the output folder of vogen train."""


@dataclass(frozen=True)
class Decoding:
    """What was said on the command line about drawing crystals.

    Parameters
    ----------
    model
        File of trained networks; None takes those that are shipped, or trains.
    judge_oversample, novel_only, novelty_margin
        As in `SampleMaker`.
    options
        Of the sampler, those that were given.
    """

    model: Path | None = None
    judge_oversample: int = 1
    novel_only: bool = False
    novelty_margin: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def check(self, sampler: str) -> None:
        """Refuse what the sampler has no use for.

        Raises
        ------
        InputError
            If an option of the WGAN is given with another sampler, or a margin without what it
            is for.
        """
        if self.novelty_margin > 1 and not self.novel_only:
            raise InputError("--novelty-margin: only with --novel-only")
        given = [*(["model"] if self.model else []), *self.options]
        if sampler != "wgan" and given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise InputError(f"{names}: only for --sampler wgan, not for {sampler}")

    def identity(self) -> dict[str, Any]:
        """What of it decides which crystals are generated; nothing if all is at its default."""
        identity: dict[str, Any] = dict(self.options)
        if self.judge_oversample > 1:
            identity["judge_oversample"] = self.judge_oversample
        if self.novel_only:
            identity["novel_only"] = True
        if self.novelty_margin > 1:
            identity["novelty_margin"] = self.novelty_margin
        if self.model is not None:
            identity["model"] = hashlib.sha256(self.model.read_bytes()).hexdigest()[:16]
        return identity


def decoding_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one argument ``decoding``."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in _NAMES}
        decoding = Decoding(
            model=kwargs.pop("model"),
            judge_oversample=kwargs.pop("judge_oversample"),
            novel_only=kwargs.pop("novel_only"),
            novelty_margin=kwargs.pop("novelty_margin"),
            options={name: value for name, value in given.items() if value is not None},
        )
        decoding.check(kwargs["sampler"])
        return function(*args, decoding=decoding, **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    wrapped = click.option(
        "--judge-oversample",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Draw so many crystals per crystal asked for, and keep the lowest in energy by single "
        "points of the judge.",
    )(wrapped)
    wrapped = click.option(
        "--novelty-margin",
        type=click.FloatRange(1, 3),
        default=1.0,
        show_default=True,
        help="With --novel-only: factor on the tolerances. Above 1 it leaves out what resembles a "
        "known crystal and would mostly relax into it.",
    )(wrapped)
    wrapped = click.option(
        "--novel-only",
        is_flag=True,
        help="Leave out crystals that match a known phase or prototype as generated.",
    )(wrapped)
    return model_option(wrapped)


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--model``."""
    return click.option(
        "--model",
        type=UserPath(exists=True),
        callback=_model_file,
        help="File of trained networks, or the folder that vogen train has written.  [default: those "
        "that are shipped]",
    )(function)


def _model_file(
    _context: click.Context, _parameter: click.Parameter, value: Path | None
) -> Path | None:
    if value is None or not value.is_dir():
        return value
    if not (inside := value / MODEL_FILE).is_file():
        raise InputError(f"--model {value}: no {MODEL_FILE} in this folder")
    return inside
