"""An engine that costs milliseconds, with tempers: what happens depends on the formula."""

from __future__ import annotations

import hashlib

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.core import Lattice, Structure

from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.forcefields import SharedRelaxMaker, SharedStaticMaker
from atomate2_vogen.schemas import CandidateDoc, ReferenceDoc

SCHEME = "cheap-1"
RAISES, GIVES_NAN = "V2O3", "V2O5"
GROUND, VOLUME, BULK, SPRING = -7.0, 12.0, 20.0, 10.0  # eV/atom, Å³, eV, eV/Å²


class Tempered(Calculator):
    """Springs to the points of a half-integer grid, and a spring on the volume per atom.

    The minimum is known: `GROUND` eV/atom, atoms on the grid, `VOLUME` Å³ per atom. One
    formula raises, another gives NaN.
    """

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        """Energy, forces and stress, or trouble."""
        super().calculate(atoms, properties, system_changes)
        fractional = atoms.get_scaled_positions(wrap=False)
        shift = (fractional - np.round(2 * fractional) / 2) @ atoms.cell[:]
        volume = atoms.get_volume()
        x = volume / len(atoms) / VOLUME
        strain = len(atoms) * BULK * (x - 1) * x * np.eye(3) + SPRING * shift.T @ shift
        self.results = {
            "energy": len(atoms) * (GROUND + BULK * (x - 1) ** 2 / 2)
            + SPRING * (shift**2).sum() / 2,
            "forces": -SPRING * shift,
            "stress": full_3x3_to_voigt_6_stress(strain / volume),
        }
        self.results["free_energy"] = self.results["energy"]
        metal, oxygen = (atoms.get_chemical_symbols().count(s) for s in ("V", "O"))
        if oxygen * 2 == metal * 3:
            raise ValueError("this crystal is cursed")
        if oxygen * 2 == metal * 5:
            self.results["energy"] = self.results["free_energy"] = float("nan")


def tempered() -> Tempered:
    """Calculator factory for ``force_field_name``."""
    return Tempered()


def engine(steps: int = 300, scheme: str = SCHEME) -> Engine:
    """Relax and static of the tempered calculator."""
    calculator = {"@module": "cheap_engine", "@callable": "tempered"}
    quiet = {"final_atoms_object_file": None}
    return Engine(
        name="cheap",
        scheme=scheme,
        relax_maker=SharedRelaxMaker(
            name="cheap relax",
            force_field_name=calculator,
            steps=steps,
            relax_kwargs={"fmax": 0.05, **quiet},
            optimizer_kwargs={"optimizer": "BFGS"},
            ionic_step_data=("energy",),
        ),
        static_maker=SharedStaticMaker(
            name="cheap static",
            force_field_name=calculator,
            relax_kwargs=quiet,
            ionic_step_data=("energy",),
        ),
        engine_versions={"cheap": "1"},
    )


def crystal(formula: str = "VO2", a: float = 3.4) -> Structure:
    """A small crystal of the formula: atoms on the points of a cubic grid, slightly off it."""
    species = {"VO2": "VOO", "V2O3": "VVOOO", "V2O5": "VVOOOOO", "VO": "VO", "V": "V", "O2": "O"}
    symbols = species[formula]
    points = [(i, j, k) for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)]
    rng = np.random.default_rng(len(symbols))
    coords = np.array(points[: len(symbols)]) + rng.uniform(-0.02, 0.02, (len(symbols), 3))
    return Structure(Lattice.orthorhombic(a, a * 1.05, a * 1.1), list(symbols), coords)


def candidate(formula: str = "VO2", index: int = 0, a: float = 3.4) -> CandidateDoc:
    """A candidate as a sampler would give it."""
    return CandidateDoc.make(
        crystal(formula, a),
        sampler="test",
        model_id="grid",
        formula=formula,
        seed=0,
        index=index,
    )


def references(scheme: str = SCHEME, oxide_energy: float = -8.0) -> list[ReferenceDoc]:
    """Both elements and one oxide, with invented energies."""
    energies = {"V": -5.0, "O2": -4.0, "VO": oxide_energy}
    return [
        ReferenceDoc(
            reference_id=f"{formula}|{scheme}",
            name=formula,
            scheme=scheme,
            formula=formula,
            structure=crystal(formula),
            energy_per_atom=energy,
            source=hashlib.sha256(formula.encode()).hexdigest()[:6],
        )
        for formula, energy in energies.items()
    ]
