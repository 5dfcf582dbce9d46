"""The network: exact derivatives, and what must not change an energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre
from toy_potential import evaluated, random_cell, toy_potential

from atomate2_vogen.errors import InputError
from atomate2_vogen.potential.neighbours import Batch, NeighbourList
from atomate2_vogen.potential.network import HARMONICS, NetworkShape, _harmonics
from atomate2_vogen.potential.potential import as_cell

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def potential():
    return toy_potential()


def moved(structure, atom, by):
    """Crystal with one atom displaced by Å, not wrapped into the cell."""
    positions = structure.cart_coords.copy()
    positions[atom] += by
    return Structure(structure.lattice, structure.species, positions, coords_are_cartesian=True)


def strained(structure, strain):
    by = np.eye(3) + strain
    return Structure(
        Lattice(structure.lattice.matrix @ by), structure.species, structure.frac_coords
    )


def slope(energy, step=0.02):
    """Derivative at 0 by central differences of fourth order."""
    return (8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)) / (12 * step)


@pytest.mark.parametrize("seed", [1, 2])
def test_forces_are_derivatives_of_the_energy(potential, seed):
    crystal = random_cell(seed)
    _, forces, _ = evaluated(potential, crystal)
    assert np.abs(forces).max() > 0.05
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-4)
    for atom in range(len(crystal)):
        for axis in np.eye(3):

            def energy(by, atom=atom, axis=axis):
                return evaluated(potential, moved(crystal, atom, by * axis))[0]

            found = slope(energy)
            assert -found == pytest.approx(forces[atom] @ axis, abs=2e-3)


@pytest.mark.parametrize("seed", [1, 2])
def test_stress_is_the_derivative_by_strain_over_the_volume(potential, seed):
    crystal = random_cell(seed)
    _, _, stress = evaluated(potential, crystal)
    assert np.abs(stress).max() > 1e-3
    for i in range(3):
        for j in range(i + 1):
            unit = np.zeros((3, 3))
            unit[i, j] += 0.5
            unit[j, i] += 0.5

            def energy(by, unit=unit):
                return evaluated(potential, strained(crystal, by * unit))[0]

            found = slope(energy, 0.005)
            assert found / crystal.volume == pytest.approx(stress[i, j], abs=2e-4)


@few
@given(seed=seeds)
def test_a_turned_crystal_has_the_same_energy_and_turned_forces(seed):
    potential, crystal = toy_potential(), random_cell(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    turned = Structure(
        Lattice(crystal.lattice.matrix @ turn.T), crystal.species, crystal.frac_coords
    )
    energy, forces, stress = evaluated(potential, crystal)
    other, turned_forces, turned_stress = evaluated(potential, turned)
    assert other == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(turned_forces, forces @ turn.T, atol=1e-3)
    np.testing.assert_allclose(turned_stress, turn @ stress @ turn.T, atol=1e-4)


@few
@given(seed=seeds)
def test_mirror_images_have_the_same_energy(seed):
    crystal = random_cell(seed)
    image = Structure(Lattice(-crystal.lattice.matrix), crystal.species, crystal.frac_coords)
    potential = toy_potential()
    assert evaluated(potential, image)[0] == pytest.approx(
        evaluated(potential, crystal)[0], abs=1e-4
    )


@few
@given(seed=seeds)
def test_shifts_and_the_order_of_atoms_do_not_matter(seed):
    potential, crystal = toy_potential(), random_cell(seed)
    rng = np.random.default_rng(seed)
    energy, forces, _ = evaluated(potential, crystal)
    order = rng.permutation(len(crystal))
    # whole cells away too
    shifted = crystal.frac_coords + rng.random(3) + rng.integers(-2, 3, (len(crystal), 3))
    other = Structure(
        crystal.lattice, [crystal.species[i] for i in order], shifted[order], to_unit_cell=False
    )
    same, same_forces, _ = evaluated(potential, other)
    assert same == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(same_forces, forces[order], atol=1e-3)


@few
@given(seed=seeds, axis=st.integers(0, 2))
def test_a_supercell_has_the_energy_of_its_cells(seed, axis):
    potential, crystal = toy_potential(), random_cell(seed)
    scaling = [2 if i == axis else 1 for i in range(3)]
    energy, _, stress = evaluated(potential, crystal)
    double, _, same = evaluated(potential, crystal.make_supercell(scaling, in_place=False))
    assert double == pytest.approx(2 * energy, abs=3e-4)
    np.testing.assert_allclose(same, stress, atol=1e-4)


@few
@given(seed=seeds)
def test_crystals_of_a_batch_do_not_see_each_other(seed):
    potential = toy_potential()
    crystals = [random_cell(seed), random_cell(seed + 1, 1, 2), random_cell(seed + 2, 4, 4)]
    together = potential.energies(crystals)
    alone = [potential.energies([one])[0] for one in crystals]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_elements_are_told_apart(potential):
    crystal = random_cell(5, 2, 2)
    swapped = Structure(crystal.lattice, ["O", "O", "V", "V"], crystal.frac_coords)
    (_, forces, _), (_, others, _) = evaluated(potential, crystal), evaluated(potential, swapped)
    assert np.abs(forces - others).max() > 0.05


def pair(distance):
    return Structure(
        Lattice.cubic(30), ["V", "O"], [[0, 0, 0], [distance, 0, 0]], coords_are_cartesian=True
    )


def test_energy_and_force_go_smoothly_to_zero_at_the_cutoff(potential):
    cutoff = potential.network.shape.cutoff
    apart, _, _ = evaluated(potential, pair(2 * cutoff))
    away = np.array([2.0, 0.2, 0.02, 0.001])
    found = [evaluated(potential, pair(cutoff - d)) for d in away]
    energies = np.abs([energy - apart for energy, _, _ in found])
    forces = np.array([np.abs(force).max() for _, force, _ in found])
    assert energies[0] > 0.01
    assert forces[0] > 0.01
    # the cutoff function begins with the third power
    assert energies[1] < 3e-2 * energies[0]
    assert (energies[2:] < 2e-6).all()
    assert forces[1] < 0.3 * forces[0]
    assert (forces[2:] < 1e-4).all()
    beyond, force, _ = evaluated(potential, pair(cutoff + 0.001))
    assert beyond == pytest.approx(apart, abs=1e-6)
    assert np.abs(force).max() == 0


def test_neighbours_beyond_the_cutoff_change_nothing(potential):
    """Lists with a skin serve several steps of a relaxation."""
    cell = as_cell(random_cell(3), potential.system)
    cutoff = potential.network.shape.cutoff
    tight, loose = (
        potential.network.evaluate(Batch.of([cell], [NeighbourList.of(cell, cutoff + skin)]))
        for skin in (0.0, 1.5)
    )
    for one, other in zip(tight, loose, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_overlapping_atoms_repel_each_other(potential):
    close, forces, _ = evaluated(potential, pair(0.3))
    assert close > evaluated(potential, pair(1.4))[0] + 5
    assert forces[0, 0] < -5  # the metal is pushed away from the anion
    assert forces[1, 0] > 5


def test_addition_theorem_of_the_harmonics():
    """The sum over m of Y(a) Y(b) is the Legendre polynomial of the angle between a and b."""
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    of_a, of_b = (np.asarray(_harmonics(*v.T[:, None, :])) for v in (a, b))
    assert of_a.shape == (1, 16, 50)
    cosine = (a * b).sum(axis=1)
    for degree, columns in enumerate(HARMONICS):
        found = (of_a[0, columns] * of_b[0, columns]).sum(axis=0)
        np.testing.assert_allclose(found, eval_legendre(degree, cosine), atol=1e-5)


@pytest.mark.parametrize(
    "sizes",
    [
        {"cutoff": 0.5},
        {"cutoff": float("nan")},
        {"cutoff": 50.0},
        {"radial": 1},
        {"channels": 0},
        {"hidden": -1},
        {"hidden": 8.0},
        {"channels": True},
        {"hidden": 10**9},
        {"radial": 10**9},
    ],
)
def test_sizes_that_make_no_network(sizes):
    with pytest.raises(InputError, match=next(iter(sizes))):
        NetworkShape(**sizes)
