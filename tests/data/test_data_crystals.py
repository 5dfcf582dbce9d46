"""Substituted crystals against the scaling formula, Niggli's conditions and known phases."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet, substitute
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.errors import ArtefactError, InputError

TITANIUM = OxideSystem(
    metal="Ti",
    target_formulas=("TiO2",),
    oxidation_states={"Ti": (4,), "O": (-2,)},
    atomic_volumes={"Ti": 15.0, "O": 10.0},
    minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.5, "O-O": 2.0},
)


@pytest.fixture(scope="module")
def crystals():
    return substitute()


def test_counts(crystals):
    assert len(crystals) >= 11_000
    assert len(substitute(max_edge=1000.0)) == 2 * len(load_prototypes())
    assert crystals.n_atoms.max() == 20
    assert len(crystals.numbers) == crystals.offsets[-1] == crystals.n_atoms.sum()
    assert crystals.counts.sum(axis=1).tolist() == crystals.n_atoms.tolist()
    assert np.isnan(crystals.energies).all()


def test_deterministic(crystals):
    again = substitute()
    assert again.dataset_id == crystals.dataset_id
    assert again.to_bytes() == crystals.to_bytes()


def test_volumes_are_the_sum_of_atomic_volumes(crystals):
    metal, anion = crystals.counts.T
    volumes = np.linalg.det(crystals.lattices)  # positive: right-handed
    assert volumes == pytest.approx(13.8 * metal + 10.0 * anion, rel=1e-5)


def test_cells_are_short_and_in_the_standard_setting(crystals):
    assert np.linalg.norm(crystals.lattices, axis=2).max() <= 10.0
    assert np.triu(crystals.lattices, 1).max() == 0
    assert crystals.frac_coords.min() >= 0
    assert crystals.frac_coords.max() < 1


def test_niggli_conditions(crystals):
    """Křivý and Gruber's main conditions, and spglib's own reduction, on every cell."""
    a, b, c = np.moveaxis(crystals.lattices, 1, 0)

    def dot(u, v):
        return np.einsum("ij,ij->i", u, v)

    aa, bb, cc, bc, ac, ab = dot(a, a), dot(b, b), dot(c, c), dot(b, c), dot(a, c), dot(a, b)
    eps = 1e-3
    assert (aa <= bb + eps).all()
    assert (bb <= cc + eps).all()
    assert (2 * np.abs(bc) <= bb + eps).all()
    assert (2 * np.abs(ac) <= aa + eps).all()
    assert (2 * np.abs(ab) <= aa + eps).all()
    acute = (bc > -eps) & (ac > -eps) & (ab > -eps)
    obtuse = (bc < eps) & (ac < eps) & (ab < eps)
    assert (acute | obtuse).all()
    assert (2 * np.abs(bc + ac + ab) <= aa + bb + eps)[obtuse & ~acute].all()
    for lattice in crystals.lattices:
        reduced = spglib.niggli_reduce(lattice, eps=1e-3)
        assert np.linalg.norm(reduced, axis=1) == pytest.approx(
            np.linalg.norm(lattice, axis=1), abs=2e-3
        )


def test_substitution_keeps_the_prototype(crystals):
    """Same shape, same sites; the two labellings are each other's complement."""
    prototypes = {p.prototype_id: p for p in load_prototypes()}
    for i in np.random.default_rng(1).choice(len(crystals), 200, replace=False):
        parent = prototypes[int(crystals.prototype_ids[i])]
        sites = slice(crystals.offsets[i], crystals.offsets[i + 1])
        is_metal = crystals.numbers[sites] == 23
        expected = parent.numbers == parent.numbers[-1 if crystals.swapped[i] else 0]
        assert (is_metal == expected).all()
        assert (crystals.frac_coords[sites] == parent.frac_coords).all()
        ratio = crystals.lattices[i] / np.where(parent.lattice == 0, 1, parent.lattice)
        scale = np.cbrt(np.linalg.det(crystals.lattices[i]) / np.linalg.det(parent.lattice))
        assert ratio[np.tril_indices(3)][np.tril(parent.lattice)[np.tril_indices(3)] != 0] == (
            pytest.approx(scale, rel=2e-3)
        )


def test_rutile_comes_out(crystals):
    """TiO2 rutile as parent gives rutile VO2 (Wyckoff 2a and 4f, x = 0.3), No. 136."""
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.86), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    ids = [
        p.prototype_id
        for p in load_prototypes()
        if p.name.endswith("-TiO2") and p.space_group == 136 and len(p.numbers) == 6
    ]
    assert ids
    found = crystals.structures(np.isin(crystals.prototype_ids, ids) & ~crystals.swapped)
    assert found
    for structure in found:
        assert structure.reduced_formula == "VO2"
        assert SpacegroupAnalyzer(structure).get_space_group_number() == 136
        assert StructureMatcher().fit(structure, rutile)


