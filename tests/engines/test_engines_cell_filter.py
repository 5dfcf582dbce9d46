"""The cell filter that remembers, against ASE's own that does not."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from atomate2_vogen.engines.cell_filter import CachedCellFilter


@pytest.fixture
def atoms():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * np.diag([1, -1, 2])), scale_atoms=True)
    atoms.calc = EMT()
    return atoms


def test_a_relaxation_is_ases_to_the_last_bit(atoms):
    paths = []
    for kind in (FrechetCellFilter, CachedCellFilter):
        relaxed, path = atoms.copy(), []
        relaxed.calc = EMT()
        optimizer = BFGS(kind(relaxed), logfile=None)
        optimizer.attach(
            lambda relaxed=relaxed, path=path: path.append(
                relaxed.positions.tobytes() + relaxed.cell.array.tobytes()
            )
        )
        assert optimizer.run(fmax=0.01, steps=50)
        paths.append(path)
    assert len(paths[0]) > 5
    assert paths[0] == paths[1]


def test_asks_ase_once_per_configuration(atoms, monkeypatch):
    asked = []
    forces = FrechetCellFilter.get_forces
    monkeypatch.setattr(
        FrechetCellFilter, "get_forces", lambda *a, **k: asked.append(1) or forces(*a, **k)
    )
    optimizer = BFGS(CachedCellFilter(atoms), logfile=None)
    optimizer.run(fmax=1e-9, steps=5)
    assert len(asked) == 6  # the start and five steps


@pytest.mark.parametrize("change", ["atom", "cell", "element", "calculator"])
def test_sees_every_change(atoms, change):
    cached = CachedCellFilter(atoms)
    plain = FrechetCellFilter(atoms)
    before = cached.get_forces()
    match change:
        case "atom":
            atoms.positions[0, 0] += 1e-9
        case "cell":
            atoms.cell[2, 1] += 1e-9
        case "element":
            atoms.numbers[0] = 47
        case "calculator":
            atoms.calc = EMT(asap_cutoff=True)
    after = cached.get_forces()
    assert (after != before).any()
    assert np.array_equal(after, plain.get_forces())
    assert np.array_equal(cached.stress, plain.stress)


def test_what_is_handed_out_is_the_callers(atoms):
    cached = CachedCellFilter(atoms)
    first = cached.get_forces()
    kept = first.copy()
    first[:] = 0.0
    assert np.array_equal(cached.get_forces(), kept)
