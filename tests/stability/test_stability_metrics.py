"""Metrics: hand-counted sets, closed forms, and what must hold for any set."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    Rejection,
    RejectionReason,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.metrics import STEPS, SUN_THRESHOLD, THRESHOLDS, measure
from atomate2_vogen.stability.statistics import distribution, proportion
from atomate2_vogen.structures.neutrality import charge_neutral, neutrality_settings

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
FLUORITE = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.9), ["V", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]
)


def scaled(structure: Structure, factor: float) -> Structure:
    copy = structure.copy()
    copy.scale_lattice(structure.volume * factor**3)
    return copy


def candidate(index: int, structure: Structure = RUTILE, formula: str = "VO2") -> CandidateDoc:
    return CandidateDoc.make(
        structure, sampler="wgan", model_id="m1", formula=formula, seed=7, index=index
    )


def judgement(made: CandidateDoc, above: float | None, **changes) -> StabilityDoc:
    content = {
        "stability_id": f"{made.candidate_id}|J",
        "candidate_id": made.candidate_id,
        "scheme": "J",
        "hull_id": "h",
        "chemsys": "O-V",
        "formula": "VO2",
        "natoms": 6,
        "sampler": made.sampler,
        "model_id": made.model_id,
        "state": StabilityState.RANKED,
        "is_converged": True,
        "energy_above_hull": above,
        "initial_energy_above_hull": None if above is None else above + 1,
        "duplicate_group": made.candidate_id,
        "is_novel": True,
    }
    return StabilityDoc(**(content | changes))


def calculation(made: CandidateDoc, seconds: float | None, scheme: str = "J") -> CalculationDoc:
    return CalculationDoc(
        calculation_id=f"{made.candidate_id}|{scheme}",
        candidate_id=made.candidate_id,
        scheme=scheme,
        state=CalculationState.COMPLETED,
        candidate=made,
        wall_time=seconds,
        engine_versions={"judge": "1"},
    )


# two rutiles that differ by their size, two fluorites, the second with V-O at 1.46 Å
MADE = [
    candidate(0, RUTILE),
    candidate(3, scaled(RUTILE, 1.02)),
    candidate(5, FLUORITE),
    candidate(6, scaled(FLUORITE, 1.46 / (4.9 * math.sqrt(3) / 4))),
]
LOST = {
    "VO2": [
        "UNREADABLE_GRID",
        "WRONG_COMPOSITION",
        "WRONG_COMPOSITION",
        "ATOMS_TOO_CLOSE",
        "DUPLICATE",
        "HIGH_ENERGY",
    ],
    "V2O3": [*["GENERATION_FAILED"] * 2, "IMPOSSIBLE_LATTICE", "NO_ENERGY"],
}
SAMPLE = SampleDoc.make(
    sampler="wgan",
    model_id="m1",
    seed=7,
    requested={"VO2": 5, "V2O3": 2},
    attempts={"VO2": 10, "V2O3": 4},
    candidates=MADE,
    rejections=[
        Rejection(formula=formula, index=index, reason=RejectionReason[name])
        for formula, names in LOST.items()
        for index, name in enumerate(names)
    ],
    wall_time=99.0,
    cpu_time=20.0,
    options={"descent": 3},
)
JUDGED = [
    judgement(MADE[0], 0.05, rmsd_to_relaxed=0.2),
    judgement(MADE[1], 0.1, duplicate_group=MADE[0].candidate_id, rmsd_to_relaxed=0.4),
    judgement(MADE[2], 0.1 + 5e-7, is_novel=False, rmsd_to_relaxed=None),
    judgement(MADE[3], -9.0, state=StabilityState.COLLAPSED, is_novel=None, duplicate_group=None),
]
CALCULATED = [
    calculation(made, seconds) for made, seconds in zip(MADE, [10.0, 30.0, None, 10.0], strict=True)
]


def counts(rate) -> tuple[int, int, int, int | None]:
    """Count, and the three wholes."""
    ranked = rate.of_ranked
    assert rate.of_requested.count == rate.of_delivered.count == rate.count
    assert ranked is None or ranked.count == rate.count
    return (
        rate.count,
        rate.of_requested.total,
        rate.of_delivered.total,
        ranked and ranked.total,
    )


def test_counted_by_hand():
    metrics = measure(SAMPLE, CALCULATED, JUDGED, novelty_pool={"prototypes": 3})
    assert list(metrics.formulas) == ["V2O3", "VO2"]
    row = metrics.formulas["VO2"]
    assert (row.n_requested, row.n_attempts, row.n_delivered, row.n_ranked) == (5, 10, 4, 3)
    assert (row.decoded.count, row.exact_composition.count, row.sound.count) == (9, 7, 6)
    assert row.decoded.total == row.exact_composition.total == row.sound.total == 10
    assert row.delivered.share == pytest.approx(4 / 5)
    assert counts(row.distances_valid) == (3, 5, 4, None)
    assert counts(row.charge_neutral) == (4, 5, 4, None)
    assert counts(row.valid) == (3, 5, 4, None)
    assert counts(row.unique) == (2, 5, 4, None)
    assert counts(row.ranked) == (3, 5, 4, None)
    assert counts(row.unique_relaxed) == (2, 5, 4, 3)
    assert counts(row.novel) == (2, 5, 4, 3)
    assert {key: rate.count for key, rate in row.stable.items()} == {
        "0": 0,
        "0.025": 0,
        "0.08": 1,
        "0.1": 3,
        "0.3": 3,
        "0.5": 3,
    }
    assert counts(row.sun) == (1, 5, 4, 3)
    assert counts(row.still_matches) == (2, 5, 4, 3)
    assert (row.rmsd_to_relaxed.n, row.rmsd_to_relaxed.median) == (2, pytest.approx(0.3))
    # the collapsed one has an energy before, and none that counts after
    assert row.above_hull_before.n == 4
    assert row.above_hull_before.median == pytest.approx((1.05 + 1.1) / 2)
    assert row.above_hull_before_ranked.median == pytest.approx(1.1)
    assert row.above_hull_after.n == 3
    assert row.above_hull_after.quartile_1 == pytest.approx(0.075)

    empty = metrics.formulas["V2O3"]
    assert (empty.n_requested, empty.n_attempts, empty.n_delivered) == (2, 4, 0)
    assert (empty.decoded.count, empty.sound.count) == (1, 1)
    assert counts(empty.sun) == (0, 2, 0, 0)
    assert empty.sun.of_delivered.share is None
    assert empty.above_hull_after.median is None

    whole = metrics.overall
    assert counts(whole.sun) == (1, 7, 4, 3)
    assert (whole.n_attempts, whole.decoded.count) == (14, 10)

    # the untimed calculation costs what the longest did
    assert metrics.cpu_seconds == {"sampling": 20.0, "relaxation": 80.0}
    assert metrics.n_untimed == 1
    assert metrics.finds_per_cpu_hour == pytest.approx(36.0)
    assert (metrics.scheme, metrics.hull_id, metrics.seeds) == ("J", "h", [7])
    assert metrics.options == [{"descent": 3}]
    assert metrics.matcher == {"ltol": 0.2, "stol": 0.3, "angle_tol": 5.0}
    assert metrics.minimum_distances == {"V-V": 2.0, "V-O": 1.5, "O-O": 2.0}
    assert metrics.charge_neutrality["mixed_valence"] is True
    assert metrics.novelty_pool == {"prototypes": 3}
    assert metrics.engine_versions == {"judge": "1"}


def test_stages_of_ones_own_are_paid_for():
    busy = [document.model_copy(update={"cpu_time": 6.0}) for document in CALCULATED]
    filtered = SAMPLE.model_copy(update={"judge_cpu_time": 15.0})
    told = measure(filtered, busy, JUDGED)
    # CPU seconds go before wall seconds, and the judge's part of the sampling stands apart
    assert told.cpu_seconds == {
        "sampling": 5.0, "single points": 15.0, "relaxation": 6.0 * len(CALCULATED),
    }  # fmt: skip
    assert told.n_untimed == 0
    assert told.finds_per_cpu_hour == pytest.approx(
        told.overall.sun.count * 3600 / (20 + 6 * len(CALCULATED))
    )
    metrics = measure(SAMPLE, CALCULATED, JUDGED, cpu_seconds={"training": 260.0, "sampling": 60.0})
    assert metrics.cpu_seconds == {"sampling": 60.0, "relaxation": 80.0, "training": 260.0}
    assert metrics.finds_per_cpu_hour == pytest.approx(9.0)
    untimed = [calculation(made, None) for made in MADE]
    assert measure(SAMPLE, untimed, JUDGED).finds_per_cpu_hour is None
    for bad in (-1.0, math.nan):
        with pytest.raises(InputError, match="training"):
            measure(SAMPLE, CALCULATED, JUDGED, cpu_seconds={"training": bad})


def test_without_a_judge_and_without_a_sample():
    unjudged = measure(SAMPLE)
    assert unjudged.scheme is None
    assert unjudged.overall.valid.count == 3
    assert unjudged.overall.unique.count == 2
    assert unjudged.overall.sun is unjudged.overall.stable is None
    assert unjudged.finds_per_cpu_hour is None

    files = measure(MADE, CALCULATED, JUDGED)
    assert (files.overall.n_requested, files.overall.n_attempts) == (4, None)
    assert files.overall.decoded is None
    assert files.model_ids == []
    # nobody knows what making them cost
    assert files.cpu_seconds == {"relaxation": 80.0}
    assert files.finds_per_cpu_hour is None
    paid = measure(MADE, CALCULATED, JUDGED, cpu_seconds={"sampling": 20.0})
    assert paid.finds_per_cpu_hour == pytest.approx(36.0)


def test_without_a_pool_novelty_is_unknown():
    documents = [doc.model_copy(update={"is_novel": None}) for doc in JUDGED]
    metrics = measure(SAMPLE, CALCULATED, documents)
    assert metrics.overall.stable["0.1"].count == 3
    assert metrics.overall.novel is metrics.overall.sun is metrics.finds_per_cpu_hour is None


def test_unique_among_those_measured_not_among_those_judged():
    # judged together with another sampler's crystals, of which one leads the group
    documents = [
        doc.model_copy(update={"duplicate_group": "elsewhere", "is_unique": False})
        for doc in JUDGED[:2]
    ]
    metrics = measure(MADE[:2], CALCULATED[:2], documents)
    assert metrics.overall.unique_relaxed.count == 1
    assert metrics.overall.sun.count == 1
    # the lowest stands for the group
    documents[0].energy_above_hull = 0.4
    assert measure(MADE[:2], (), documents).overall.sun.count == 1
    documents[1].energy_above_hull = 0.3
    assert measure(MADE[:2], (), documents).overall.sun.count == 0


def test_bad_documents_are_named():
    with pytest.raises(InputError, match="nothing to measure"):
        measure([])
    with pytest.raises(InputError, match=f"{MADE[0].candidate_id} is there twice"):
        measure([SAMPLE, MADE[0]])
    with pytest.raises(InputError, match=f"{MADE[3].candidate_id} has no stability"):
        measure(SAMPLE, CALCULATED, JUDGED[:3])
    with pytest.raises(InputError, match="not among the candidates"):
        measure(MADE[:3], CALCULATED, JUDGED[:3])
    with pytest.raises(InputError, match="there twice"):
        measure(SAMPLE, CALCULATED, [*JUDGED, JUDGED[0]])
    with pytest.raises(SchemeMismatchError, match="2 schemes: J, K"):
        measure(SAMPLE, [calculation(made, 1.0, "K") for made in MADE], JUDGED)
    with pytest.raises(SchemeMismatchError, match="2 hulls"):
        measure(SAMPLE, (), [*JUDGED[:3], JUDGED[3].model_copy(update={"hull_id": "i"})])
    with pytest.raises(InputError, match="4 candidates where 3"):
        measure(SAMPLE.model_copy(update={"requested": {"VO2": 3}}))
    with pytest.raises(InputError, match="not asked for"):
        measure(SAMPLE.model_copy(update={"requested": {"V2O3": 9}}))
    with pytest.raises(InputError, match="in no group"):
        measure(MADE[:1], (), [JUDGED[0].model_copy(update={"duplicate_group": None})])


def test_every_rejection_has_its_step():
    listed = [reason for reasons in STEPS.values() for reason in reasons]
    assert sorted(listed) == sorted(RejectionReason)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(StabilityState)),
            st.floats(-0.2, 1.0),
            st.booleans(),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_any_set(facts, missing, rng: random.Random):
    made = [
        candidate(index, [RUTILE, FLUORITE][group % 2]) for index, (*_, group) in enumerate(facts)
    ]
    documents = [
        judgement(
            crystal,
            above,
            state=state,
            is_novel=novel,
            duplicate_group=made[group % len(made)].candidate_id,
        )
        for crystal, (state, above, novel, group) in zip(made, facts, strict=True)
    ]
    sample = SampleDoc.make(
        sampler="wgan",
        model_id="m",
        seed=0,
        requested={"VO2": len(made) + missing},
        attempts={"VO2": len(made)},
        candidates=made,
        rejections=[],
        wall_time=1.0,
    )
    metrics = measure(sample, (), documents)
    row = metrics.overall
    assert row == metrics.formulas["VO2"]
    rates = [row.valid, row.unique, row.ranked, row.unique_relaxed, row.novel, row.sun]
    rates += list(row.stable.values())
    for rate in rates:
        assert rate.of_requested.share <= rate.of_delivered.share
        for part in (rate.of_requested, rate.of_delivered, rate.of_ranked):
            if part is not None and part.share is not None:
                assert 0 <= part.low <= part.share <= part.high <= 1
    for part in (row.stable[f"{SUN_THRESHOLD:g}"], row.unique_relaxed, row.novel):
        assert row.sun.count <= part.count <= row.n_ranked
    levels = [row.stable[f"{threshold:g}"].count for threshold in THRESHOLDS]
    assert levels == sorted(levels)
    ranked = [doc for doc in documents if doc.state is StabilityState.RANKED]
    assert row.unique_relaxed.count == len({doc.duplicate_group for doc in ranked})

    rng.shuffle(made)
    rng.shuffle(documents)
    shuffled = measure(sample.model_copy(update={"candidates": made}), (), documents)
    now = {"last_updated": metrics.last_updated}
    assert shuffled.model_copy(update=now) == metrics


@given(st.integers(0, 500), st.integers(0, 500))
def test_interval_is_wilsons(count, more):
    total = count + more
    part = proportion(count, total)
    if total == 0:
        assert part.share is part.low is part.high is None
        return
    z, p = 1.959963984540054, count / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    assert part.low == pytest.approx(middle - half, abs=1e-9)
    assert part.high == pytest.approx(middle + half, abs=1e-9)


def test_no_share_of_more_than_all():
    for count, total in ((2, 1), (-1, 3)):
        with pytest.raises(InputError, match="no share"):
            proportion(count, total)


def test_quartiles():
    found = distribution([4.0, 1.0, None, 2.0, math.nan, 3.0])
    assert (found.n, found.quartile_1, found.median, found.quartile_3) == (4, 1.75, 2.5, 3.25)
    assert distribution([]).median is None


@pytest.mark.parametrize("formula", ["VO", "V2O3", "V3O5", "V4O7", "VO2", "V6O13", "V3O7", "V2O5"])
def test_every_known_oxide_is_charge_neutral(formula):
    assert charge_neutral(formula, VANADIUM) is True


@pytest.mark.parametrize("system", [VANADIUM, TITANIUM])
def test_charges_are_those_of_the_system(system):
    """Against every choice of a state for each metal atom; VO3 would need V6+."""
    for n_metal in range(1, 6):
        totals = {
            sum(choice)
            for choice in itertools.product(system.oxidation_states[system.metal], repeat=n_metal)
        }
        for n_anion in range(1, 16):
            formula = system.reduced_formula(f"{system.metal}{n_metal}{system.anion}{n_anion}")
            assert charge_neutral(formula, system) is (2 * n_anion in totals)


@pytest.mark.parametrize(
    ("formula", "neutral"),
    [("VO3", False), ("VO4", False), ("V2O7", False), ("V3O", False), ("V9O11", True), ("V", True)],
)
def test_states_beyond_those_of_the_system_are_refused(formula, neutral):
    assert charge_neutral(formula, VANADIUM) is neutral


def test_a_crystal_without_charges_is_not_valid():
    settings_used = neutrality_settings(VANADIUM)
    assert settings_used["oxidation_states"] == {"V": [2, 3, 4, 5], "O": [-2]}
    crystal = Structure(
        Lattice.cubic(9.0), ["V", "O", "O", "O"], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    )
    metrics = measure(candidate(0, crystal, "VO3"))
    assert metrics.overall.distances_valid.count == 1
    assert metrics.overall.charge_neutral.count == metrics.overall.valid.count == 0
