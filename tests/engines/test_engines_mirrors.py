"""Which force fields give a crystal and its mirror image the same energy, and what follows."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.forcefields import shared_calculator

CELL = np.array([[4.2, 0.3, 0.1], [0.2, 4.6, -0.3], [0.5, 0.1, 5.0]])
SITES = np.array(
    [[0, 0, 0], [2.1, 2.2, 0.4], [1.9, 0.2, 1.5], [0.3, 2.0, 2.4], [2.2, 2.1, 2.5], [0.4, 0.3, 2.2]]
)
NOISE = 5e-5  # eV/atom, of single precision


def calculator(name):
    """ASE calculator with the arguments of the engine."""
    maker = load_engine(name).static_maker
    return shared_calculator(maker.calculator_meta, dict(maker.calculator_kwargs))


@pytest.mark.parametrize("name", ["chgnet", "chgnet-r2scan", "diep", "sevennet", "sevennet-l3i5"])
def test_symmetry_saves_displacements_only_where_forces_have_it(name):
    for package, engines in {"diep": ("diep",), "sevenn": ("sevennet", "sevennet-l3i5")}.items():
        if name in engines:
            pytest.importorskip(package)
    model = calculator(name)
    # a crystal without any symmetry
    moved = SITES + np.random.default_rng(0).normal(0, 0.1, SITES.shape)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))

    def energy(change):
        atoms = Atoms("V2O4", cell=CELL @ change.T, positions=moved @ change.T, pbc=True)
        atoms.calc = model
        return atoms.get_potential_energy() / len(atoms)

    here = energy(np.eye(3))
    assert energy(turn) == pytest.approx(here, abs=NOISE)
    keeps = abs(energy(-np.eye(3)) - here) < NOISE
    assert load_engine(name).phonon_maker.sym_reduce == keeps
