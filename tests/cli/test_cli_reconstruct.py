"""``vogen reconstruct``: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from bare_model import MirrorModel, bare_model
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli import reconstruct as verb
from atomate2_vogen.cli.main import cli

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.554, 2.857), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def vogen(*arguments):
    return CliRunner().invoke(cli, ["reconstruct", *(str(argument) for argument in arguments)])


@pytest.fixture
def mirror(monkeypatch, tiny):
    """A model that loses nothing in place of any file."""
    model = MirrorModel()
    model.preset = tiny
    monkeypatch.setattr(verb, "_load", lambda path: model)


@pytest.fixture
def rutile(tmp_path: Path):
    path = tmp_path / "rutile.cif"
    RUTILE.to(str(path))
    return path


def test_table_files_and_json(tmp_path: Path, mirror, rutile):
    out = tmp_path / "out"
    result = vogen(rutile, "--out", out)
    assert result.exit_code == 0, result.output
    assert "100.0%" in result.stdout
    assert "1-8 atoms" in result.stdout
    (row,) = csv.DictReader((out / "reconstruction.csv").open())
    assert (row["formula"], row["natoms"], row["match"]) == ("VO2", "6", "True")
    (cif,) = (out / "cifs").iterdir()
    assert Structure.from_file(cif).matches(RUTILE)
    printed = vogen(rutile, "--json")
    content = json.loads(printed.stdout)
    assert content == json.loads((out / "reconstruction.json").read_text())
    assert content["crystals"][0]["rmsd"] < 0.02
    assert content["summary"]["all"]["n"] == 1
    assert content["model_id"] == "mirror"


def test_bad_files_lose_no_others(tmp_path: Path, mirror, rutile):
    (tmp_path / "broken.cif").write_text("data_x\n")
    Structure(Lattice.cubic(4.2), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(
        str(tmp_path / "foreign.cif")
    )
    long = Structure(Lattice.orthorhombic(2.9, 2.9, 31), ["V", "O"], [[0, 0, 0], [0, 0, 0.5]])
    long.to(str(tmp_path / "long.cif"))
    result = vogen(tmp_path, "--json")
    assert result.exit_code == 2
    content = json.loads(result.stdout)
    assert [Path(c["name"]).name for c in content["crystals"]] == ["rutile.cif"]
    errors = {Path(b["name"]).name: b["error"] for b in content["bad"]}
    assert errors == {
        "broken.cif": "StructureFileError",
        "foreign.cif": "ElementError",
        "long.cif": "GridError",
    }
    assert len(result.stderr.strip().splitlines()) == 3


def test_known_phases_are_named_and_done(mirror):
    phases = verb.known_phases(VANADIUM)
    assert len(phases) >= 19
    assert any(name.startswith("V2O3 R-3c") for name in phases)
    for name, phase in phases.items():
        assert name.split()[0] == phase.composition.reduced_formula
        assert set(phase.symbol_set) == {"O", "V"}
    result = vogen("--known", "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert len(content["crystals"]) + len(content["bad"]) == len(phases)
    # what a perfect network would reach with these grids
    assert content["summary"]["all"]["match"] == 1


def test_a_real_model_file(tmp_path: Path, tiny, rutile):
    bare_model(tiny).save(tmp_path / "model.zip")
    result = vogen(rutile, "--model", tmp_path / "model.zip", "--json")
    assert result.exit_code == 0, result.output
    (crystal,) = json.loads(result.stdout)["crystals"]
    assert crystal["match"] is False


def test_nothing_to_do_and_no_model(tmp_path: Path, rutile):
    result = vogen()
    assert result.exit_code == 2
    assert "InputError: nothing to reconstruct" in result.stderr
    (tmp_path / "model.zip").write_bytes(b"broken")
    result = vogen(rutile, "--model", tmp_path / "model.zip")
    assert result.exit_code == 1
    assert "ArtefactError" in result.stderr
