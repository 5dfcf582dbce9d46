"""Whether charges can be found for a composition, from the oxidation states of its oxide system.

Mixed valence is allowed: each metal atom may have any of the metal's states. Half of the oxides
between V2O3 and V2O5 have no charges otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pymatgen.core import Composition

from atomate2_vogen.chemistry import OxideSystem


@lru_cache(maxsize=4096)
def charge_neutral(formula: str, system: OxideSystem) -> bool:
    """Whether oxidation states of the system cancel; the bare elements are neutral.

    Parameters
    ----------
    formula
        Reduced formula of elements of the system.
    system
        Oxide system, e.g. V from +2 to +5 and O at -2: then VO3, which needs V6+, is refused.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.structures import charge_neutral
    >>> charge_neutral("V2O5", VANADIUM), charge_neutral("VO4", VANADIUM)
    (True, False)
    """
    guesses = Composition(formula).oxi_state_guesses(oxi_states_override=_states(system))
    return bool(guesses)


def neutrality_settings(system: OxideSystem) -> dict[str, Any]:
    """Package, version and oxidation states that `charge_neutral` uses."""
    return {
        "package": "pymatgen",
        "version": version("pymatgen"),
        "mixed_valence": True,
        "oxidation_states": _states(system),
    }


def _states(system: OxideSystem) -> dict[str, list[int]]:
    return {symbol: list(states) for symbol, states in system.oxidation_states.items()}
