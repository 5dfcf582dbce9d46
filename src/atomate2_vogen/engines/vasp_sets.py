"""The paper's VASP settings (section 3.1, 3.6) as atomate2 input-set generators.

The paper's settings are `PAPER_INCAR` and the fields below: PBE, PAW-PBE, conjugate
gradient, 1e-5 eV, 0.05 eV/Å, k-spacing 0.5 1/Å, 500 eV; spin-polarised with U on the metal's
d states for electronic structure, 0.01 eV/Å before phonons. Where the paper has none we chose: a
Gaussian smearing of 0.05 eV, so that metals and insulators are treated alike; the POTCARs of
the Materials Project; denser k-points for the density of states; tighter energies behind
forces of phonons.

``user_incar_settings`` and the other ``user_…`` fields stay the user's and win over all.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from atomate2.vasp.sets.core import NonSCFSetGenerator
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints, VaspInput
from pymatgen.io.vasp.sets import MPRelaxSet

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.electrons.kpath import K_PATHS, high_symmetry_path
from atomate2_vogen.engines.vasp_moments import UnitCellMoments
from atomate2_vogen.errors import ElementError, InputError
from atomate2_vogen.structures.magnetism import collinear, renewed_moments, with_moments

PAPER_INCAR: dict[str, Any] = {
    "ALGO": "Normal",
    "EDIFF": 1e-5,
    "ENCUT": 500,
    "GGA": "PE",
    "ISMEAR": 0,
    "ISPIN": 2,
    "LASPH": True,
    "LORBIT": 11,
    "LREAL": False,
    "LWAVE": False,
    "NELM": 200,
    "PREC": "Accurate",
    "SIGMA": 0.05,
}
"""Tags that all steps share."""

K_SPACING = 0.5
"""Spacing of the Gamma-centred mesh in 1/Å, 2π included as in VASP's KSPACING."""

DENSE_K_SPACING = 0.2
"""Spacing for the density of states in 1/Å."""

FORCE_TOLERANCE = 0.05
"""Largest force of a relaxed crystal in eV/Å."""

PHONON_FORCE_TOLERANCE = 0.01
"""Largest force in eV/Å before displacements are made."""

POTCAR_FUNCTIONAL = "PBE_54"
"""Release of the POTCARs."""


def paper_config() -> dict[str, Any]:
    """Base settings in the form of pymatgen's input sets; a fresh copy."""
    return {
        "INCAR": deepcopy(PAPER_INCAR),
        "KPOINTS": {},
        "POTCAR": {},
        "POTCAR_FUNCTIONAL": POTCAR_FUNCTIONAL,
    }


def paper_potcars(system: OxideSystem) -> dict[str, str]:
    """POTCAR symbol of each element of a system: those of the Materials Project."""
    return {
        element: MPRelaxSet.CONFIG["POTCAR"].get(element, element) for element in system.elements
    }


def gamma_mesh(structure: Structure | None, spacing: float) -> Kpoints:
    """Gamma-centred mesh, by VASP's rule for KSPACING.

    Each direction gets the smallest number of points whose distance, 2π included, does not
    exceed `spacing` (1/Å).

    Raises
    ------
    InputError
        If the spacing is not positive, or there is no structure yet.
    """
    if structure is None:
        raise InputError("a mesh of k-points needs a structure")
    if not (math.isfinite(spacing) and spacing > 0):
        raise InputError(f"the k-spacing is {spacing} 1/Å, not a positive number")
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    # 1e-8: an edge that is a multiple of the spacing up to rounding needs no further point
    counts = np.maximum(np.ceil(lengths / spacing - 1e-8), 1).astype(int)
    return Kpoints.gamma_automatic(tuple(counts.tolist()))


def path_kpoints(structure: Structure, k_path: str, line_density: float) -> Kpoints:
    """Path for line mode in the basis of any cell, with the symmetry that the moments leave.

    pymatgen's own points are those of the standard primitive cell of the crystal without moments,
    which are other points in the zone of a magnetic cell.

    Parameters
    ----------
    structure
        Crystal in the cell that is calculated.
    k_path
        One of `K_PATHS`.
    line_density
        Points per 1/Å, 2π included.
    """
    path = high_symmetry_path(structure, line_density, k_path)
    return Kpoints(
        comment="Non SCF run along symmetry lines",
        style=Kpoints.supported_modes.Reciprocal,
        num_kpts=len(path.kpoints),
        kpts=path.kpoints.tolist(),
        labels=list(path.point_labels),
        kpts_weights=[1] * len(path.kpoints),
    )


