"""Engines by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError, MissingDependencyError, reason

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
    "chgnet-r2scan": EngineName(f"{HOME}.chgnet_engine:chgnet_r2scan", phonons=True),
    "diep": EngineName(f"{HOME}.diep_engine:diep", phonons=True),
    "gpaw": EngineName(f"{HOME}.gpaw_engine:gpaw", bands=True),
    "sevennet": EngineName(f"{HOME}.sevennet_engine:sevennet", phonons=True),
    "sevennet-l3i5": EngineName(f"{HOME}.sevennet_engine:sevennet_l3i5", phonons=True),
    "vasp": EngineName(f"{HOME}.vasp_engine:vasp", phonons=True, bands=True),
    "vasp-mp": EngineName(f"{HOME}.vasp_mp_engine:vasp_mp", phonons=True, bands=True),
}
"""Engines by name."""

CONFIRMING = ("sevennet-l3i5", "diep")
"""Engines that are asked about finds where none are named: of other training data or another
functional than the default one (docs/explanation/energy_models)."""


def load_engine(name: str, system: OxideSystem | None = None, **options: Any) -> Engine:
    """The engine of a name.

    Parameters
    ----------
    name
        One of `ENGINES`; or ``module:function`` of your own, a function that returns an `Engine`.
        It is given the system if it has an argument of that name.
    system
        Oxide system, for engines whose settings depend on it; by default V-O.
    options
        Arguments of the function of that name in this package.

    Raises
    ------
    InputError
        If the name is unknown, an option is none of that engine's, or a function of your own is
        none or returns no engine.
    MissingDependencyError
        If what the engine needs is not installed, or a module of your own cannot be found.

    Examples
    --------
    >>> from atomate2_vogen import load_engine
    >>> engine = load_engine("chgnet", fmax=0.02)
    >>> engine.name, engine.scheme
    ('chgnet', 'CHGNet-0.3.0')
    """
    make = resolve_name(ENGINES[name].function) if name in ENGINES else _own_function(name)
    accepted = inspect.signature(make).parameters
    if unknown := sorted(set(options) - set(accepted)):
        raise InputError(
            f"engine {name} has no option {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    if "system" in accepted and system is not None:
        options["system"] = system
    made: Engine = make(**options)
    return made if name in ENGINES else _checked(name, made)


def _own_function(name: str) -> Any:
    """A function outside of this package, by ``module:function``."""
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise InputError(
            f"engine {name!r} is unknown; there are {', '.join(sorted(ENGINES))}, and functions of "
            "your own as module:function"
        )
    try:
        found = resolve_name(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"engine {name} needs the module {error.name}, which is neither installed nor on the "
            "Python path"
        ) from error
    except (AttributeError, ValueError) as error:
        raise InputError(f"engine {name}: {reason(error)}") from error
    if not callable(found):
        raise InputError(f"engine {name} is {type(found).__name__}, not a function")
    return found


def _checked(name: str, made: Any) -> Engine:
    from atomate2_vogen.engines.base import Engine

    if not isinstance(made, Engine):
        raise InputError(
            f"engine {name} returns {type(made).__name__}; return an Engine, for example "
            'Engine.from_force_field("MACE-MP-0", scheme="MACE-MP-0-medium")'
        )
    return made
