"""``--system``: another oxide from the command line, and a run that knows which one it is of."""

from __future__ import annotations

import json
from pathlib import Path

import cheap_engine
import pytest
from click.testing import CliRunner
from pymatgen.core import Structure

from atomate2_vogen import engines
from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.makers import references_maker
from atomate2_vogen.cli.progress import REFERENCES
from atomate2_vogen.cli.session import open_run, recorded_system
from atomate2_vogen.data.systems import oxide_system
from atomate2_vogen.engines.references import ReferencePhase
from atomate2_vogen.flows import references
from atomate2_vogen.schemas import ReferenceDoc


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def assert_one_line_error(result, kind, *words):
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"vogen: {kind}: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "verb",
    ["discover", "sample", "train", "submit", "evaluate x.cif", "build --store gone"],
)
def test_a_wrong_system_is_named_with_those_there_are(tmp_path, verb):
    result = vogen(*verb.split(), "--system", "Xy-O")
    assert_one_line_error(result, "UnknownSystemError", "'Xy'", " Ti, ")


def test_formulas_are_those_of_the_system(tmp_path):
    result = vogen("sample", "--system", "Ti-O", "-n", "VO2=1", "--out", tmp_path / "out")
    assert_one_line_error(result, "UnknownFormulaError", "VO2", "TiO2")


def test_no_hull_no_run(tmp_path):
    out = tmp_path / "out"
    arguments = ("--system", "Nb-O", "--sampler", "substitution", "-n", "NbO2=1", "--out", out)
    result = vogen("discover", *arguments)
    assert result.exit_code == 1
    assert "vogen: MissingReferenceError: " in result.stderr
    assert "Nb-O" in result.stderr


@pytest.mark.slow
def test_crystals_of_another_system(tmp_path: Path):
    out = tmp_path / "out"
    arguments = ["sample", "--sampler", "substitution", "-n", "ZnO=2", "-j", "1", "--out", out]
    made = vogen(*arguments, "--system", "Zn-O")
    assert made.exit_code == 0, made.output
    files = sorted((out / "cifs").glob("*.cif"))
    assert len(files) == 2
    for file in files:
        assert Structure.from_file(file).composition.reduced_formula == "ZnO"
    record = json.loads((out / "run.json").read_text())
    assert recorded_system(record) == oxide_system("Zn")
    # the same folder, but vanadium oxides
    other = vogen("sample", "--sampler", "substitution", "-n", "VO2=2", "--out", out)
    assert_one_line_error(other, "OutputFolderError", "--system is metal=Zn", "not given here")
    again = vogen(*arguments, "--system", "O-Zn")
    assert again.exit_code == 0
    assert "reused" in again.stderr


def test_a_run_knows_its_system(tmp_path: Path):
    with open_run(tmp_path / "ti", "discover", {"test": 1}, Voice(), TITANIUM) as run:
        assert run.system == TITANIUM
    with open_run(tmp_path / "ti", "build", None, Voice()) as run:
        assert run.system == TITANIUM
    with open_run(tmp_path / "v", "discover", {"test": 1}, Voice(), VANADIUM):
        pass
    # as a run of before there were others wrote it
    assert json.loads((tmp_path / "v" / "run.json").read_text())["identity"] == {"test": 1}
    with open_run(tmp_path / "v", "build", None, Voice()) as run:
        assert run.system == VANADIUM


def test_a_folder_needs_no_system(tmp_path):
    result = vogen("build", tmp_path, "--system", "Ti-O")
    assert_one_line_error(result, "InputError", "--system", "output folder")


@pytest.mark.slow
def test_references_are_relaxed_once_and_found_again(tmp_path, monkeypatch):
    starts = [
        ReferencePhase(f"{formula} {edge}", cheap_engine.crystal(formula, edge), 0.0)
        for formula, edge in (("V", 2.2), ("O2", 2.8), ("VO", 2.8), ("VO", 3.0), ("V2O3", 3.6))
    ]
    asked = []

    def structures(system):
        asked.append(system)
        return starts[: len(starts) - bool(len(asked) > 1)]

    monkeypatch.setattr(references, "reference_structures", structures)
    judge = cheap_engine.engine()
    maker = references_maker(judge, VANADIUM)
    with open_run(tmp_path / "out", "discover", {"test": 1}, Voice(quiet=True)) as run:
        # one is cursed: no hull without it, but what was relaxed stays
        with pytest.raises(Exception, match="cursed"):
            run.run(maker.make(), workers=1)
        ran = run.run(maker.make(), workers=1)
        count = ran.stages[REFERENCES]
        run.stores.ingest_jobs()
        kept = run.stores.load(ReferenceDoc)
    # both VO end in the same crystal
    assert sorted(reference.formula for reference in ran.output) == ["O2", "V", "VO"]
    assert sorted(reference.formula for reference in kept) == ["O2", "V", "VO"]
    for reference in ran.output:
        assert reference.scheme == cheap_engine.SCHEME
        assert reference.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=0.01)
    assert asked == [VANADIUM, VANADIUM]
    assert (count.reused, count.done) == (4, 4)


def test_shipped_references_are_taken():
    assert references_maker(engines.chgnet(), TITANIUM) is None
    found = engines.load_references("CHGNet-0.3.0", TITANIUM)
    assert {"TiO2", "Ti2O3", "Ti", "O2"} <= {reference.formula for reference in found}
