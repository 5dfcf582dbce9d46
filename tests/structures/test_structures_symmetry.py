"""Near-symmetric crystals are made symmetric, and nothing else is done to them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.structures import symmetry
from atomate2_vogen.structures.geometry import shortest_distance
from atomate2_vogen.structures.reduction import default_matcher
from atomate2_vogen.structures.symmetry import (
    conventional_cell,
    idealised,
    largest_displacement,
    space_group,
    symmetrise,
)

KNOWN = {
    "P4_2/mnm": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.554, 2.857), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ),
    "Fm-3m": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "R-3c": Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.3463], [0.3116, 0, 0.25]]
    ).get_primitive_structure(),
    "P2_1/c": Structure.from_spacegroup(
        "P2_1/c",
        Lattice.monoclinic(5.7517, 4.5378, 5.3825, 122.646),
        ["V", "O", "O"],
        [[0.23947, 0.97894, 0.02646], [0.10616, 0.21185, 0.20859], [0.40051, 0.70258, 0.29884]],
    ),
}


def rattled(structure: Structure, size: float, strain: float = 0.0, seed: int = 0) -> Structure:
    """Normal displacements of `size` Å per atom, and a strained, turned cell."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    lattice = structure.lattice.matrix @ (np.eye(3) + rng.normal(0, strain, (3, 3))) @ turn
    moves = rng.normal(0, size / np.sqrt(3), (len(structure), 3)) @ np.linalg.inv(lattice)
    shift = rng.random(3)
    return Structure(lattice, structure.species, structure.frac_coords + moves + shift)


@pytest.mark.parametrize("group", KNOWN)
@pytest.mark.parametrize("seed", range(3))
def test_rattled_crystals_come_back(group, seed):
    truth = KNOWN[group]
    shaken = rattled(truth, 0.02, 0.002, seed)
    assert SpacegroupAnalyzer(shaken, symprec=0.003).get_space_group_symbol() == "P1"
    result = symmetrise(shaken, VANADIUM, 0.15)
    assert result.changed
    assert result.after == group
    assert result.before != group
    assert SpacegroupAnalyzer(result.structure, symprec=1e-4).get_space_group_symbol() == group
    # the same sites in the same order, hardly moved
    assert result.structure.species == shaken.species
    assert 0 < result.displacement < 0.08
    assert result.displacement == largest_displacement(shaken, result.structure)
    assert np.allclose(result.structure.lattice.matrix, shaken.lattice.matrix, atol=0.1)
    assert default_matcher().fit(truth, result.structure)


def test_averaging_takes_the_crystal_nearer_to_the_truth():
    """The oxygen parameter of rutile over many rattles: averaging four sites halves its error."""
    truth = KNOWN["P4_2/mnm"]
    before, after = [], []
    for seed in range(12):
        shaken = rattled(truth, 0.04, 0.0, seed)
        result = symmetrise(shaken, VANADIUM, 0.2)
        assert result.after == "P4_2/mnm"
        before.append(abs(shortest_distance(shaken) - shortest_distance(truth)))
        after.append(abs(shortest_distance(result.structure) - shortest_distance(truth)))
    assert np.mean(after) < 0.6 * np.mean(before)


def test_exact_crystals_stay_bit_by_bit():
    for group, truth in KNOWN.items():
        result = symmetrise(truth, VANADIUM, 0.1)
        assert not result.changed
        assert result.structure is truth
        assert result.before == result.after == group
        assert result.displacement == 0


def test_a_supercell_keeps_all_its_atoms():
    double = KNOWN["P4_2/mnm"] * (1, 1, 2)
    result = symmetrise(rattled(double, 0.02, seed=5), VANADIUM, 0.15)
    assert result.after == "P4_2/mnm"
    assert result.structure.composition == double.composition


def test_what_is_not_symmetric_stays():
    rng = np.random.default_rng(3)
    crystal = Structure(
        Lattice.from_parameters(5.1, 6.2, 7.3, 81, 97, 104),
        ["V", "V", "O", "O"],
        rng.random((4, 3)),
    )
    result = symmetrise(crystal, VANADIUM, 0.05)
    assert not result.changed
    assert result.structure is crystal
    assert result.details()["symmetry_tolerance"] == 0


def test_atoms_never_move_farther_than_the_tolerance_allows():
    for seed in range(6):
        shaken = rattled(KNOWN["P2_1/c"], 0.15, 0.01, seed)
        result = symmetrise(shaken, VANADIUM, 0.1)
        assert result.displacement <= result.tolerance <= 0.1


def test_a_result_with_atoms_too_close_is_refused():
    """The same rattled crystal, in a system that allows no such bonds."""
    limits = {"V-V": 2.0, "V-O": 2.5, "O-O": 2.0}
    strict = dataclasses.replace(VANADIUM, minimum_distances=limits)
    shaken = rattled(KNOWN["P4_2/mnm"], 0.02)
    assert symmetrise(shaken, VANADIUM, 0.15).changed
    assert not symmetrise(shaken, strict, 0.15).changed


@pytest.mark.parametrize("tolerance", [0, -0.1, float("nan"), float("inf")])
def test_bad_tolerances(tolerance):
    with pytest.raises(InputError, match="tolerance"):
        symmetrise(KNOWN["Fm-3m"], VANADIUM, tolerance)


def test_a_result_that_moved_too_far_is_refused(monkeypatch):
    shaken = rattled(KNOWN["P4_2/mnm"], 0.02)
    assert symmetrise(shaken, VANADIUM, 0.15).changed
    monkeypatch.setattr(symmetry, "largest_displacement", lambda before, after: 0.2)
    assert not symmetrise(shaken, VANADIUM, 0.15).changed


def test_spglib_is_silent_unless_asked(capfd, monkeypatch):
    noisy = rattled(KNOWN["R-3c"], 0.15, 0.03, seed=3)
    symmetrise(noisy, VANADIUM, 0.8)
    assert "spglib" not in capfd.readouterr().err
    monkeypatch.setenv("SPGLIB_WARNING", "ON")
    symmetrise(noisy, VANADIUM, 0.8)
    assert "spglib: ssm_get_exact_positions failed." in capfd.readouterr().err


def test_a_users_own_setting_of_spglib_stays():
    code = "import atomate2_vogen, os; print(os.environ['SPGLIB_WARNING'])"
    for given, kept in ({}, "OFF"), ({"SPGLIB_WARNING": "ON"}, "ON"):
        inherited = {k: v for k, v in os.environ.items() if k != "SPGLIB_WARNING"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=inherited | given,
        )
        assert done.stdout.split() == [kept]


@pytest.mark.parametrize("name", KNOWN)
def test_the_conventional_cell_has_the_group_and_its_centring(name):
    crystal = KNOWN[name].get_primitive_structure()
    found = conventional_cell(crystal)
    assert space_group(found) == space_group(crystal) == (name, space_group(found)[1])
    assert default_matcher().fit(crystal, found)
    assert len(found) / len(crystal) == {"F": 4, "R": 3, "P": 1}[name[0]]


def test_ideal_positions_keep_moments_and_sites():
    crystal = KNOWN["P4_2/mnm"].copy(site_properties={"magmom": [1, -1, 0, 0, 0, 0]})
    crystal.translate_sites([2], [0.002, 0, 0], frac_coords=False)
    found = idealised(crystal)
    assert space_group(found, 1e-5)[0] == "P4_2/mnm"
    assert found.site_properties["magmom"] == [1, -1, 0, 0, 0, 0]
    assert largest_displacement(crystal, found) < 0.002
