"""Engines by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.chgnet import chgnet
from atomate2_vogen.engines.gpaw import gpaw
from atomate2_vogen.engines.sevennet import sevennet
from atomate2_vogen.engines.vasp import vasp
from atomate2_vogen.engines.vasp_mp import vasp_mp
from atomate2_vogen.errors import InputError

ENGINES: dict[str, Callable[..., Engine]] = {
    "chgnet": chgnet,
    "gpaw": gpaw,
    "sevennet": sevennet,
    "vasp": vasp,
    "vasp-mp": vasp_mp,
}
"""Makers of engines by name."""


def load_engine(name: str, system: OxideSystem = VANADIUM, **options: Any) -> Engine:
    """The engine of a name.

    Parameters
    ----------
    name
        One of `ENGINES`.
    system
        Oxide system, for engines whose settings depend on it.
    options
        Arguments of the function of that name in this package.

    Raises
    ------
    InputError
        If the name is unknown, or an option is none of that engine's.
    MissingDependencyError
        If what the engine needs is not installed.

    Examples
    --------
    >>> from atomate2_vogen import load_engine
    >>> engine = load_engine("chgnet", fmax=0.02)
    >>> engine.name, engine.scheme
    ('chgnet', 'CHGNet-0.3.0')
    """
    if name not in ENGINES:
        raise InputError(f"engine {name!r} is unknown; there are {', '.join(sorted(ENGINES))}")
    accepted = inspect.signature(ENGINES[name]).parameters
    if unknown := sorted(set(options) - set(accepted)):
        raise InputError(
            f"engine {name} has no option {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    if "system" in accepted:
        options["system"] = system
    return ENGINES[name](**options)
