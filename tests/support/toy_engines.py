"""Engines for tests of flows: phonons in milliseconds, and bands in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import made_bands
from ase.calculators.lj import LennardJones
from atomate2.forcefields.flows.phonons import PhononMaker
from cheap_engine import engine as cheap
from jobflow import Flow, Maker, job
from pydantic import BaseModel
from pymatgen.core import Lattice, Structure

from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.forcefields import SharedRelaxMaker, SharedStaticMaker

SCHEME = "lj-1"
EDGE = 5.25


class Broken(LennardJones):
    """Lennard-Jones that fails on cells of more atoms than a primitive one has."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if len(self.atoms) > 4:
            raise RuntimeError("the displaced cell is cursed")


def attraction():
    """Calculator factory for ``force_field_name``."""
    return LennardJones(epsilon=0.01, sigma=3.4, rc=8.0, smooth=True)


def broken():
    """The same, but for large cells."""
    return Broken(epsilon=0.01, sigma=3.4, rc=8.0, smooth=True)


def lj(factory="attraction", steps=100, scheme=SCHEME, relax=True):
    """Engine of Lennard-Jones: relax, static, phonons; no bands."""
    calculator = {"@module": "toy_engines", "@callable": factory}
    quiet = {"final_atoms_object_file": None}
    static = SharedStaticMaker(
        name="lj static",
        force_field_name=calculator,
        relax_kwargs=quiet,
        ionic_step_data=("energy",),
    )
    tight = SharedRelaxMaker(
        name="lj relax",
        force_field_name=calculator,
        steps=steps,
        relax_kwargs={"fmax": 0.001, **quiet},
        optimizer_kwargs={"optimizer": "BFGS"},
        ionic_step_data=("energy",),
    )
    return Engine(
        name="lj",
        scheme=scheme,
        relax_maker=tight,
        static_maker=static,
        phonon_maker=PhononMaker(
            name="lj phonon",
            min_length=9.0,
            bulk_relax_maker=tight if relax else None,
            static_energy_maker=static,
            phonon_displacement_maker=static,
            born_maker=None,
        ),
        engine_versions={"lj": "1"},
        known_weakness="no electrons at all",
    )


def fcc(a=EDGE, symbol="V"):
    """A cubic cell of four atoms."""
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Structure(Lattice.cubic(a), [symbol] * 4, sites)


class BandOutput(BaseModel):
    """Energy and moments."""

    energy: float
    total_moment: float


class BandTask(BaseModel):
    """The parts of a task document that are read."""

    structure: Structure
    state: str = "successful"
    dir_name: str = "."
    output: BandOutput | None = None
    vasp_objects: Any = None


@dataclass
class ToyStatic(Maker):
    """Static calculation of a crystal with cosine bands."""

    name: str = "toy static"
    trouble: str = ""

    @job
    def make(self, structure, prev_dir=None):
        return self.calculate(structure)

    def calculate(self, structure):
        """Not as a job."""
        if self.trouble == "static" and len(structure) == 3:
            raise RuntimeError("SCF went astray")
        return BandTask(
            structure=structure.copy(site_properties={"magmom": [0.5] * len(structure)}),
            state="failed" if self.trouble == "unconverged" else "successful",
            output=BandOutput(energy=-7.5 * len(structure), total_moment=1.0),
        )


@dataclass
class ToyBands(Maker):
    """Cosine bands: a half metal whose other channel has a gap of 2 eV."""

    name: str = "toy bands"
    trouble: str = ""
    spins: list = field(
        default_factory=lambda: [made_bands.metallic(0.0), made_bands.gapped(-0.8, 1.2)]
    )

    @job(data=["bandstructure", "dos"])
    def make(self, structure, prev_dir=None, mode="uniform"):
        return self.calculate(structure, mode)

    def calculate(self, structure, mode):
        """Not as a job."""
        if self.trouble == mode:
            raise RuntimeError(f"no {mode} bands today")
        made = made_bands.uniform if mode == "uniform" else made_bands.line
        objects = {"bandstructure": made(self.spins, 0.0)}
        if mode == "uniform":
            objects["dos"] = made_bands.dos(self.spins, 0.0)
        return BandTask(structure=structure, vasp_objects=objects)


@dataclass
class ToyBandStructureMaker(Maker):
    """The shape of atomate2's `BandStructureMaker`: static, uniform, line, bands handed on."""

    name: str = "toy band structure"
    static_maker: ToyStatic = field(default_factory=ToyStatic)
    bs_maker: ToyBands = field(default_factory=ToyBands)

    def make(self, structure, prev_dir=None):
        static = self.static_maker.make(structure, prev_dir=prev_dir)
        jobs, outputs = [static], {}
        for mode in ("uniform", "line"):
            made = self.bs_maker.make(
                static.output.structure, prev_dir=static.output.dir_name, mode=mode
            )
            jobs.append(made)
            outputs[mode] = made.output
            outputs[f"{mode}_bs"] = made.output.vasp_objects["bandstructure"]
        return Flow(jobs, outputs, name=self.name)


def toy_dft(trouble="", **options):
    """Engine with bands; `trouble` is static, unconverged, uniform or line."""
    base = cheap()
    return Engine(
        name="toy",
        scheme="toy+U-1",
        relax_maker=base.relax_maker,
        static_maker=base.static_maker,
        band_structure_maker=ToyBandStructureMaker(
            static_maker=ToyStatic(trouble=trouble), bs_maker=ToyBands(trouble=trouble, **options)
        ),
        engine_versions={"toy": "1"},
    )
