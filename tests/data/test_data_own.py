"""Files and energies of a user's own become a data set, and bad ones are named."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from atomate2_vogen.data.energies import read_energies
from atomate2_vogen.data.own import crystals_from_files
from atomate2_vogen.data.splits import split_groups
from atomate2_vogen.errors import (
    ElementError,
    GridError,
    InputError,
    MissingEnergyError,
    NonFiniteError,
    StructureFileError,
)


def rutile(a=4.55, metal="V"):
    points = [[0, 0, 0], [0.3, 0.3, 0]]
    return Structure.from_spacegroup("P4_2/mnm", Lattice.tetragonal(a, 2.85), [metal, "O"], points)


def rock_salt(a=4.1):
    points = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["V", "O"], points)


def caesium_chloride():
    return Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


GOOD = {"rutile": rutile(), "salt": rock_salt(), "wide": rock_salt(4.3), "cscl": caesium_chloride()}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "cifs"
    made.mkdir()
    for name, structure in GOOD.items():
        structure.to(filename=str(made / f"{name}.cif"))
    lines = [f"{name}.cif,{-7 - i}" for i, name in enumerate(GOOD)]
    (tmp_path / "energies.csv").write_text("\n".join(["file,energy_per_atom", *lines]) + "\n")
    return made


def made(folder, more=""):
    table = folder.parent / "energies.csv"
    table.write_text(table.read_text() + more)
    return crystals_from_files([folder], read_energies(table))


def test_crystals_are_those_of_the_files(folder):
    crystals, bad = made(folder)
    assert bad == []
    names = sorted(GOOD)
    assert crystals.energies.tolist() == [-7.0 - list(GOOD).index(name) for name in names]
    assert crystals.n_atoms.tolist() == [len(GOOD[n].get_primitive_structure()) for n in names]
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.01, scale=False)
    for index, name in enumerate(names):
        assert matcher.fit(crystals.structure(index), GOOD[name])
    # a along x, b in the xy plane, right-handed
    assert crystals.lattices[:, 0, 1:] == pytest.approx(0)
    assert crystals.lattices[:, 1, 2] == pytest.approx(0)
    assert (np.linalg.det(crystals.lattices) > 0).all()
    # two sizes of rock salt are one group, in one split, of which one is distinct
    salts = [names.index("salt"), names.index("wide")]
    assert len(set(crystals.groups[salts])) == 1
    assert crystals.is_distinct[salts].sum() == 1
    assert len(np.unique(crystals.groups)) == 3
    assert set(crystals.splits) == {"train", "validation", "test"}
    assert type(crystals).from_bytes(crystals.to_bytes()).dataset_id == crystals.dataset_id


def test_bad_files_are_named_and_the_others_go_on(folder):
    rutile(metal="Ti").to(filename=str(folder / "titania.cif"))
    rock_salt().to(filename=str(folder / "unlabelled.cif"))
    rock_salt().to(filename=str(folder / "strange.cif"))
    big = rutile()
    big.perturb(0.05)
    big.make_supercell([2, 2, 1])
    big[0] = "O"  # no smaller cell describes it
    big.to(filename=str(folder / "big.cif"))
    points = [[0, 0, 0], [0.5, 0.5, 0.1]]
    long = Structure(Lattice.orthorhombic(3, 3, 10.5), ["V", "O"], points)
    long.to(filename=str(folder / "long.cif"))
    (folder / "torn.cif").write_text("data_x\nloop_\n_atom_site_fract_x\n")
    lines = "titania.cif,-8\nstrange.cif,minus eight\nbig.cif,-8\nlong.cif,-8\ntorn.cif,-8\n"
    crystals, bad = made(folder, lines)
    assert len(crystals) == len(GOOD)
    reasons = {file.path.name: file.error for file in bad}
    expected = {
        "titania.cif": (ElementError, "Ti"),
        "unlabelled.cif": (MissingEnergyError, "no energy"),
        "strange.cif": (NonFiniteError, "not a number"),
        "big.cif": (GridError, "24 atoms"),
        "long.cif": (GridError, r"10\.50 Å"),
        "torn.cif": (StructureFileError, ""),
    }
    assert reasons.keys() == expected.keys()
    for name, (kind, words) in expected.items():
        assert type(reasons[name]) is kind
        with pytest.raises(kind, match=rf"{name}.*{words}"):
            raise reasons[name]


def test_too_few_distinct_crystals(folder):
    (folder / "cscl.cif").unlink()
    with pytest.raises(InputError, match="2 distinct crystals"):
        made(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,energy\na.cif,1\n", "no column file, energy_per_atom"),
        ("file,energy_per_atom\na.cif,1\na.cif,2\n", "a.cif twice, last in line 3"),
        (None, "cannot be read"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, words):
    path = tmp_path / "energies.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"energies\.csv.*{words}"):
        read_energies(path)


@pytest.mark.parametrize("sizes", [[1, 1, 1], [1, 1, 100], [50, 60, 70], [3] * 100, [1] * 9])
def test_small_sets_have_every_split(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    splits = split_groups(groups)
    share = {name: (splits == name).sum() for name in ("train", "validation", "test")}
    assert min(share.values()) > 0
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1
    if max(sizes) <= len(groups) / 10:
        assert share["test"] == pytest.approx(len(groups) / 10, abs=3)
        assert share["validation"] == pytest.approx(len(groups) / 10, abs=3)
