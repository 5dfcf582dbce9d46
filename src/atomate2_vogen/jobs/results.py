"""Energies, forces and structures from the task document of any Maker.

atomate2's documents of VASP, force fields and ASE agree on ``structure`` and on
``output.energy``, ``output.forces``; the rest differs by code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from ase import units
from pymatgen.core import Structure

from atomate2_vogen.engines.base import EnergyCorrections
from atomate2_vogen.errors import NonFiniteError
from atomate2_vogen.potential.frames import Frame

KILOBAR = units.GPa / 10
"""eV/Å³."""


def energy_per_atom(document: Any, corrections: EnergyCorrections | None = None) -> float:
    """Energy of the last ionic step in eV/atom, with the corrections of its engine, if any.

    Raises
    ------
    NonFiniteError
        If it is absent, NaN or infinite.
    VogenError
        If the corrections do not apply to this calculation.
    """
    energy = document.output.energy
    if energy is None or not math.isfinite(energy):
        raise NonFiniteError(f"the energy is {energy}")
    correction = 0.0 if corrections is None else corrections.per_atom(document)
    return float(energy) / len(relaxed_structure(document)) + correction


def relaxed_structure(document: Any) -> Structure:
    """Structure of the last ionic step.

    Raises
    ------
    NonFiniteError
        If there is none, or its lattice or coordinates are not finite.
    """
    structure = document.structure
    if structure is None:
        raise NonFiniteError("the calculation holds no structure")
    if not (
        np.isfinite(structure.lattice.matrix).all() and np.isfinite(structure.frac_coords).all()
    ):
        raise NonFiniteError("the structure holds NaN or infinity")
    return structure


def max_force(document: Any) -> float:
    """Largest force on an atom in eV/Å.

    Raises
    ------
    NonFiniteError
        If forces are absent, NaN or infinite.
    """
    forces = document.output.forces
    if forces is None or len(forces) == 0:
        raise NonFiniteError("the calculation holds no forces")
    largest = float(np.linalg.norm(np.asarray(forces, dtype=float), axis=1).max())
    if not math.isfinite(largest):
        raise NonFiniteError(f"the largest force is {largest}")
    return largest


def frame(document: Any, source: str = "") -> Frame:
    """Crystal with energy, forces and stress of the last ionic step, as a potential learns from.

    Parameters
    ----------
    document
        Task document, whose stress is in kbar and positive under compression, as VASP prints it.
        Corrections of the energy are no part of it.
    source
        How the crystal was made.

    Raises
    ------
    NonFiniteError
        If one of them is absent, NaN or infinite.
    """
    output = document.output
    stress = getattr(output, "stress", None)
    if stress is None or output.forces is None:
        raise NonFiniteError("the calculation holds no forces, or no stress")
    found = Frame(
        relaxed_structure(document),
        energy_per_atom(document),
        np.asarray(output.forces, dtype=float),
        -np.asarray(stress, dtype=float) * KILOBAR,
        source,
    )
    if not found.is_finite:
        raise NonFiniteError("forces or stress hold NaN or infinity")
    return found


def is_converged(document: Any) -> bool:
    """Whether a relaxation reached its criterion on atoms and cell within its steps.

    The optimiser says so, and so do the forces where the document tells.
    """
    if getattr(document, "is_force_converged", None) is False:
        return False
    state = getattr(document, "state", None)
    return str(getattr(state, "value", state)).lower() in {"successful", "success"}


def n_steps(document: Any) -> int | None:
    """Number of ionic steps, where the document tells."""
    steps = getattr(document.output, "n_steps", None)
    if steps is None and getattr(document.output, "ionic_steps", None) is not None:
        steps = len(document.output.ionic_steps)
    if steps is None and (runs := getattr(document, "calcs_reversed", None)):
        # VASP: every restart by an error handler is overwritten, the last one counts
        steps = len(runs[0].output.ionic_steps or [])
    return None if steps is None else int(steps)


def total_moment(calculation: Any) -> float | None:
    """Moment of the cell in μB, where a task document tells it."""
    output = getattr(calculation, "output", None)
    moment = getattr(output, "total_moment", None)
    if moment is None and (runs := getattr(calculation, "calcs_reversed", None)):
        outcar = getattr(runs[0].output, "outcar", None) or {}
        if not isinstance(outcar, Mapping):
            outcar = outcar.as_dict()
        moment = outcar.get("total_magnetization")
    return None if moment is None else float(moment)


def site_moments(calculation: Any) -> list[float] | None:
    """Moments of the sites in μB, where a task document tells them."""
    moments = getattr(getattr(calculation, "output", None), "site_moments", None)
    if moments is None and _is_spin_polarised(calculation):
        structure = getattr(calculation, "structure", None)
        moments = None if structure is None else structure.site_properties.get("magmom")
    return _numbers(moments)


def initial_moments(calculation: Any) -> list[float] | None:
    """Moments of the sites in μB that a self-consistent cycle started from.

    Those of GPAW's input, or of the first INCAR of a VASP calculation; None where none is told.
    """
    moments = getattr(getattr(calculation, "input", None), "initial_moments", None)
    if moments is None and (runs := getattr(calculation, "calcs_reversed", None)):
        incar = getattr(getattr(runs[-1], "input", None), "incar", None) or {}
        moments = incar.get("MAGMOM") if incar.get("ISPIN") == 2 else None
    return _numbers(moments)


def _numbers(moments: Any) -> list[float] | None:
    """Moments as a list; None where one is missing or is no number, such as a vector."""
    if moments is None or not all(isinstance(moment, Real) for moment in moments):
        return None
    return [float(moment) for moment in moments]


def _is_spin_polarised(calculation: Any) -> bool:
    """False for force fields, whose structures carry the moments of their input along."""
    return getattr(calculation, "forcefield_name", None) is None


def elapsed_time(document: Any) -> float | None:
    """Seconds that a calculation took, or took until it failed; None where nobody tells."""
    seconds = getattr(document, "elapsed_time", None)
    if seconds is None:
        seconds = getattr(getattr(document, "output", None), "elapsed_time", None)
    if seconds is None and (overall := _run_stats(document)) is not None:
        seconds = overall.elapsed_time
    return None if seconds is None else float(seconds)


def cpu_time(document: Any) -> float | None:
    """CPU seconds of a calculation, where its engine tells them."""
    seconds = getattr(document, "cpu_time", None)
    if seconds is None and (overall := _run_stats(document)) is not None:
        seconds = overall.total_time
    return None if seconds is None else float(seconds)


def _run_stats(document: Any) -> Any:
    """What VASP says about its own run times, None for other codes."""
    return (getattr(document, "run_stats", None) or {}).get("overall")