def test_structures_and_formulas(crystals):
    chosen = np.random.default_rng(2).choice(len(crystals), 50, replace=False)
    few = crystals.select(chosen)
    assert len(few) == 50
    formulas = few.formulas()
    for i, structure in enumerate(few.structures()):
        assert structure == crystals.structure(chosen[i])
        assert structure.composition.reduced_formula == few.formula(i) == formulas[i]
        assert structure.lattice.matrix == pytest.approx(few.lattices[i])
    mask = crystals.formulas() == "VO2"
    assert set(crystals.select(mask).formulas()) == {"VO2"}
    assert len(crystals.select(mask)) == mask.sum()
    with pytest.raises(InputError, match="mask"):
        crystals.select(np.array([True, False]))


def test_another_oxide_without_code():
    titania = substitute(TITANIUM)
    assert len(titania) >= 11_000
    assert set(titania.structure(0).symbol_set) == {"Ti", "O"}
    metal, anion = titania.counts.T
    assert np.linalg.det(titania.lattices) == pytest.approx(15.0 * metal + 10 * anion, rel=1e-5)
    parents = titania.prototype_ids[titania.splits == "parents"]
    names = {
        p.prototype_id: set(Composition(p.name.split("-")[-1]).as_dict()) for p in load_prototypes()
    }
    assert {"Ti", "O"} in [names[i] for i in parents.tolist()]


@pytest.mark.parametrize("edge", [0.0, -1.0, float("nan"), float("inf"), 1.0])
def test_bad_edges_are_refused(edge):
    with pytest.raises(InputError, match="max_edge"):
        substitute(max_edge=edge)


def test_keys_see_any_change(crystals):
    few = crystals.select(np.arange(100, 120))
    before = few.keys()
    few.frac_coords[few.offsets[3], 0] += 1e-4
    few.lattices[5, 0, 0] += 1e-4
    few.numbers[few.offsets[7]] = 31 - few.numbers[few.offsets[7]]
    assert np.flatnonzero(few.keys() != before).tolist() == [3, 5, 7]


def test_dataset_id_sees_any_change(crystals):
    few = crystals.select(np.arange(20))
    seen = {few.dataset_id}
    for change in (
        lambda c: c.lattices.__setitem__((0, 0, 0), 9.0),
        lambda c: c.energies.__setitem__(0, -1.0),
        lambda c: c.splits.__setitem__(0, "parents" if c.splits[0] != "parents" else "test"),
        lambda c: c.is_distinct.__setitem__(0, not c.is_distinct[0]),
        lambda c: c.groups.__setitem__(0, -5),
    ):
        change(few)
        seen.add(few.dataset_id)
    assert len(seen) == 6


def test_npz_round_trip(crystals, tmp_path):
    few = crystals.select(np.random.default_rng(3).choice(len(crystals), 300, replace=False))
    few.energies[:] = np.random.default_rng(4).normal(size=300)
    few.energies[7] = np.nan
    path = few.save(tmp_path / "set.npz")
    back = CrystalSet.load(path)
    assert back.dataset_id == few.dataset_id
    assert back.system == VANADIUM
    for name in ("lattices", "numbers", "frac_coords", "offsets", "energies", "splits"):
        assert getattr(back, name).dtype == getattr(few, name).dtype
        np.testing.assert_array_equal(getattr(back, name), getattr(few, name))
    assert list(tmp_path.iterdir()) == [path]
    assert pickle.loads(pickle.dumps(few)).dataset_id == few.dataset_id


def test_documented_arrays_are_readable_without_the_package(crystals, tmp_path):
    path = crystals.select(np.arange(5)).save(tmp_path / "set.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert json.loads(str(archive["system"]))["metal"] == "V"
        first = archive["frac_coords"][archive["offsets"][0] : archive["offsets"][1]]
        np.testing.assert_array_equal(first, crystals.structure(0).frac_coords)


def damaged(crystals, **changes):
    few = crystals.select(np.arange(5))
    for name, value in changes.items():
        setattr(few, name, value)
    return few.to_bytes()


def test_corrupt_files_are_refused_by_name(crystals, tmp_path):
    whole = crystals.select(np.arange(50)).to_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    pickled = io.BytesIO()
    np.savez(pickled, format=np.array([object()], dtype=object))
    cases = {
        "empty": b"",
        "text": b"hello",
        "truncated": whole[: len(whole) // 2],
        "flipped": bytes(flipped),
        "pickled": pickled.getvalue(),
        "bare_pickle": pickle.dumps({"a": 1}),
        "offsets": damaged(crystals, offsets=np.array([0, 2, 1, 4, 5, 6])),
        "element": damaged(crystals, numbers=crystals.numbers[: crystals.offsets[5]] + 1),
        "nan": damaged(crystals, lattices=np.full((5, 3, 3), np.nan)),
        "split": damaged(crystals, splits=np.array(["holdout"] * 5)),
        "scalar": damaged(crystals, offsets=np.array(6)),
        "single": damaged(crystals, numbers=np.array(23)),
        "short": damaged(crystals, groups=np.arange(4, dtype=np.int32)),
    }
    for name, data in cases.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        with pytest.raises(ArtefactError, match=name):
            CrystalSet.load(path)
    with pytest.raises(ArtefactError, match="missing"):
        CrystalSet.load(tmp_path / "missing.npz")
