"""The file of a potential: round trip, damage, what is not for it; the shipped ones."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from toy_potential import random_cell, toy_potential

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import (
    ArtefactError,
    DisorderError,
    ElementError,
    InputError,
    MissingModelError,
)
from atomate2_vogen.models.archive import Archive
from atomate2_vogen.potential import shipped
from atomate2_vogen.potential.potential import Potential


@pytest.fixture(scope="module")
def potential():
    return toy_potential()


def test_round_trip(potential, tmp_path):
    path = tmp_path / "potential.npz"
    potential.save(path)
    again = Potential.load(path)
    assert again.potential_id == potential.potential_id
    assert (again.scheme, again.system) == (potential.scheme, potential.system)
    assert again.network.shape == potential.network.shape
    crystals = [random_cell(seed) for seed in range(3)]
    np.testing.assert_array_equal(again.energies(crystals), potential.energies(crystals))
    assert potential.to_bytes() == path.read_bytes()


def test_other_weights_have_another_id(potential):
    assert toy_potential(seed=1).potential_id != potential.potential_id


def test_any_damage_is_noticed_or_of_no_consequence(potential):
    content = potential.to_bytes()
    rng = np.random.default_rng(0)
    survivors = []
    for at in rng.integers(len(content), size=60).tolist():
        bad = bytearray(content)
        bad[at] ^= 1 << int(rng.integers(8))
        # any other error ends the test
        with contextlib.suppress(ArtefactError):
            survivors.append(Potential.from_bytes(bytes(bad), "bad.npz"))
    assert len(survivors) < 20  # dates and the like
    assert {found.potential_id for found in survivors} <= {potential.potential_id}


@pytest.mark.parametrize("length", [0, 100, -100, -1])
def test_a_file_cut_short(potential, tmp_path, length):
    path = tmp_path / "cut.npz"
    path.write_bytes(potential.to_bytes()[:length])
    with pytest.raises(ArtefactError, match=r"cut\.npz: .*train_potential"):
        Potential.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtefactError, match=r"none\.npz cannot be read"):
        Potential.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "no potential of this version"),
        ({"kind": "wgan"}, "no potential of this version"),
        ({"shape": {"cutoff": 4.0, "sides": 3}}, "damaged header"),
        ({"shape": {"cutoff": 4.0, "radial": 10**9, "channels": 4, "hidden": -8}}, "radial"),
        ({"shape": {"cutoff": 4.0, "radial": 6, "channels": 4, "hidden": 16}}, "do not fit"),
        ({"shape": None}, "damaged header"),
        ({"system": {}}, "damaged header"),
        ({"system": None}, "damaged header"),
        ({"scheme": None}, "damaged header"),
        ({"model_id": "0" * 16}, "has the id"),
    ],
)
def test_a_changed_header(potential, change, words):
    archive = Archive.from_bytes(potential.to_bytes(), "good.npz")
    header = {k: v for k, v in {**archive.header, **change}.items() if v is not None}
    content = Archive(header, archive.arrays).to_bytes()
    with pytest.raises(ArtefactError, match=rf"bad\.npz: .*{words}"):
        Potential.from_bytes(content, "bad.npz")


def test_weights_that_are_not_finite(potential):
    archive = Archive.from_bytes(potential.to_bytes(), "good.npz")
    arrays = {**archive.arrays, "weights/0004": archive.arrays["weights/0004"] * np.nan}
    with pytest.raises(ArtefactError, match="NaN or infinity"):
        Potential.from_bytes(Archive(archive.header, arrays).to_bytes(), "bad.npz")


def test_crystals_that_are_not_of_the_system(potential):
    titania = Structure(Lattice.cubic(2.6), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(ElementError, match="TiO is not of the system O-V"):
        potential.energies([random_cell(1), titania])
    mixed = Structure(Lattice.cubic(2.6), [{"V": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DisorderError, match="partly occupied"):
        potential.energies([mixed])
    assert potential.energies([]).shape == (0,)


def test_oxidation_states_are_no_other_elements(potential):
    crystal = random_cell(1)
    decorated = crystal.copy()
    decorated.add_oxidation_state_by_element({"V": 3, "O": -2})
    np.testing.assert_array_equal(potential.energies([decorated]), potential.energies([crystal]))


def test_many_crystals_are_evaluated_in_parts(potential):
    crystals = [random_cell(seed % 5) for seed in range(130)]
    found = potential.energies(crystals)
    assert found.shape == (130,)
    np.testing.assert_allclose(found[:5], found[125:], atol=1e-5)


def test_another_system_names_the_command(potential):
    potential.require_system(VANADIUM)
    with pytest.raises(InputError, match=r"is of O-V, .* O-Ti; .*train_potential.py --system Ti-O"):
        potential.require_system(TITANIUM)


def test_nothing_shipped_names_the_command():
    with pytest.raises(MissingModelError, match=r"O-Ti and CHGNet.*train_potential.py --system"):
        shipped.load_potential(TITANIUM)
    with pytest.raises(MissingModelError, match="O-V and another"):
        shipped.load_potential(scheme="another")


def test_the_shipped_potential():
    potential = shipped.load_potential()
    assert (potential.system.chemsys, potential.scheme) == ("O-V", "CHGNet-0.3.0")
    assert len(potential.potential_id) == 16
    assert shipped.require_potential(VANADIUM).stat().st_size < 2_000_000


def test_the_shipped_potential_knows_the_known_phases():
    """Relaxed by CHGNet, with its energies: the learned ones are near them."""
    from atomate2_vogen.engines import load_references

    phases = [
        one for one in load_references("CHGNet-0.3.0") if len(set(one.structure.symbol_set)) == 2
    ]
    phases = [one for one in phases if len(one.structure) <= VANADIUM.max_atoms]
    found = shipped.load_potential().energies([one.structure for one in phases])
    errors = found - [one.energy_per_atom for one in phases]
    assert len(errors) > 10
    assert np.median(np.abs(errors)) < 0.05


def test_a_shipped_file_under_a_wrong_name(potential, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    (tmp_path / "files").mkdir()
    potential.save(tmp_path / "files" / "potential-O-V-CHGNet-0.3.0.npz")
    with pytest.raises(ArtefactError, match="holds a potential of O-V and toy"):
        shipped.load_potential()
    name = "potential-O-Ti-CHGNet-0.3.0.npz"
    source = tmp_path / "files" / "potential-O-V-CHGNet-0.3.0.npz"
    shutil.copy(source, tmp_path / "files" / name)
    with pytest.raises(ArtefactError, match=name):
        shipped.load_potential(TITANIUM)


def test_the_file_holds_no_pickle(potential, tmp_path):
    potential.save(tmp_path / "potential.npz")
    with np.load(tmp_path / "potential.npz", allow_pickle=False) as archive:
        header = json.loads(archive["record"].tobytes())
        assert all(archive[name].dtype.kind in "fu" for name in archive.files)
    assert header["system"]["metal"] == "V"
