"""A crystal as its CIF tells it: the same crystal, and the same bits once more."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.engines import chgnet
from atomate2_vogen.samplers import RandomSampler
from atomate2_vogen.schemas import StabilityDoc
from atomate2_vogen.structures.cif import annotated_cif, as_in_cif, relaxed_cif
from atomate2_vogen.structures.reading.parsers import parse_structures
from atomate2_vogen.structures.reduction import default_matcher


def crystal(seed):
    rng = np.random.default_rng(seed)
    # any orientation, V and O mixed up, coordinates beyond the cell
    lattice = Lattice(4 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3)))
    coords = np.array([[0, 0, 0], [1 / 3, 0.5, 0.99999999999], [0.5, -0.5, 0.4]])
    return Structure(lattice, ["O", "V", "O"], coords + rng.uniform(-0.05, 0.05, (3, 3)))


def distances(structure):
    """From the one vanadium, and of the oxygens."""
    metal = [site.specie.symbol for site in structure].index("V")
    oxygen = [index for index in range(3) if index != metal]
    matrix = structure.distance_matrix
    return [*sorted(matrix[metal]), matrix[oxygen[0], oxygen[1]]]


def same_bits(first, second):
    return (
        np.array_equal(first.lattice.matrix, second.lattice.matrix)
        and np.array_equal(first.frac_coords, second.frac_coords)
        and first.species == second.species
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 100_000))
def test_the_same_crystal_and_the_same_bits_from_the_file(seed):
    before = crystal(seed)
    after = as_in_cif(before)
    assert np.allclose(distances(after), distances(before), atol=2e-3)
    assert after.composition == before.composition
    assert same_bits(as_in_cif(after), after)
    (read,) = parse_structures("x.cif", annotated_cif(after, "x", ["a comment"]), 10)
    assert same_bits(read, after)


def test_orientation_is_that_of_a_cif():
    before = Structure(Lattice(np.diag([3.0, 4.0, 5.0])[[1, 2, 0]]), ["V"], [[0, 0, 0]])
    assert not same_bits(as_in_cif(before), before)


@cache
def generated():
    """Crystals of many space groups, in primitive and in conventional cells."""
    sampler = RandomSampler()
    found = [c.structure for c in sampler.sample({"VO2": 5, "V2O3": 4}, seed=5).candidates]
    assert len({SpacegroupAnalyzer(one, 0.01).get_space_group_number() for one in found}) > 4
    return found


def document(structure):
    analyzer = SpacegroupAnalyzer(structure, symprec=0.1)
    return StabilityDoc(
        stability_id="x|J", candidate_id="x", scheme="J", hull_id="h", chemsys="O-V", formula="VO2",
        natoms=len(structure), sampler="test", model_id="m", state="unconverged",
        is_converged=False, structure=structure,
        space_group_symbol=analyzer.get_space_group_symbol(),
        space_group_number=analyzer.get_space_group_number(),
    )  # fmt: skip


def energy_per_atom(structure):
    maker = chgnet().static_maker
    return maker.make.original(maker, structure).output.energy / len(structure)


@pytest.mark.parametrize("conventional", [False, True])
@settings(deadline=None, max_examples=8)
@given(index=st.integers(0, 8), noise=st.sampled_from([0.0, 1e-5, 3e-4, 0.003, 0.03]))
def test_a_symmetrised_cif_is_the_same_crystal_with_the_same_energy(conventional, index, noise):
    """Whatever noise its atoms and its cell bear: what is not symmetric is not made so."""
    exact = generated()[index]
    rng = np.random.default_rng(index)
    lattice = exact.lattice.matrix * (1 + noise * rng.uniform(-0.1, 0.1, (3, 3)))
    before = Structure(lattice, exact.species, exact.frac_coords)
    for site in range(len(before)):
        before.translate_sites([site], rng.normal(0, noise / 2, 3), frac_coords=False)
    doc = document(before)
    text = relaxed_cif(doc, None, conventional=conventional)
    (read,) = parse_structures("x.cif", text, 1000)
    assert default_matcher().fit(before, read)
    assert read.volume / len(read) == pytest.approx(before.volume / len(before), rel=1e-3)
    # forces of these crystals are up to 100 times those of relaxed ones: the 0.05 meV/atom that
    # `structures.cif` promises become 5 meV/atom; nearly exact ones change by 0.15 at most
    limit = 3e-4 if noise <= 1e-5 else 5e-3
    assert energy_per_atom(read) == pytest.approx(energy_per_atom(before), abs=limit)
    if noise <= 1e-5:
        # and it is its space group, as spglib sees that of the exact crystal
        analyzer = SpacegroupAnalyzer(exact, symprec=0.01)
        symbol, number = analyzer.get_space_group_symbol(), analyzer.get_space_group_number()
        assert f"# space group {symbol} ({number})" in text
        again = SpacegroupAnalyzer(read, symprec=1e-3)
        assert again.get_space_group_number() == number
        if not conventional:
            assert f"_symmetry_Int_Tables_number   {number}" in text
    if conventional:
        assert "_symmetry_Int_Tables_number   1\n" in text


def test_a_symmetry_that_would_move_atoms_is_named_and_not_imposed():
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    rutile.translate_sites([0], [0.02, 0.01, 0.03], frac_coords=False)
    text = relaxed_cif(document(rutile), None)
    assert "# space group P4_2/mnm (136) within 0.1 Å" in text
    assert "_symmetry_Int_Tables_number   1\n" in text
    (read,) = parse_structures("x.cif", text, 1000)
    assert read.distance_matrix == pytest.approx(as_in_cif(rutile).distance_matrix, abs=1e-6)
