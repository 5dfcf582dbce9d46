"""Labels: reused only for the same crystal and scheme, resumable, failures kept."""

from __future__ import annotations

import numpy as np
import pytest

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data import labels as labels_module
from atomate2_vogen.data.crystals import substitute
from atomate2_vogen.data.labels import (
    JUDGE_SCHEME,
    Labels,
    chgnet_energies,
    label_crystals,
    shipped_labels,
)
from atomate2_vogen.errors import ArtefactError, InputError


class Judge:
    """Volume per atom plus a trace of the sites: cheap, and different for each crystal."""

    def __init__(self, limit=None):
        self.calls, self.seen, self.limit = 0, 0, limit

    def __call__(self):
        return self.energies

    def energies(self, structures):
        self.calls += 1
        if self.limit is not None and self.calls > self.limit:
            raise KeyboardInterrupt
        self.seen += len(structures)
        return [s.volume / len(s) + float(np.sum(s.frac_coords**2)) for s in structures]


@pytest.fixture(scope="module")
def crystals():
    return substitute()


@pytest.fixture
def few(crystals):
    return crystals.select(np.random.default_rng(0).choice(len(crystals), 60, replace=False))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(labels_module, "CRYSTALS_PER_CHECKPOINT", 7)


def test_energies_stand_where_their_crystals_stand(few, small_chunks):
    judge = Judge()
    result = label_crystals(few, judge, scheme="test")
    for i in range(len(few)):
        if i not in result.failures:
            assert result.energies[i] == pytest.approx(
                judge.energies([few.structure(i)])[0], abs=1e-6
            )
    assert np.isnan(result.energies).sum() == len(result.failures)


def test_equal_crystals_are_computed_once(few):
    twice = few.select(np.concatenate([np.arange(60), np.arange(60)]))
    judge = Judge()
    result = label_crystals(twice, judge, scheme="test")
    assert judge.seen <= 60
    np.testing.assert_array_equal(result.energies[:60], result.energies[60:])


def test_killed_run_resumes_to_the_same_labels(few, small_chunks, tmp_path):
    whole = label_crystals(few, Judge(), scheme="test")
    path = tmp_path / "labels.npz"
    with pytest.raises(KeyboardInterrupt):
        label_crystals(few, Judge(limit=3), scheme="test", checkpoint=path)
    assert len(Labels.load(path).energies) == 21
    rest = Judge()
    seen = []
    resumed = label_crystals(
        few, rest, scheme="test", checkpoint=path, progress=lambda *done: seen.append(done)
    )
    assert rest.calls == 6  # 9 chunks in all, 3 were done
    assert resumed.labels.to_bytes() == whole.labels.to_bytes()
    np.testing.assert_array_equal(resumed.energies, whole.energies)
    assert seen[-1][0] == seen[-1][1] == len(whole.labels.energies)
    again = Judge()
    label_crystals(few, again, scheme="test", checkpoint=path)
    assert again.calls == 0


def test_one_failure_stops_nothing(few):
    clash = few.n_atoms.argmax()
    start = few.offsets[clash]
    few.frac_coords[start + 1] = few.frac_coords[start] + 1e-3

    def judge():
        def energies(structures):
            if any(len(s) == 6 for s in structures):
                raise RuntimeError("six atoms are too many")
            return [float("nan") if len(s) == 4 else -1.0 for s in structures]

        return energies

    result = label_crystals(few, judge, scheme="test")
    assert "overlap" in result.failures[clash]
    sizes = few.n_atoms
    for i in range(len(few)):
        if sizes[i] == 6 and "overlap" not in result.failures[i]:
            assert result.failures[i] == "RuntimeError: six atoms are too many"
        elif sizes[i] == 4 and "overlap" not in result.failures[i]:
            assert result.failures[i] == "the energy model gives nan"
        elif i not in result.failures:
            assert result.energies[i] == -1.0


def test_known_labels_are_reused_for_the_same_crystals_only(few):
    known = label_crystals(few, Judge(), scheme="test").labels
    few.lattices[3] *= 1.001
    judge = Judge()
    result = label_crystals(few, judge, scheme="test", known=known)
    assert judge.seen == 1
    assert result.n_reused == 59
    assert result.energies[3] == pytest.approx(judge.energies([few.structure(3)])[0], abs=1e-6)


def test_schemes_never_mix(few, tmp_path):
    known = label_crystals(few, Judge(), scheme="one").labels
    with pytest.raises(InputError, match="one, not two"):
        label_crystals(few, Judge(), scheme="two", known=known)
    known.save(tmp_path / "one.npz")
    with pytest.raises(InputError, match=r"one\.npz"):
        label_crystals(few, Judge(), scheme="two", checkpoint=tmp_path / "one.npz")
    with pytest.raises(InputError, match=JUDGE_SCHEME):
        label_crystals(few, Judge(), scheme=JUDGE_SCHEME)
    with pytest.raises(InputError, match="chgnet_energies"):
        label_crystals(few, scheme="two")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", None])
def test_damaged_checkpoint_is_refused_by_name(few, tmp_path, content):
    path = tmp_path / "broken.npz"
    if content is None:
        content = label_crystals(few, Judge(), scheme="test").labels.to_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"broken\.npz"):
        label_crystals(few, Judge(), scheme="test", checkpoint=path)


def test_labels_round_trip(tmp_path):
    labels = Labels("s", {2**63 + 5: -1.25, 7: float("nan")}, {7: "isolated atom"})
    labels.save(tmp_path / "l.npz")
    back = Labels.load(tmp_path / "l.npz")
    assert back.scheme == "s"
    assert back.reasons == labels.reasons
    assert back.energies.keys() == labels.energies.keys()
    assert back.energies[2**63 + 5] == -1.25
    assert np.isnan(back.energies[7])


def test_shipped_labels_cover_every_crystal(crystals):
    labels = shipped_labels(VANADIUM)
    assert labels.scheme == JUDGE_SCHEME
    energies = labels.of(crystals.keys().tolist())
    failed = [i for i, key in enumerate(crystals.keys().tolist()) if key in labels.reasons]
    assert np.flatnonzero(np.isnan(energies)).tolist() == failed
    assert len(failed) < 0.02 * len(crystals)


@pytest.mark.slow
def test_shipped_labels_are_chgnets(crystals):
    """A seeded random sample, recomputed one by one and in a batch."""
    sample = crystals.select(np.random.default_rng(21).choice(len(crystals), 24, replace=False))
    shipped = shipped_labels(VANADIUM).of(sample.keys().tolist())
    fresh = label_crystals(sample)
    np.testing.assert_allclose(fresh.energies, shipped, atol=1e-4)
    judge = chgnet_energies()
    for i in range(6):
        if i not in fresh.failures:
            assert judge([sample.structure(i)])[0] == pytest.approx(shipped[i], abs=1e-4)


@pytest.mark.slow
def test_judge_agrees_with_the_ase_calculator(few):
    """CHGNet by its ASE calculator, whose energies are those of the engine."""
    from chgnet.model.dynamics import CHGNetCalculator

    calculator = CHGNetCalculator(use_device="cpu")
    judge = chgnet_energies()
    for structure in few.structures(np.arange(3)):
        atoms = structure.to_ase_atoms()
        atoms.calc = calculator
        assert judge([structure])[0] == pytest.approx(
            atoms.get_potential_energy() / len(atoms), abs=1e-4
        )
