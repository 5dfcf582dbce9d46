"""The hull against lever rules by hand, scipy's lower envelope and the order of the input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure
from scipy.spatial import ConvexHull

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import (
    ElementError,
    InputError,
    MissingReferenceError,
    NonFiniteError,
    SchemeMismatchError,
)
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    FieldClass,
    PaperClass,
    ReferenceDoc,
    StabilityState,
)
from atomate2_vogen.stability.hull import (
    ReferenceHull,
    assess,
    field_class,
    hull_id,
    paper_class,
)
from atomate2_vogen.structures.dimensionality import extent
from atomate2_vogen.structures.matching import KnownStructures

SCHEME = "toy"
E_METAL, E_OXYGEN = -9.0, -5.0


def rutile(a=4.55, c=2.85):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, c), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )


def fluorite(a=4.9):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["V", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    ).get_primitive_structure()


def rocksalt(a=4.1):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()


def cell(n_metal, n_anion):
    """Atoms on a simple cubic grid 2.5 Å apart: only the composition is of interest."""
    n = n_metal + n_anion
    size = int(np.ceil(n ** (1 / 3)))
    grid = [[i, j, k] for i in range(size) for j in range(size) for k in range(size)][:n]
    symbols = ["V"] * n_metal + ["O"] * n_anion
    return Structure(Lattice.cubic(2.5 * size), symbols, np.array(grid) / size)


def energy(structure, formation):
    """Energy per atom of a given formation energy."""
    x = structure.composition.get_atomic_fraction("O")
    return (1 - x) * E_METAL + x * E_OXYGEN + formation


def reference(structure, formation=0.0, name=None, scheme=SCHEME):
    name = name or structure.composition.reduced_formula
    return ReferenceDoc(
        reference_id=f"{name}|{scheme}",
        name=name,
        scheme=scheme,
        formula=structure.composition.reduced_formula,
        structure=structure,
        energy_per_atom=energy(structure, formation),
    )


def elements():
    return [reference(cell(1, 0)), reference(cell(0, 2), name="O2")]


def calculation(crystal, formation, index=0, relaxed=None, **changes):
    candidate = CandidateDoc.make(
        crystal,
        sampler="test",
        model_id="m",
        formula=crystal.composition.reduced_formula,
        seed=0,
        index=index,
    )
    fields = {
        "calculation_id": f"{candidate.candidate_id}|{SCHEME}",
        "candidate_id": candidate.candidate_id,
        "scheme": SCHEME,
        "state": CalculationState.COMPLETED,
        "candidate": candidate,
        "structure": crystal if relaxed is None else relaxed,
        "initial_energy_per_atom": energy(crystal, formation + 1.0),
        "energy_per_atom": energy(crystal, formation),
        "max_force": 0.01,
        "n_steps": 10,
    }
    return CalculationDoc(**(fields | changes))


def test_lever_rule_by_hand():
    """Only MO2 at -3 on the hull: at MO (x = 1/2) the line from M (x = 0) to 2/3 gives -9/4."""
    references = [*elements(), reference(rutile(), -3.0, "rutile")]
    (document,) = assess([calculation(rocksalt(), -2.0)], references)
    assert document.state is StabilityState.RANKED
    assert document.formation_energy_per_atom == pytest.approx(-2.0)
    assert document.energy_above_hull == pytest.approx(-2.0 + 9 / 4)
    assert document.initial_formation_energy_per_atom == pytest.approx(-1.0)
    assert document.initial_energy_above_hull == pytest.approx(-1.0 + 9 / 4)
    assert [(p.name, p.fraction) for p in document.decomposition] == [
        ("V", pytest.approx(1 / 4)),
        ("rutile", pytest.approx(3 / 4)),
    ]


def test_candidate_below_the_hull_is_negative_and_does_not_lower_it():
    references = [*elements(), reference(rutile(), -2.0)]
    low, high = calculation(rutile(), -2.5, 0), calculation(fluorite(), -1.9, 1)
    documents = assess([low, high], references, joint=True)
    assert documents[0].energy_above_hull == pytest.approx(-0.5)
    assert documents[1].energy_above_hull == pytest.approx(0.1)
    assert documents[0].energy_above_joint_hull == pytest.approx(0.0)
    assert documents[1].energy_above_joint_hull == pytest.approx(0.6)
    assert documents[0].field_class is FieldClass.ON_HULL
    alone = assess([high], references)[0]
    assert alone.energy_above_hull == documents[1].energy_above_hull
    assert alone.energy_above_joint_hull is None


def test_joint_hull_ignores_candidates_that_are_not_ranked():
    references = [*elements(), reference(rutile(), -2.0)]
    wild = calculation(rutile(), -9.0, 0, state=CalculationState.UNCONVERGED)
    documents = assess([wild, calculation(fluorite(), -1.9, 1)], references, joint=True)
    assert documents[0].energy_above_joint_hull is None
    assert documents[1].energy_above_joint_hull == pytest.approx(0.1)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.floats(-3, 0.5)), min_size=1, max_size=6
    ),
    st.tuples(st.integers(1, 4), st.integers(1, 6), st.floats(-3, 1)),
)
def test_agrees_with_scipys_lower_envelope(phases, candidate):
    references = elements() + [
        reference(cell(m, a), formation, f"phase {i}") for i, (m, a, formation) in enumerate(phases)
    ]
    points = np.array([(0, 0), (1, 0), *((a / (m + a), e) for m, a, e in phases)], dtype=float)
    n_metal, n_anion, formation = candidate
    x = n_anion / (n_metal + n_anion)
    hull = 0.0
    if (points[:, 1] < -1e-9).any():
        for a, b in ConvexHull(points, qhull_options="QJ1e-12").simplices:
            (xa, ya), (xb, yb) = sorted(points[[a, b]].tolist())
            if xa <= x <= xb and xb > xa:
                hull = min(hull, ya + (yb - ya) * (x - xa) / (xb - xa))
    (document,) = assess([calculation(cell(n_metal, n_anion), formation)], references)
    assert document.formation_energy_per_atom == pytest.approx(formation, abs=1e-8)
    assert document.energy_above_hull == pytest.approx(formation - hull, abs=1e-6)
    # the decomposition conserves atoms and gives the energy of the hull
    shares = document.decomposition
    assert sum(p.fraction for p in shares) == pytest.approx(1)
    mean = sum(p.fraction * Composition(p.formula).get_atomic_fraction("O") for p in shares)
    assert mean == pytest.approx(x, abs=1e-9)


def test_order_of_the_input_only_permutes_the_result():
    references = [*elements(), reference(rutile(), -2.4), reference(rocksalt(), -2.0)]
    calculations = [
        calculation(rutile(), -2.3, 0),
        calculation(rutile(4.6, 2.9), -2.3, 1),  # duplicate with exactly the same energy
        calculation(fluorite(), -2.0, 2),
        calculation(rocksalt(), -2.1, 3),
        calculation(rocksalt(), -2.1, 4, state=CalculationState.FAILED, error="boom"),
    ]
    known = KnownStructures({"NaCl": rocksalt(4.2)})
    plain = {d.stability_id: d for d in assess(calculations, references, known=known, joint=True)}

    @settings(deadline=None, max_examples=4)
    @given(st.permutations(calculations), st.permutations(references))
    def check(calculations, references):
        mixed = assess(calculations, references, known=known, joint=True)
        assert [d.stability_id for d in mixed] == [c.calculation_id for c in calculations]
        for document in mixed:
            other = plain[document.stability_id].model_dump(exclude={"last_updated"})
            assert document.model_dump(exclude={"last_updated"}) == other

    check()


def test_the_inputs_are_left_alone():
    references = [*elements(), reference(rutile(), -2.4)]
    given_calculation = calculation(rutile(), -2.3)
    before = given_calculation.model_copy(deep=True)
    assess([given_calculation], references)
    assert given_calculation == before


@pytest.mark.parametrize(
    ("formation", "above", "expected"),
    [
        (-1.0, 0.3, PaperClass.STABLE),
        (-1.0, 0.1 + 0.2, PaperClass.STABLE),  # 0.30000000000000004
        (-1.0, 0.3004, PaperClass.STABLE),  # prints as 0.300
        (-1.0, 0.3006, PaperClass.METASTABLE),
        (-1.0, 0.5, PaperClass.METASTABLE),
        (-1.0, 0.5004, PaperClass.METASTABLE),
        (-1.0, 0.5006, PaperClass.UNSTABLE),
        (-1.0, -0.2, PaperClass.STABLE),
        (0.0, 0.0, PaperClass.UNSTABLE),
        (0.1, 0.2, PaperClass.UNSTABLE),
    ],
)
def test_paper_classes(formation, above, expected):
    assert paper_class(formation, above) is expected


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        (-0.1, FieldClass.ON_HULL),
        (5e-7, FieldClass.ON_HULL),
        (4e-4, FieldClass.ON_HULL),  # prints as 0.000
        (6e-4, FieldClass.NEAR_HULL),
        (0.1, FieldClass.NEAR_HULL),
        (0.1004, FieldClass.NEAR_HULL),
        (0.1006, FieldClass.ABOVE_HULL),
    ],
)
def test_field_classes(above, expected):
    assert field_class(above) is expected


def test_imatgens_criterion_is_formation_energy_alone():
    references = [*elements(), reference(rutile(), -2.4)]
    documents = assess([calculation(rutile(), e, i) for i, e in enumerate((0.5, 0.51))], references)
    assert [d.imatgen_stable for d in documents] == [True, False]
    assert {d.paper_class for d in documents} == {PaperClass.UNSTABLE}


def test_duplicates_symmetry_novelty_and_moves():
    references = [*elements(), reference(rutile(), -2.4)]
    rattled = rutile()
    rattled.translate_sites([0], [0.03, 0, 0], frac_coords=False)
    calculations = [
        calculation(rutile(), -2.2, 0, relaxed=rattled),
        calculation(rutile(), -2.3, 1),
        calculation(fluorite(), -2.0, 2),
    ]
    known = KnownStructures({"rutile": rutile()})
    first, second, third = assess(calculations, references, known=known)
    assert first.duplicate_group == second.duplicate_group == second.candidate_id
    assert (first.is_unique, second.is_unique, third.is_unique) == (False, True, True)
    assert (first.known_as, second.known_as, third.known_as) == ("rutile", "rutile", None)
    assert (first.is_novel, third.is_novel) == (False, True)
    assert first.space_group_number == second.space_group_number == 136  # within 0.1 Å
    assert third.space_group_symbol == "Fm-3m"
    assert first.rmsd_to_relaxed == pytest.approx(0.03 * np.sqrt(5) / 6, abs=1e-5)
    assert second.rmsd_to_relaxed == pytest.approx(0, abs=1e-8)
    assert third.minimum_distance == pytest.approx(4.9 * np.sqrt(3) / 4)
    assert third.natoms == 3


def test_the_move_is_taken_from_the_calculation_where_it_was_recorded():
    references = [*elements(), reference(rutile(), -2.4)]
    rattled = rutile()
    rattled.translate_sites([0], [0.03, 0, 0], frac_coords=False)
    plain = calculation(rutile(), -2.2, 0, relaxed=rattled)
    told = [
        plain.model_copy(update={"rmsd_to_relaxed": value, "still_matches": value is not None})
        for value in (0.25, None)
    ]
    found = [assess([one], references)[0].rmsd_to_relaxed for one in (plain, *told)]
    assert found == [pytest.approx(0.03 * np.sqrt(5) / 6, abs=1e-5), 0.25, None]


def test_a_known_prototype_that_relaxes_into_something_else_is_not_novel():
    references = [*elements(), reference(rutile(), -2.4)]
    moved = fluorite().get_primitive_structure() * (2, 1, 1)
    known = KnownStructures({"rutile": rutile()})
    assert known.find(moved) is None
    (document,) = assess([calculation(rutile(), -2.2, relaxed=moved)], references, known=known)
    assert document.known_as == "rutile"
    assert document.is_novel is False


def test_neither_form_of_a_refined_crystal_may_be_known_or_found_before():
    """As generated and as refined it is rock salt's like; as relaxed before that, it is rutile."""
    references = [*elements(), reference(rutile(), -2.4)]
    other = fluorite() * (2, 1, 1)
    known = KnownStructures({"rutile": rutile()})
    refined = calculation(
        other, -2.2, unrefined_structure=rutile(), unrefined_energy_per_atom=energy(other, -2.1)
    )
    (document,) = assess([refined], references, known=known)
    assert (document.known_as, document.is_novel) == ("rutile", False)
    assert document.unrefined_structure == rutile()
    assert document.unrefined_cell.n_sites == 6
    assert document.reduced_cell.n_sites == 3
    plain = calculation(other, -2.2)
    (document,) = assess([plain], references, known=known)
    assert document.is_novel
    # duplicates: a lower rutile takes it, a higher fluorite and a higher rutile are its own
    lower, higher = calculation(rutile(), -2.3, 1), calculation(rutile(), -2.0, 2)
    like = calculation(fluorite(), -1.9, 3)
    documents = assess([refined, lower, higher, like], references)
    assert [document.is_unique for document in documents] == [False, True, False, True]
    documents = assess([refined, higher, like], references)
    assert [document.is_unique for document in documents] == [True, False, False]


