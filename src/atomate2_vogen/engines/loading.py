"""Engines by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.engines.base import Engine


@dataclass(frozen=True)
class EngineName:
    """Entry in the table of engines.

    Parameters
    ----------
    function
        Function that makes the engine, as ``module:function``; it is imported when it is needed.
    phonons, bands
        Whether the engine has Makers of phonons and of band structures.
    """

    function: str
    phonons: bool = False
    bands: bool = False


HOME = "atomate2_vogen.engines"

# the command line reads this table too: nothing heavy may be imported for it
ENGINES: dict[str, EngineName] = {
    "chgnet": EngineName(f"{HOME}.chgnet_engine:chgnet", phonons=True),
    "gpaw": EngineName(f"{HOME}.gpaw_engine:gpaw", bands=True),
    "sevennet": EngineName(f"{HOME}.sevennet_engine:sevennet", phonons=True),
    "vasp": EngineName(f"{HOME}.vasp_engine:vasp", phonons=True, bands=True),
    "vasp-mp": EngineName(f"{HOME}.vasp_mp_engine:vasp_mp", phonons=True, bands=True),
}
"""Engines by name."""


def load_engine(name: str, system: OxideSystem | None = None, **options: Any) -> Engine:
    """The engine of a name.

    Parameters
    ----------
    name
        One of `ENGINES`.
    system
        Oxide system, for engines whose settings depend on it; by default V-O.
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
    make = resolve_name(ENGINES[name].function)
    accepted = inspect.signature(make).parameters
    if unknown := sorted(set(options) - set(accepted)):
        raise InputError(
            f"engine {name} has no option {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    if "system" in accepted and system is not None:
        options["system"] = system
    made: Engine = make(**options)
    return made
