"""Settings of the engine `gpaw`: spin-polarised PBE+U with plane waves, after section 2.2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from monty.json import MSONable
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.electrons.kpath import K_PATHS, LINE_DENSITY
from atomate2_vogen.errors import InputError

POSITIVE = (
    "cutoff",
    "smearing",
    "kspacing",
    "metal_kspacing",
    "uniform_kspacing",
    "energy_tolerance",
    "density_tolerance",
    "eigenstates_tolerance",
    "max_iterations",
    "line_density",
    "bands_tolerance",
    "empty_bands",
    "dos_step",
    "dos_width",
    "dos_below",
)


@dataclass(frozen=True)
class GpawSettings(MSONable):
    """Numerical choices; those that move an energy are part of the scheme's name.

    Parameters
    ----------
    xc
        Exchange-correlation functional by its name in GPAW.
    cutoff
        Of the plane waves, eV. At 500 eV differences of energies of one cell are good to some
        meV/atom, but not cells: for a rocksalt monoxide the stress is 7 GPa from that at
        800 eV, after GPAW's estimate of the Pulay stress (13 GPa) is added, and the total
        energy 0.2 eV/atom. For relaxed cells take 700 eV or more; it is another scheme.
    smearing
        Width of the Fermi-Dirac distribution, eV. Energies are extrapolated to width 0.
    kspacing
        Largest distance between neighbours of the Gamma-centred mesh, 1/Å, 2π included: VASP's
        ``KSPACING``.
    metal_kspacing
        The same for crystals without the anion: bcc metal needs 9×9×9 points, with 6×6×6 it
        gets a spurious moment and 35 meV.
    uniform_kspacing
        The same for the mesh of the density of states.
    normalised_u
        How +U counts d occupations. True: each is divided by the part of the bound partial
        wave that lies within its augmentation sphere (GPAW's default, ``:d,3.25``). False: it
        is not (``:d,3.25,0``), and the same U acts weaker. Codes differ here.
    use_hubbard_u
        False: plain functional, without +U.
    energy_tolerance
        Of the self-consistent cycle, eV per valence electron.
    density_tolerance
        The same, electrons per valence electron.
    eigenstates_tolerance
        The same, squared residual in eV² per valence electron. GPAW's own 4e-8 is not met by
        every triclinic cell with +U: one of V₂O₃ with 20 atoms stayed at 1e-5 for 60 steps, while
        its energy fell by 1e-6 eV per atom and step.
    max_iterations
        Most steps of a self-consistent cycle.
    k_path
        Convention of the lines, one of `atomate2_vogen.electrons.kpath.K_PATHS`.
    line_density
        Points per 1/Å of each line, at least; 2π included.
    bands_tolerance
        Of bands in a fixed potential, eV² per valence electron. An eigenvalue's error is of
        second order in what is left: at 1e-4 a layered pentoxide's are within 2e-6 eV of those
        at GPAW's own 4e-8, in half the time.
    empty_bands
        Bands of a band structure above the occupied ones, as a share of these.
    dos_step
        Step of the energy grid of the density of states, eV.
    dos_width
        Standard deviation of the Gaussians of the density of states, eV.
    dos_below
        How far below E_F the density of states begins, eV. It ends where bands get incomplete.

    Raises
    ------
    InputError
        If a number is not finite and positive, or the path is unknown.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawSettings
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> GpawSettings(kspacing=0.5).scf_mesh(crystal)
    (5, 5, 5)
    """

    xc: str = "PBE"
    cutoff: float = 500.0
    smearing: float = 0.05
    kspacing: float = 0.5
    metal_kspacing: float = 0.33
    uniform_kspacing: float = 0.25
    normalised_u: bool = True
    use_hubbard_u: bool = True
    energy_tolerance: float = 1e-5
    density_tolerance: float = 1e-4
    eigenstates_tolerance: float = 1e-5
    max_iterations: int = 200
    k_path: str = K_PATHS[0]
    line_density: float = LINE_DENSITY
    bands_tolerance: float = 1e-4
    empty_bands: float = 0.6
    dos_step: float = 0.02
    dos_width: float = 0.05
    dos_below: float = 12.0

    def __post_init__(self) -> None:
        """Refuse what GPAW could only fail on."""
        for name in POSITIVE:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} is {value}; it must be positive")
        if self.k_path not in K_PATHS:
            raise InputError(f"no k-path scheme {self.k_path!r}; there are {', '.join(K_PATHS)}")

    def scheme(self, system: OxideSystem = VANADIUM) -> str:
        """Name of the energy scale, with all settings that change an energy.

        Example: ``GPAW-PBE+U(X=3.25,normalised)-PW500-k0.5-kmetal0.33-FD0.05``.
        """
        functional = self.xc
        if self.use_hubbard_u and system.hubbard_u:
            values = ",".join(f"{symbol}={u:g}" for symbol, u in sorted(system.hubbard_u.items()))
            form = "normalised" if self.normalised_u else "unnormalised"
            functional += f"+U({values},{form})"
        return (
            f"GPAW-{functional}-PW{self.cutoff:g}-k{self.kspacing:g}"
            f"-kmetal{self.metal_kspacing:g}-FD{self.smearing:g}"
        )

    def setups(self, system: OxideSystem = VANADIUM) -> dict[str, str]:
        """GPAW's ``setups`` argument: +U on the d states of the elements that have one."""
        if not self.use_hubbard_u:
            return {}
        tail = "" if self.normalised_u else ",0"
        return {symbol: f":d,{u:g}{tail}" for symbol, u in sorted(system.hubbard_u.items())}

    def scf_mesh(
        self, structure: Structure, system: OxideSystem = VANADIUM
    ) -> tuple[int, int, int]:
        """Gamma-centred mesh of the self-consistent cycle."""
        is_metal = all(site.specie.symbol != system.anion for site in structure)
        return mesh(structure, self.metal_kspacing if is_metal else self.kspacing)

    def parameters(self, structure: Structure, system: OxideSystem = VANADIUM) -> dict[str, Any]:
        """Arguments of the calculator as JSON, the same for every task on this crystal."""
        present = {site.specie.symbol for site in structure}
        setups = self.setups(system)
        return {
            "cutoff": self.cutoff,
            "xc": self.xc,
            "smearing": self.smearing,
            "mesh": list(self.scf_mesh(structure, system)),
            "setups": {symbol: setups[symbol] for symbol in sorted(present & set(setups))},
            "max_iterations": self.max_iterations,
            "convergence": {
                "energy": self.energy_tolerance,
                "density": self.density_tolerance,
                "eigenstates": self.eigenstates_tolerance,
            },
        }


def mesh(structure: Structure, spacing: float) -> tuple[int, int, int]:
    """Gamma-centred mesh whose neighbours are at most `spacing` 1/Å apart, as ``KSPACING``.

    Parameters
    ----------
    structure
        Crystal.
    spacing
        1/Å, with 2π.
    """
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    # a length that is a whole number of spacings must not jump up by rounding
    first, second, third = np.maximum(1, np.ceil(lengths / spacing - 1e-8)).astype(int)
    return int(first), int(second), int(third)