def test_an_unrefined_structure_of_another_composition_is_refused():
    references = [*elements(), reference(rutile(), -2.4)]
    wrong = calculation(rutile(), -2.2, unrefined_structure=rocksalt())
    with pytest.raises(InputError, match="unrefined structure is V1 O1"):
        assess([wrong], references)


def test_novelty_is_unknown_without_a_pool():
    (document,) = assess([calculation(rutile(), -2)], [*elements(), reference(rutile(), -2.4)])
    assert document.is_novel is None
    assert document.known_as is None


def test_what_cannot_be_ranked_becomes_a_document_with_its_reason():
    references = [*elements(), reference(rutile(), -2.4)]
    close = rutile()
    close.translate_sites([2], [1.2, 0, 0], frac_coords=False)
    failed, unconverged = CalculationState.FAILED, CalculationState.UNCONVERGED
    nan = float("nan")
    flat = Structure(
        Lattice([[5, 0, 0], [0, 5, 0], [5, 5, 1e-9]]), ["V"] * 2 + ["O"] * 4, np.eye(6, 3)
    )
    calculations = [
        calculation(rutile(), 0, 0, state=failed, error="engine died", structure=None,
                    energy_per_atom=None, initial_energy_per_atom=None),
        calculation(rutile(), -2, 1, state=unconverged, n_steps=300, max_force=0.2),
        calculation(rutile(), -3, 2, relaxed=close),
        calculation(rutile(), -2, 3, energy_per_atom=nan),
        calculation(rutile(), -2, 4, initial_energy_per_atom=nan),
        calculation(rutile(), -2, 5, energy_per_atom=None),
        calculation(rutile(), -2, 6, structure=None),
        calculation(rutile(), -2, 7, relaxed=flat),
        calculation(rutile(), -2, 8),
    ]  # fmt: skip
    documents = assess(calculations, references, known=KnownStructures({}), joint=True)
    states = [d.state.value for d in documents]
    assert states == ["failed", "unconverged", "collapsed", *["failed"] * 5, "ranked"]
    words = ["engine died", "300 steps", "Å apart", "energy_per_atom is nan",
             "initial_energy_per_atom is nan", "no energy", "no relaxed", "volume"]  # fmt: skip
    for document, word in zip(documents, words, strict=False):
        assert word in document.reason
        assert document.paper_class is None
        assert document.field_class is None
        assert document.imatgen_stable is None
        assert document.duplicate_group is None
        assert document.is_novel is None
        assert document.energy_above_joint_hull is None
    assert documents[8].reason is None
    assert documents[1].energy_above_hull == pytest.approx(0.4)
    assert documents[2].energy_above_hull == pytest.approx(-0.6)
    assert not documents[0].is_converged
    assert not documents[1].is_converged


