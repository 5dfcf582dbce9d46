import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from atomate2_vogen.errors import CountsError, InputError, SchemeMismatchError
from atomate2_vogen.schemas import StabilityDoc
from atomate2_vogen.stability.selection import best_per_formula, diverse_parents


def judged(index, formula="VO2", above=0.0, state="ranked", unique=True):
    return StabilityDoc(
        stability_id=str(index),
        candidate_id=f"{index:03d}",
        scheme="x",
        hull_id="h",
        chemsys="O-V",
        formula=formula,
        natoms=3,
        sampler="s",
        model_id="m",
        state=state,
        is_converged=True,
        energy_above_hull=above,
        is_unique=unique,
    )


def test_lowest_of_each_formula_without_duplicates_and_unranked_ones():
    documents = [
        judged(0, "VO2", 0.05),
        judged(1, "V2O3", 0.3),
        judged(2, "VO2", 0.01, unique=False),
        judged(3, "VO2", -0.5, state="collapsed"),
        judged(7, "VO2", -0.6, state="not bulk"),
        judged(4, "VO2", 0.02),
        judged(5, "V2O5", 0.09),
        judged(6, "VO2", 0.03),
    ]
    chosen = best_per_formula(documents, top=2, threshold=0.1)
    assert [d.candidate_id for d in chosen] == ["004", "006", "005"]


def meets(above, threshold):
    """As printed, to 1 meV, where the threshold is a whole number of meV."""
    whole = threshold == float(f"{threshold:.3f}")
    return (float(f"{above:.3f}") if whole else above) <= threshold


@given(
    st.lists(st.tuples(st.sampled_from(["VO2", "V2O3"]), st.floats(-1, 1)), max_size=20),
    st.integers(1, 4),
    st.floats(-1, 1),
)
def test_nothing_lower_of_the_same_formula_is_left_behind(rows, top, threshold):
    documents = [judged(i, formula, above) for i, (formula, above) in enumerate(rows)]
    chosen = best_per_formula(documents, top, threshold)
    for formula in {d.formula for d in documents}:
        mine = [d.energy_above_hull for d in chosen if d.formula == formula]
        everything = sorted(above for f, above in rows if f == formula and meets(above, threshold))
        assert mine == everything[:top]
    assert best_per_formula(documents[::-1], top, threshold) == sorted(
        chosen, key=lambda d: [x.formula for x in documents[::-1]].index(d.formula)
    )


@pytest.mark.parametrize("top", [0, -1, 1.5, True])
def test_numbers_that_are_none_are_refused(top):
    with pytest.raises(CountsError):
        best_per_formula([], top, 0.1)
    with pytest.raises(InputError, match="threshold"):
        best_per_formula([], 1, float("nan"))


def rutile(x, symbol="V"):
    """Rutile with oxygen at x; up to some change of x crystals match, up to more they resemble."""
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), [symbol, "O"], [[0, 0, 0], [x, x, 0]]
    )


def with_crystal(index, structure, above, **fields):
    formula = structure.composition.reduced_formula
    return judged(index, formula, above, **fields).model_copy(update={"structure": structure})


def test_parents_are_low_and_do_not_resemble_each_other():
    anatase = Structure.from_spacegroup(
        "I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["V", "O"], [[0, 0, 0], [0, 0, 0.208]]
    )
    # a third of the tolerance apart, and between one and two tolerances apart
    close, similar = rutile(0.32), rutile(0.30).copy()
    similar.apply_strain([0.35, 0, 0])
    assert not StructureMatcher().fit(similar, rutile(0.30))
    documents = [
        with_crystal(0, anatase, 0.03),
        with_crystal(1, close, 0.02),
        with_crystal(2, rutile(0.30), 0.01),
        with_crystal(3, similar, 0.04),
        with_crystal(4, rutile(0.30), 0.0, state="unconverged"),
        with_crystal(5, anatase, 0.2),
        judged(6, "VO2", 0.0),
    ]
    chosen = diverse_parents(documents)
    assert [one.candidate_id for one in chosen] == ["002", "000"]
    exact = diverse_parents(documents, margin=1.0)
    assert [one.candidate_id for one in exact] == ["002", "000", "003"]
    assert [one.candidate_id for one in diverse_parents(documents, most=1)] == ["002"]
    assert diverse_parents(documents, -0.1) == diverse_parents([]) == []


@pytest.mark.parametrize("options", [{"most": 0}, {"most": True}, {"margin": 0.5}])
def test_parents_that_cannot_be_chosen(options):
    with pytest.raises(InputError):
        diverse_parents([judged(0)], **options)
    with pytest.raises(SchemeMismatchError, match="x and y"):
        diverse_parents([judged(0), judged(1).model_copy(update={"scheme": "y"})])
