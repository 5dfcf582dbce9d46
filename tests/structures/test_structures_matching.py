"""Sameness against StructureMatcher used plainly, and moves of known length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from atomate2_vogen.errors import InputError
from atomate2_vogen.structures import reduction, sameness
from atomate2_vogen.structures.matching import (
    DistinctStructures,
    KnownStructures,
    duplicate_groups,
    rmsd,
)


def rutile(a=4.55, c=2.85):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, c), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )


def fluorite(a=4.9):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["V", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


def cdi2(a=3.1, c=4.6):
    return Structure.from_spacegroup(
        "P-3m1", Lattice.hexagonal(a, c), ["V", "O"], [[0, 0, 0], [1 / 3, 2 / 3, 0.25]]
    )


def brookite():
    """Low symmetry and two kinds of oxygen, so that atoms have several partners within reach."""
    return Structure.from_spacegroup(
        "Pbca",
        Lattice.orthorhombic(9.2, 5.45, 5.15),
        ["V", "O", "O"],
        [[0.13, 0.1, 0.86], [0.01, 0.15, 0.18], [0.23, 0.11, 0.54]],
    )


def rocksalt():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def disguised(structure, seed, amplitude=0.02):
    """The same crystal in another cell, origin, order and orientation, slightly rattled."""
    rng = np.random.default_rng(seed)
    other = structure.copy()
    other.perturb(amplitude, seed=seed)
    other.make_supercell([[1, 0, 0], [1, 1, 0], [0, 2, 1]])
    other.translate_sites(range(len(other)), rng.random(3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(other))
    return Structure(
        Lattice(other.lattice.matrix @ rotation),
        [other[i].specie for i in order],
        other.frac_coords[order],
    )


def same_plainly(a, b):
    matcher = StructureMatcher()
    return matcher.fit(a, b) or matcher.fit(b, a)


def test_groups_find_disguised_copies_and_name_the_lowest():
    crystals = [rutile(), fluorite(), disguised(rutile(), 1), rocksalt(), disguised(fluorite(), 2)]
    assert duplicate_groups(crystals, [-1.0, -2.0, -1.5, -3.0, -1.9]) == [2, 1, 2, 3, 1]


def test_equal_energies_are_named_by_the_first():
    assert duplicate_groups([rutile(), rutile(), rutile()], [0.0, 0.0, 0.0]) == [0, 0, 0]


@pytest.mark.parametrize("order", [1, -1])
def test_a_match_in_one_direction_is_enough(order):
    first, second = (reduction.ReducedCrystal(rutile(c=c)) for c in (2.85, 2.9))

    class OneWay:
        def fit(self, a, b, **_):
            return a is first.structure

    assert sameness.same(*(first, second)[::order], OneWay())


def test_nothing_has_no_groups():
    assert duplicate_groups([], []) == []


def test_lengths_must_agree():
    with pytest.raises(InputError, match="2 structures but 1"):
        duplicate_groups([rutile(), fluorite()], [0.0])


def pool(seed):
    """Rutile drawn out step by step, so that neighbours match and the ends may not."""
    rng = np.random.default_rng(seed)
    crystals = [rutile(4.55, c) for c in rng.uniform(2.2, 4.6, 7)]
    return [*crystals, fluorite(), cdi2()], rng.permutation(9).astype(float)


@settings(deadline=None, max_examples=3)
@given(st.integers(0, 10_000))
def test_groups_are_those_of_the_lowest_that_match(seed):
    crystals, energies = pool(seed)
    expected: dict[int, int] = {}
    for i in np.argsort(energies):
        leaders = [k for k in expected if expected[k] == k]  # the lowest first
        expected[i] = next((k for k in leaders if same_plainly(crystals[k], crystals[i])), i)
    assert duplicate_groups(crystals, energies) == [expected[i] for i in range(len(crystals))]


@settings(deadline=None, max_examples=3)
@given(st.integers(0, 10_000))
def test_groups_do_not_depend_on_the_order(seed):
    crystals, energies = pool(seed)
    order = np.random.default_rng(seed + 1).permutation(len(crystals))
    plain = duplicate_groups(crystals, energies)
    mixed = duplicate_groups([crystals[i] for i in order], energies[order])
    assert [int(order[k]) for k in mixed] == [plain[i] for i in order]


def test_known_crystals_are_found_in_disguise():
    known = KnownStructures({"rutile": rutile(), "fluorite": fluorite(), "rocksalt": rocksalt()})
    assert len(known) == 3
    assert known.find(disguised(rutile(), 3)) == "rutile"
    assert known.find(disguised(fluorite(), 4)) == "fluorite"
    assert known.find(cdi2()) is None
    assert known.find(Structure(Lattice.cubic(3), ["V"], [[0, 0, 0]])) is None


def test_first_of_several_matches_is_named():
    crystals = {"common name": rutile(), "prototype 7": rutile(4.6, 2.9)}
    assert KnownStructures(crystals).find(rutile()) == "common name"
    assert KnownStructures(dict(reversed(crystals.items()))).find(rutile()) == "prototype 7"


def test_distinct_crystals_are_collected():
    distinct = DistinctStructures()
    assert distinct.twin_or_add("rutile", rutile()) is None
    assert distinct.twin_or_add("fluorite", fluorite()) is None
    assert distinct.twin_or_add("again", disguised(rutile(), 3)) == "rutile"
    assert distinct.twin_or_add("again", disguised(fluorite(), 4)) == "fluorite"


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_who_is_distinct_does_not_depend_on_who_was_found_how_often(seed):
    crystals, _ = pool(seed)
    distinct, kept = DistinctStructures(), []
    for index, crystal in enumerate([*crystals, *crystals[::-1]]):
        twins = [name for name, other in kept if same_plainly(other, crystal)]
        twin = distinct.twin_or_add(str(index), crystal)
        assert twin in twins if twins else twin is None
        if twin is None:
            kept.append((str(index), crystal))


def test_an_empty_pool_knows_nothing():
    assert KnownStructures({}).find(rutile()) is None


@settings(deadline=None, max_examples=10)
@given(st.floats(2.1, 5.5), st.floats(3.6, 5.6), st.integers(0, 100))
def test_find_agrees_with_the_plain_matcher(c, a, seed):
    query = rutile(a, c)
    query.perturb(0.25, seed=seed)
    reference = rutile()
    found = KnownStructures({"rutile": reference}).find(query) is not None
    assert found == same_plainly(reference, query)


@settings(deadline=None, max_examples=10)
@given(st.floats(2.1, 5.5), st.floats(3.6, 5.6), st.integers(0, 100))
def test_margin_widens_all_tolerances(c, a, seed):
    query = rutile(a, c)
    query.perturb(0.5, seed=seed)
    wide = StructureMatcher(ltol=0.4, stol=0.6, angle_tol=10)
    found = KnownStructures({"rutile": rutile()}, margin=2).find(query) is not None
    assert found == (wide.fit(rutile(), query) or wide.fit(query, rutile()))


def strained(structure, seed, most):
    """Another cell of a crystal that is strained at random, atoms in place."""
    strain = np.random.default_rng(seed).uniform(-most, most, (3, 3))
    other = disguised(structure, seed, 0.0)
    return Structure(
        Lattice(other.lattice.matrix @ (np.eye(3) + strain)), other.species, other.frac_coords
    )


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_the_lattice_alone_never_refuses_what_the_matcher_accepts(margin):
    matcher = reduction.default_matcher(margin)
    whole = reduction.ReducedCrystal(rutile())
    fits = refusals = 0
    for seed in range(60):
        other = reduction.ReducedCrystal(strained(rutile(), seed, 0.12 * margin))
        for pair in ((whole, other), (other, whole)):
            fit = matcher.fit(*(side.structure for side in pair), skip_structure_reduction=True)
            may = reduction.may_fit(*pair, margin)
            assert may or not fit
            fits, refusals = fits + fit, refusals + (not may)
    assert fits > 10  # of 120, so the pairs lie on both sides of the tolerances ...
    assert refusals > 10  # ... and the lattice tells


@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_the_sites_never_refuse_what_the_matcher_accepts(margin):
    matcher = reduction.default_matcher(margin)
    fits = refusals = 0
    for crystal in (rutile(), cdi2(), rocksalt(), brookite()):
        whole = reduction.ReducedCrystal(crystal)
        for seed in range(30):
            amplitude = margin * (0.1 + 0.03 * seed)
            rattled = strained(disguised(crystal, seed, amplitude), seed, 0.05 * margin)
            other = reduction.ReducedCrystal(rattled)
            for pair in ((whole, other), (other, whole)):
                fit = matcher.fit(*(side.structure for side in pair), skip_structure_reduction=True)
                may = sameness.sites_may_fit(*pair, margin)
                assert may or not fit
                fits += fit
                refusals += reduction.may_fit(*pair, margin) and not may
    assert fits > 20
    assert refusals > (20 if margin == 1 else 0)  # of those whose lattices fit


@settings(deadline=None, max_examples=10)
@given(st.floats(1.5, 9), st.floats(1.5, 9), st.integers(0, 1000))
def test_edges_never_refuse_what_the_lattices_allow(a, b, seed):
    first, second = (
        reduction.ReducedCrystal(strained(rutile(a=a, c=c), seed, 0.2)) for c in (b, 2.9)
    )
    allowed = reduction.may_fit(first, second) or reduction.may_fit(second, first)
    (kept,) = reduction.edges_may_fit(first.edges[None], second.edges)
    assert kept or not allowed


@pytest.mark.parametrize("margin", [0.9, 3.1, float("nan")])
def test_margin_out_of_range(margin):
    with pytest.raises(InputError, match="margin"):
        KnownStructures({}, margin)


def test_rmsd_of_a_known_move():
    """One of n atoms moves by d in a fixed cell: minus the mean, rms = d sqrt(n - 1) / n."""
    crystal = fluorite(5.0)
    moved = crystal.copy()
    moved.translate_sites([0], [0.3, 0, 0], frac_coords=False)
    n = len(crystal)
    assert rmsd(crystal, moved) == pytest.approx(0.3 * np.sqrt(n - 1) / n, abs=1e-6)


def test_rmsd_is_in_angstrom_whatever_the_size_of_the_cell():
    small, large = fluorite(4.8), fluorite(5.6)
    values = []
    for crystal in (small, large):
        moved = crystal.copy()
        moved.translate_sites([2], [0, 0.2, 0], frac_coords=False)
        values.append(rmsd(crystal, moved))
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_rmsd_in_a_strained_cell():
    """Fractional moves are measured in the averaged cell: exact for uniform strain."""
    crystal = fluorite(5.0)
    moved = crystal.copy()
    moved.translate_sites([0], [0.06, 0, 0])
    moved.apply_strain(0.04)
    n = len(crystal)
    expected = 0.06 * (5.0 + 5.2) / 2 * np.sqrt(n - 1) / n
    assert rmsd(crystal, moved) == pytest.approx(expected, abs=1e-6)


def test_rmsd_ignores_a_rigid_shift():
    shifted = rutile()
    shifted.translate_sites(range(len(shifted)), [0.13, 0.2, 0.41])
    assert rmsd(rutile(), shifted) == pytest.approx(0, abs=1e-6)


def test_rmsd_of_unlike_crystals_is_none():
    assert rmsd(rutile(), rocksalt()) is None
