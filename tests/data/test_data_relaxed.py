"""Relaxations as they are logged, resumed, condensed and read back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.relaxed import (
    Relaxation,
    RelaxedSet,
    crystal_key,
    read_log,
    relax_crystals,
    relaxed_path,
)
from atomate2_vogen.errors import ArtefactError, InputError


def _rutile(a=4.55, x=0.3):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, 2.85), ["V", "O"], [[0, 0, 0], [x, x, 0]]
    )


def _judge(structure):
    """A judge in closed form: it scales the cell to 60 Å3 and calls the volume the energy."""
    if structure.volume > 100:
        raise RuntimeError("too large for me")
    relaxed = structure.copy()
    relaxed.scale_lattice(60.0)
    return Relaxation(relaxed, structure.volume / 10, 6.0, steps=7, converged=True)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "relax.jsonl"


def _relax(structures, log, judge=_judge):
    return relax_crystals(structures, judge, log, system=VANADIUM, source="test")


def test_both_ends_come_back(log, tmp_path):
    starts = [_rutile(), _rutile(4.7)]
    assert _relax(starts, log) == 2
    relaxed = RelaxedSet.from_records(read_log(log))
    path = tmp_path / "relaxed.npz"
    relaxed.save(path)
    copy = RelaxedSet.load(path)
    assert len(copy) == 2
    assert set(copy.sources) == {"test"}
    for start in starts:
        index = int(np.flatnonzero(copy.keys == crystal_key(start))[0])
        np.testing.assert_allclose(
            copy.structure(index, start=True).lattice.matrix, start.lattice.matrix, atol=1e-4
        )
        assert copy.structure(index).volume == pytest.approx(60.0, rel=1e-4)
        assert copy.structure(index).species == start.species
        assert copy.start_energies[index] == pytest.approx(start.volume / 10, abs=1e-6)
        assert copy.energies[index] == 6.0
        assert copy.steps[index] == 7
        assert copy.converged[index]


def test_what_the_log_holds_is_not_relaxed_again(log):
    assert _relax([_rutile(), _rutile()], log) == 1
    assert _relax([_rutile(), _rutile(4.6)], log) == 1
    assert len(read_log(log)) == 2


def test_what_is_known_is_skipped_and_can_be_condensed_again(log, tmp_path):
    _relax([_rutile(), _rutile(4.6)], log)
    relaxed = RelaxedSet.from_records(read_log(log))
    again = RelaxedSet.from_records(relaxed.records())
    for field in dataclasses.fields(RelaxedSet):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(relaxed, field.name))
    other = tmp_path / "other.jsonl"
    n = relax_crystals(
        [_rutile(), _rutile(4.7)],
        _judge,
        other,
        system=VANADIUM,
        source="test",
        skip=relaxed.keys.tolist(),
    )
    assert n == 1
    assert [record.key for record in read_log(other)] == [crystal_key(_rutile(4.7))]


def test_a_line_that_was_cut_is_dropped_and_done_again(log):
    _relax([_rutile(), _rutile(4.6)], log)
    whole = log.read_bytes()
    log.write_bytes(whole[:-40])
    assert len(read_log(log)) == 1
    assert _relax([_rutile(), _rutile(4.6)], log) == 1
    assert log.read_bytes() == whole


def test_failures_are_logged_with_the_reason_and_cost_one_crystal(log):
    overlapping = Structure(Lattice.cubic(4), ["V", "O"], [[0, 0, 0], [0.01, 0, 0]])
    foreign = Structure(Lattice.cubic(4), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert _relax([overlapping, foreign, _rutile(8.0), _rutile()], log) == 4
    reasons = [record.reason for record in read_log(log)]
    assert "Ti" in reasons[1]
    assert reasons[2] == "RuntimeError: too large for me"
    assert reasons[3] == ""
    assert len(RelaxedSet.from_records(read_log(log))) == 1


def test_a_log_of_failures_makes_no_set(log):
    _relax([_rutile(8.0)], log)
    with pytest.raises(InputError, match="no crystal was relaxed"):
        RelaxedSet.from_records(read_log(log))


def test_a_damaged_line_is_named(log):
    _relax([_rutile(), _rutile(4.6)], log)
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0][:-9], lines[1]]) + "\n")
    with pytest.raises(ArtefactError, match=r"relax\.jsonl, line 1,"):
        read_log(log)
    log.write_text(json.dumps({"key": 1}) + "\n")
    with pytest.raises(ArtefactError, match="line 1"):
        read_log(log)


def test_keys_tell_crystals_apart():
    assert crystal_key(_rutile()) == crystal_key(_rutile())
    others = [_rutile(4.551), _rutile(x=0.301), _rutile().copy()]
    others[2].replace(0, "O")
    assert len({crystal_key(s) for s in [_rutile(), *others]}) == 4


def _without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: _without(arrays, "coords"),
        lambda arrays: arrays | {"format": np.array(99)},
        lambda arrays: arrays | {"energies": arrays["energies"][:-1]},
        lambda arrays: arrays | {"coords": arrays["coords"][:-1]},
        lambda arrays: arrays | {"offsets": arrays["offsets"] * 0},
        lambda arrays: arrays | {"keys": np.array([{}], dtype=object)},
    ],
    ids=["missing", "format", "short", "sites", "offsets", "pickled"],
)
def test_damaged_files_are_named(log, tmp_path, damage):
    _relax([_rutile(), _rutile(4.6)], log)
    path = tmp_path / "broken.npz"
    RelaxedSet.from_records(read_log(log)).save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **damage(arrays))
    with pytest.raises(ArtefactError, match=r"broken\.npz"):
        RelaxedSet.load(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ArtefactError, match=r"broken\.npz"):
        RelaxedSet.load(path)


def test_the_shipped_file_names_system_and_scheme():
    assert relaxed_path(VANADIUM).name == "relaxed-O-V-CHGNet-0.3.0.npz"