def layer(c=4.0):
    """A layer of VO2 as in CdI2, its images c apart: 3 Å between planes of O at c = 5."""
    return Structure.from_spacegroup(
        "P-3m1", Lattice.hexagonal(2.9, c), ["V", "O"], [[0, 0, 0], [1 / 3, 2 / 3, 1 / c]]
    )


def test_a_layer_in_vacuum_is_no_find_and_says_why():
    """The lowest of all, and it neither ranks, nor leads a group, nor lowers the joint hull."""
    references = [*elements(), reference(rutile(), -2.0)]
    crystal, vacuum = calculation(layer(5.0), -1.9, 0), calculation(layer(12.0), -2.5, 1)
    unconverged = calculation(layer(12.0), -2.5, 2, state=CalculationState.UNCONVERGED)
    known = KnownStructures({"layer": layer(12.0)})
    first, second, third = assess(
        [crystal, vacuum, unconverged], references, known=known, joint=True
    )
    assert (first.state, first.is_bulk) == (StabilityState.RANKED, True)
    assert (first.bonding_dimensionality, first.reason) == (2, None)
    assert first.energy_above_joint_hull == pytest.approx(0.1)
    assert (first.is_unique, first.duplicate_group) == (True, first.candidate_id)
    assert (second.state, second.is_bulk) == (StabilityState.NOT_BULK, False)
    assert second.bonding_dimensionality == 2
    # O over O of the next layer's other side: 10 Å between planes, a third of the mesh aside
    assert second.empty_gap == pytest.approx(np.hypot(10, 2.9 / np.sqrt(3)) - 3.0)
    assert "layers in vacuum" in second.reason
    assert second.energy_above_hull == pytest.approx(-0.5)
    for name in ("paper_class", "field_class", "imatgen_stable", "is_unique", "is_novel",
                 "energy_above_joint_hull", "duplicate_group"):  # fmt: skip
        assert getattr(second, name) is None
    assert (third.state, third.is_bulk) == (StabilityState.UNCONVERGED, False)


