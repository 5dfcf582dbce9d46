"""Moments are read, named and renewed; they follow their atoms whatever is done to the cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.magnetism import CollinearMagneticStructureAnalyzer
from pymatgen.core import Lattice, Species, Structure
from pymatgen.electronic_structure.core import Magmom

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines.cells import reduced, unskewed
from atomate2_vogen.engines.gpaw_makers import prepared
from atomate2_vogen.engines.vasp_jobs import cell_for_path
from atomate2_vogen.errors import InputError, MagneticMomentError
from atomate2_vogen.jobs.evaluation import candidates_from, checked_candidates
from atomate2_vogen.schemas import MagneticOrder
from atomate2_vogen.structures.magnetism import (
    by_moment,
    collinear,
    given_moments,
    magnetic_order,
    renewed_moments,
    with_moments,
)

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
ROCKSALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0, 0]]
)


def site_map(structure):
    """Moment at each place of the crystal, by element, for comparison after a change of cell."""
    return list(zip(structure.cart_coords, structure.site_properties["magmom"], strict=True))


def decorated(structure, spins):
    made = structure.copy()
    for site, spin in spins.items():
        made.replace(site, Species(made[site].specie.symbol, spin=spin))
    return made


# --- reading


def test_moments_are_read_from_property_or_species():
    assert given_moments(RUTILE) is None
    values = [1.0, -1.0, 0.0, 0.1, 0.0, 0.0]
    assert given_moments(RUTILE.copy(site_properties={"magmom": values})) == values
    spins = decorated(RUTILE, {0: 2, 1: -2})
    assert given_moments(spins) == [2, -2, 0, 0, 0, 0]
    plain = collinear(spins)
    assert plain.species == RUTILE.species
    assert plain.site_properties["magmom"] == [2.0, -2.0, 0.0, 0.0, 0.0, 0.0]
    assert collinear(plain) is plain
    assert collinear(RUTILE) is RUTILE
    nothing = RUTILE.copy(site_properties={"magmom": [None] * 6})
    assert given_moments(nothing) is None
    assert "magmom" not in collinear(nothing).site_properties


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m,
        np.float32,
        lambda m: [0, 0, m],
        lambda m: np.array([0.0, 0.0, m]),
        Magmom,
        lambda m: Magmom([0, 0, m]),
    ],
)
def test_moments_along_z_are_numbers(form):
    values = [3, -3, 0, 0, 0, 0]
    found = collinear(RUTILE.copy(site_properties={"magmom": [form(m) for m in values]}))
    assert found.site_properties["magmom"] == values
    assert all(type(moment) is float for moment in found.site_properties["magmom"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (None, "not a number"),
        ("up", "not a number"),
        (True, "not a number"),
        ([1.0, 0.0, 0.0], "vector"),
        ([0.0, 1.0], "not a number"),
        (Magmom([1, 0, 1]), "vector"),
        (Magmom(1, saxis=[1, 0, 0]), "vector"),
    ],
)
def test_moments_without_sense_are_named(wrong, message):
    structure = RUTILE.copy(site_properties={"magmom": [1.0, wrong, 0.0, 0.0, 0.0, 0.0]})
    with pytest.raises(MagneticMomentError, match=rf"site 1 of VO2.*{message}"):
        given_moments(structure)
    for refuse in (collinear, lambda s: prepared(s, VANADIUM), lambda s: candidates_from([s])):
        with pytest.raises(MagneticMomentError):
            refuse(structure)
    with pytest.raises(InputError, match="crystal 1: "):
        checked_candidates([RUTILE, structure], VANADIUM)


def test_property_and_species_must_agree():
    both = decorated(RUTILE, {0: 2, 1: -2})
    assert given_moments(with_moments(both, [2, -2, 0, 0, 0, 0])) == [2, -2, 0, 0, 0, 0]
    both.add_site_property("magmom", [2, 2, 0, 0, 0, 0])
    with pytest.raises(MagneticMomentError, match="differ"):
        given_moments(both)


def test_a_crystal_with_other_moments_is_another_candidate():
    plain, up, down = (
        candidates_from([with_moments(RUTILE, moments)])[0]
        for moments in (None, [1, 1, 0, 0, 0, 0], [1, -1, 0, 0, 0, 0])
    )
    assert len({candidate.candidate_id for candidate in (plain, up, down)}) == 3
    assert down.structure.site_properties["magmom"] == [1, -1, 0, 0, 0, 0]
    (same,) = candidates_from([decorated(RUTILE, {0: 1, 1: -1})])
    assert same.candidate_id == down.candidate_id


# --- names


@pytest.mark.parametrize(
    ("moments", "order"),
    [
        ([0.0] * 6, "NM"),
        ([0.03, -0.02, 0.01, 0.0, 0.0, 0.0], "NM"),
        ([1.0, 1.1, -0.1, -0.12, 0.1, 0.0], "FM"),
        ([-1.0, -1.1, 0.05, 0.0, 0.0, 0.0], "FM"),
        ([5.0, 5.0, 0.6, 0.6, 0.6, 0.6], "FM"),
        ([1.0, -1.0, 0.0, 0.0, 0.0, 0.0], "AFM"),
        ([1.0, -0.95, 0.05, 0.05, -0.05, -0.05], "AFM"),
        ([2.0, -1.0, 0.0, 0.0, 0.0, 0.0], "FiM"),
        (None, None),
        ([1.0, math.nan, 0.0, 0.0, 0.0, 0.0], None),
        ([1.0], None),
    ],
)
def test_name_of_an_order(moments, order):
    assert magnetic_order(RUTILE, moments) == (None if order is None else MagneticOrder(order))


# --- renewal


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ([0.0] * 6, None),
        ([0.05, -0.05, 0.0, 0.0, 0.0, 0.0], None),
        # all parallel: as from the elements, whatever the small moments of the anions are
        ([0.9, 0.8, -0.05, -0.05, 0.0, 0.0], [5, 5, 0.6, 0.6, 0.6, 0.6]),
        ([-0.9, -0.8, 0.05, 0.0, 0.0, 0.0], [-5, -5, -0.6, -0.6, -0.6, -0.6]),
        # one atom has lost its moment
        ([0.9, 0.02, 0.0, 0.0, 0.0, 0.0], [5, 5, 0.6, 0.6, 0.6, 0.6]),
        # opposite: nothing breaks the balance
        ([0.9, -0.87, 0.04, 0.0, -0.04, 0.0], [5, -5, 0, 0, 0, 0]),
        ([1.0, -1.0, 0.3, -0.3, 0.0, 0.0], [5, -5, 0.6, -0.6, 0, 0]),
    ],
)
def test_renewed_moments_keep_signs(given, expected):
    found = renewed_moments(with_moments(RUTILE, given), VANADIUM)
    assert found == expected


# --- moments follow their atoms

SIGNS = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0]), min_size=8, max_size=8)


@settings(max_examples=25, deadline=None)
@given(moments=SIGNS, order=st.permutations(range(8)), shear=st.integers(-3, 3))
def test_moments_follow_their_atoms(moments, order, shear):
    crystal = ROCKSALT.copy(site_properties={"magmom": moments})
    shuffled = Structure.from_sites([crystal[i] for i in order])
    skewed = shuffled.copy()
    skewed.make_supercell([[1, 0, 0], [shear, 1, 0], [0, shear, 1]])
    for cell in (reduced(skewed), unskewed(skewed), prepared(skewed, VANADIUM)):
        assert len(cell) == len(crystal)
        for site in cell:
            places = crystal.lattice.get_fractional_coords(site.coords)
            distances = crystal.lattice.get_all_distances(places, crystal.frac_coords)[0]
            nearest = int(distances.argmin())
            assert distances[nearest] < 1e-6
            assert site.properties["magmom"] == moments[nearest]
            assert site.specie == crystal[nearest].specie


@settings(max_examples=15, deadline=None)
@given(moments=SIGNS, k_path=st.sampled_from(["setyawan_curtarolo", "hinuma", "latimer_munro"]))
def test_cell_for_a_path_keeps_the_magnetic_crystal(moments, k_path):
    crystal = ROCKSALT.copy(site_properties={"magmom": moments})
    cell = cell_for_path(crystal, k_path)
    magnetic = CollinearMagneticStructureAnalyzer(crystal, make_primitive=False)
    # pymatgen compares crystals whose species bear spins; all moments turned round is the same
    assert magnetic.matches_ordering(
        with_moments(cell, np.sign(given_moments(cell)).tolist())
    ) == magnetic.matches_ordering(with_moments(crystal, np.sign(moments).tolist()))
    density = sum(given_moments(cell)) / cell.volume
    assert density == pytest.approx(sum(moments) / crystal.volume)
    sizes = sum(np.abs(given_moments(cell))) / cell.volume
    assert sizes == pytest.approx(sum(np.abs(moments)) / crystal.volume)


def test_primitive_standard_cell_of_an_antiferromagnet_is_the_magnetic_one():
    # parallel within layers along c, neighbouring layers opposite: type I order
    moments = [
        (-1.0) ** round(2 * site.frac_coords[2]) if site.specie.symbol == "V" else 0.0
        for site in ROCKSALT
    ]
    crystal = ROCKSALT.copy(site_properties={"magmom": moments})
    assert len(cell_for_path(ROCKSALT, "setyawan_curtarolo")) == 2
    cell = cell_for_path(crystal, "setyawan_curtarolo")
    assert len(cell) == 4
    assert sorted(given_moments(cell)) == [-1, 0, 0, 1]
    parallel = ROCKSALT.copy(site_properties={"magmom": [abs(m) for m in moments]})
    assert sorted(given_moments(cell_for_path(parallel, "setyawan_curtarolo"))) == [0, 1]


def test_classes_of_moments_allow_for_noise():
    noisy = with_moments(RUTILE, [1.02, 0.97, 0.01, -0.02, 0.03, 0.0])
    assert by_moment(noisy).species == RUTILE.species
    opposite = by_moment(with_moments(RUTILE, [1.02, -0.97, 0.01, -0.02, 0.03, 0.0]))
    assert len(set(opposite.species)) == 3
    assert by_moment(RUTILE).species == RUTILE.species
