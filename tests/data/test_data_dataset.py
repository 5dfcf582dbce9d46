"""The data set as a whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import build_dataset, label_statistics, load_dataset


def constant():
    return lambda structures: [-1.0] * len(structures)


def test_loading_gives_labels_and_a_copy():
    first = load_dataset()
    assert np.isfinite(first.energies).mean() > 0.98
    first.energies[:] = 0
    first.lattices[:] = 0
    second = load_dataset()
    assert np.nanmin(second.energies) < -5
    assert np.linalg.det(second.lattices).min() > 0
    assert load_dataset().dataset_id == second.dataset_id


def test_energies_are_sane():
    """Nothing is bound more strongly than CHGNet's bulk vanadium and V2O3 per atom allow."""
    energies = load_dataset().energies
    known = energies[np.isfinite(energies)]
    assert known.min() > -9.3
    assert -8.6 < np.median(known) < -6.5


def test_building_equals_loading():
    built, labelling = build_dataset()
    assert built.dataset_id == load_dataset().dataset_id
    assert labelling.n_reused == len(built)


def test_a_system_without_labels_has_none_to_load():
    other = dataclasses.replace(
        VANADIUM,
        metal="Ti",
        target_formulas=("TiO2",),
        oxidation_states={"Ti": (4,), "O": (-2,)},
        atomic_volumes={"Ti": 15.0, "O": 10.0},
        minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.5, "O-O": 2.0},
    )
    assert np.isnan(load_dataset(other).energies).all()
    built, labelling = build_dataset(other, 4.0, judge=constant, scheme="constant")
    assert len(built) > 0
    assert labelling.n_reused == 0
    assert set(built.energies[np.isfinite(built.energies)]) == {-1.0}


def test_other_volumes_reuse_no_labels():
    """The same prototypes at another size are other crystals."""
    larger = dataclasses.replace(VANADIUM, atomic_volumes={"V": 14.0, "O": 10.0})
    assert np.isnan(load_dataset(larger).energies).all()


def test_statistics():
    statistics = label_statistics(np.array([1.0, np.nan, 3.0, 2.0]))
    assert statistics["min"] == 1
    assert statistics["median"] == statistics["mean"] == 2
    assert statistics["max"] == 3
    assert statistics["std"] == pytest.approx(np.sqrt(2 / 3))
    assert label_statistics(np.array([np.nan])) == {}