def test_a_crystal_whose_extent_cannot_be_found_is_not_ranked(monkeypatch):
    references = [*elements(), reference(rutile(), -2.0)]

    def broken(structure):
        if len(structure) == 6:
            raise RuntimeError("no end")
        return extent(structure)

    monkeypatch.setattr("atomate2_vogen.stability.judging.extent", broken)
    first, second = assess(
        [calculation(rutile(), -2.5, 0), calculation(fluorite(), -1.9, 1)], references
    )
    assert (first.state, first.is_bulk) == (StabilityState.FAILED, None)
    assert first.reason == "relaxed structure cannot be analysed: no end"
    assert (second.state, second.is_bulk) == (StabilityState.RANKED, True)


def test_an_element_is_a_candidate_like_any_other():
    references = [*elements(), reference(rutile(), -2.4)]
    (document,) = assess([calculation(cell(1, 0), 0.2)], references)
    assert document.energy_above_hull == pytest.approx(0.2)
    assert document.paper_class is PaperClass.UNSTABLE


def test_nothing_to_judge():
    assert assess([], [*elements(), reference(rutile(), -2.4)]) == []


def test_schemes_do_not_mix():
    references = [*elements(), reference(rutile(), -2.4)]
    with pytest.raises(SchemeMismatchError, match="other"):
        assess([], [*references, reference(rocksalt(), -2, scheme="other")])
    stranger = calculation(rutile(), -2, scheme="other")
    with pytest.raises(SchemeMismatchError, match=stranger.calculation_id.replace("|", r"\|")):
        assess([stranger], references)


