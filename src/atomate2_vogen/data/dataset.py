"""The data set that networks are trained on: substituted crystals, splits and labels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet, substitute


@lru_cache(maxsize=2)
def _substituted(system: OxideSystem) -> CrystalSet:
    return substitute(system)


def load_dataset(system: OxideSystem = VANADIUM) -> CrystalSet:
    """Substituted crystals of a system with their splits; the caller may change them."""
    crystals = _substituted(system)
    return crystals.select(np.arange(len(crystals)))
