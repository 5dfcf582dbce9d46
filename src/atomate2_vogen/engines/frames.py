"""Frames for a learned potential from the energy model of an engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.errors import EngineCapabilityError
from atomate2_vogen.potential.frames import ForceFunction, Frame

logger = logging.getLogger(__name__)


def engine_frames(engine: Engine) -> ForceFunction:
    """Energies, forces and stresses by the ASE calculator of an engine.

    Crystals for which the calculator raises, or gives NaN, are left out and logged.

    Parameters
    ----------
    engine
        Engine of a force field.

    Returns
    -------
    ForceFunction
        Called with crystals and what they are.

    Raises
    ------
    EngineCapabilityError
        If the engine has no ASE calculator, as those of DFT codes.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.engines import load_engine
    >>> from atomate2_vogen.engines.frames import engine_frames
    >>> forces = engine_frames(load_engine("chgnet"))
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> (frame,) = forces([rock_salt], "example")
    >>> round(frame.energy, 1), bool(abs(frame.forces).max() < 1e-3)
    (-8.5, True)
    """
    maker = engine.static_maker
    if not hasattr(maker, "calculator"):
        raise EngineCapabilityError(
            f"the engine {engine.name} has no ASE calculator; take one of a force field"
        )

    def frames(structures: Sequence[Structure], source: str) -> list[Frame]:
        found = []
        for structure in structures:
            atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
            atoms.calc = maker.calculator
            formula = structure.composition.reduced_formula
            try:
                frame = Frame(
                    structure,
                    float(atoms.get_potential_energy()) / len(structure),
                    np.asarray(atoms.get_forces(), dtype=float),
                    np.asarray(atoms.get_stress(voigt=False), dtype=float),
                    source,
                )
            except Exception as error:  # noqa: BLE001 - a calculator may raise anything
                logger.warning("left out: %s (%s): %s", formula, source, error)
                continue
            if frame.is_finite:
                found.append(frame)
            else:
                logger.warning("left out: %s (%s): NaN or infinity", formula, source)
        return found

    return frames