def test_missing_references():
    with pytest.raises(MissingReferenceError, match="no reference phase"):
        assess([], [])
    with pytest.raises(MissingReferenceError, match="element O "):
        assess([], [reference(cell(1, 0)), reference(rutile(), -2.4)])


def test_bad_references_and_candidates_are_named():
    foreign = Structure(Lattice.cubic(4), ["Fe", "O"], [[0] * 3, [0.5] * 3])
    bad = reference(rutile(), float("nan"))
    with pytest.raises(NonFiniteError, match="VO2"):
        assess([], [*elements(), bad])
    with pytest.raises(ElementError, match="reference FeO"):
        assess([], [*elements(), reference(foreign, -1)])
    with pytest.raises(ElementError, match=r"candidate FeO.* holds Fe"):
        assess([calculation(foreign, -1)], elements())
    with pytest.raises(InputError, match="two energies"):
        assess([], [*elements(), reference(rutile(), -2), reference(rutile(), -1)])
    twice = calculation(rutile(), -2)
    with pytest.raises(InputError, match="given twice"):
        assess([twice, twice], elements())
    with pytest.raises(InputError, match="relaxed structure is"):
        assess([calculation(rutile(), -2, relaxed=rocksalt())], elements())


def test_hull_id_names_phases_and_energies():
    references = [*elements(), reference(rutile(), -2.4)]
    assert hull_id(references) == hull_id(references[::-1])
    assert hull_id(references) != hull_id(references[:2])
    assert hull_id(references) != hull_id([*elements(), reference(rutile(), -2.41)])
    assert ReferenceHull(references, VANADIUM).hull_id == hull_id(references)


def test_vertices_are_the_phases_on_the_hull():
    references = [
        reference(rutile(), -2.4, "rutile"),
        reference(fluorite(), -2.3, "fluorite"),  # above its own composition
        reference(rocksalt(), -1.0, "rocksalt"),  # above the line to rutile
        *elements(),
    ]
    vertices = ReferenceHull(references, VANADIUM).vertices
    assert [v.name for v in vertices] == ["V", "rutile", "O2"]


def test_lowest_of_several_element_references_counts():
    references = [*elements(), reference(cell(1, 0), 0.3, "V high"), reference(rutile(), -2.4)]
    (document,) = assess([calculation(rutile(), -2.0)], references)
    assert document.formation_energy_per_atom == pytest.approx(-2.0)
