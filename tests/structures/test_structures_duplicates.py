"""Groups against a plain search, whatever was there before and however it came to be there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomate2_vogen.schemas import ReducedCell
from atomate2_vogen.structures import duplicates
from atomate2_vogen.structures.duplicates import Comparable, compare_crystals, unsettled
from atomate2_vogen.structures.reduction import ReducedCrystal


class Marked(ReducedCrystal):
    """A crystal of whose atoms all that matters is where one of them is."""

    def __init__(self, place, n_sites):
        super().__init__({}, ReducedCell(n_sites=n_sites, lengths=(1, 1, 1), angles=(90, 90, 90)))
        self.place = place


def crystal(name, energy, place=1.0, formula="VO2", n_sites=3, unrefined=None):
    return Comparable(name, formula, energy, Marked(place, n_sites), unrefined=unrefined)


def alike(first, second):
    """A relation that is far from transitive: within a twentieth of one another."""
    return abs(first.place - second.place) < 0.05


def leaders(crystals):
    """Plainly: the lowest first, each with those that led before it."""
    found = {}
    for one in sorted(crystals, key=lambda one: (one.energy, one.name)):
        led = (o for o in crystals if found.get(o.name) == o.name)
        twins = [
            o
            for o in led
            if o.formula == one.formula
            and any(
                a.n_sites == b.n_sites and alike(a, b)
                for a in (o.crystal, o.unrefined)
                for b in (one.crystal, one.unrefined)
                if a is not None and b is not None
            )
        ]
        lowest = min(twins, key=lambda o: (o.energy, o.name), default=one)
        found[one.name] = lowest.name
    return found


@pytest.fixture
def asked(monkeypatch):
    """Pairs that were compared."""
    pairs = []

    def same(first, second, _matcher):
        pairs.append((first, second))
        return first.n_sites == second.n_sites and alike(first, second)

    monkeypatch.setattr(duplicates, "same", same)
    return pairs


def drawn(rng, name):
    formula = str(rng.choice(["VO2", "V2O3"]))
    sizes = 3 * rng.integers(1, 4, 2)
    # a refined crystal may have a smaller primitive cell than the unrefined one
    unrefined = Marked(rng.random() / 4, int(sizes[1])) if rng.random() < 0.4 else None
    return crystal(name, rng.random(), rng.random() / 4, formula, int(sizes[0]), unrefined)


def forgotten(crystals):
    return [dataclasses.replace(one, leader=None, compared=None) for one in crystals]


def test_a_chain_is_not_one_crystal(asked):
    chain = [crystal(f"c{i}", -float(i), 1 + 0.04 * i) for i in range(4)]
    compare_crystals(chain)
    assert {one.name: one.leader for one in chain} == {
        "c3": "c3",
        "c2": "c3",
        "c1": "c1",
        "c0": "c1",
    }
    assert len(asked) == 4


def test_only_leaders_are_asked_and_only_once(asked):
    """A hundred copies of five crystals, which come again with one more."""
    crystals = [crystal(f"{i:03d}", float(i), 1 + 0.06 * (i % 5)) for i in range(100)]
    compare_crystals(crystals)
    assert len(asked) == 4 * 5 // 2 + 95 * 3  # on average the third of five
    asked.clear()
    compare_crystals(crystals)
    assert not asked
    late = crystal("late", 50.5, 1.12)
    compare_crystals([*crystals, late])
    assert late.leader == "002"
    assert len(asked) == 3
    asked.clear()
    # a new one leads below half of the others, and is like none: each is asked once
    compare_crystals([*crystals, late, crystal("new", 49.5, 1.4)])
    assert len(asked) == 5
    assert not unsettled(crystals)


def test_either_form_makes_a_duplicate_also_where_cells_differ_in_size(asked):
    plain = crystal("plain", -2.0, 1.0, n_sites=6)
    refined = crystal("refined", -1.0, 1.0, n_sites=3, unrefined=Marked(1.04, 6))
    late = crystal("late", 0.0, 1.04, n_sites=3)
    other = crystal("other", 1.0, 1.08, n_sites=6)
    everything = [plain, refined, late, other]
    compare_crystals(everything)
    assert {one.name: one.leader for one in everything} == {
        "plain": "plain",
        "refined": "plain",  # as it was before its refinement
        "late": "late",  # the refined one is unique no more, so it does not lead
        "other": "other",
    }
    compare_crystals(leading := forgotten(everything[1:]))
    assert [one.leader for one in leading] == ["refined", "refined", "refined"]


def test_the_lowest_takes_over_and_what_it_does_not_match_is_found_anew(asked):
    low, high, end = crystal("low", -1.0, 1.04), crystal("high", 1.0, 1.08), crystal("end", 2.0, 1)
    compare_crystals([low, high, end])
    assert [one.leader for one in (low, high, end)] == ["low"] * 3
    lowest = crystal("lowest", -2.0, 1.0)
    everything = [low, high, end, lowest]
    compare_crystals(everything)
    assert {one.name: one.leader for one in everything} == {
        "lowest": "lowest",
        "low": "lowest",
        "end": "lowest",
        "high": "high",
    }


@pytest.mark.usefixtures("asked")
@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_nothing_that_was_left_behind_leads_astray(seed):
    """Crystals come, change and go; builds die, and meet, and write what is out of date."""
    rng = np.random.default_rng(seed)
    there: dict[str, Comparable] = {}
    stored: dict[str, Comparable] = {}

    def read():
        """As builders do: what changed since is as new."""
        found = []
        for name, one in there.items():
            held = stored.get(name)
            same_version = held is not None and held.crystal is one.crystal
            found.append(dataclasses.replace(held if same_version else one))
        return found

    def write(crystals, share):
        for one in crystals:
            if rng.random() < share:
                stored[one.name] = one

    for step in range(int(rng.integers(1, 7))):
        behind = read()
        for number in range(int(rng.integers(0, 8))):
            there[f"{step}-{number}"] = drawn(rng, f"{step}-{number}")
        for name in list(there):
            if rng.random() < 0.1:
                there[name] = drawn(rng, name)
            elif rng.random() < 0.1:
                del there[name]
        for name in set(stored) - set(there):
            if rng.random() < 0.5:  # documents of what is gone may stay
                del stored[name]
        ahead = read()
        compare_crystals(ahead)
        write(ahead, rng.choice([0.5, 1.0]))
        if rng.random() < 0.5:  # another build, that read before all this and writes last
            compare_crystals(behind)
            write(behind, 0.5)
    last = read()
    compare_crystals(last)
    assert {one.name: one.leader for one in last} == leaders(last)
    assert not unsettled(last)
    anew = forgotten(last)
    compare_crystals(anew)
    assert [(one.leader, one.compared) for one in anew] == [
        (one.leader, one.compared) for one in last
    ]
