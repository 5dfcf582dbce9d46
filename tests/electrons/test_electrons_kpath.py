from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import seekpath
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.bandstructure import HighSymmKpath

from atomate2_vogen.electrons.kpath import K_PATHS, high_symmetry_path
from atomate2_vogen.errors import InputError

CRYSTALS = {
    "rutile": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ),
    "rocksalt": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0, 0]]
    ),
    "corundum": Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.347], [0.31, 0, 0.25]]
    ),
    "monoclinic": Structure.from_spacegroup(
        "C2/m", Lattice.monoclinic(9.3, 3.6, 4.9, 111), ["V", "O"], [[0.1, 0, 0.3], [0.3, 0, 0.8]]
    ),
    "triclinic": Structure(
        Lattice.from_parameters(3.0, 3.4, 4.1, 80, 85, 95),
        "VOO",
        [[0, 0, 0], [0.4, 0.5, 0.3], [0.8, 0.1, 0.6]],
    ),
}


def fingerprint(structure, kpoint):
    """A number that belongs to a wave vector of a crystal, whatever cell describes both.

    Pairs of atoms weighted by atomic numbers and by distance, times cos(k·r), per atom.
    """
    first, second, images, distances = structure.get_neighbor_list(5.0)
    numbers = np.array(structure.atomic_numbers)
    steps = structure.frac_coords[second] + images - structure.frac_coords[first]
    weights = numbers[first] * numbers[second] * np.exp(-(distances**2) / 4)
    return float(weights @ np.cos(2 * np.pi * steps @ kpoint)) / len(structure)


def other_cell(structure, seed):
    """Another primitive cell of the same crystal, turned and shifted, atoms in another order."""
    rng = np.random.default_rng(seed)
    change = np.eye(3, dtype=int)
    for first, second in rng.permutation(list(itertools.permutations(range(3), 2)))[:3]:
        change[first] += rng.choice([-1, 1]) * change[second]
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    fractions = structure.frac_coords @ np.linalg.inv(change) + rng.uniform(size=3)
    order = rng.permutation(len(structure))
    return Structure(
        Lattice(change @ structure.lattice.matrix @ turn),
        [structure[i].specie for i in order],
        fractions[order],
    )


@pytest.fixture(params=CRYSTALS)
def primitive(request):
    # Setyawan and Curtarolo's cell; with pymatgen's default the monoclinic one is another
    analyzer = SpacegroupAnalyzer(CRYSTALS[request.param])
    return analyzer.get_primitive_standard_structure(international_monoclinic=False)


