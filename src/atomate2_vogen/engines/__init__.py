"""Engines: one object per level of theory, which hands out relax, static and phonon Makers.

>>> from atomate2_vogen import engines
>>> engine = engines.chgnet()  # doctest: +SKIP

Importing this package imports neither torch nor atomate2; making an engine does.
"""

from __future__ import annotations

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.chgnet import chgnet
from atomate2_vogen.engines.gpaw import gpaw
from atomate2_vogen.engines.references import load_references, reference_structures

__all__ = ["Engine", "chgnet", "gpaw", "load_references", "reference_structures"]
