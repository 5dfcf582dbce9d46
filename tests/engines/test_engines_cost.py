"""Sizes of plane-wave calculations against counted ones, and against what GPAW printed."""

from __future__ import annotations

import csv
import itertools
import shlex
import sys
from pathlib import Path

import cheap_engine
import numpy as np
import pytest
import standin_gpaw
import vasp_stand_in
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import SETTINGS, Lattice, Structure

from atomate2_vogen.engines import (
    GpawSettings,
    gpaw,
    gpaw_process,
    load_references,
    vasp,
    vasp_mp,
)
from atomate2_vogen.engines.cost import plane_waves, static_cost, time_reversed
from atomate2_vogen.errors import MissingDependencyError

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
SIZES = st.integers(1, 7)
ROWS = Path(__file__).parents[2] / "results/dft/gpaw.csv"


@settings(deadline=None, max_examples=60)
@given(SIZES, SIZES, SIZES)
def test_half_of_the_mesh_is_what_inversion_leaves(first, second, third):
    mesh = (first, second, third)
    points = set(itertools.product(*map(range, mesh)))
    left = {min(p, tuple(-i % n for i, n in zip(p, mesh, strict=True))) for p in points}
    assert time_reversed(mesh) == len(left)


def test_plane_waves_are_those_within_the_sphere():
    lattice, cutoff = Lattice.from_parameters(6.0, 7.0, 8.0, 80, 95, 100), 400.0
    indices = np.array(list(itertools.product(range(-20, 21), repeat=3)))
    waves = lattice.reciprocal_lattice.get_cartesian_coords(indices)
    # ħ²/2m = 3.81 eV Å²
    counted = (3.8099821 * (waves**2).sum(axis=1) < cutoff).sum()
    assert plane_waves(lattice.volume, cutoff) == pytest.approx(counted, rel=0.02)


def engine(**options):
    command = shlex.join([sys.executable, standin_gpaw.__file__])
    return gpaw(command=command, **options)


def test_gpaw_is_asked_for_its_electrons():
    cost = static_cost(engine(), RUTILE)
    electrons, moments = 6 * standin_gpaw.ELECTRONS, 2 * 5 + 4 * 0.6
    assert cost.n_bands == int(np.ceil(1.2 * (electrons + moments) / 2)) + 4
    assert cost.n_kpoints == time_reversed(GpawSettings().scf_mesh(RUTILE))
    assert cost.n_atoms == 6
    assert cost.memory > 0.2
    # a cell twice as large along c has half of the points, and twice bands and waves
    longer = static_cost(engine(), RUTILE * (1, 1, 2))
    assert longer.n_plane_waves == pytest.approx(2 * cost.n_plane_waves, abs=1)
    assert longer.cpu_time / cost.cpu_time == pytest.approx(4, rel=0.4)
    finer = static_cost(engine(settings=GpawSettings(cutoff=800.0)), RUTILE)
    assert finer.cpu_time > 1.9 * cost.cpu_time


def test_times_are_those_of_measured_calculations(monkeypatch):
    """Of the known phases of ``results/dft``, whose crystals are shipped."""
    monkeypatch.setattr(gpaw_process, "valence_electrons", lambda *_: {"V": 13, "O": 6})
    phases = {one.name: one.structure for one in load_references("CHGNet-0.3.0")}
    judge = gpaw(check=False)
    ratios = []
    with ROWS.open() as file:
        for row in csv.DictReader(file):
            if row["crystal"] in phases and row["cpu_time"]:
                primitive = phases[row["crystal"]].get_primitive_structure()
                ratios.append(float(row["cpu_time"]) / static_cost(judge, primitive).cpu_time)
    assert len(ratios) >= 8
    assert max(ratios) < 3
    assert min(ratios) > 1 / 3
    assert 0.7 < np.median(ratios) < 1.4


def test_a_gpaw_that_does_not_start_is_named():
    lost = gpaw(command="no-such-program python", check=False)
    with pytest.raises(MissingDependencyError, match="no-such-program"):
        static_cost(lost, RUTILE)


@pytest.mark.parametrize("make", [vasp, vasp_mp])
def test_vasp_takes_its_electrons_from_the_potcars(make, tmp_path, monkeypatch):
    folder = vasp_stand_in.write_potcars(tmp_path / "potcars")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    judge = make(check=False)
    cost = static_cost(judge, RUTILE)
    inputs = judge.static_maker.input_set_generator.get_input_set(RUTILE)
    assert cost.n_kpoints == time_reversed(inputs.kpoints.kpts[0])
    assert cost.n_bands == np.ceil(0.6 * (2 * 11 + 4 * 6) + 3)
    assert cost.cpu_time is None
    assert cost.memory == pytest.approx(
        2 * cost.n_kpoints * cost.n_bands * cost.n_plane_waves * 16 / 2**30
    )


def test_of_other_engines_nothing_is_known():
    assert static_cost(cheap_engine.engine(), RUTILE) is None
