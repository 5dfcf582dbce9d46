"""Cheap engines on which refinement goes well, or wrong in one way each."""

from __future__ import annotations

from dataclasses import replace

import cheap_engine
import numpy as np
from ase.calculators.calculator import all_changes
from pymatgen.core import Lattice, Structure

from atomate2_vogen.engines import Engine
from atomate2_vogen.schemas import CandidateDoc

WELL, BARRIER = 0.08, 0.010
"""Å from the centre to a minimum, and eV per cell by which the centre is higher."""
EDGE = (2 * cheap_engine.VOLUME) ** (1 / 3)


class DoubleWell(cheap_engine.Tempered):
    """`cheap_engine.Tempered` with oxygen in one of two minima, off the centre along c."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        """With the well in the place of the spring along c between the two atoms."""
        super().calculate(atoms, properties, system_changes)
        fractional = atoms.get_scaled_positions(wrap=False)
        apart = fractional[1] - fractional[0] - 0.5
        u = float(((apart - np.round(apart)) @ atoms.cell[:])[2])
        k = BARRIER / WELL**4
        shift = (fractional - np.round(2 * fractional) / 2) @ atoms.cell[:]
        # the springs of `Tempered` along c are taken out
        spring = cheap_engine.SPRING
        energy = self.results["energy"] - spring * (shift[:, 2] ** 2).sum() / 2
        energy += k * (u**2 - WELL**2) ** 2
        forces = self.results["forces"].copy()
        slope = 4 * k * u * (u**2 - WELL**2)
        forces[:, 2] = [slope, -slope]
        strain = len(atoms) * cheap_engine.BULK
        volume = atoms.get_volume()
        x = volume / len(atoms) / cheap_engine.VOLUME
        stress = strain * (x - 1) * x / volume
        self.results |= {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "stress": np.array([stress] * 3 + [0.0] * 3),
        }


class BreaksWhenSymmetric(cheap_engine.Tempered):
    """Raises on crystals whose atoms are on the points of the grid, as symmetry puts them."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        """Energy as ever, or trouble."""
        super().calculate(atoms, properties, system_changes)
        fractional = atoms.get_scaled_positions(wrap=False)
        fractional = fractional - fractional[0]
        if np.abs(fractional - np.round(2 * fractional) / 2).max() < 1e-7:
            raise ValueError("the symmetric crystal is cursed")


def double_well() -> DoubleWell:
    """Calculator factory."""
    return DoubleWell()


def breaks_when_symmetric() -> BreaksWhenSymmetric:
    """Calculator factory."""
    return BreaksWhenSymmetric()


def engine(factory: str, fmax: float = 0.05) -> Engine:
    """Engine of a calculator of this module."""
    plain = cheap_engine.engine()
    calculator = {"@module": "refine_engine", "@callable": factory}
    relax = replace(
        plain.relax_maker,
        force_field_name=calculator,
        relax_kwargs={**plain.relax_maker.relax_kwargs, "fmax": fmax},
    )
    static = replace(plain.static_maker, force_field_name=calculator)
    return replace(plain, relax_maker=relax, static_maker=static, methods=None)


def candidate(offset: float, index: int = 0) -> CandidateDoc:
    """VO of two atoms, oxygen so many Å off the centre."""
    structure = Structure(
        Lattice.cubic(EDGE), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5 + offset / EDGE]]
    )
    return CandidateDoc.make(
        structure, sampler="test", model_id="well", formula="VO", seed=0, index=index
    )
