"""Whether charges can be found for a composition, by SMACT.

SMACT (Davies et al., J. Open Source Softw. 4, 1361, 2019, DOI 10.21105/joss.01361) is what the
field's validity figures use. Mixed valence must be allowed: half of the oxides between V2O3 and
V2O5 have no charges otherwise.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.metadata import version
from typing import Any

OPTIONS: dict[str, Any] = {
    "use_pauling_test": True,
    "include_alloys": True,
    "mixed_valence": True,
}
"""Of `smact.screening.smact_validity`; the oxidation states are its own default."""


@lru_cache(maxsize=4096)
def charge_neutral(formula: str) -> bool | None:
    """Whether SMACT finds charges that cancel and respect electronegativity.

    SMACT tries every combination of charges on every metal atom and gives up beyond a million.

    Parameters
    ----------
    formula
        Reduced formula.

    Returns
    -------
    bool or None
        None where SMACT gives up.
    """
    from smact.screening import smact_validity

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        neutral = bool(smact_validity(formula, **OPTIONS))
    gave_up = any("too many combinations" in str(warning.message) for warning in caught)
    return None if gave_up and not neutral else neutral


def neutrality_settings() -> dict[str, Any]:
    """Package, version and options that `charge_neutral` uses."""
    return {"package": "smact", "version": version("smact"), **OPTIONS}
