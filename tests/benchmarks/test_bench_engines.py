"""Speed of the engines: ``pytest tests/benchmarks --benchmark-only``."""

from dataclasses import replace

import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from atomate2_vogen import engines
from atomate2_vogen.data.dataset import load_dataset


@pytest.mark.parametrize("n_atoms", [9, 18])
def test_one_step_of_a_relaxation(benchmark, n_atoms):
    """Energy, forces and stress by CHGNet."""
    calculator = engines.chgnet().static_maker.calculator
    crystals = load_dataset()
    index = next(i for i, n in enumerate(crystals.n_atoms) if n == n_atoms)
    atoms = AseAtomsAdaptor.get_atoms(crystals.structure(index))
    benchmark(calculator.calculate, atoms)


@pytest.mark.parametrize("n_atoms", [9, 18])
def test_ten_steps_of_a_relaxation(benchmark, n_atoms):
    """As screening relaxes, with the optimizer and the filter of the cell."""
    maker = replace(engines.chgnet().relax_maker, steps=10)
    crystals = load_dataset()
    index = next(i for i, n in enumerate(crystals.n_atoms) if n == n_atoms)
    structure = crystals.structure(index)
    benchmark(maker.run_ase, structure)
