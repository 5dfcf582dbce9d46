"""Crystals of the data set through their grids and back, without a network.

Every third one at the default size: as most prototypes have two crystals, side by side, these are of
two thirds of the prototypes. ``ROUND_TRIP_STEP=1 pytest -s`` takes every one and shows the worst
case. Nothing of the canonical form is taken on trust: besides
the assignment in the returned cell, lengths, angles and all minimum-image distances are compared
with those of the crystal that went in.
"""

from __future__ import annotations

import itertools
import os
import sys

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from scipy.optimize import linear_sum_assignment

from atomate2_vogen.data.crystals import substitute
from atomate2_vogen.voxels import VoxelCodec

# spglib 2.8 announces how it will report errors; both ways are handled
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")

STEP = int(os.environ.get("ROUND_TRIP_STEP", "3"))
IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


@pytest.fixture(scope="module")
def crystals():
    return substitute()


def parameters(lattice):
    lengths = np.linalg.norm(lattice, axis=1)
    unit = lattice / lengths[:, None]
    cosines = (unit @ unit.T)[[1, 0, 0], [2, 2, 1]]
    return lengths, np.degrees(np.arccos(cosines))


def lengths_between(lattice, first, second):
    """(n, m) minimum-image distances in a reduced cell, Å."""
    apart = first[:, None] - second[None]
    apart -= np.round(apart)
    vectors = (apart[:, :, None] + IMAGES) @ lattice
    return np.sqrt(np.einsum("nmia,nmia->nmi", vectors, vectors).min(axis=2))


def displacement(lattice, first, second):
    """Largest distance in Å of assigned atoms; never too small."""
    apart = first[:, None] - second[None]
    apart -= np.round(apart)
    lengths = np.linalg.norm(apart @ lattice, axis=-1)
    return lengths[linear_sum_assignment(lengths)].max(initial=0.0)


def worst_round_trip(crystals, codec, every_distance=5):
    """Deviations of atoms (Å), lengths (%), angles (°) and distances (Å), per crystal.

    Lengths and angles are compared with the canonical cell; the cell that went in may name
    equal edges in another order, so that its volume and, for every fifth crystal, all its
    minimum-image distances are compared.
    """
    elements = crystals.system.atomic_numbers
    sites = np.empty(codec.sites_shape, np.float32)
    grid = np.empty(codec.lattice_shape, np.float32)
    found = np.zeros((len(crystals), 4))
    for index in range(len(crystals)):
        span = slice(crystals.offsets[index], crystals.offsets[index + 1])
        original = crystals.lattices[index], crystals.frac_coords[span], crystals.numbers[span]
        lattice, coords, numbers = codec.canonical_arrays(*original)
        codec.encode_sites(coords, numbers, out=sites)
        codec.encode_lattice(lattice, out=grid)
        coords2, numbers2, _ = codec.decode_sites(sites)
        lattice2 = codec.decode_lattice(grid)

        assert np.array_equal(np.sort(numbers2), np.sort(original[2])), f"crystal {index}"
        atoms = max(
            displacement(lattice2, coords[numbers == z], coords2[numbers2 == z]) for z in elements
        )
        lengths, angles = parameters(lattice)
        lengths2, angles2 = parameters(lattice2)
        volume, volume0 = abs(np.linalg.det(lattice2)), abs(np.linalg.det(original[0]))
        assert abs(volume / volume0 - 1) < 2e-4, f"crystal {index}"
        length, angle = np.abs(lengths2 / lengths - 1).max(), np.abs(angles2 - angles).max()
        distances = 0.0
        if index % every_distance == 0:
            for z, y in ((elements[0],) * 2, elements, (elements[1],) * 2):
                before, after = (
                    np.sort(lengths_between(cell, x[n == z], x[n == y]), axis=None)
                    for cell, x, n in (original, (lattice2, coords2, numbers2))
                )
                distances = max(distances, np.abs(before - after).max(initial=0.0))
        found[index] = atoms, 100 * length, angle, distances
    return found


def report(found, crystals, title):
    sys.stdout.write(f"\n{title}: {len(found)} crystals\n")
    for column, (what, unit) in enumerate(
        [("atoms", "Å"), ("lengths", "%"), ("angles", "°"), ("distances", "Å")]
    ):
        index = int(found[:, column].argmax())
        sys.stdout.write(
            f"  worst {what:9} {found[index, column]:.2e} {unit}  crystal {index}, prototype "
            f"{crystals.prototype_ids[index]}{' swapped' * bool(crystals.swapped[index])}, "
            f"{crystals.formula(index)}, {crystals.n_atoms[index]} atoms\n"
        )


@pytest.mark.slow
@pytest.mark.parametrize(("n_sites", "n_lattice", "step"), [(64, 32, STEP), (32, 16, 4 * STEP)])
def test_crystals_come_back(crystals, n_sites, n_lattice, step):
    """At the default size; a quarter of them at the size of the quick preset."""
    assert len(crystals) >= 11000
    crystals = crystals.select(np.arange(0, len(crystals), step))
    found = worst_round_trip(crystals, VoxelCodec(n_sites=n_sites, n_lattice=n_lattice))
    report(found, crystals, f"{n_sites}³ / {n_lattice}³")
    atoms, lengths, angles, distances = found.max(axis=0)
    assert atoms < 0.03
    assert lengths < 0.2
    assert angles < 0.2
    assert distances < 0.03


@pytest.mark.slow
def test_structure_matcher_agrees(crystals):
    """Encode and decode structures as a user does; a seeded sample, as the matcher is slow."""
    codec, matcher = VoxelCodec(), StructureMatcher()
    chosen = np.random.default_rng(0).choice(len(crystals), 500, replace=False)
    failed = []
    for index in chosen:
        structure = crystals.structure(int(index))
        back = codec.decode(*codec.encode(structure))
        if back.composition != structure.composition or not matcher.fit(structure, back):
            failed.append(int(index))
    assert failed == []
