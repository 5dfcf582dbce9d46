"""What the values of a preset may be: one may come from a file that somebody else wrote."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from atomate2_vogen.models.networks.presets import Preset, VAEPreset

MAX_WEIGHTS = 50_000_000
"""Most weights of one layer; the paper's sizes need 1.6 million."""

PRECISIONS = ("float32", "mixed_bfloat16")
"""In which training computes features."""

_Bounds = Mapping[str, tuple[float, float]]
"""Smallest and largest value by field."""

_LONG = (1, 10_000_000)  # of a training: costs time, and no memory
_SHARE = (0.0, 0.99)
_TRAINING: _Bounds = {"batch": (1, 65_536), "steps": _LONG, "epochs": _LONG, "patience": _LONG}
_RATE: _Bounds = {"learning_rate": (1e-9, 10.0), "dropout": _SHARE}
_VAE: tuple[_Bounds, _Bounds, Mapping[str, tuple[int, int]]] = (
    {
        "grid": (1, 128),
        "latent": (1, 1024),
        "patch": (1, 8),
        "head": (1, 512),
        "circular_max": (0, 128),
        "anneal_epochs": (0, 10_000_000),
        "gate_steps": (0, 10_000_000),
        **_TRAINING,
    },
    {**_RATE, "beta": (0.0, 1e6), "latent_noise": (0.0, 100.0), "sigma": (0.0, 100.0)},
    {"channels": (512, 6)},
)
_OF_PARTS: dict[str, tuple[_Bounds, _Bounds, Mapping[str, tuple[int, int]]]] = {
    "sites": _VAE,
    "lattice": _VAE,
    "energy": (
        {"width": (1, 1024), **_TRAINING},
        {**_RATE, "l2": (0.0, 1.0)},
        {"channels": (512, 8)},
    ),
    "wgan": (
        {
            "noise": (1, 4096),
            "width": (4, 2048),
            "critic_steps": (1, 1000),
            "batch": (1, 65_536),
            "steps": _LONG,
            "memory": (0, 20_000),
        },
        {
            "dropout": _SHARE,
            "l2": (0.0, 1.0),
            "clip": (1e-9, 1e6),
            "generator_rate": (1e-9, 10.0),
            "critic_rate": (1e-9, 10.0),
            "energy_weight": (0.0, 1e6),
            "target_share": (0.0, 1.0),
            "penalty_weight": (0.0, 1e6),
            "sharpness": (0.0, 1e6),
            "remainder": (-1e6, 1e6),
            "box_weight": (0.0, 1e6),
            "temperature": (0.0, 1e6),
        },
        {"generator_channels": (512, 8), "critic_channels": (512, 8)},
    ),
    "acceptance": (
        {"latents": (1, 100_000_000), "width": (1, 1024), **_TRAINING},
        {**_RATE, "l2": (0.0, 1.0), "latent_noise": (0.0, 100.0)},
        {},
    ),
}
"""Of each part: bounds of whole numbers, of other numbers, and largest value and length of rows."""

_OF_ALL: tuple[_Bounds, _Bounds] = (
    {"per_group": (1, 1_000_000)},
    {"rattle": (0.0, 10.0), "strain": (0.0, 1.0), "p_moved": (0.0, 1.0), "p_random": (0.0, 1.0)},
)


def check_values(preset: Preset) -> None:
    """Refuse values of the wrong kind or out of bounds; see `Preset.check_sizes`."""
    check = _Checker(f"preset {preset.name}: ")
    check.fields(preset, _OF_ALL)
    for part, (whole, real, rows) in _OF_PARTS.items():
        holder = getattr(preset, part)
        check.fields(holder, (whole, real), f"{part}.")
        for name, (most, longest) in rows.items():
            check.row(f"{part}.{name}", getattr(holder, name), most, longest)
    if len(preset.wgan.generator_channels) != 2:
        check.fail("wgan.generator_channels needs 2 levels")
    for part in ("sites", "lattice"):
        check.grid(part, getattr(preset, part))


class _Checker:
    """Checks whose errors begin with the same words."""

    def __init__(self, head: str) -> None:
        self.head = head

    def fail(self, text: str) -> NoReturn:
        raise InputError(self.head + text)

    def fields(self, holder: Any, bounds: tuple[_Bounds, _Bounds], prefix: str = "") -> None:
        """Numbers of a dataclass: whole ones, and others."""
        for whole, table in zip((True, False), bounds, strict=True):
            for name, limits in table.items():
                self.number(f"{prefix}{name}", getattr(holder, name), limits, whole=whole)

    def row(self, name: str, values: Any, most: int, longest: int) -> None:
        """Feature maps per level."""
        if not isinstance(values, tuple) or not 1 <= len(values) <= longest:
            self.fail(f"{name} needs 1 to {longest} levels")
        for value in values:
            self.number(name, value, (1, most), whole=True)

    def number(
        self, name: str, value: Any, limits: tuple[float, float], *, whole: bool = False
    ) -> None:
        """One number."""
        low, high = limits
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            self.fail(f"{name} is {reprlib.repr(value)}, not {low:g} to {high:g}")

    def grid(self, name: str, part: VAEPreset) -> None:
        """What depends on the size of the grid."""
        if not isinstance(part.periodic, bool):
            self.fail(f"{name}.periodic is neither true nor false")
        self.number(f"{name}.sigma", part.sigma, (0.5, part.grid / 16))
        if part.precision not in PRECISIONS:
            shown = reprlib.repr(part.precision)
            self.fail(f"{name}.precision is {shown}; choose from {', '.join(PRECISIONS)}")
        coarse = part.grid // part.patch // 2 ** (len(part.channels) - 1)
        if coarse < 2:
            self.fail(f"{name}.grid is too small for its levels")
        if coarse**3 * part.channels[-1] * part.latent > MAX_WEIGHTS:
            self.fail(f"the {name} latent layer is too large")
