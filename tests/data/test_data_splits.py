"""Splits: by group, parents apart, nothing of the test set seen in training."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from atomate2_vogen.data.crystals import substitute
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.data.splits import SPLITS, assign_splits


@pytest.fixture(scope="module")
def crystals():
    return substitute()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_group_is_never_torn(groups, seed):
    groups = np.array(groups, dtype=np.int32)
    is_parent = np.random.default_rng(seed).random(len(groups)) < 0.1
    splits = assign_splits(groups, is_parent)
    assert set(splits) <= set(SPLITS)
    for group in set(groups.tolist()):
        found = set(splits[groups == group])
        assert len(found) == 1
        assert (found == {"parents"}) == is_parent[groups == group].any()


def test_split_of_a_group_does_not_depend_on_the_others():
    groups = np.arange(200, dtype=np.int32)
    none = np.zeros(200, dtype=bool)
    assert (assign_splits(groups, none)[50:60] == assign_splits(groups[50:60], none[50:60])).all()


def test_known_compounds_of_the_system_are_held_out(crystals):
    parents = [p.prototype_id for p in load_prototypes() if set(p.numbers.tolist()) == {8, 23}]
    held_out = crystals.splits == "parents"
    assert parents
    assert held_out[np.isin(crystals.prototype_ids, parents)].all()
    # and everything that matches them, in either labelling
    groups = set(crystals.groups[np.isin(crystals.prototype_ids, parents)].tolist())
    assert set(crystals.groups[held_out].tolist()) == groups


def test_sizes(crystals):
    """80, 10 and 10 % of the distinct crystals; with all copies the large groups weigh more."""
    usual = crystals.select(crystals.splits != "parents")
    for subset, tolerance in ((usual.select(usual.is_distinct), 0.03), (usual, 0.08)):
        counts = Counter(subset.splits.tolist())
        shares = {split: counts[split] / len(subset) for split in counts}
        assert shares["train"] == pytest.approx(0.8, abs=tolerance)
        assert shares["validation"] == pytest.approx(0.1, abs=tolerance)
        assert shares["test"] == pytest.approx(0.1, abs=tolerance)
        # the same kind of crystals
        for split in ("validation", "test"):
            means = [subset.n_atoms[subset.splits == s].mean() for s in (split, "train")]
            assert means[0] == pytest.approx(means[1], rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("held_out", ["test", "parents"])
def test_nothing_leaks(crystals, held_out):
    """Seeded, unselected: a held-out crystal against training crystals of its composition.

    Both labellings are in the set, so that a copy with exchanged elements is met as well.
    """
    rng = np.random.default_rng(11)
    matcher = StructureMatcher()
    formulas = crystals.formulas()
    train = np.flatnonzero((crystals.splits == "train") & crystals.is_distinct)
    compared = 0
    for i in rng.permutation(np.flatnonzero(crystals.splits == held_out))[:40]:
        same = train[formulas[train] == formulas[i]]
        structure = crystals.structure(i)
        for j in rng.permutation(same)[:10]:
            compared += 1
            assert not matcher.fit(structure, crystals.structure(j)), (i, j)
    assert compared > 150


def test_equal_crystals_are_counted_once(crystals):
    """Distinct ones differ by StructureMatcher; the others match an earlier distinct one."""
    rng = np.random.default_rng(12)
    matcher = StructureMatcher()
    formulas = crystals.formulas()
    chosen = "V2O3"
    members = np.flatnonzero(formulas == chosen)
    heads = members[crystals.is_distinct[members]]
    structures = {i: crystals.structure(i) for i in members}
    for _ in range(30):
        first, second = rng.choice(heads, 2, replace=False)
        assert not matcher.fit(structures[min(first, second)], structures[max(first, second)])
    for i in rng.permutation(members[~crystals.is_distinct[members]])[:5]:
        near = [h for h in heads if crystals.groups[h] == crystals.groups[i]]
        assert any(matcher.fit(structures[h], structures[i]) for h in near)
