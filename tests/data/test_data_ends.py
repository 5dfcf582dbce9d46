"""Ends of relaxations: whose labels they are, whose split, and what may not be learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pymatgen.core import Structure

from atomate2_vogen.analysis.reduction import default_matcher
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.ends import RANDOM, find_ends
from atomate2_vogen.data.relaxed import Record, RelaxedSet, crystal_key


@pytest.fixture(scope="module")
def crystals():
    """VO2 with at most six atoms, some of every split."""
    every = load_dataset()
    small = every.select((every.formulas() == "VO2") & (every.n_atoms <= 6) & every.is_distinct)
    kept = np.concatenate([np.flatnonzero(small.splits == s)[:4] for s in ("train", "test")])
    return small.select(kept)


def _record(start: Structure, end: Structure, energy: float, *, converged=True, source="s"):
    return Record(
        key=crystal_key(start),
        source=source,
        numbers=list(end.atomic_numbers),
        # of the start only the key is looked at
        start_lattice=end.lattice.matrix.tolist(),
        start_coords=end.frac_coords.tolist(),
        lattice=end.lattice.matrix.tolist(),
        coords=end.frac_coords.tolist(),
        start_energy=0.0,
        energy=energy,
        converged=converged,
    )


def _strained(structure: Structure, strain=0.02):
    return structure.copy().apply_strain(strain, inplace=False)


def _first(crystals, split):
    return int(np.flatnonzero(crystals.splits == split)[0])


def test_an_end_inherits_from_its_start(crystals):
    chosen = [_first(crystals, "train"), _first(crystals, "test")]
    starts = [crystals.structure(i) for i in chosen]
    records = [_record(s, _strained(s), -8.0 - i) for i, s in enumerate(starts)]
    ends = find_ends(crystals, RelaxedSet.from_records(records))
    assert ends.n_leaks == 0
    np.testing.assert_array_equal(ends.energies[chosen], [-8.0, -9.0])
    assert np.isnan(np.delete(ends.energies, chosen)).all()
    for place, (index, start) in enumerate(zip(chosen, starts, strict=True)):
        row = int(np.flatnonzero(ends.crystals.energies == -8.0 - place)[0])
        end = ends.crystals.structure(row)
        assert default_matcher().fit(end, start)
        assert end.volume == pytest.approx(_strained(start).volume, rel=1e-4)
        for name in ("splits", "groups", "prototype_ids", "swapped"):
            assert getattr(ends.crystals, name)[row] == getattr(crystals, name)[index]
        cell = ends.crystals.lattices[row]
        np.testing.assert_allclose(cell[0, 1:], 0, atol=1e-9)
        assert abs(cell[1, 2]) < 1e-9
        np.testing.assert_allclose(
            np.sort(end.lattice.parameters[:3]),
            np.sort(_strained(start).get_reduced_structure().lattice.parameters[:3]),
            atol=1e-3,
        )


def test_what_matches_a_held_out_crystal_is_not_learned(crystals):
    train, test = (crystals.structure(_first(crystals, split)) for split in ("train", "test"))
    held = _strained(test, -0.03)
    other = crystals.structure(_first(crystals, "train") + 1)
    assert not default_matcher().fit(test, train)
    # one ends in the test crystal itself, a random one where the test crystal ends
    random = _strained(test, 0.1)
    records = [
        _record(train, _strained(test), -8.0),
        _record(test, held, -9.0),
        _record(random, held, -9.0, source="random"),
        _record(other, _strained(other), -7.0),
    ]
    ends = find_ends(crystals, RelaxedSet.from_records(records))
    assert ends.n_leaks == 2
    assert sorted(ends.crystals.energies) == [-9.0, -7.0]
    # the label of the training crystal stays: it is of another crystal than the test's
    assert ends.energies[_first(crystals, "train")] == -8.0


def test_random_starts_are_of_training_or_left_out(crystals):
    start = crystals.structure(_first(crystals, "train"))
    strange = _strained(start, 0.05)
    records = [
        _record(start, _strained(start), -8.0),
        _record(strange, _strained(strange), -7.0, source="random"),
        _record(_strained(start, 0.07), start, -6.0, converged=False),
    ]
    relaxed = RelaxedSet.from_records(records)
    with_random = find_ends(crystals, relaxed).crystals
    assert sorted(with_random.energies) == [-8.0, -7.0]
    row = int(np.flatnonzero(with_random.energies == -7.0)[0])
    assert with_random.prototype_ids[row] == RANDOM
    assert with_random.groups[row] < 0
    assert with_random.splits[row] == "train"
    without = find_ends(crystals, relaxed, random=False)
    assert without.crystals.energies.tolist() == [-8.0]
    assert without.ends_id != find_ends(crystals, relaxed).ends_id


def test_nothing_converged(crystals):
    start = crystals.structure(0)
    relaxed = RelaxedSet.from_records([_record(start, start, -8.0, converged=False)])
    ends = find_ends(crystals, relaxed)
    assert len(ends.crystals) == 0
    assert np.isnan(ends.energies).all()
    assert ends.crystals.system == VANADIUM
    assert dataclasses.is_dataclass(ends)
