"""The Materials Project's PBE input sets, as atomate2's MPGGA Makers use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymatgen.io.vasp.sets import MPRelaxSet, MPStaticSet, VaspInputSet

from atomate2_vogen.engines.vasp_moments import UnitCellMoments


def mp_relax_set(incar: dict[str, Any] | None = None) -> VaspInputSet:
    """Input set of ``MPGGARelaxMaker``, with further INCAR settings."""
    return MPRelaxSet(
        force_gamma=True,
        auto_metal_kpoints=True,
        inherit_incar=False,
        user_incar_settings=dict(incar or {}),
    )


def mp_static_set() -> VaspInputSet:
    """Input set of ``MPGGAStaticMaker``."""
    return MPStaticSet(force_gamma=True, auto_metal_kpoints=True, inherit_incar=False)


@dataclass
class MPDisplacementSet(UnitCellMoments, MPStaticSet):
    """Static input set of a displaced supercell that starts from the unit cell's moments."""
