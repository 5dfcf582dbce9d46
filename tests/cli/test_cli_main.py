"""The command line as a whole: help, version, exit codes, one-line errors for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.options import parse_counts
from atomate2_vogen.errors import ArtefactError, CountsError, UnknownFormulaError


def vogen(*arguments: str):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def assert_one_line_error(result, kind: str, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"vogen: {kind}: ")
    for word in words:
        assert word in line


def test_version_and_help():
    assert vogen("--version").output.strip() == f"vogen, version {version('atomate2-vogen')}"
    for verb in ("discover", "sample", "evaluate", "reconstruct", "build"):
        assert verb in vogen("--help").output
        result = vogen(verb, "-h")
        assert result.exit_code == 0
        assert f"vogen {verb}" in result.output  # an example


def test_every_verb_that_computes_speaks_json():
    silent = [
        name
        for name, command in cli.commands.items()
        if not any(parameter.name == "as_json" for parameter in command.params)
    ]
    assert silent == ["completion"]


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from atomate2_vogen.cli.main import cli; "
        "heavy = {'torch', 'tensorflow', 'keras', 'pymatgen', 'jobflow', 'matplotlib', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("verb", ["discover", "sample"])
@pytest.mark.parametrize(
    ("counts", "kind", "words"),
    [
        (["VO2=0"], "CountsError", "VO2 is 0"),
        (["VO2=-3"], "CountsError", "-3"),
        (["VO2=1.5"], "CountsError", "1.5"),
        (["VO2=many"], "CountsError", "many"),
        (["VO2"], "CountsError", "FORMULA=NUMBER"),
        (["VO2="], "CountsError", "FORMULA=NUMBER"),
        (["VO2=2,,V2O3=1"], "CountsError", "FORMULA=NUMBER"),
        (["VO2=2", "VO2=3"], "CountsError", "twice"),
        (["VO2=2,V2O4=3"], "CountsError", "twice"),
        (["TiO2=2"], "UnknownFormulaError", "TiO2"),
        (["V=2"], "UnknownFormulaError", "'V'"),
        (["Wasser=2"], "UnknownFormulaError", "Wasser"),
        (["V20O41=1"], "CountsError", "V20O41"),
    ],
)
def test_bad_counts(tmp_path: Path, verb, counts, kind, words):
    arguments = [word for entry in counts for word in ("--counts", entry)]
    result = vogen(verb, *arguments, "--out", tmp_path / "out")
    assert_one_line_error(result, kind, words)
    assert not (tmp_path / "out").exists()


def test_counts_in_all_spellings():
    assert parse_counts((), VANADIUM) == {"VO2": 8, "V2O3": 8, "V2O5": 8}
    assert parse_counts(("VO2=8, V2O3 = 4", "V4O10=1"), VANADIUM) == {
        "VO2": 8,
        "V2O3": 4,
        "V2O5": 1,
    }
    with pytest.raises(CountsError):
        parse_counts(("",), VANADIUM)
    with pytest.raises(UnknownFormulaError):
        parse_counts(("V2O3N=1",), VANADIUM)


@pytest.mark.parametrize(
    "arguments",
    [
        ("discover", "--seed", "-1"),
        ("discover", "--workers", "0"),
        ("discover", "--sampler", "magic"),
        ("evaluate", "--engine", "magic", "x.cif"),
        ("evaluate",),
        ("destroy",),
    ],
)
def test_bad_options(arguments):
    result = vogen(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_another_run_in_the_folder(tmp_path: Path):
    record = {"format": 1, "command": "discover", "identity": {"seed": 7}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    for verb in ("discover", "sample"):
        result = vogen(verb, "--out", tmp_path)
        assert_one_line_error(result, "OutputFolderError", "--seed is 7 there and 0 here")


def test_foreign_folder(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    result = vogen("discover", "--out", tmp_path)
    assert_one_line_error(result, "OutputFolderError", "thesis.tex", str(tmp_path))


def test_build_without_a_run(tmp_path: Path):
    result = vogen("build", tmp_path / "nothing")
    assert_one_line_error(result, "OutputFolderError", str(tmp_path / "nothing"))


def test_exit_codes(monkeypatch):
    raised: dict[str, BaseException] = {}

    @click.command()
    @click.argument("name")
    def fail(name):
        raise raised[name]

    monkeypatch.setitem(cli.commands, "fail", fail)
    raised["data"] = ArtefactError("the file x\nis damaged")
    result = vogen("fail", "data")
    assert result.exit_code == 1
    assert result.stderr == "vogen: ArtefactError: the file x is damaged\n"
    raised["stop"] = KeyboardInterrupt()
    result = vogen("fail", "stop")
    assert result.exit_code == 130
    assert "same command goes on" in result.stderr
    raised["bug"] = ZeroDivisionError("a bug")
    result = vogen("fail", "bug")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)
