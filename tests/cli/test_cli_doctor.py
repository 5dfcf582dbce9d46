"""``vogen doctor``: what works here, and what is missing with what to do."""

from __future__ import annotations

import json
import shlex
import sys

import pytest
import standin_gpaw
from click.testing import CliRunner

from atomate2_vogen.cli import doctor
from atomate2_vogen.cli.main import cli
from atomate2_vogen.engines.loading import ENGINES, EngineName
from atomate2_vogen.errors import MissingDependencyError
from atomate2_vogen.settings import settings


def vogen(*arguments, columns=80):
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(cli, ["doctor", *arguments])


@pytest.fixture
def bare(monkeypatch):
    """No program of GPAW or VASP, no settings of whoever runs the tests."""
    for name in ("GPAW_COMMAND", "VOGEN_GPAW_COMMAND", "ATOMATE2_VASP_CMD", "VOGEN_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    settings.cache_clear()
    yield
    settings.cache_clear()


def by_name(content):
    return {one["name"]: one for one in content["engines"]}


@pytest.mark.usefixtures("bare")
def test_every_engine_is_looked_at():
    done = vogen("--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    engines = by_name(content)
    assert list(engines) == list(ENGINES)
    assert engines["chgnet"] == {
        "name": "chgnet", "scheme": "CHGNet-0.3.0", "references": True, "phonons": True,
        "bands": False, "problem": "",
    }  # fmt: skip
    assert "vasp_std is not found" in engines["vasp"]["problem"]
    assert "GPAW_COMMAND" in engines["gpaw"]["problem"]
    assert content["packages"]["atomate2-vogen"]
    assert content["shipped"]["networks"].endswith(".zip")


@pytest.mark.usefixtures("bare")
def test_what_is_installed_works(monkeypatch):
    command = shlex.join([sys.executable, standin_gpaw.__file__])
    monkeypatch.setenv("GPAW_COMMAND", command)
    gpaw = by_name(json.loads(vogen("--json").stdout))["gpaw"]
    assert gpaw["problem"] == ""
    assert gpaw["bands"]


@pytest.mark.usefixtures("bare")
def test_lines_fit_and_a_reason_is_told_once():
    done = vogen()
    lines = done.stdout.splitlines()
    (table,) = [i for i, line in enumerate(lines) if line.startswith("Engines for")]
    reasons = [i for i, line in enumerate(lines) if line.startswith("gpaw: ")]
    assert max(map(len, lines[table : reasons[0]])) <= 80
    assert done.stdout.count("vasp_std is not found") == 1
    assert "vasp, vasp-mp: " in done.stdout
    # commands to install something can be copied as they are
    assert any(line.strip().startswith("python3 -m venv") for line in lines)


def test_passwords_are_hidden(monkeypatch):
    monkeypatch.setenv("VOGEN_STORE", "mongodb://me:hunter2@host/vogen")
    settings.cache_clear()
    try:
        for done in (vogen(), vogen("--json")):
            assert "hunter2" not in done.output
            assert "***@host/vogen" in done.stdout
    finally:
        settings.cache_clear()


def test_a_broken_default_is_a_failure(monkeypatch):
    def broken():
        raise MissingDependencyError("chgnet is not installed: pip install chgnet")

    monkeypatch.setattr(doctor, "broken", broken, raising=False)
    monkeypatch.setitem(ENGINES, "chgnet", EngineName("atomate2_vogen.cli.doctor:broken"))
    done = vogen()
    assert done.exit_code == 1
    assert "chgnet: chgnet is not installed: pip install chgnet" in done.stdout


def test_another_oxide_has_files_of_its_own():
    content = json.loads(vogen("--system", "Ti-O", "--json").stdout)
    assert content["system"] == "O-Ti"
    assert content["shipped"]["networks"] == "none shipped for O-Ti"
    assert by_name(content)["diep"]["references"]
