"""Counts of new crystals and their intervals, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from discovery.counting import Line, cumulative, new_crystals, rate, ratio
from discovery.measuring import Found
from discovery.raw import CrystalRow, Outcome, Round, RoundRow
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.stats import poisson


def outcome(above_hull=0.05, state="ranked", novel=True):
    return Outcome(
        state=state,
        reason=None,
        above_hull=above_hull,
        space_group=1,
        rmsd=0.1,
        is_bulk=True,
        is_novel=novel,
        known_as=None if novel else "rutile",
    )


def row(name, *outcomes, replay_of=None, final_replay_of=None, seconds=3600.0):
    relaxed, refined = (*outcomes, None)[:2]
    return CrystalRow(
        candidate_id=name,
        formula="VO2",
        n_atoms=6,
        space_group_exact=1,
        space_group=1,
        above_hull=1.0,
        n_steps=10,
        relaxation_seconds=seconds,
        refinement_seconds=None,
        cpu_seconds=seconds,
        relaxed=relaxed,
        refined=refined,
        replay_of=replay_of,
        final_replay_of=final_replay_of,
    )


def a_round(number, rows, sampling=1800.0):
    return Round(
        RoundRow(
            round=number,
            seed=number,
            requested={"VO2": len(rows)},
            attempts={"VO2": len(rows)},
            rejected={"VO2": {}},
            delivered=len(rows),
            sampling_seconds=sampling,
            single_point_seconds=0.0,
            matching_seconds=0.0,
        ),
        crystals=rows,
    )


TOY = [
    row("a", outcome(0.09)),
    row("b", outcome(0.03, novel=False)),  # known
    row("c", outcome(0.02, state="not bulk")),
    row("a2", outcome(0.09), replay_of="a"),
    row("a3", outcome(0.04), replay_of="a"),  # the first of its kind within 0.05
    row("d", outcome(0.02)),
    row("e", outcome(-0.01)),
    row("f", outcome(0.3)),
    row("f2", outcome(0.1004), replay_of="f"),  # prints as 0.100
    row("g", outcome(None, state="failed")),
]


@pytest.mark.parametrize(
    ("threshold", "new"),
    [
        (0.5, "adef"),
        (0.1, ["a", "d", "e", "f2"]),
        (0.05, ["a3", "d", "e"]),
        (0.025, "de"),
        (0.0, "e"),
    ],
)
def test_each_kind_counts_once_where_it_first_is_within_the_threshold(threshold, new):
    flags = new_crystals(TOY, threshold)
    assert [one.candidate_id for one, flag in zip(TOY, flags, strict=True) if flag] == list(new)


def test_crystals_count_when_everything_before_them_is_paid():
    # half an hour of sampling before each round, an hour for each crystal
    line = Line.of([a_round(1, TOY[:4]), a_round(2, TOY[4:])])
    assert line.hours.tolist() == [1.5, 2.5, 3.5, 4.5, 6, 7, 8, 9, 10, 11]
    assert line.total_hours == 11
    assert line.steps(0.1).tolist() == [1.5, 7, 8, 10]
    at = np.array([0, 1.49, 1.5, 6.9, 7, 20])
    assert cumulative(line.steps(0.1), at).tolist() == [0, 0, 1, 1, 2, 4]
    assert [one.candidate_id for one in line.until(2.6)] == ["a", "b"]


def test_a_round_without_crystals_costs_too():
    line = Line.of([a_round(1, TOY[:1]), a_round(2, []), a_round(3, TOY[5:6])])
    assert line.hours.tolist() == [1.5, 3.5]
    assert Line.of([a_round(1, TOY[:1]), a_round(2, [])]).total_hours == 2.0
    assert Line.of([a_round(1, [])]).until(5) == []


def test_refined_crystals_are_counted_by_their_last_outcome():
    rows = [
        row("a", outcome(0.2), outcome(0.08)),
        row("b", outcome(0.09), outcome(0.09, state="unconverged")),
        row("c", outcome(0.01)),
        row("d", outcome(0.09), outcome(0.08), final_replay_of="a"),
    ]
    assert new_crystals(rows, 0.1) == [False, True, True, True]
    assert new_crystals(rows, 0.1, final=True) == [True, False, True, False]


def rock_salt(edge, shift=0.0):
    return Structure(
        Lattice.tetragonal(2.9, edge), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5 + shift]]
    )


def test_replays_are_told_apart_before_and_after_refinement():
    one, other, third = rock_salt(2.9), rock_salt(6.0), rock_salt(2.95)
    found = Found()
    rows = [
        row("a", outcome()),
        row("b", outcome()),
        row("c", outcome(), outcome()),  # differs as relaxed, refined into a
        row("d", outcome(state="failed")),
        row("e", outcome(), outcome()),  # was a, refined into something else
        row("f", outcome()),  # matches e as refined
        row("g", outcome()),  # matches c as relaxed
    ]
    new = [
        found.add(rows[0], one, None),
        found.add(rows[1], third, None),
        found.add(rows[2], other, one),
        found.add(rows[3], None, None),
        found.add(rows[4], one, rock_salt(8.0)),
        found.add(rows[5], rock_salt(8.1), None),
        found.add(rows[6], other, None),
    ]
    assert new == [True, False, False, False, False, False, False]
    assert [one.replay_of for one in rows] == [None, "a", None, None, "a", None, "c"]
    assert [one.final_replay_of for one in rows] == [None, "a", "a", None, "a", "a", "a"]


@given(count=st.integers(0, 200), hours=st.floats(0.1, 50))
def test_rates_have_garwoods_interval(count, hours):
    """Its ends are the means at which what was seen, or more of it, has a chance of 2.5 %."""
    estimate = rate(count, hours)
    assert estimate.value == pytest.approx(count / hours)
    assert poisson.cdf(count, estimate.high * hours) == pytest.approx(0.025, rel=1e-6)
    if count:
        assert poisson.sf(count - 1, estimate.low * hours) == pytest.approx(0.025, rel=1e-6)
    else:
        assert estimate.low == 0


@given(a=st.integers(0, 60), b=st.integers(0, 60), hours=st.floats(0.5, 5))
def test_ratios_are_reciprocal(a, b, hours):
    forth, back = ratio(a, hours, b, 1.0), ratio(b, 1.0, a, hours)
    if not a + b:
        assert forth is back is None
        return
    assert forth.low <= forth.value <= forth.high
    for mine, other in ((forth.value, back.value), (forth.low, back.high)):
        if mine and math.isfinite(mine):
            assert mine * other == pytest.approx(1)
    if b:
        assert forth.value == pytest.approx(a / hours / b)


def test_the_ratio_of_equal_rates_covers_one_as_often_as_it_says():
    rng = np.random.default_rng(0)
    pairs = rng.poisson(12, (400, 2))
    covered = [e.low <= 1 <= e.high for a, b in pairs if (e := ratio(int(a), 1, int(b), 1))]
    assert np.mean(covered) >= 0.95
