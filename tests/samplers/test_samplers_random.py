"""Random symmetric crystals: composition, symmetry, seeds and refusals."""

from importlib import metadata

import pytest
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.samplers.random_symmetric import RandomSampler
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.wyckoff import pyxtal_group

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")


@pytest.fixture(scope="module")
def document():
    return RandomSampler().sample({"VO2": 4, "V2O3": 3}, seed=11)


def test_requested_compositions_are_honoured_exactly(document):
    assert document.missing == {}
    for candidate in document.candidates:
        assert candidate.structure.composition.reduced_formula == candidate.formula
        assert len(candidate.structure) <= VANADIUM.max_atoms
        assert too_close(candidate.structure, VANADIUM) is None
        volume = sum(VANADIUM.atomic_volumes[s.specie.symbol] for s in candidate.structure)
        assert candidate.structure.volume == pytest.approx(volume, rel=1e-6)


def test_crystals_have_at_least_the_symmetry_they_were_made_with(document):
    for candidate in document.candidates:
        asked = SpacegroupAnalyzer(candidate.structure, symprec=1e-2)
        n_operations = len(asked.get_symmetry_operations())
        made = pyxtal_group(candidate.details["space_group"])
        general = len(made[0].ops) // made.cellsize()
        assert n_operations >= general


def test_attempts_are_candidates_and_rejections(document):
    for formula, n in document.attempts.items():
        made = sum(c.formula == formula for c in document.candidates)
        assert n == made + sum(document.rejected[formula].values())


def test_crystals_differ(document):
    groups = {(c.details["space_group"], round(c.structure.volume)) for c in document.candidates}
    assert len(groups) > 1


def test_same_seed_same_crystals_and_formulas_do_not_disturb_each_other(document):
    again = RandomSampler().sample({"V2O3": 2}, seed=11)
    before = [c for c in document.candidates if c.formula == "V2O3"][:2]
    assert [c.candidate_id for c in again.candidates] == [c.candidate_id for c in before]
    assert [c.structure for c in again.candidates] == [c.structure for c in before]


def test_attempts_are_bounded():
    """At a third of the volume nothing fits; the sampler gives up and says so."""
    document = RandomSampler(volume_factor=0.3, max_attempts=2).sample({"V2O5": 1})
    assert document.candidates == []
    assert document.attempts == {"V2O5": 2}
    assert sum(document.rejected["V2O5"].values()) == 2
    assert document.missing == {"V2O5": 1}


def test_model_id_names_the_version():
    assert RandomSampler().model_id == f"pyxtal-{metadata.version('pyxtal')}-1"
    assert RandomSampler(volume_factor=1.1).model_id != RandomSampler().model_id


@pytest.mark.parametrize("arguments", [{"volume_factor": 0}, {"volume_factor": float("nan")}])
def test_impossible_volumes(arguments):
    with pytest.raises(InputError, match="volume_factor"):
        RandomSampler(**arguments)


def test_impossible_attempts():
    with pytest.raises(InputError, match="max_attempts"):
        RandomSampler(max_attempts=0)


def test_bad_counts():
    with pytest.raises(CountsError):
        RandomSampler().sample({"VO2": -1})
