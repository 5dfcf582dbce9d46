"""Files that were once read as another crystal: each with its right crystal, or its refusal.

The right crystals are built by ASE from the published parameters, not by any reader of files.
"""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest
from ase.spacegroup import crystal
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from atomate2_vogen.errors import StructureFileError
from atomate2_vogen.structures.reading.structures import read_structures

FILES = Path(__file__).parent / "files"


def _crystal(symbols, sites, group, cell, setting=1) -> Structure:
    atoms = crystal(symbols, sites, spacegroup=group, cellpar=cell, setting=setting)
    return AseAtomsAdaptor.get_structure(atoms)


CRYSTALS = {
    "rutile": _crystal(
        ["V", "O"],
        [(0, 0, 0), (0.3001, 0.3001, 0)],
        136,
        [4.5546, 4.5546, 2.8514, 90, 90, 90],
    ),
    "M1": _crystal(
        ["V", "O", "O"],
        [(0.23947, 0.97894, 0.02646), (0.10616, 0.21185, 0.20859), (0.40051, 0.70258, 0.29884)],
        14,
        [5.7517, 4.5378, 5.3825, 90, 122.646, 90],
    ),
    # in the origin that the file does not use
    "anatase": _crystal(["V", "O"], [(0, 0, 0), (0, 0, 0.2066)], 141, [3.8, 3.8, 9.6, 90, 90, 90]),
    "corundum": _crystal(
        ["V", "O"],
        [(0, 0, 0.3463), (0.3117, 0, 0.25)],
        167,
        [4.952, 4.952, 14.003, 90, 90, 120],
    ),
    "V2O5": _crystal(
        ["V", "O", "O", "O"],
        [
            (0.10118, 0.25, -0.1083),
            (0.1043, 0.25, -0.469),
            (-0.0689, 0.25, 0.003),
            (0.25, 0.25, 0.001),
        ],
        59,
        [11.512, 3.564, 4.368, 90, 90, 90],
        setting=2,
    ),
}

READ = {
    "01-poscar-negative-scale/POSCAR_negative": ("rutile", 6),
    "01-poscar-negative-scale/POSCAR_negative_direct": ("rutile", 6),
    "01-poscar-negative-scale/POSCAR_positive": ("rutile", 6),
    "02-cif-short-symbol/full_symbol.cif": ("M1", 12),
    "02-cif-short-symbol/hall_only.cif": ("M1", 12),
    "02-cif-short-symbol/short_symbol.cif": ("M1", 12),
    "04-origin-rhombohedral/ana_o2.cif": ("anatase", 12),
    "04-origin-rhombohedral/cor_hex_333.cif": ("corundum", 30),
    "04-origin-rhombohedral/cor_rh_R.cif": ("corundum", 10),
    "04-origin-rhombohedral/pmmn_o2_f.cif": ("V2O5", 14),
    "06-cif-dummy/a_good.cif": ("rutile", 6),
    "07-poscar-TTT/POSCAR_3scale": ("rutile", 6),
    "07-poscar-TTT/POSCAR_sdTTT": ("rutile", 6),
    "07-poscar-TTT/POSCAR_sdlower": ("rutile", 6),
    "08-bom-textfield/bom.cif": ("rutile", 6),
    "08-bom-textfield/bom.json": ("rutile", 6),
    "08-bom-textfield/textfield.cif": ("rutile", 6),
    "09-occupancy-dot/occ_dot.cif": ("rutile", 6),
    "09-occupancy-dot/occ_dot_mixed.cif": ("rutile", 6),
}

REFUSED = {
    "05-cif-labels/lab_oh.cif": "the label 'OH2' is not one element for certain",
    "05-cif-labels/oh_partial.cif": "the label 'OH2' is not one element for certain",
    "06-cif-dummy/b_dummy.cif": "site Q1 is a dummy",
    "06-cif-dummy/c_dummy_X.cif": "the type symbol 'X' is no element",
}


def test_every_file_has_its_expectation():
    files = {str(path.relative_to(FILES)) for path in FILES.rglob("*") if path.is_file()}
    energies = {name for name in files if name.startswith("10-same-name")}  # test_cases_same_name
    assert files - energies == set(READ) | set(REFUSED)


@pytest.mark.parametrize("name", READ)
def test_file_gives_the_right_crystal(name):
    right, atoms = READ[name]
    (found,), bad = read_structures([FILES / name])
    assert bad == []
    _assert_same(found.structure, CRYSTALS[right], atoms)


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_with_its_reason(name):
    good, (bad,) = read_structures([FILES / name])
    assert good == []
    assert isinstance(bad.error, StructureFileError)
    assert str(bad.error).startswith(f"{FILES / name}: ")
    assert REFUSED[name] in str(bad.error)


def test_bad_files_do_not_stop_the_good_one():
    good, bad = read_structures([FILES / "06-cif-dummy"])
    assert [entry.path.name for entry in good] == ["a_good.cif"]
    assert [entry.path.name for entry in bad] == ["b_dummy.cif", "c_dummy_X.cif"]


@pytest.mark.parametrize("name", READ)
def test_compression_encoding_and_line_ends_change_nothing(tmp_path, name):
    (plain,), _ = read_structures([FILES / name])
    text = (FILES / name).read_text(encoding="utf-8-sig")
    copies = {
        "crlf": text.replace("\n", "\r\n").encode(),
        "cr": text.replace("\n", "\r").encode(),
        "bom": text.encode("utf-8-sig"),
        "utf16": text.encode("utf-16"),
        "utf16be": b"\xfe\xff" + text.encode("utf-16-be"),
        "gz": gzip.compress(text.encode()),
        "bz2": bz2.compress(text.encode("utf-16")),
    }
    for kind, content in copies.items():
        folder = tmp_path / kind
        folder.mkdir()
        suffix = f".{kind}" if kind in {"gz", "bz2"} else ""
        (folder / (Path(name).name + suffix)).write_bytes(content)
        (found,), bad = read_structures([folder])
        assert bad == []
        assert found.structure == plain.structure


def _assert_same(found: Structure, right: Structure, atoms: int) -> None:
    assert len(found) == atoms
    assert found.composition.reduced_formula == right.composition.reduced_formula
    # 0.1 %: corundum's rhombohedral cell is given with four decimals
    assert found.volume / atoms == pytest.approx(right.volume / len(right), rel=1e-3)
    assert StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5, scale=False).fit(found, right)