@dataclass
class PaperSetGenerator(VaspInputGenerator):
    """Base class of the input sets of the paper's recipe.

    Parameters
    ----------
    system
        Oxide system: initial moments, Hubbard U, POTCARs.
    hubbard
        Whether U acts (Dudarev, ``LDAUTYPE = 2``) on the d states of compounds; never in the
        bare elements.
    k_spacing
        Spacing of the Gamma-centred mesh in 1/Å.
    energy_tolerance
        ``EDIFF`` in eV.
    fresh_moments
        Start from the magnitudes of `system` even where the structure carries moments; their signs
        are kept (`structures.magnetism.renewed_moments`). A crystal that lost its moment without U
        would never get it back with U.
    """

    config_dict: dict = field(default_factory=paper_config)
    inherit_incar: bool | list[str] = False
    auto_ismear: bool = False
    auto_ispin: bool = False
    system: OxideSystem = VANADIUM
    hubbard: bool = False
    k_spacing: float = K_SPACING
    energy_tolerance: float = 1e-5
    fresh_moments: bool = False

    def __post_init__(self) -> None:
        """Put what the system fixes into the settings."""
        super().__post_init__()
        self._config_dict["POTCAR"] = paper_potcars(self.system) | self._config_dict["POTCAR"]
        incar = self._config_dict["INCAR"]
        incar["EDIFF"] = self.energy_tolerance
        incar["MAGMOM"] = dict(self.system.initial_moments)
        if self.hubbard:
            values, elements = self.system.hubbard_u, self.system.elements
            # keyed by the anion: pymatgen then leaves the bare metal without U
            incar |= {
                "LDAU": True,
                "LDAUTYPE": 2,
                "LDAUL": {self.system.anion: {e: 2 if values.get(e) else -1 for e in elements}},
                "LDAUU": {self.system.anion: {e: values.get(e, 0.0) for e in elements}},
                "LDAUJ": {self.system.anion: dict.fromkeys(elements, 0.0)},
                "LDAUPRINT": 1,
            }

    @property
    def kpoints_updates(self) -> dict | Kpoints:  # type: ignore[override]
        """The mesh of `k_spacing`."""
        return gamma_mesh(self.structure, self.k_spacing)

    def get_input_set(
        self,
        structure: Structure | None = None,
        prev_dir: Any = None,
        potcar_spec: bool = False,
    ) -> VaspInput:
        """Inputs of a structure.

        Raises
        ------
        ElementError
            If the structure holds an element outside the system.
        MagneticMomentError
            If its moments are incomplete, not finite or not collinear.
        """
        if structure is not None:
            symbols = {element.symbol for element in structure.composition.elements}
            if foreign := sorted(symbols - set(self.system.elements)):
                raise ElementError(f"{', '.join(foreign)} is not part of {self.system.chemsys}")
            structure = collinear(structure)
            if self.fresh_moments:
                structure = with_moments(structure, renewed_moments(structure, self.system))
        return super().get_input_set(structure, prev_dir, potcar_spec)


@dataclass
class PaperRelaxSetGenerator(PaperSetGenerator):
    """Relaxation of positions and cell by conjugate gradient.

    Parameters
    ----------
    force_tolerance
        Largest force of the relaxed crystal in eV/Å.
    """

    force_tolerance: float = FORCE_TOLERANCE

    @property
    def incar_updates(self) -> dict[str, Any]:
        """Tags of this step."""
        return {
            "IBRION": 2,
            "ISIF": 3,
            "NSW": 99,
            "EDIFFG": -self.force_tolerance,
            "LCHARG": False,
        }


@dataclass
class PaperStaticSetGenerator(PaperSetGenerator):
    """Energy, forces, moments and charge density of a fixed structure."""

    @property
    def incar_updates(self) -> dict[str, Any]:
        """Tags of this step."""
        return {"NSW": 0, "LCHARG": True}


@dataclass
class PathNonSCFSetGenerator(NonSCFSetGenerator):
    """Non-self-consistent bands whose path follows a convention of choice.

    Parameters
    ----------
    k_path
        One of `K_PATHS`.
    """

    k_path: str = K_PATHS[0]

    @property
    def kpoints_updates(self) -> dict | Kpoints:  # type: ignore[override]
        """Path in line mode; otherwise as the class above."""
        if self.mode == "line" and self.structure is not None:
            return path_kpoints(self.structure, self.k_path, self.line_density)
        return super().kpoints_updates


@dataclass
class PaperNonSCFSetGenerator(PaperSetGenerator, PathNonSCFSetGenerator):
    """Bands along a path, or on a dense mesh for the density of states.

    Parameters
    ----------
    dense_k_spacing
        Spacing of the mesh of mode ``uniform`` in 1/Å.
    """

    dense_k_spacing: float = DENSE_K_SPACING

    @property
    def kpoints_updates(self) -> dict | Kpoints:  # type: ignore[override]
        """The path, or the dense mesh."""
        if self.mode == "uniform":
            return gamma_mesh(self.structure, self.dense_k_spacing)
        return PathNonSCFSetGenerator.kpoints_updates.fget(self)  # type: ignore[attr-defined]


@dataclass
class PaperDisplacementSetGenerator(UnitCellMoments, PaperStaticSetGenerator):
    """Forces of a displaced supercell: tight energies, and no spin where none was found."""

    energy_tolerance: float = 1e-7
    auto_ispin: bool = True

    @property
    def incar_updates(self) -> dict[str, Any]:
        """Tags of this step."""
        return {"NSW": 0, "LCHARG": False}
