"""``vogen evaluate``: known crystals are recognised, broken files are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from atomate2_vogen.cli.evaluate import candidates_of
from atomate2_vogen.cli.main import cli
from atomate2_vogen.engines.references import reference_structures
from atomate2_vogen.jobs.evaluation import structure_digest
from atomate2_vogen.structures.reading.structures import ReadStructure

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
CIF = str(CifWriter(RUTILE))


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def write_broken(folder: Path) -> dict[str, str]:
    """Ten files, each wrong in its own way, and the error that each must be answered with."""
    last = CIF.rstrip().splitlines()[-1]
    titanium = RUTILE.copy().replace_species({"V": "Ti"})
    crowded = RUTILE.copy()
    crowded.append("O", [0.32, 0.3, 0.0])
    old = Poscar(RUTILE).get_str().splitlines()
    old = [*old[:5], *old[6:8], *(" ".join(line.split()[:3]) for line in old[8:])]
    files = {
        "01_empty.cif": ("", "StructureFileError"),
        "02_prose.cif": ("dear friend", "StructureFileError"),
        "03_binary.cif": ("data_\0\x7f\0", "StructureFileError"),
        "04_no_cell.cif": (CIF.replace("_cell_length_a", "_cell_size_a"), "StructureFileError"),
        "05_element.cif": (str(CifWriter(titanium)), "ElementError"),
        "06_disorder.cif": (CIF.replace(last, f"{last.rstrip()[:-1]}0.5"), "DisorderError"),
        "07_overlap.cif": (str(CifWriter(crowded)), "OverlapError"),
        "08_nan.cif": (CIF.replace(last, last.replace("0.70000000", "nan")), "NonFiniteError"),
        "09_vasp4.vasp": ("\n".join(old), "StructureFileError"),
        "10_large.cif": (str(CifWriter(RUTILE * (4, 4, 3))), "StructureFileError"),
    }
    folder.mkdir()
    for name, (content, _) in files.items():
        (folder / name).write_text(content)
    return {name: error for name, (_, error) in files.items()}


def test_ten_broken_files_are_each_named(tmp_path: Path):
    expected = write_broken(tmp_path / "broken")
    result = vogen("evaluate", tmp_path / "broken", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 10
    for line, (name, error) in zip(lines, expected.items(), strict=True):
        assert line.startswith(f"vogen: {error}: {tmp_path / 'broken' / name}: ")
    assert not (tmp_path / "out").exists()


def test_broken_files_as_json(tmp_path: Path):
    write_broken(tmp_path / "broken")
    result = vogen("evaluate", tmp_path / "broken", tmp_path / "gone.cif", "--json")
    assert result.exit_code == 2
    content = json.loads(result.stdout)
    assert content["files"] == []
    assert content["metrics"] is None
    assert len(content["bad"]) == 11
    assert content["bad"][4]["error"] == "ElementError"
    assert content["bad"][-1]["file"] == str(tmp_path / "gone.cif")


def test_empty_folder(tmp_path: Path):
    result = vogen("evaluate", tmp_path)
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"vogen: StructureFileError: {tmp_path}: no structure files")


def test_candidates_are_named_by_content():
    moved = RUTILE.copy().translate_sites([0], [0.01, 0, 0])
    files = [
        ReadStructure(Path("a.cif"), RUTILE),
        ReadStructure(Path("b.cif"), RUTILE.copy()),
        ReadStructure(Path("c.cif"), moved),
    ]
    candidates, names = candidates_of(files)
    again, _ = candidates_of(files[::-1])
    ids = [candidate.candidate_id for candidate in candidates]
    assert len(set(ids)) == 3
    assert set(ids) == {candidate.candidate_id for candidate in again}
    assert [names[key] for key in ids] == ["a.cif", "b.cif", "c.cif"]
    assert structure_digest(RUTILE) != structure_digest(moved)
    assert structure_digest(RUTILE) != structure_digest(RUTILE.copy().replace_species({"V": "Ti"}))


@pytest.mark.slow
def test_known_phases_are_known_and_near_the_hull(tmp_path: Path):
    # starting structures from OQMD, not the relaxed references that span the hull; no VO:
    # CHGNet places it 0.076 eV/atom above its hull
    smallest: dict[str, Structure] = {}
    for phase in sorted(reference_structures(), key=lambda phase: len(phase.structure)):
        smallest.setdefault(phase.structure.composition.reduced_formula, phase.structure)
    phases = [smallest[formula] for formula in ("VO2", "V2O3", "V2O5")]
    folder = tmp_path / "known"
    folder.mkdir()
    for number, structure in enumerate(phases):
        structure.to(filename=str(folder / f"phase{number}.cif"))
    copy = phases[0].copy()
    copy.perturb(0.03, seed=0)
    copy.to(filename=str(folder / "copy.vasp"), fmt="poscar")
    (tmp_path / "broken.cif").write_text("data_")
    arguments = ("evaluate", folder, tmp_path / "broken.cif", "--out", tmp_path / "out")

    first = vogen(*arguments)
    assert first.exit_code == 2, first.output
    assert "broken.cif" in first.stderr
    assert "4 crystals: 4 completed" in first.stderr

    second = vogen(*arguments, "--json")
    content = json.loads(second.stdout)
    assert content["judge"] == "CHGNet-0.3.0"
    assert len(content["files"]) == 4
    for file in content["files"]:
        assert file["state"] == "ranked"
        assert file["is_novel"] is False
        assert file["known_as"]
        assert file["energy_above_hull"] <= 0.06
        assert file["formation_energy_per_atom"] < -2
    assert content["counts"]["ranked"] == 4
    whole = content["metrics"]["overall"]
    assert content["metrics"]["scheme"] == "CHGNet-0.3.0"
    assert content["metrics"]["n_untimed"] == 0
    assert content["metrics"]["cpu_seconds"]["relaxation"] > 0
    assert whole["valid"]["of_delivered"]["share"] == 1
    assert whole["novel"]["of_ranked"]["count"] == whole["sun"]["of_ranked"]["count"] == 0
    assert whole["unique_relaxed"]["of_delivered"]["count"] == 3
    assert whole["stable"]["0.1"]["of_delivered"]["count"] == 4
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["overall"] == whole
    # the perturbed copy ends where its original does
    assert sorted(file["is_unique"] for file in content["files"]) == [False, True, True, True]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    relaxed = [stage for stage in record["stages"] if stage["stage"] == "relaxation"]
    assert [stage["reused"] for stage in relaxed] == [0, 4]
    assert len(list((tmp_path / "out" / "cifs").glob("*.cif"))) == 4


def test_elements_that_are_none(tmp_path: Path):
    result = vogen("evaluate", tmp_path, "--elements", "V,Ox")
    assert result.exit_code == 2
    assert "'Ox' is no symbol of an element" in result.stderr
