"""Readers of structure files: every way a file can be bad, and that good ones arrive whole."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import DummySpecies, Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from atomate2_vogen.errors import (
    DisorderError,
    ElementError,
    NonFiniteError,
    OverlapError,
    StructureFileError,
)
from atomate2_vogen.structures.reading import cif_crystal
from atomate2_vogen.structures.reading.limits import MAX_BYTES
from atomate2_vogen.structures.reading.parsers import parse_structures
from atomate2_vogen.structures.reading.structures import read_structures


@pytest.fixture
def rutile() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )


@pytest.fixture
def cif(rutile) -> str:
    return str(CifWriter(rutile))


def test_same_crystal_from_every_format(tmp_path: Path, rutile, cif):
    (tmp_path / "a.CIF").write_text(cif)
    (tmp_path / "b.cif").write_text(str(CifWriter(rutile, symprec=0.01)))
    (tmp_path / "POSCAR").write_text(Poscar(rutile).get_str())
    (tmp_path / "CONTCAR_2").write_text(Poscar(rutile).get_str(direct=False))
    (tmp_path / "x.vasp").write_text(Poscar(rutile).get_str())
    rutile.copy().add_oxidation_state_by_guess().to(filename=str(tmp_path / "s.json"))
    (tmp_path / "table.json").write_text('{"not": "a structure"}')
    (tmp_path / "notes.txt").write_text("nothing")

    good, bad = read_structures([tmp_path])

    assert bad == []
    names = [entry.path.name for entry in good]
    assert names == ["CONTCAR_2", "POSCAR", "a.CIF", "b.cif", "s.json", "x.vasp"]
    for entry in good:
        assert StructureMatcher(scale=False).fit(entry.structure, rutile)
        assert entry.structure.composition == rutile.composition
        assert entry.structure.site_properties == {}
        assert all(type(site.specie).__name__ == "Element" for site in entry.structure)
        assert entry.label == str(entry.path)


def test_blocks_of_one_cif(tmp_path: Path, rutile, cif):
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    broken = str(CifWriter(rutile.copy().replace_species({"V": "Ti"})))
    header = "data_global\n_journal_year 1970\n"
    path = tmp_path / "many.cif"
    # pymatgen alone would let the second block of the same name replace the first
    path.write_text(header + cif + "\n" + broken + "\n" + str(CifWriter(oxide)) + "\n" + cif)

    good, bad = read_structures([path])

    assert [entry.structure.composition.reduced_formula for entry in good] == ["VO2", "VO", "VO2"]
    assert [entry.block for entry in good] == [1, 3, 4]
    assert good[0].label == f"{path} (block 1)"
    assert [type(entry.error) for entry in bad] == [ElementError]
    assert "block 2" in str(bad[0].error)


def _swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def _last_site(cif: str) -> str:
    return cif.rstrip().splitlines()[-1]


def _poscar(rutile: Structure) -> str:
    return Poscar(rutile).get_str()


BROKEN = {
    "empty.cif": (lambda s, c: "", StructureFileError, "empty"),
    "blank.cif": (lambda s, c: " \n\n", StructureFileError, "empty"),
    "prose.cif": (lambda s, c: "a letter to a friend", StructureFileError, "no data_ block"),
    "binary.cif": (lambda s, c: os.urandom(500) + b"\0", StructureFileError, "not a text file"),
    "garbage.cif": (
        lambda s, c: b"data_" + bytes(range(128, 256)),
        StructureFileError,
        "lists no atoms",
    ),
    "cell.cif": (
        lambda s, c: _swap(c, "_cell_length_a", "_cell_width_a"),
        StructureFileError,
        "lacks _cell_length_a",
    ),
    "cut.cif": (lambda s, c: c.rstrip()[:-12], StructureFileError, "does not parse"),
    "number.cif": (
        lambda s, c: _swap(c, "_cell_length_b   4.5", "_cell_length_b   x4.5"),
        StructureFileError,
        "does not parse",
    ),
    "element.cif": (
        lambda s, c: str(CifWriter(s.copy().replace_species({"V": "Ti"}))),
        ElementError,
        "Ti",
    ),
    "symbol.cif": (
        # pymatgen alone drops a site whose symbol it cannot read
        lambda s, c: _swap(c, _last_site(c), _last_site(c).replace("O", "?")),
        StructureFileError,
        "the label '?5' is not one element for certain",
    ),
    "disorder.cif": (
        lambda s, c: _swap(c, _last_site(c), _last_site(c).rstrip()[:-1] + "0.5"),
        DisorderError,
        "",
    ),
    "stacked.cif": (
        lambda s, c: c.rstrip() + "\n" + _last_site(c).replace("O5", "O6") + "\n",
        StructureFileError,
        "several atoms lie on one site",
    ),
    "overlap.cif": (
        lambda s, c: str(CifWriter(_with_extra_oxygen(s))),
        OverlapError,
        "",
    ),
    "nan.cif": (
        lambda s, c: _swap(c, "_cell_length_c   2.85", "_cell_length_c   nan #"),
        NonFiniteError,
        "",
    ),
    "nan_site.cif": (
        lambda s, c: _swap(c, _last_site(c), _last_site(c).replace("0.70000000", "nan")),
        NonFiniteError,
        "",
    ),
    "unknown_site.cif": (
        # pymatgen alone reads a dot as zero
        lambda s, c: _swap(c, _last_site(c), "  O  O5  1  0.8  .  0.5  1"),
        StructureFileError,
        "no coordinates",
    ),
    "flat.cif": (
        lambda s, c: _swap(c, "_cell_length_c   2.85", "_cell_length_c   0.00 #"),
        StructureFileError,
        "does not parse",
    ),
    "large.cif": (
        lambda s, c: str(CifWriter(s * (4, 4, 3))),
        StructureFileError,
        "288 atoms; at most 200",
    ),
    "large_by_symmetry.cif": (
        lambda s, c: str(CifWriter(_large_cubic(), symprec=0.01)),
        StructureFileError,
        "at most 200",
    ),
    "POSCAR_vasp4": (
        lambda s, c: "\n".join(
            line for number, line in enumerate(_plain_poscar(s).splitlines()) if number != 5
        ),
        StructureFileError,
        "element symbols",
    ),
    "POSCAR_cut": (
        lambda s, c: "\n".join(_poscar(s).splitlines()[:9]),
        StructureFileError,
        "does not parse",
    ),
    "POSCAR_prose": (lambda s, c: "dear friend\n", StructureFileError, "does not parse"),
    "POSCAR_nan": (lambda s, c: _swap(_poscar(s), "0.5000", "nan "), NonFiniteError, ""),
    "POSCAR_forged": (
        lambda s, c: _swap(_poscar(s), "\n2 4\n", "\n2 4000000000\n"),
        StructureFileError,
        "atoms; at most 200",
    ),
    "list.json": (lambda s, c: "{", StructureFileError, "not valid JSON"),
    "half.json": (
        lambda s, c: json.dumps({"lattice": {}, "sites": []}),
        StructureFileError,
        "does not parse",
    ),
    "picture.png": (lambda s, c: "x", StructureFileError, "unknown kind of file"),
}


def _with_extra_oxygen(structure: Structure) -> Structure:
    copy = structure.copy()
    copy.append("O", [0.32, 0.3, 0.0])
    return copy


def _plain_poscar(structure: Structure) -> str:
    """Without the symbols at the ends of the lines."""
    lines = _poscar(structure).splitlines()
    return "\n".join([*lines[:8], *(" ".join(line.split()[:3]) for line in lines[8:])])


def _large_cubic() -> Structure:
    return Structure.from_spacegroup(
        "Fd-3m", Lattice.cubic(16), ["V", "O"], [[0.11, 0.22, 0.04], [0.3, 0.07, 0.16]]
    )


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(tmp_path: Path, rutile, cif, name):
    content, kind, words = BROKEN[name]
    made = content(rutile, cif)
    path = tmp_path / name
    path.write_bytes(made if isinstance(made, bytes) else made.encode())

    good, bad = read_structures([path])

    assert good == []
    (entry,) = bad
    assert type(entry.error) is kind
    message = str(entry.error)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


def test_a_cif_cut_off_anywhere_is_refused_in_plain_words(cif):
    whole = cif.rstrip()
    for length in range(0, len(whole), 7):
        try:
            (error,) = parse_structures("cut.cif", whole[:length], 200)
        except StructureFileError as raised:
            error = raised
        assert isinstance(error, StructureFileError), whole[:length]
        assert not re.search(r"modulo|zip|len\(", str(error)), error


def test_whatever_a_library_raises_concerns_one_file_only(tmp_path: Path, cif, monkeypatch):
    for name in ("a.cif", "b.cif", "c.json"):
        (tmp_path / name).write_text(cif)
    dummy = Structure(Lattice.cubic(4), [DummySpecies("X")], [[0, 0, 0]])
    (tmp_path / "c.json").write_text(json.dumps(dummy.as_dict()))

    calls = []

    def crystal_of(block, max_atoms):
        calls.append(block)
        if len(calls) == 1:
            raise ZeroDivisionError("of some library")
        return right(block, max_atoms)

    right = cif_crystal.crystal_of
    monkeypatch.setattr(cif_crystal, "crystal_of", crystal_of)
    good, bad = read_structures([tmp_path])
    assert [entry.path.name for entry in good] == ["b.cif"]
    assert [entry.path.name for entry in bad] == ["a.cif", "c.json"]
    assert "of some library" in str(bad[0].error)
    assert isinstance(bad[1].error, ElementError)

    for kind in (MemoryError, KeyboardInterrupt):
        monkeypatch.setattr(cif_crystal, "crystal_of", _raise(kind))
        with pytest.raises(kind):
            read_structures([tmp_path])


def _raise(kind):
    def fail(*args):
        raise kind

    return fail


def test_one_bad_file_hides_nothing(tmp_path: Path, cif):
    for name in ("a.cif", "c.cif"):
        (tmp_path / name).write_text(cif)
    (tmp_path / "b.cif").write_text("")
    good, bad = read_structures([tmp_path, tmp_path / "missing.cif", tmp_path / "a.cif"])
    assert [entry.path.name for entry in good] == ["a.cif", "c.cif"]
    assert [entry.path.name for entry in bad] == ["b.cif", "missing.cif"]
    assert "no such file" in str(bad[1].error)


def test_folder_without_structures(tmp_path: Path):
    (tmp_path / "crystals").mkdir()
    (tmp_path / "run.json").write_text("{}")
    good, (entry,) = read_structures([tmp_path])
    assert good == []
    assert isinstance(entry.error, StructureFileError)
    assert "no structure files" in str(entry.error)
    assert "sub-folders are not searched" in str(entry.error)


def test_what_is_no_regular_file(tmp_path: Path):
    (tmp_path / "dangling.cif").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.cif").symlink_to(tmp_path / "loop.cif")
    os.mkfifo(tmp_path / "pipe.cif")
    with (tmp_path / "huge.cif").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    good, bad = read_structures([tmp_path])
    assert good == []
    assert len(bad) == 4
    assert all(isinstance(entry.error, StructureFileError) for entry in bad)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path, cif):
    path = tmp_path / "secret.cif"
    path.write_text(cif)
    path.chmod(0)
    good, (entry,) = read_structures([path])
    assert good == []
    assert "cannot be read" in str(entry.error)


_RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
_TEXTS = {"x.cif": str(CifWriter(_RUTILE)), "POSCAR": Poscar(_RUTILE).get_str()}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(_TEXTS)),
    start=st.floats(0, 1),
    length=st.integers(0, 12),
    inserted=st.text("0123456789.-?'_ \n\tVOXn", max_size=6),
)
def test_damaged_text_is_read_or_refused(tmp_path_factory, name, start, length, inserted):
    text = _TEXTS[name]
    at = int(start * len(text))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_text(text[:at] + inserted + text[at + length :])
    good, bad = read_structures([path])
    assert len(good) + len(bad) == 1
    for entry in good:
        assert {site.specie.symbol for site in entry.structure} <= {"V", "O"}


def _vasp_4(structure: Structure, comment: str) -> str:
    """As VASP 4 wrote it: elements in the comment alone, if anywhere."""
    lines = Poscar(structure).get_str().splitlines()
    bare = [" ".join(line.split()[:3]) for line in lines[8:]]
    return "\n".join([comment, *lines[1:5], *lines[6:8], *bare]) + "\n"


def test_elements_of_old_poscar_files_are_given_never_guessed(tmp_path: Path, rutile):
    # a folder as the paper publishes: skewed cells of one formula unit, and words about them
    skewed = rutile.copy()
    skewed.make_supercell([[1, 0, 0], [3, 1, 0], [0, -2, 1]], to_unit_cell=False)
    (tmp_path / "POSCAR_1").write_text(_vasp_4(skewed, "V O"))
    (tmp_path / "POSCAR_2.vasp").write_text(_vasp_4(rutile, "generated"))
    (tmp_path / "POSCAR_3").write_text(Poscar(rutile).get_str())
    (tmp_path / "README.md").write_text("# V O\n1.0\n")
    (tmp_path / "README").write_text("V O\n")

    good, bad = read_structures([tmp_path])
    assert [entry.path.name for entry in good] == ["POSCAR_3"]
    assert [entry.path.name for entry in bad] == ["POSCAR_1", "POSCAR_2.vasp"]
    assert all("(--elements)" in str(entry.error) for entry in bad)

    good, bad = read_structures([tmp_path], elements=("V", "O"))
    assert bad == []
    assert [entry.path.name for entry in good] == ["POSCAR_1", "POSCAR_2.vasp", "POSCAR_3"]
    matcher = StructureMatcher()
    assert all(matcher.fit(entry.structure, rutile) for entry in good)

    # the wrong order is another crystal, whose atoms touch or whose formula differs
    good, bad = read_structures([tmp_path / "POSCAR_2.vasp"], elements=("O", "V"))
    assert not good or good[0].structure.composition.reduced_formula == "V2O"
    good, (entry,) = read_structures([tmp_path / "POSCAR_1"], elements=("V", "O", "V"))
    assert good == []
    assert "2 groups of atoms (2 4), but 3 elements" in str(entry.error)
