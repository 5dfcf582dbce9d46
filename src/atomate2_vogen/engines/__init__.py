"""Engines: one object per level of theory with its relax, static and phonon Makers.

>>> from atomate2_vogen import engines
>>> engine = engines.chgnet()  # doctest: +SKIP
>>> engine = engines.load_engine("vasp", k_path="hinuma")  # doctest: +SKIP

Importing this package imports neither torch nor atomate2; making an engine does, and so does
asking for a Maker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from atomate2_vogen.engines.base import EnergyCorrections, Engine
from atomate2_vogen.engines.calibration import (
    AnionCorrection,
    AnionFit,
    FittedCompound,
    fit_anion_correction,
    measured_formation_energies,
    with_correction,
)
from atomate2_vogen.engines.chgnet import chgnet
from atomate2_vogen.engines.corrections import (
    MP2020Corrections,
    corrected_entries,
    references_from_entries,
)
from atomate2_vogen.engines.gpaw import gpaw
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.engines.loading import ENGINES, load_engine
from atomate2_vogen.engines.methods import Method
from atomate2_vogen.engines.references import (
    has_references,
    load_references,
    reference_metals,
    reference_structures,
)
from atomate2_vogen.engines.sevennet import sevennet
from atomate2_vogen.engines.vasp import vasp
from atomate2_vogen.engines.vasp_mp import vasp_mp

if TYPE_CHECKING:
    from atomate2_vogen.engines.forcefields import (
        SharedRelaxMaker,
        SharedStaticMaker,
        force_field_makers,
    )
    from atomate2_vogen.engines.gpaw_makers import (
        GpawBandStructureMaker,
        GpawNonSCFMaker,
        GpawRelaxMaker,
        GpawStaticMaker,
    )
else:
    __getattr__, *_ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "forcefields": ["SharedRelaxMaker", "SharedStaticMaker", "force_field_makers"],
            "gpaw_makers": [
                "GpawBandStructureMaker",
                "GpawNonSCFMaker",
                "GpawRelaxMaker",
                "GpawStaticMaker",
            ],
        },
    )

__all__ = [
    "ENGINES",
    "AnionCorrection",
    "AnionFit",
    "EnergyCorrections",
    "Engine",
    "FittedCompound",
    "GpawBandStructureMaker",
    "GpawNonSCFMaker",
    "GpawRelaxMaker",
    "GpawSettings",
    "GpawStaticMaker",
    "MP2020Corrections",
    "Method",
    "SharedRelaxMaker",
    "SharedStaticMaker",
    "chgnet",
    "corrected_entries",
    "fit_anion_correction",
    "force_field_makers",
    "gpaw",
    "has_references",
    "load_engine",
    "load_references",
    "measured_formation_energies",
    "reference_metals",
    "reference_structures",
    "references_from_entries",
    "sevennet",
    "vasp",
    "vasp_mp",
    "with_correction",
]
