"""``vogen confirm``, and engines of one's own on the command line."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
import sys
from dataclasses import replace

import instant_engine
import instant_judge
import numpy as np
import pytest
import standin_gpaw
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from atomate2_vogen import VogenStores, engines
from atomate2_vogen.cli.main import cli
from atomate2_vogen.engines import gpaw
from atomate2_vogen.engines.base import CATEGORY, DFT
from atomate2_vogen.errors import InputError, MissingDependencyError
from atomate2_vogen.schemas import ConsensusDoc, DftDoc, StabilityDoc, Verdict


def first():
    return replace(instant_engine.engine("first"), functional="PBE(+U)", training_data=("a",))


def second():
    return replace(
        instant_engine.engine("second"),
        scheme="instant-2",
        functional="r2SCAN",
        training_data=("b",),
    )


def alike():
    return replace(first(), name="alike", scheme="instant-3")


def no_engine():
    return 7


NUMBER = 7


def dft():
    """GPAW's stand-in: 0.1 eV for each μB of the net moment."""
    return gpaw(command=shlex.join([sys.executable, standin_gpaw.__file__, "--exchange", "0.1"]))


def dft_of_nothing_known():
    return replace(first(), name="dft", scheme="dft-1", manager_config={CATEGORY: DFT})


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def here(monkeypatch):
    instant_judge.work_here(monkeypatch)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Folder of ``vogen evaluate`` with two crystals that nobody knows, and rutile."""
    folder = tmp_path_factory.mktemp("judged")
    crystals = {
        "one": instant_engine.crystal("V2O3", 1),
        "two": instant_engine.crystal("V3O2", 2),
        "rutile": Structure.from_spacegroup(
            "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
        ),
    }
    for name, crystal in crystals.items():
        crystal.to(str(folder / f"{name}.cif"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        instant_judge.work_here(monkeypatch)
        found = vogen("evaluate", folder, "--engine", f"{__name__}:first", "--out", folder / "out")
    assert found.exit_code == 0, found.output
    return folder / "out"


@pytest.fixture(scope="module")
def judged_low(tmp_path_factory):
    """The same of one crystal that the engines place below the hull."""
    folder = tmp_path_factory.mktemp("low")

    def of_edge(edge):
        lattice = Lattice.orthorhombic(edge, 4.6, 2.9)
        return Structure(lattice, ["V", "O", "O"], [[0, 0, 0], [0.5, 0.4, 0], [0, 0.4, 0.5]])

    edges = np.arange(4.0, 4.5, 0.001)
    depths = [instant_engine.depth(of_edge(edge)) for edge in edges]
    of_edge(edges[np.argmax(depths)]).to(str(folder / "low.cif"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        instant_judge.work_here(monkeypatch)
        found = vogen("evaluate", folder, "--engine", f"{__name__}:first", "--out", folder / "out")
    assert found.exit_code == 0, found.output
    return folder / "out"


@pytest.fixture
def low(judged_low, tmp_path):
    return shutil.copytree(judged_low, tmp_path / "out")


@pytest.fixture
def run(judged, tmp_path):
    return shutil.copytree(judged, tmp_path / "out")


def test_finds_are_confirmed_listed_and_queried(run):
    done = vogen("confirm", run, "--engines", f"{__name__}:second", "--threshold", 9)
    assert done.exit_code == 0, done.output
    table = [line for line in done.stdout.splitlines() if not line.startswith("Written")]
    assert max(map(len, table)) <= 100
    rows = list(csv.DictReader(io.StringIO((run / "consensus.csv").read_text())))
    with VogenStores.open(run) as stores:
        documents = stores.load(ConsensusDoc)
        novel = [one for one in stores.iterate(StabilityDoc) if one.is_novel]
    assert len(rows) == len(documents) == len(novel) == 2
    by_id = {one.candidate_id: one for one in documents}
    for row in rows:
        document = by_id[row["candidate_id"]]
        assert row["verdict"] == (document.verdict.value if document.verdict else "")
        told = float(row["second energy_above_hull"])
        assert told == pytest.approx(document.opinions[1].energy_above_hull, abs=1e-6)
        # both engines have the same energies
        assert told == pytest.approx(float(row["first energy_above_hull"]), abs=1e-6)
    confirmed = [one.candidate_id for one in documents if one.verdict is Verdict.CONFIRMED]
    asked = json.loads(vogen("query", run, "--confirmed", "--json").stdout)
    assert sorted(one["candidate_id"] for one in asked["crystals"]) == sorted(confirmed)

    again = vogen("confirm", run, "--engines", f"{__name__}:second", "--threshold", 9, "--json")
    content = json.loads(again.stdout)
    assert [one["candidate_id"] for one in content["crystals"]] == [r["candidate_id"] for r in rows]
    assert "structure" not in content["crystals"][0]

    report = vogen("report", run)
    assert report.exit_code == 0, report.output
    assert "Energy models: " in (run / "report.html").read_text()


def test_known_crystals_are_asked_about_where_asked_for(run):
    done = vogen(
        "confirm",
        run,
        "--engines",
        f"{__name__}:second",
        "--threshold",
        9,
        "--also-known",
        "--json",
    )
    assert len(json.loads(done.stdout)["crystals"]) == 3


def with_dft(run, *more):
    """``--dft`` on all crystals of a folder."""
    engines = ["--engines", f"{__name__}:second", "--threshold", 9, "--also-known"]
    return vogen("confirm", run, *engines, "--dft", f"{__name__}:dft", *more)


def test_dft_calculates_confirmed_finds_and_known_phases(low):
    cost = with_dft(low, "--dft-cost")
    assert cost.exit_code == 0, cost.output
    assert "self-consistent calculations, at most" in cost.stderr
    assert max(len(line) for line in cost.stderr.splitlines() if "│" in line or "─" in line) <= 80
    assert not (low / "dft.csv").exists()
    done = with_dft(low, "--json")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO((low / "dft.csv").read_text())))
    content = json.loads(done.stdout)
    with VogenStores.open(low) as stores:
        documents = stores.load(DftDoc)
        confirmed = list(stores.iterate(ConsensusDoc, {"verdict": "confirmed"}))
    assert confirmed
    finds = {one.candidate_id for one in confirmed}
    assert {one.crystal for one in documents if not one.is_known} == finds
    assert {row["crystal"] for row in rows} == {one.crystal for one in documents}
    assert len(content["dft"]) == len(documents)
    for one in documents:
        for energy in one.energies:
            heights = [start.energy_per_atom for start in energy.magnetic_starts]
            assert energy.energy_per_atom == pytest.approx(min(heights or [-7.0]), abs=0.5)
    assert (low / "dft.png").stat().st_size > 5000
    asked = json.loads(vogen("query", low, "--confirmed", "--json").stdout)
    (row,) = asked["crystals"]
    (found,) = [one for one in documents if not one.is_known]
    assert row["dft_scheme"] == found.scheme
    assert row["dft_above_known_phase"] == pytest.approx(found.above_known_phase)
    assert vogen("report", low).exit_code == 0
    assert f"eV/atom above {found.lowest_known_phase}" in (low / "report.html").read_text()
    again = with_dft(low)
    assert again.exit_code == 0
    assert "reused" in again.stderr
    assert "Energies in eV/atom above the known phase" in " ".join(again.stdout.split())


def test_dft_of_no_confirmed_find_keeps_the_verdicts(run):
    done = with_dft(run, "--dft-max-atoms", 1)
    assert done.exit_code == 0
    assert "no find of V2O3 with at most 1 atoms" in " ".join(done.stderr.split())
    assert not (run / "dft.csv").exists()
    assert (run / "consensus.csv").exists()


def test_the_cost_needs_a_code(run):
    done = vogen("confirm", run, "--dft-cost")
    assert done.exit_code == 2
    assert "--dft-cost needs --dft" in done.stderr


def test_verdicts_of_an_earlier_state_are_removed(run, tmp_path):
    assert vogen("confirm", run, "--engines", f"{__name__}:second", "--threshold", 9).exit_code == 0
    crystal = Structure(Lattice.orthorhombic(3, 4, 7), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.4]])
    crystal.to(str(tmp_path / "new.cif"))
    done = vogen("evaluate", tmp_path / "new.cif", "--engine", f"{__name__}:first", "--out", run)
    assert done.exit_code == 0, done.output
    assert "consensus.csv was about an earlier state" in " ".join(done.output.split())
    assert not (run / "consensus.csv").exists()
    assert not (run / "consensus.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--engines", "magic"], 2, "'magic' is none of"),
        (["--engines", ""], 2, "'' is none of"),
        (["--engines", f"{__name__}:second", "--threshold", "-5"], 2, "give another --threshold"),
        (["--engines", f"{__name__}:second", "--threshold", "nan"], 2, "threshold above hull"),
        (["--engines", f"{__name__}:first"], 2, "at least one further energy model"),
        (["--engines", f"{__name__}:alike"], 2, "no two of these models differ"),
        (["--engines", f"{__name__}:no_engine"], 2, "returns int; return an Engine"),
        (["--engines", f"{__name__}:NUMBER"], 2, "is int, not a function"),
        (["--engines", f"{__name__}:nothing"], 2, "nothing"),
        (["--engines", "no_such_module:engine"], 1, "no_such_module"),
        (["--engines", "vasp:"], 2, "no module:function"),
    ],
)
def test_what_cannot_be_asked_is_refused(run, arguments, code, said):
    done = vogen("confirm", run, *arguments)
    assert done.exit_code == code, done.output
    assert said in " ".join(done.stderr.split())
    assert not (run / "consensus.csv").exists()


def test_a_folder_without_finds_is_refused(tmp_path):
    done = vogen("confirm", tmp_path)
    assert done.exit_code == 2
    assert "not the output folder of a run" in done.stderr
    sampled = vogen("sample", "--sampler", "random", "--counts", "VO=1", "--out", tmp_path / "s")
    assert sampled.exit_code == 0, sampled.output
    done = vogen("confirm", tmp_path / "s")
    assert done.exit_code == 2
    assert "relaxed nothing; give the folder of vogen discover" in " ".join(done.stderr.split())


def test_own_engines_are_loaded_by_module_and_function():
    assert engines.load_engine(f"{__name__}:second").scheme == "instant-2"
    with pytest.raises(InputError, match=r"magic.*module:function"):
        engines.load_engine("magic")
    with pytest.raises(MissingDependencyError, match="no_such_module"):
        engines.load_engine("no_such_module:engine")
    with pytest.raises(InputError, match="no option colour"):
        engines.load_engine(f"{__name__}:second", colour="blue")