def standard_points(primitive, scheme):
    """The cell that a convention gives its points in, and the points."""
    if scheme != "hinuma":
        return primitive, HighSymmKpath(primitive, path_type=scheme).kpath["kpoints"]
    # not pymatgen's: it gives these points for its own standard cell, which has other axes if the
    # crystal is triclinic
    cell = primitive.lattice.matrix, primitive.frac_coords, primitive.atomic_numbers
    found = seekpath.get_path(cell)
    standard = Structure(
        found["primitive_lattice"], found["primitive_types"], found["primitive_positions"]
    )
    return standard, {label: np.array(q) for label, q in found["point_coords"].items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", ["setyawan_curtarolo", "hinuma"])
def test_labels_mean_the_same_wave_vectors_in_every_cell(primitive, scheme):
    standard, points = standard_points(primitive, scheme)
    expected = {label: fingerprint(standard, point) for label, point in points.items()}
    for seed in range(3):
        cell = other_cell(primitive, seed)
        found = high_symmetry_path(cell, 5, scheme)
        for label, point in found.labels.items():
            assert fingerprint(cell, np.array(point)) == pytest.approx(expected[label], rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_standard_numbers_in_another_cell_are_other_points():
    # what happens without the translation, so that the test above can fail
    primitive = SpacegroupAnalyzer(CRYSTALS["corundum"]).get_primitive_standard_structure()
    cell = other_cell(primitive, 0)
    points = HighSymmKpath(primitive).kpath["kpoints"]
    wrong = [
        label
        for label, point in points.items()
        if abs(fingerprint(cell, point) - fingerprint(primitive, point)) > 1e-3
    ]
    assert wrong


@pytest.mark.parametrize("scheme", ["setyawan_curtarolo", "hinuma"])
def test_supercell_keeps_the_labels_of_the_primitive_zone(scheme):
    primitive = SpacegroupAnalyzer(CRYSTALS["rocksalt"]).get_primitive_standard_structure()
    double = primitive * (1, 1, 2)
    one = high_symmetry_path(primitive, 5, scheme)
    two = high_symmetry_path(double, 5, scheme)
    for label, point in one.labels.items():
        assert fingerprint(double, np.array(two.labels[label])) == pytest.approx(
            fingerprint(primitive, np.array(point)), rel=1e-6
        )


@pytest.mark.parametrize("scheme", K_PATHS)
def test_segments_run_from_label_to_label(scheme):
    crystal = CRYSTALS["rutile"]
    path = high_symmetry_path(crystal, 12, scheme)
    reciprocal = crystal.lattice.reciprocal_lattice
    begin = 0
    for first, second in path.segments:
        length = np.linalg.norm(
            reciprocal.get_cartesian_coords(np.subtract(path.labels[second], path.labels[first]))
        )
        end = begin + 1 + max(2, math.ceil(12 * length))
        piece = path.kpoints[begin:end]
        assert piece[0] == pytest.approx(path.labels[first])
        assert piece[-1] == pytest.approx(path.labels[second])
        assert np.ptp(np.diff(piece, axis=0), axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
        steps = np.linalg.norm(reciprocal.get_cartesian_coords(np.diff(piece, axis=0)), axis=1)
        assert steps.max() <= 1 / 12 + 1e-12
        begin = end
    assert begin == len(path.kpoints)


def test_points_are_as_dense_as_pymatgens():
    crystal = SpacegroupAnalyzer(CRYSTALS["rutile"]).get_primitive_standard_structure()
    theirs, _ = HighSymmKpath(crystal).get_kpoints(line_density=20, coords_are_cartesian=False)
    ours = high_symmetry_path(crystal, 20, "setyawan_curtarolo").kpoints
    assert len(ours) == len(theirs)


def test_moments_on_sites_do_not_disturb():
    crystal = CRYSTALS["rutile"].copy(site_properties={"magmom": [1.0] * 6})
    plain = high_symmetry_path(CRYSTALS["rutile"], 3)
    assert high_symmetry_path(crystal, 3).kpoints == pytest.approx(plain.kpoints)


@pytest.mark.parametrize("scheme", K_PATHS)
def test_path_of_an_antiferromagnet_is_that_of_its_own_symmetry(scheme):
    """Rutile with opposite moments: up and down do not map onto each other by a fourfold axis."""
    crystal = CRYSTALS["rutile"].copy(site_properties={"magmom": [1.02, -0.98, *[0.0] * 4]})
    path = high_symmetry_path(crystal, 5, scheme)
    other = CRYSTALS["rutile"].copy()
    other.replace(1, "Ti")  # as different as up and down
    expected = high_symmetry_path(other, 5, scheme)
    assert path.segments == expected.segments
    assert path.kpoints == pytest.approx(expected.kpoints)
    assert path.segments != high_symmetry_path(CRYSTALS["rutile"], 5, scheme).segments


def test_each_labelled_point_bears_its_label():
    path = high_symmetry_path(CRYSTALS["rutile"], 12)
    assert len(path.point_labels) == len(path.kpoints)
    for label, point in zip(path.point_labels, path.kpoints, strict=True):
        if label:
            assert point == pytest.approx(path.labels[label])


def test_bad_requests_are_named():
    with pytest.raises(InputError, match="spaghetti"):
        high_symmetry_path(CRYSTALS["rutile"], 5, "spaghetti")
    for density in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="line density"):
            high_symmetry_path(CRYSTALS["rutile"], density)
