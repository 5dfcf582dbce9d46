"""Crystals and energies at no cost, for flows over very many of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from jobflow import Maker, job
from pydantic import BaseModel
from pymatgen.core import Composition, Lattice, Structure

from atomate2_vogen.engines import Engine
from atomate2_vogen.schemas import CandidateDoc, SampleDoc

SCHEME = "instant-1"
FORMULAS = ("VO", "VO2", "V2O", "V2O3", "V3O", "V3O2")
POINTS = np.array([(i, j, k) for i in range(3) for j in range(2) for k in range(3)])
LIKE_A_SAMPLE = [["output", "candidates"]]


class InstantOutput(BaseModel):
    """Energy in eV and forces in eV/Å."""

    energy: float
    forces: list[list[float]]
    stress: list[list[float]] | None = None
    n_steps: int = 1
    elapsed_time: float = 0.001


class InstantTask(BaseModel):
    """The parts of a task document that are read."""

    structure: Structure
    output: InstantOutput
    state: str = "successful"


def depth(structure: Structure) -> float:
    """Between 0 and 1, by the edges."""
    return zlib.crc32(np.round(structure.lattice.abc, 6).tobytes()) / 2**32


@dataclass
class InstantMaker(Maker):
    """Gives the structure back, with an energy that depends on its edges."""

    name: str = "instant"

    @job(output_schema=InstantTask)
    def make(self, structure: Structure, prev_dir: str | None = None) -> InstantTask:
        energy = -7.0 * len(structure) - 0.5 * depth(structure)
        return InstantTask(
            structure=structure,
            output=InstantOutput(energy=energy, forces=[[0.0] * 3] * len(structure)),
        )


@dataclass
class StressedMaker(InstantMaker):
    """Tells forces and a stress as well, from which a potential can learn."""

    @job(output_schema=InstantTask)
    def make(self, structure: Structure, prev_dir: str | None = None) -> InstantTask:
        task = InstantMaker.make.original(self, structure)
        task.output.forces = (np.sin(structure.frac_coords) / 10).tolist()
        task.output.stress = (structure.lattice.matrix / 3).tolist()
        return task


def engine(name: str = "instant", maker: type[InstantMaker] = InstantMaker) -> Engine:
    """Relax and static."""
    return Engine(
        name=name,
        scheme=SCHEME,
        relax_maker=maker(name="instant relax"),
        static_maker=maker(name="instant static"),
        engine_versions={"instant": "1"},
    )


def stressed() -> Engine:
    """The same energies, with forces and stresses."""
    return engine("stressed", StressedMaker)


ARRANGEMENTS = 20
"""Ways in which the atoms of a formula lie: as with a generator, most crystals come again."""


def crystal(formula: str, seed: int) -> Structure:
    """A crystal with atoms on points of a grid 2 Å wide, slightly off it and strained."""
    rng = np.random.default_rng(seed)
    order = np.random.default_rng(seed % ARRANGEMENTS)
    composition = Composition(formula).get_el_amt_dict()
    symbols = [symbol for symbol, amount in composition.items() for _ in range(int(amount))]
    points = order.permutation(POINTS)[: len(symbols)] / (3, 2, 3)
    edges = (6, 4, 6) * rng.uniform((0.9, 1.1, 1.2), (0.92, 1.12, 1.22))
    return Structure(
        Lattice.orthorhombic(*edges), symbols, points + rng.uniform(-0.02, 0.02, points.shape)
    )


@dataclass
class InstantSampleMaker(Maker):
    """As many crystals as are asked for; their list lies in the data store."""

    name: str = "instant sampler"

    @job(data=LIKE_A_SAMPLE, output_schema=SampleDoc)
    def make(self, counts: dict[str, int], seed: int) -> SampleDoc:
        candidates = [
            CandidateDoc.make(
                crystal(formula, zlib.crc32(f"{formula}{seed}{index}".encode())),
                sampler="test",
                model_id="instant",
                formula=formula,
                seed=seed,
                index=index,
            )
            for formula, count in counts.items()
            for index in range(count)
        ]
        return SampleDoc.make(
            sampler="test",
            model_id="instant",
            seed=seed,
            requested=counts,
            attempts=counts,
            candidates=candidates,
            rejections=[],
            wall_time=0.0,
        )
