"""Frames of an engine's calculator: its numbers, what is left out, and engines without one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from toy_potential import random_cell

from atomate2_vogen.engines.frames import engine_frames
from atomate2_vogen.errors import EngineCapabilityError


class Spoilt(LennardJones):
    """Gives NaN for one size of cell and raises for another."""

    def get_potential_energy(self, atoms=None, **keywords):
        if len(atoms) == 3:
            return float("nan")
        if len(atoms) == 4:
            raise RuntimeError("no energy of four atoms")
        return super().get_potential_energy(atoms, **keywords)


def engine(calculator):
    maker = SimpleNamespace(calculator=calculator)
    return SimpleNamespace(name="toy", static_maker=maker)


def test_numbers_are_those_of_the_calculator():
    crystal = random_cell(1)
    (frame,) = engine_frames(engine(LennardJones(sigma=1.5)))([crystal], "by hand")
    atoms = AseAtomsAdaptor.get_atoms(crystal, msonable=False)
    atoms.calc = LennardJones(sigma=1.5)
    assert frame.energy == pytest.approx(atoms.get_potential_energy() / len(crystal))
    np.testing.assert_allclose(frame.forces, atoms.get_forces())
    np.testing.assert_allclose(frame.stress, atoms.get_stress(voigt=False))
    assert (frame.source, frame.structure) == ("by hand", crystal)


def test_the_stress_is_positive_under_tension():
    stretched = Structure(Lattice.cubic(3.4), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (frame,) = engine_frames(engine(LennardJones(sigma=2.0, rc=6)))([stretched], "stretched")
    assert np.trace(frame.stress) > 0


def test_crystals_without_a_result_are_left_out(caplog):
    crystals = [random_cell(1, 2, 1), random_cell(2, 2, 2), random_cell(3, 2, 3)]
    found = engine_frames(engine(Spoilt(sigma=1.5)))(crystals, "round 1")
    assert [len(frame.structure) for frame in found] == [5]
    assert "V2O (round 1): NaN or infinity" in caplog.text
    assert "VO (round 1): no energy of four atoms" in caplog.text


def test_engines_of_dft_codes_have_no_calculator():
    without = SimpleNamespace(name="some-dft", static_maker=object())
    with pytest.raises(EngineCapabilityError, match="engine some-dft has no ASE calculator"):
        engine_frames(without)
