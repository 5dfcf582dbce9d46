from __future__ import annotations

import instant_engine
import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.relaxed import Record, RelaxedSet, crystal_key, relaxed_path
from atomate2_vogen.errors import ArtefactError, ElementError, InputError
from atomate2_vogen.jobs import known
from atomate2_vogen.schemas import KnownDoc, ReferenceDoc
from atomate2_vogen.structures.reduction import default_matcher


@pytest.fixture
def relaxed_file(tmp_path, monkeypatch):
    """Where the module looks for relaxed crystals; not there yet."""
    path = tmp_path / "relaxed.npz"
    monkeypatch.setattr(known, "relaxed_path", lambda system: path)
    known._relaxed_prototypes.cache_clear()
    yield path
    known._relaxed_prototypes.cache_clear()


def distinct_vo2(n: int):
    crystals = load_dataset()
    chosen = [
        index
        for index in np.flatnonzero(crystals.is_distinct)
        if crystals.formula(int(index)) == "VO2" and crystals.n_atoms[index] == 6
    ]
    return [crystals.structure(int(index)) for index in chosen[:n]]


def elsewhere(structure, seed=0):
    """The same atoms where no prototype has them, as a relaxation might leave them."""
    rng = np.random.default_rng(seed)
    copy = structure.copy()
    for index in range(len(copy)):
        copy.translate_sites([index], rng.uniform(-0.5, 0.5, 3))
    return copy


def record(start, end, source="substitution", *, converged=True):
    return Record(
        key=crystal_key(start),
        source=source,
        numbers=list(start.atomic_numbers),
        start_lattice=start.lattice.matrix.tolist(),
        start_coords=start.frac_coords.tolist(),
        lattice=end.lattice.matrix.tolist(),
        coords=(end.frac_coords % 1).tolist(),
        start_energy=-8.0,
        energy=-8.5,
        steps=9,
        converged=converged,
    )


def test_a_prototype_is_known_as_substituted_and_as_relaxed(relaxed_file):
    start, other = distinct_vo2(2)
    end, stray, unfinished = elsewhere(start, 1), elsewhere(start, 3), elsewhere(other, 2)
    assert known.known_structures().find(end) is None
    assert known.count_known()["prototypes as relaxed"] == 0
    RelaxedSet.from_records(
        [
            record(start, end),
            record(other, unfinished, converged=False),
            # what random search relaxed is no crystal of the pool
            record(stray, stray, source="random"),
        ]
    ).save(relaxed_file)
    known._relaxed_prototypes.cache_clear()

    pool = known.known_structures(formulas=["VO2"])
    assert pool.find(end).endswith(", as VO2, as relaxed")
    assert pool.find(unfinished).endswith(", as relaxed")
    assert pool.find(stray) is None
    name = pool.find(start)
    assert name.endswith(", as VO2")
    assert pool.find(end) == f"{name}, as relaxed"
    counts = known.count_known()
    assert counts == {
        "reference phases": 0,
        "prototypes as substituted": int(load_dataset().is_distinct.sum()),
        "prototypes as relaxed": 2,
    }
    assert len(known.known_structures()) == sum(counts.values())
    of_one = known.count_known(formulas=["VO2"])
    assert sum(of_one.values()) == len(known.known_structures(formulas=["VO2"]))


def test_references_come_first_and_are_counted(relaxed_file):
    (start,) = distinct_vo2(1)
    reference = ReferenceDoc(
        reference_id="r|J",
        name="VO2 of a name",
        scheme="J",
        formula="VO2",
        structure=start,
        energy_per_atom=-8.0,
    )
    assert known.known_structures(references=[reference]).find(start) == "VO2 of a name"
    assert known.count_known(references=[reference])["reference phases"] == 1


def test_a_damaged_file_is_named(relaxed_file):
    relaxed_file.write_bytes(b"PK nothing")
    with pytest.raises(ArtefactError, match=relaxed_file.name):
        known.known_structures()


def test_another_system_needs_no_file():
    titanium = OxideSystem(
        metal="Ti",
        target_formulas=("TiO2",),
        oxidation_states={"Ti": (2, 3, 4), "O": (-2,)},
        atomic_volumes={"Ti": 14.0, "O": 10.0},
        minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.5, "O-O": 2.0},
    )
    assert known.count_known(titanium)["prototypes as relaxed"] == 0


@pytest.mark.skipif(not relaxed_path(VANADIUM).exists(), reason="no relaxed crystals are shipped")
def test_the_shipped_relaxed_crystals_are_those_of_the_pool():
    counts = known.count_known()
    assert 0 < counts["prototypes as relaxed"] <= counts["prototypes as substituted"]
    prototypes = {name: structure for name, _, structure in known._prototypes(VANADIUM)}
    matcher, moved = default_matcher(), 0
    for name, formula, structure in known._relaxed_prototypes(VANADIUM)[::50]:
        start = prototypes[name.removesuffix(", as relaxed")]
        assert structure.composition == start.composition
        assert structure.composition.reduced_formula == formula
        moved += not matcher.fit(start, structure)
    # relaxing is worth its place: some end in another crystal
    assert moved


def test_own_crystals_are_part_of_the_pool_and_of_its_hash():
    own = [KnownDoc.make(instant_engine.crystal("V3O2", 2), "mine.cif")]
    pool = known.known_structures(own=own)
    assert pool.find(own[0].structure * (1, 2, 1)) == "mine.cif"
    assert known.known_structures().find(own[0].structure) is None
    assert pool.pool_id == known.pool_id(VANADIUM, (), own) != known.pool_id(VANADIUM, ())
    assert known.count_known(own=own)["own crystals"] == 1
    assert known.count_known(own=own, formulas=["VO2"])["own crystals"] == 0
    assert len(pool) == sum(known.count_known(own=own).values())


def test_own_crystals_that_cannot_be_known_are_named():
    crystal = instant_engine.crystal("V3O2", 2)
    (made,) = known.as_known([crystal], VANADIUM)
    assert made.name == "own crystal 0"
    titanium = crystal.copy().replace_species({"V": "Ti"})
    with pytest.raises(ElementError, match="known crystal 1"):
        known.as_known([crystal, titanium], VANADIUM)
    with pytest.raises(InputError, match="known crystal 0 is int"):
        known.as_known([7], VANADIUM)
