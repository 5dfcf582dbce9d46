"""Structure files of one name in several folders keep their own energies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pymatgen.core import Structure

from atomate2_vogen.data import crystals_from_files, read_energies
from atomate2_vogen.errors import InputError, MissingEnergyError

CASE = Path(__file__).parent / "files" / "10-same-name"
ENERGIES = {"rutile": -9.10, "fluorite": -8.0, "anatase": -9.0}  # e2.csv


@pytest.fixture
def case(tmp_path):
    return Path(shutil.copytree(CASE, tmp_path / "case"))


def by_folder(crystals, bad, case):
    """Energy by the folder that each crystal is from, found by the crystal itself."""
    assert bad == []
    sizes = {}
    for folder in ENERGIES:
        structure = Structure.from_file(str(case / folder / "CONTCAR"))
        cell = structure.get_primitive_structure()
        sizes[round(cell.volume / len(cell), 3)] = folder
    return {
        sizes[round(crystals.structure(i).volume / len(crystals.structure(i)), 3)]: float(energy)
        for i, energy in enumerate(crystals.energies)
    }


def table(path, rows):
    lines = [f"{name},{energy}" for name, energy in rows]
    path.write_text("\n".join(["file,energy_per_atom", *lines]) + "\n")
    return read_energies(path)


def test_a_bare_name_of_three_files_is_refused_with_its_candidates(case):
    folders = [case / name for name in ENERGIES]
    with pytest.raises(InputError) as caught:
        crystals_from_files(folders, read_energies(case / "energies.csv"))
    for folder in folders:
        assert str(folder / "CONTCAR") in str(caught.value)


def test_paths_relative_to_the_table(case, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folders = [case / name for name in ENERGIES]
    made = crystals_from_files(folders, read_energies(case / "e2.csv"))
    assert by_folder(*made, case) == ENERGIES
    # files named relative to the working directory are the same files
    folders = [Path("case") / name for name in ENERGIES]
    made = crystals_from_files(folders, read_energies("case/e2.csv"))
    assert by_folder(*made, case) == ENERGIES


@pytest.mark.parametrize("kind", ["absolute", "cwd", "tail", "dotted"])
def test_other_ways_to_name_a_file(case, tmp_path, monkeypatch, kind):
    folders = [case / name for name in ENERGIES]
    elsewhere = tmp_path / "tables"
    elsewhere.mkdir()
    monkeypatch.chdir(case)
    written = {
        "absolute": lambda name: str(case / name / "CONTCAR"),
        "cwd": lambda name: f"./{name}/CONTCAR",
        "tail": lambda name: f"case/{name}/CONTCAR",
        "dotted": lambda name: f"../case/{name}/CONTCAR",
    }[kind]
    rows = [(written(name), energy) for name, energy in ENERGIES.items()]
    made = crystals_from_files(folders, table(elsewhere / "t.csv", rows))
    assert by_folder(*made, case) == ENERGIES


def test_relative_to_a_folder_that_is_given(case, tmp_path, monkeypatch):
    """Two of three files have one name; the third is named by its folder's content."""
    monkeypatch.chdir(tmp_path)
    (case / "rutile" / "CONTCAR").rename(case / "rutile" / "POSCAR_rutile")
    rows = [("POSCAR_rutile", -9.10), ("fluorite/CONTCAR", -8.0), ("anatase/CONTCAR", -9.0)]
    energies = table(tmp_path / "t.csv", rows)
    crystals, bad = crystals_from_files([case / name for name in ENERGIES], energies)
    assert bad == []
    assert sorted(crystals.energies) == [-9.10, -9.0, -8.0]


def test_a_file_beside_the_table_goes_before_one_of_its_name_elsewhere(case):
    """Its path relative to the table is exact; the other file then has no energy."""
    shutil.copy(case / "rutile" / "CONTCAR", case / "CONTCAR")
    rows = [("CONTCAR", -9.10), ("fluorite/CONTCAR", -8.0)]
    energies = table(case / "t.csv", rows)
    folders = [case, *(case / name for name in ("fluorite", "anatase"))]
    with pytest.raises(InputError, match="2 distinct crystals"):
        crystals_from_files(folders, energies)
    rows += [(str(case / "rutile" / "CONTCAR"), -9.1), (str(case / "anatase" / "CONTCAR"), -9.0)]
    energies = table(case / "t.csv", rows)
    crystals, bad = crystals_from_files([*folders, case / "rutile"], energies)
    assert sorted(crystals.energies) == [-9.1, -9.1, -9.0, -8.0]
    assert bad == []


def test_a_file_without_a_row_is_named_and_left_out(case):
    for name, a in (("a", 4.1), ("b", 4.4)):
        folder = case / name
        folder.mkdir()
        points = [[0, 0, 0], [0.5, 0.5, 0.5]]
        lattice = [[a, 0, 0], [0, 3.0, 0], [0, 0, 3.3]]
        Structure(lattice, ["V", "O"], points).to(filename=str(folder / "CONTCAR"), fmt="poscar")
    folders = [case / name for name in (*ENERGIES, "a")]
    crystals, bad = crystals_from_files(folders, read_energies(case / "e2.csv"))
    assert len(crystals) == 3
    ((path, error),) = [(file.path, file.error) for file in bad]
    assert path == case / "a" / "CONTCAR"
    assert isinstance(error, MissingEnergyError)
    assert "a/CONTCAR" in str(error)


@pytest.mark.parametrize("second", ["rutile/CONTCAR", "./rutile/CONTCAR", "{case}/rutile/CONTCAR"])
def test_two_rows_of_one_file_are_refused(case, second):
    rows = [("rutile/CONTCAR", -9.1), ("fluorite/CONTCAR", -8.0), (second.format(case=case), -9.0)]
    with pytest.raises(InputError, match=r"twice|two rows"):
        crystals_from_files([case / name for name in ENERGIES], table(case / "t.csv", rows))


def test_blocks_of_one_name_in_two_folders(case, tmp_path):
    """A CIF with two structures in each of two folders: four energies."""
    texts = []
    for a in (4.1, 4.4):
        structure = Structure(
            [[a, 0, 0], [0, 3.0, 0], [0, 0, 3.3]], ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        texts.append(structure.to(fmt="cif"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.cif").write_text("\n".join(texts))
    blocks = [(f"{name}/all.cif (block {i})", -i - (name == "two") / 2) for name in ("one", "two")
              for i in (1, 2)]  # fmt: skip
    folders = [tmp_path / "one", tmp_path / "two", *(case / name for name in ENERGIES)]
    rows = [*blocks, *((f"case/{name}/CONTCAR", e) for name, e in ENERGIES.items())]
    crystals, bad = crystals_from_files(folders, table(tmp_path / "t.csv", rows))
    assert bad == []
    assert crystals.energies[:4].tolist() == [-1.0, -2.0, -1.5, -2.5]
    with pytest.raises(InputError, match="block 1"):
        crystals_from_files(folders, table(tmp_path / "u.csv", [("all.cif (block 1)", -1.0)]))
