"""What a self-consistent calculation with plane waves costs, estimated before it starts.

Sizes follow from cell, cutoff, mesh and valence electrons in closed form. Points of the mesh are
counted without the symmetry of the crystal, which makes an upper bound: a crystal that a force
field relaxed has none to the accuracy that DFT codes ask for. CPU time is scaled from measured
calculations of GPAW, and is known for no other code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure
from scipy.constants import physical_constants

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import Engine

BOHR = physical_constants["Bohr radius"][0] * 1e10
HARTREE = physical_constants["Hartree energy in eV"][0]

SPIN_CHANNELS = 2
COMPLEX_BYTES = 16

GPAW_PROGRAM_GIB = 0.2
"""Memory of GPAW beside the wave functions."""
GPAW_COPIES = 0.6
"""Memory that the eigensolver needs, over that of the wave functions; with it 10 atoms take 0.33 and
14 atoms 0.42 GiB, measured were 0.29 and 0.38."""
GPAW_SECONDS = 5.6e-7
"""CPU seconds of a whole self-consistent cycle per spin, point of the mesh, band squared and plane
wave: the median of the calculations in ``results/dft`` on one core of a Xeon processor."""


@dataclass(frozen=True)
class StaticCost:
    """Size of one self-consistent calculation.

    Parameters
    ----------
    n_atoms, n_kpoints, n_bands, n_plane_waves
        Of the cell; points without the symmetry of the crystal, bands of each spin.
    memory
        Of all processes of the calculation together, GiB.
    cpu_time
        CPU seconds, good to a factor of about two; None where it is not known.

    Examples
    --------
    >>> StaticCost(6, 18, 40, 1500, memory=0.3).cpu_time is None
    True
    """

    n_atoms: int
    n_kpoints: int
    n_bands: int
    n_plane_waves: int
    memory: float
    cpu_time: float | None = None


def static_cost(
    engine: Engine, structure: Structure, system: OxideSystem = VANADIUM
) -> StaticCost | None:
    """Cost of one static calculation of an engine.

    Parameters
    ----------
    engine
        Of a DFT code.
    structure
        The crystal, in the cell that is calculated.
    system
        Oxide system.

    Returns
    -------
    StaticCost or None
        None where the static Maker is neither GPAW's nor one of atomate2's for VASP.

    Raises
    ------
    MissingDependencyError
        If GPAW cannot be started; it is asked once for the valence electrons.
    EngineSetupError
        If a POTCAR is missing, which names the valence electrons.
    """
    from atomate2_vogen.engines.gpaw_makers import GpawStaticMaker

    maker: Any = engine.static_maker
    if isinstance(maker, GpawStaticMaker):
        return _gpaw(maker, structure, system)
    generator = getattr(maker, "input_set_generator", None)
    return None if generator is None else _vasp(generator, structure)


def _gpaw(maker: Any, structure: Structure, system: OxideSystem) -> StaticCost:
    from atomate2_vogen.engines.cells import reduced
    from atomate2_vogen.engines.gpaw_process import valence_electrons

    cell = reduced(structure)
    settings = maker.settings
    symbols = [site.specie.symbol for site in cell]
    valence = valence_electrons(tuple(sorted(set(symbols))), maker.command)
    moments = sum(abs(system.initial_moments.get(symbol, 0.0)) for symbol in symbols)
    # GPAW's default
    n_bands = math.ceil(1.2 * (sum(valence[symbol] for symbol in symbols) + moments) / 2) + 4
    n_kpoints = time_reversed(settings.scf_mesh(cell, system))
    n_plane_waves = plane_waves(cell.volume, settings.cutoff)
    size = SPIN_CHANNELS * n_kpoints * n_bands * n_plane_waves
    return StaticCost(
        len(cell),
        n_kpoints,
        n_bands,
        n_plane_waves,
        memory=GPAW_PROGRAM_GIB + (1 + GPAW_COPIES) * size * COMPLEX_BYTES / 2**30,
        cpu_time=GPAW_SECONDS * size * n_bands,
    )


def _vasp(generator: Any, structure: Structure) -> StaticCost:
    inputs = generator.get_input_set(structure)
    incar = inputs.incar
    n_kpoints = time_reversed(inputs.kpoints.kpts[0])
    n_plane_waves = plane_waves(structure.volume, float(incar["ENCUT"]))
    # VASP's default for spin-polarised calculations
    n_bands = math.ceil(0.6 * float(generator.nelect) + len(structure) / 2)
    size = SPIN_CHANNELS * n_kpoints * n_bands * n_plane_waves
    return StaticCost(
        len(structure), n_kpoints, n_bands, n_plane_waves, memory=size * COMPLEX_BYTES / 2**30
    )


def plane_waves(volume: float, cutoff: float) -> int:
    """Number of plane waves below a cutoff.

    Parameters
    ----------
    volume
        Of the cell, Å³.
    cutoff
        eV.

    Examples
    --------
    >>> plane_waves(100.0, 500.0)
    2539
    """
    longest = math.sqrt(2 * cutoff / HARTREE) / BOHR
    return round(volume * longest**3 / (6 * math.pi**2))


def time_reversed(mesh: tuple[int, int, int]) -> int:
    """Number of points of a Gamma-centred mesh of which none is minus another.

    Examples
    --------
    >>> time_reversed((3, 3, 3)), time_reversed((2, 2, 1))
    (14, 4)
    """
    own = int(np.prod([2 if size % 2 == 0 else 1 for size in mesh]))
    return (int(np.prod(mesh)) + own) // 2
