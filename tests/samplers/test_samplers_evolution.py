"""Evolution: offspring are as asked for, each operator does what it says, bad parents are named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase_ga.soft_mutation import BondElectroNegativityModel, SoftMutation
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import (
    ElementError,
    InputError,
    NonFiniteError,
    SchemeMismatchError,
    UnknownFormulaError,
)
from atomate2_vogen.samplers import load_sampler
from atomate2_vogen.samplers.evolution import OPERATORS, EvolutionSampler
from atomate2_vogen.samplers.operators import (
    cut_and_splice,
    oriented,
    permuted,
    random_supercell,
    softly_mutated,
    strained,
)
from atomate2_vogen.samplers.parents import CellSizes, Family, Parent, given_parents
from atomate2_vogen.samplers.soft_modes import SOFT_REACH, soft_modes
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import CalculationDoc, RejectionReason, SampleDoc
from atomate2_vogen.structures.geometry import shortest_distance, too_close
from atomate2_vogen.structures.matching import KnownStructures

ANATASE = Structure.from_spacegroup(
    "I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["V", "O"], [[0, 0, 0], [0, 0, 0.208]]
)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
BROOKITE = Structure.from_spacegroup(
    "Pbca",
    Lattice.orthorhombic(9.184, 5.447, 5.145),
    ["V", "O", "O"],
    [[0.1289, 0.0972, 0.8628], [0.0095, 0.1491, 0.1835], [0.2314, 0.1110, 0.5366]],
)
CORUNDUM = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.95, 14.0), ["V", "O"], [[0, 0, 0.346], [0.312, 0, 0.25]]
)


@pytest.fixture(scope="module")
def sampler():
    return EvolutionSampler()


@pytest.fixture(scope="module")
def document(sampler):
    return sampler.sample({"V4O8": 12, "V2O3": 6, "V2O5": 6}, seed=1)


def stream(seed=0):
    return np.random.RandomState(seed)


def cells(document):
    return [(c.candidate_id, c.index, c.structure) for c in document.candidates]


def test_offspring_have_the_composition_and_physical_distances(document):
    assert Counter(c.formula for c in document.candidates) == {"VO2": 12, "V2O3": 6, "V2O5": 6}
    assert document.missing == {}
    for candidate in document.candidates:
        structure = candidate.structure
        assert structure.composition.reduced_formula == candidate.formula
        assert 7 <= len(structure) <= VANADIUM.max_atoms
        unit = sum(VANADIUM.formula_unit(candidate.formula))
        assert candidate.details["formula_units"] * unit == len(structure)
        assert too_close(structure, VANADIUM) is None


def test_details_name_operator_and_parents(sampler, document):
    for candidate in document.candidates:
        details = candidate.details
        assert details["operator"] in OPERATORS
        assert len(details["parents"]) == (2 if details["operator"] == "cut and splice" else 1)
        names = {parent.name for parent in sampler._family(candidate.formula).parents}
        assert names >= set(details["parents"])
        assert ("mode" in details) == (details["operator"] == "soft mutation")
    made = Counter(c.details["operator"] for c in document.candidates)
    assert made["cut and splice"] > made["strain"]


def test_volume_per_atom_is_that_of_the_parents(sampler, document):
    for candidate in document.candidates:
        volumes = [
            parent.structure.volume / len(parent.structure)
            for parent in sampler._family(candidate.formula).parents
            if parent.name in candidate.details["parents"]
        ]
        volume = candidate.structure.volume / len(candidate.structure)
        assert min(volumes) - 1e-3 < volume < max(volumes) + 1e-3


def test_no_two_candidates_and_no_candidate_and_parent_match(sampler, document):
    matcher = StructureMatcher()
    vanadium = [c for c in document.candidates if c.formula == "VO2"]
    for at, one in enumerate(vanadium):
        assert not any(matcher.fit(one.structure, other.structure) for other in vanadium[:at])
        for parent in sampler._family("VO2").parents:
            if parent.name in one.details["parents"]:
                assert not matcher.fit(parent.structure, one.structure)


def test_same_seed_same_crystals_whatever_else_is_asked_for(sampler, document):
    again = EvolutionSampler().sample({"VO2": 4}, seed=1)
    assert cells(again) == cells(document)[:4]
    assert cells(sampler.sample({"VO2": 4}, seed=2)) != cells(again)
    # nothing is drawn from numpy's global stream
    state = np.random.get_state()  # noqa: NPY002
    assert cells(sampler.sample({"VO2": 4}, seed=1)) == cells(again)
    assert np.random.get_state()[1].tolist() == state[1].tolist()  # noqa: NPY002


def test_document_survives_json(document):
    again = SampleDoc.model_validate(document.model_dump(mode="python"))
    assert again.candidates[0].structure == document.candidates[0].structure


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_operator_alone(operator):
    sampler = EvolutionSampler(operators={operator: 2})
    sample = sampler.sample({"VO2": 2, "V2O3": 2}, seed=3)
    assert {c.details["operator"] for c in sample.candidates} == {operator}
    assert len(sample.candidates) == 4
    assert sample.options == {"operators": {operator: 2.0}}


def test_options_at_their_defaults_are_not_told(document):
    assert document.options == {}
    assert EvolutionSampler(min_atoms=9, strain=0.1).options == {"min_atoms": 9, "strain": 0.1}


def test_titanium_oxides():
    sample = load_sampler("evolution", system=TITANIUM).sample({"TiO2": 3, "Ti3O5": 1}, seed=0)
    assert sample.missing == {}
    for candidate in sample.candidates:
        assert set(candidate.structure.symbol_set) == {"Ti", "O"}
        assert too_close(candidate.structure, TITANIUM) is None


def test_known_crystals_are_refused():
    sampler = EvolutionSampler()
    first = sampler.sample({"V2O5": 1}, seed=5).candidates[0]
    known = KnownStructures({"found before": first.structure})
    sample = sampler.sample({"V2O5": 1}, seed=5, known=known)
    assert sample.rejected["V2O5"][RejectionReason.KNOWN] == 1
    assert sample.candidates[0].index > first.index


# operators against what they must keep


def test_orientation_keeps_the_crystal_and_puts_the_metal_first():
    found = oriented(BROOKITE, VANADIUM)
    matrix = found.lattice.matrix
    assert abs(matrix[[0, 0, 1], [1, 2, 2]]).max() < 1e-9
    assert np.linalg.det(matrix) > 0
    assert [site.specie.symbol for site in found] == ["V"] * 8 + ["O"] * 16
    assert StructureMatcher(scale=False).fit(found, BROOKITE)
    distances = sorted(found.distance_matrix.ravel()), sorted(BROOKITE.distance_matrix.ravel())
    assert np.allclose(*distances, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(times=st.integers(1, 6), seed=st.integers(0, 1000))
def test_supercells_are_the_same_crystal(times, seed):
    cell = oriented(RUTILE, VANADIUM)
    large = random_supercell(cell, times, VANADIUM, stream(seed))
    assert len(large) == 6 * times
    assert large.volume == pytest.approx(times * cell.volume)
    assert shortest_distance(large) == pytest.approx(shortest_distance(cell))
    assert len(large.get_primitive_structure()) == 6


def test_sublattices_are_counted_as_in_the_literature():
    """Number of sublattices of index n in three dimensions: OEIS A001001."""
    from atomate2_vogen.samplers.operators import _hermite_forms

    for index, number in enumerate([1, 7, 13, 35, 31, 91, 57, 155], start=1):
        forms = _hermite_forms(index)
        assert len(set(forms)) == number
        assert all(round(np.linalg.det(form)) == index for form in forms)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_strain_keeps_volume_sites_and_inversion(seed):
    parent = oriented(ANATASE.get_primitive_structure(), VANADIUM)
    made = strained(parent, 0.2, stream(seed))
    assert made.volume == pytest.approx(parent.volume)
    apart = made.frac_coords - parent.frac_coords
    assert abs(apart - np.rint(apart)).max() < 1e-9
    assert SpacegroupAnalyzer(made, symprec=1e-4).is_laue()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_permutation_keeps_all_places(seed):
    parent = oriented(BROOKITE, VANADIUM)
    made = permuted(parent, stream(seed))
    assert made.composition == parent.composition
    assert made.lattice == parent.lattice

    def places(structure):
        wrapped = (structure.frac_coords + 1e-6) % 1
        return wrapped[np.lexsort(wrapped.round(5).T)]

    assert np.allclose(places(made), places(parent), atol=1e-8)


def covered(child, parent):
    """Sites of a child that one shift of the parent explains, for each possible shift."""
    kinds = np.array(child.atomic_numbers)[:, None] == np.array(parent.atomic_numbers)
    shifts = child.frac_coords[:, None] - parent.frac_coords
    for shift in shifts[kinds]:
        left = shifts - shift
        yield ((abs(left - np.rint(left)).max(axis=2) < 1e-6) & kinds).any(axis=1)


def test_offspring_have_a_slab_of_each_parent():
    """Two shifts, one of each parent, explain every atom; no atom is invented or moved apart."""
    anatase = oriented(ANATASE, VANADIUM)
    rutile = random_supercell(oriented(RUTILE, VANADIUM), 2, VANADIUM, stream(5))
    for first, second in ((anatase, rutile), (rutile, anatase), (anatase, anatase)):
        found = 0
        for seed in range(20):
            made = cut_and_splice(first, second, VANADIUM, stream(seed))
            if made is None:
                continue
            found += 1
            assert made.composition == first.composition
            low, high = sorted((first.volume, second.volume))
            assert low - 1e-6 <= made.volume <= high + 1e-6
            if first is second:
                assert np.allclose(made.lattice.matrix, first.lattice.matrix)
            angles = np.array(made.lattice.angles)
            assert ((angles >= 35) & (angles <= 145)).all()
            of_first, of_second = list(covered(made, first)), list(covered(made, second))
            assert any((a | b).all() for a in of_first for b in of_second)
        assert found


@pytest.mark.parametrize("structure", [RUTILE, ANATASE.get_primitive_structure(), CORUNDUM])
def test_soft_modes_are_those_of_ase_ga(structure):
    """Its numerical derivatives of forces, with the same range."""
    cell = oriented(structure.get_primitive_structure(), VANADIUM)
    atoms = Atoms(
        numbers=cell.atomic_numbers,
        cell=cell.lattice.matrix,
        scaled_positions=cell.frac_coords,
        pbc=True,
    )
    atoms.calc = BondElectroNegativityModel(atoms, rcut=SOFT_REACH)
    theirs = SoftMutation({}, used_modes_file=None)._get_hessian(atoms, 0.005)
    values, modes = soft_modes(cell)
    assert np.allclose((modes * values) @ modes.T, theirs, atol=2e-4 * values.max())
    assert abs(values[:3]).max() < 1e-10 < values[3]
    # the three of no frequency move all atoms alike
    rigid = np.tile(np.eye(3), len(cell)) / np.sqrt(len(cell))
    assert np.allclose(np.linalg.norm(rigid @ modes[:, :3], axis=0), 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_soft_mutation_moves_along_its_mode(seed):
    parent = oriented(RUTILE, VANADIUM)
    found = softly_mutated(parent, VANADIUM, stream(seed))
    if found is None:
        return
    made, number = found
    assert 1 <= number <= len(parent)
    moved = (made.frac_coords - parent.frac_coords) @ parent.lattice.matrix
    assert 0.5 <= np.linalg.norm(moved, axis=1).max() + 1e-9 <= 2.0 + 1e-6
    mode = soft_modes(parent)[1][:, number + 2]
    along = abs(moved.ravel() @ mode) / np.linalg.norm(moved)
    assert along == pytest.approx(1)


def test_ase_ga_gets_a_stream_that_it_can_draw_with():
    """Of a numpy Generator ``choice`` gives no int, and ``randint`` is missing."""
    assert isinstance(stream().choice(3), int)


# parents


def test_given_parents_alone_are_used():
    sampler = EvolutionSampler(parents=[RUTILE, ANATASE, CORUNDUM])
    sample = sampler.sample({"VO2": 4, "V2O3": 2}, seed=0)
    assert sample.missing == {}
    named = {name for c in sample.candidates for name in c.details["parents"]}
    assert named == {"parent 0", "parent 1", "parent 2"}
    for candidate in sample.candidates:
        of_other = candidate.formula == "V2O3"
        assert ("parent 2" in candidate.details["parents"]) == of_other


def test_a_single_parent_has_offspring():
    sample = EvolutionSampler(
        parents=[ANATASE.get_primitive_structure()], operators={"cut and splice": 1}
    ).sample({"VO2": 2}, seed=0)
    assert sample.missing == {}
    assert all(c.details["parents"] == ["parent 0"] * 2 for c in sample.candidates)


def test_parents_that_match_count_once_and_the_lowest_is_kept():
    twins = [RUTILE, ANATASE, RUTILE * (1, 1, 2)]
    sampler = EvolutionSampler(parents=twins, energies=[-7.0, -7.2, -7.1])
    family = sampler._family("VO2")
    assert [parent.name for parent in family.parents] == ["parent 1", "parent 2"]
    assert [len(parent.structure) for parent in family.parents] == [6, 6]


def test_low_energies_are_chosen_more_often():
    parents = [Parent(str(i), RUTILE, 2, energy) for i, energy in enumerate([3.0, 1.0, 2.0])]
    family = Family.of(parents)
    assert [parent.name for parent in family.parents] == ["1", "2", "0"]
    # the fitness of ase-ga at relative energies of 0, 1/2 and 1
    assert family.weights == pytest.approx([0.8808, 0.5, 0.1192], abs=1e-4)
    random = stream()
    drawn = Counter(family.choose(np.ones(3, dtype=bool), random).name for _ in range(3000))
    shares = np.array([drawn[name] for name in "120"]) / 3000
    assert shares == pytest.approx(family.weights / family.weights.sum(), abs=0.03)
    assert family.choose(np.array([False, False, True]), random).name == "0"
    equal = Family.of([replace(parent, energy=None) for parent in parents])
    assert (equal.weights == 1).all()


def test_the_model_id_tells_parents_and_energies():
    ids = {
        EvolutionSampler(parents=parents, energies=energies).model_id
        for parents, energies in (
            (None, None),
            ([RUTILE, ANATASE], None),
            ([RUTILE], None),
            ([RUTILE, ANATASE], [-7.0, -7.1]),
            ([RUTILE, ANATASE], [-7.1, -7.0]),
        )
    }
    assert len(ids) == 5
    assert all(one.startswith("ase-ga-") for one in ids)


def judged(name, structure, energy, scheme="CHGNet-0.3.0"):
    (candidate,) = EvolutionSampler(parents=[RUTILE]).sample({"VO2": 1}, seed=0).candidates
    candidate = candidate.model_copy(update={"candidate_id": name})
    return CalculationDoc.failed(candidate, scheme).model_copy(
        update={"structure": structure, "energy_per_atom": energy}
    )


def test_documents_bring_relaxed_crystals_names_and_energies():
    documents = [judged("high", RUTILE, -7.0), judged("low", ANATASE, -7.2)]
    high, low = given_parents(documents, None, VANADIUM)
    assert (high.name, high.energy, high.units) == ("high", -7.0, 2)
    assert (low.name, low.energy, low.units) == ("low", -7.2, 2)
    assert StructureMatcher().fit(low.structure, ANATASE)


def test_a_small_distortion_does_not_make_a_cell_smaller():
    doubled = RUTILE * (1, 1, 2)
    doubled.translate_sites([0], [0, 0, 0.02])
    (parent,) = given_parents([doubled], None, VANADIUM)
    assert len(parent.structure) == 12


@pytest.mark.parametrize(
    ("parents", "energies", "error", "message"),
    [
        ([], None, InputError, "list of parents is empty"),
        (RUTILE, None, InputError, "give a list"),
        ([RUTILE, "rutile"], None, InputError, "parent 1 is str"),
        (
            [RUTILE, Structure(Lattice.cubic(4), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])],
            None,
            ElementError,
            "parent 1.*Ti",
        ),
        ([Structure(Lattice.cubic(3), ["V"], [[0, 0, 0]])], None, UnknownFormulaError, "parent 0"),
        ([BROOKITE], None, InputError, "parent 0: its primitive cell has 24 atoms; at most 20"),
        ([RUTILE, ANATASE], [-7.0], InputError, "1 energies for 2 parents"),
        ([RUTILE, ANATASE], [-7.0, np.nan], NonFiniteError, "parent 1 is nan"),
        ([RUTILE, ANATASE], [-7.0, None], InputError, "parent 1 has no energy"),
        ([judged("one", RUTILE, np.nan)], None, NonFiniteError, "one is nan"),
        ([judged("one", None, -7.0)], None, InputError, "one has no relaxed crystal"),
        ([judged("one", RUTILE, -7.0), ANATASE], None, InputError, "parent 1 has no energy"),
        (
            [judged("one", RUTILE, -7.0), judged("two", ANATASE, -7.0, "other")],
            None,
            SchemeMismatchError,
            "CHGNet-0.3.0 and other",
        ),
    ],
)
def test_bad_parents_are_named(parents, energies, error, message):
    sampler = EvolutionSampler(parents=parents, energies=energies)
    with pytest.raises(error, match=message):
        sampler.sample({"VO2": 1})


def test_a_formula_without_parents():
    with pytest.raises(InputError, match="none of the 2 parents is of V2O5; there are VO2"):
        EvolutionSampler(parents=[RUTILE, ANATASE]).sample({"VO2": 1, "V2O5": 1})
    with pytest.raises(InputError, match="pool has no crystal of V9O10"):
        EvolutionSampler().sample({"V9O10": 1})


@pytest.mark.parametrize(
    "options",
    [
        {"operators": {"mating": 1}},
        {"operators": {}},
        {"operators": {"strain": 0}},
        {"operators": {"strain": -1}},
        {"min_atoms": 0},
        {"strain": 0},
        {"strain": np.inf},
        {"max_attempts": 0},
        {"energies": [1.0]},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(InputError):
        EvolutionSampler(**options)


def test_what_has_no_offspring_stays_short():
    # a strain of no effect: every offspring matches its parent
    sampler = EvolutionSampler(
        parents=[RUTILE], operators={"strain": 1}, strain=1e-3, max_attempts=5
    )
    sample = sampler.sample({"VO2": 2}, seed=0)
    assert sample.missing == {"VO2": 2}
    assert sample.rejected["VO2"] == {RejectionReason.DUPLICATE: 10}


@given(units=st.integers(1, 6), min_atoms=st.integers(1, 30))
def test_sizes_are_multiples_within_the_limits(units, min_atoms):
    sizes = CellSizes(VANADIUM, "VO2", min_atoms)
    found = sizes.of(units)
    assert len(found)
    assert (found % units == 0).all()
    assert (found * 3 <= VANADIUM.max_atoms).all()
    assert (found * 3 >= min_atoms).all() or len(found) == 1


def test_few_parents_have_crystals_of_the_pool_beside_them():
    """Half of the parents are chosen from each; a formula without parents takes the pool alone."""
    mates = SubstitutionSampler().sample({"VO2": 2}, seed=5).candidates
    sampler = EvolutionSampler(parents=mates, fewest_parents=3, operators={"strain": 1.0})
    few = EvolutionSampler(parents=mates, fewest_parents=2, operators={"strain": 1.0})
    family = sampler._family("VO2")
    mine = np.array(
        [parent.name in {one.candidate_id for one in mates} for parent in family.parents]
    )
    assert mine.sum() == 2 < len(mine)
    assert family.weights[mine].sum() == pytest.approx(family.weights[~mine].sum())
    assert {one.name for one in few._family("VO2").parents} == {one.candidate_id for one in mates}
    assert len({sampler.model_id, EvolutionSampler(parents=mates).model_id}) == 2
    (candidate,) = sampler.sample({"V2O5": 1}, seed=0).candidates
    assert candidate.formula == "V2O5"
    with pytest.raises(InputError, match="fewest_parents is -1"):
        EvolutionSampler(fewest_parents=-1)
