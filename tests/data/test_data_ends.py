"""Ends of relaxations: whose labels they are, whose split, and what may not be learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.ends import RANDOM, find_ends
from atomate2_vogen.data.relaxed import Record, RelaxedSet, crystal_key
from atomate2_vogen.structures.reduction import default_matcher


@pytest.fixture(scope="module")
def crystals():
    """VO2 with six atoms, metal first, some of training and some of test."""
    every = load_dataset()
    small = every.select((every.formulas() == "VO2") & (every.n_atoms == 6) & every.is_distinct)
    kept = np.concatenate([np.flatnonzero(small.splits == s)[:4] for s in ("train", "test")])
    return small.select(kept)


def _record(start: Structure, end: Structure, energy: float, *, converged=True, source="s"):
    # a relaxation keeps the order of the sites
    order = np.argsort(end.atomic_numbers)[np.argsort(np.argsort(start.atomic_numbers))]
    end = Structure.from_sites([end[index] for index in order.tolist()])
    assert start.atomic_numbers == end.atomic_numbers
    return Record(
        key=crystal_key(start),
        source=source,
        numbers=list(start.atomic_numbers),
        start_lattice=start.lattice.matrix.tolist(),
        start_coords=start.frac_coords.tolist(),
        lattice=end.lattice.matrix.tolist(),
        coords=end.frac_coords.tolist(),
        start_energy=0.5,
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
    # one ends in the test crystal itself, two random ones where it ends, one of them begins there
    far = _strained(other, 0.1)
    records = [
        _record(train, _strained(test), -8.0),
        _record(test, held, -9.0),
        _record(_strained(test, 0.1), held, -9.0, source="random"),
        _record(far, held, -9.5, source="random"),
        _record(other, _strained(other), -7.0),
    ]
    ends = find_ends(crystals, RelaxedSet.from_records(records))
    assert ends.n_leaks == 4
    assert sorted(ends.crystals.energies) == [-9.0, -7.0]
    assert len(ends.random) == 1
    assert default_matcher().fit(ends.random.structure(0), far)
    assert ends.random.energies.tolist() == [0.5]
    # the label of the training crystal stays: it is of another crystal than the test's
    assert ends.energies[_first(crystals, "train")] == -8.0


def test_both_ends_of_random_crystals_are_kept_apart(crystals):
    start = crystals.structure(_first(crystals, "train"))
    strange = _strained(start, 0.05)
    records = [
        _record(start, _strained(start), -8.0),
        _record(_strained(start, 0.07), start, -6.0, converged=False, source="random"),
    ]
    without = find_ends(crystals, RelaxedSet.from_records(records))
    assert len(without.random) == 0
    records.append(_record(strange, _strained(strange, 0.1), -7.0, source="random"))
    ends = find_ends(crystals, RelaxedSet.from_records(records))
    assert ends.crystals.energies.tolist() == [-8.0]
    assert ends.random.energies.tolist() == [0.5, -7.0]
    for row, structure in enumerate((strange, _strained(strange, 0.1))):
        assert ends.random.structure(row).volume == pytest.approx(structure.volume, rel=1e-4)
    assert (ends.random.prototype_ids == RANDOM).all()
    assert (ends.random.groups < 0).all()
    assert len(set(ends.random.groups)) == 2
    assert (ends.random.splits == "train").all()
    assert without.ends_id != ends.ends_id


def test_nothing_converged(crystals):
    start = crystals.structure(0)
    relaxed = RelaxedSet.from_records([_record(start, start, -8.0, converged=False)])
    ends = find_ends(crystals, relaxed)
    assert len(ends.crystals) == len(ends.random) == 0
    assert np.isnan(ends.energies).all()
    assert ends.crystals.system == VANADIUM
    assert dataclasses.is_dataclass(ends)
