"""Several magnetic starts: which there are, and that the lowest goes on."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import standin_gpaw
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines.gpaw_makers import GpawStaticMaker
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.engines.methods import Method
from atomate2_vogen.errors import InputError, MagneticMomentError
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.magnetism import (
    STARTS,
    ChosenStart,
    MagneticStartsMaker,
    magnetic_starts,
    magnetic_state,
    missing_antiferromagnet,
)
from atomate2_vogen.jobs.tolerance import guard_flow
from atomate2_vogen.structures.magnetism import with_moments

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
SINGLE = Structure(
    Lattice.from_parameters(3.1, 3.2, 3.6, 80, 95, 100),
    ["V", "O", "O"],
    [[0, 0, 0], [0.35, 0.4, 0.3], [0.65, 0.6, 0.7]],
)
AFM = [5.0, -5.0, 0.0, 0.0, 0.0, 0.0]


def moments(structure):
    return structure.site_properties.get("magmom")


def test_a_crystal_without_moments_starts_parallel_and_antiparallel():
    found = magnetic_starts(RUTILE, STARTS, VANADIUM)
    assert {name: moments(s) for name, s in found.items()} == {"FM": None, "AFM": AFM}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([1.0, 0.9, -0.05, 0.0, 0.0, 0.0], ["given", "AFM"]),
        ([-1.0, -0.9, 0.0, 0.0, 0.0, 0.0], ["given", "AFM"]),
        ([0.9, -1.0, 0.05, 0.0, 0.0, 0.0], ["given", "FM"]),
        ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], ["given", "FM", "AFM"]),
        ([0.02, 0.0, 0.0, 0.0, 0.0, 0.0], ["FM", "AFM"]),
    ],
)
def test_related_patterns_come_once(given, names):
    found = magnetic_starts(with_moments(RUTILE, given), STARTS, VANADIUM)
    assert list(found) == names
    if "given" in found:
        assert moments(found["given"]) == given


def test_one_metal_atom_starts_parallel_and_the_reason_is_told():
    assert list(magnetic_starts(SINGLE, STARTS, VANADIUM)) == ["FM"]
    assert list(magnetic_starts(SINGLE, ("AFM",), VANADIUM)) == ["FM"]
    assert "one V atom" in missing_antiferromagnet(SINGLE, STARTS, VANADIUM)
    assert missing_antiferromagnet(SINGLE, ("FM",), VANADIUM) is None
    assert missing_antiferromagnet(RUTILE, STARTS, VANADIUM) is None
    bare = replace(VANADIUM, initial_moments={})
    assert list(magnetic_starts(RUTILE, STARTS, bare)) == ["FM"]
    assert "no initial moment" in missing_antiferromagnet(RUTILE, STARTS, bare)


@pytest.mark.parametrize("wrong", [(), ("FM", "PM"), "FM"])
def test_unknown_starts_are_refused(wrong):
    with pytest.raises(InputError, match="given, FM, AFM"):
        magnetic_starts(RUTILE, wrong, VANADIUM)


def test_moments_without_sense_are_refused():
    with pytest.raises(MagneticMomentError, match="site 0"):
        magnetic_starts(
            RUTILE.copy(site_properties={"magmom": [float("nan")] * 6}), STARTS, VANADIUM
        )


def standin(exchange, temper=""):
    words = [sys.executable, standin_gpaw.__file__, "--temper", temper, "--exchange", str(exchange)]
    return GpawStaticMaker(settings=GpawSettings(), command=shlex.join(words))


def run(maker, structure, folder):
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    flow = maker.make(structure)
    guard_flow(flow)
    run_locally(flow, store=store, root_dir=folder, create_folders=True, log=False)
    return flow.output.resolve(store)


@pytest.mark.parametrize(("exchange", "name"), [(0.1, "AFM"), (-0.1, "FM"), (0.0, "FM")])
def test_the_lowest_energy_goes_on(exchange, name, tmp_path):
    """The stand-in adds `exchange` eV per μB of net moment; moments come back halved."""
    chosen = run(MagneticStartsMaker(static_maker=standin(exchange)), RUTILE, tmp_path)
    assert isinstance(chosen, ChosenStart)
    assert chosen.name == name
    energies = {start.name: start.energy_per_atom for start in chosen.starts}
    net = (2 * 5.0 + 4 * 0.6) / 2
    assert energies["FM"] == pytest.approx(standin_gpaw.ENERGY + exchange * net / 6)
    assert energies["AFM"] == pytest.approx(standin_gpaw.ENERGY)
    assert results.energy_per_atom(chosen) == pytest.approx(energies[name])
    assert results.is_converged(chosen)
    assert chosen.magnetism.order == name
    assert "gpaw-static-" in chosen.dir_name
    by_name = {start.name: start for start in chosen.starts}
    assert by_name["AFM"].initial_moments == AFM
    assert by_name["AFM"].moments == [2.5, -2.5, 0, 0, 0, 0]
    assert by_name["AFM"].total_moment == 0
    assert by_name["FM"].total_moment == pytest.approx(net)


def test_one_start_that_fails_stops_no_other(tmp_path):
    chosen = run(
        MagneticStartsMaker(static_maker=standin(-0.1, "parallel not converged")), RUTILE, tmp_path
    )
    assert chosen.name == "AFM"
    failed = next(start for start in chosen.starts if start.name == "FM")
    assert "ConvergenceError" in failed.error
    assert failed.energy_per_atom is None


def test_a_start_of_another_method_does_not_count(tmp_path):
    maker = MagneticStartsMaker(
        static_maker=standin(0.0),
        method=Method("GPAW", {"cutoff": 600.0}, "another scheme"),
        engine_versions={},
    )
    failure = run(maker, RUTILE, tmp_path)
    assert isinstance(failure, JobFailure)
    assert "cutoff" in failure.error
    right = replace(maker, method=Method("GPAW", {"cutoff": 500.0}))
    assert isinstance(run(right, RUTILE, tmp_path), ChosenStart)


def test_no_start_left_is_a_failure(tmp_path):
    failure = run(MagneticStartsMaker(static_maker=standin(0, "not converged")), RUTILE, tmp_path)
    assert isinstance(failure, JobFailure)
    assert "start FM: " in failure.error
    assert "start AFM: " in failure.error


def test_engines_without_moments_have_no_state():
    carried = with_moments(RUTILE, AFM)
    document = SimpleNamespace(
        structure=carried, output=SimpleNamespace(energy=-1.0), forcefield_name="MLFF.CHGNet"
    )
    assert magnetic_state(document) is None


def test_vectors_in_an_incar_are_no_collinear_moments():
    incar = {"ISPIN": 2, "MAGMOM": [[0, 0, 1]] * 6}
    runs = [SimpleNamespace(input=SimpleNamespace(incar=incar))]
    assert results.initial_moments(SimpleNamespace(calcs_reversed=runs)) is None
    incar["MAGMOM"] = AFM
    assert results.initial_moments(SimpleNamespace(calcs_reversed=runs)) == AFM
    incar["ISPIN"] = 1
    assert results.initial_moments(SimpleNamespace(calcs_reversed=runs)) is None
