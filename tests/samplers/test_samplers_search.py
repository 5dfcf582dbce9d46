"""Search on a learned potential: what comes out, in which order, and what is refused."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from toy_potential import toy_potential

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import (
    ArtefactError,
    CountsError,
    InputError,
    MissingModelError,
)
from atomate2_vogen.potential import load_potential
from atomate2_vogen.samplers import SearchSampler, load_sampler
from atomate2_vogen.samplers import search as module
from atomate2_vogen.schemas import RejectionReason, RelaxedDraws
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import KnownStructures

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")

OPTIONS = {"draws": 10, "steps": 36, "narrowing": ((6, 0.4),)}


@pytest.fixture(scope="module")
def sampler():
    return SearchSampler(**OPTIONS)


@pytest.fixture(scope="module")
def document(sampler):
    return sampler.sample({"VO2": 4, "V2O3": 2}, seed=3)


def crystals(document, formula):
    return [one.structure for one in document.candidates if one.formula == formula]


def energies(document, formula):
    return [
        one.details["potential_energy_per_atom"]
        for one in document.candidates
        if one.formula == formula
    ]


def test_requested_compositions_are_honoured_exactly(document):
    assert document.missing == {}
    assert [one.formula for one in document.candidates] == ["VO2"] * 4 + ["V2O3"] * 2
    for candidate in document.candidates:
        assert candidate.structure.composition.reduced_formula == candidate.formula
        assert 7 <= len(candidate.structure) <= VANADIUM.max_atoms
        assert too_close(candidate.structure, VANADIUM) is None
        assert 1 <= candidate.details["space_group_drawn"] <= 230


def test_the_lowest_come_first_with_the_energies_of_the_potential(document):
    for formula in ("VO2", "V2O3"):
        found = energies(document, formula)
        # a crystal that was made symmetric may be a little higher or lower than before
        assert all(then > first - 0.01 for first, then in itertools.pairwise(found))
        again = load_potential().energies(crystals(document, formula))
        np.testing.assert_allclose(again, found, atol=2e-3)


def test_no_two_are_alike(document):
    matcher = StructureMatcher()
    found = crystals(document, "VO2")
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert not any(matcher.fit(a, b) for a, b in pairs)


def test_a_search_goes_lower_than_its_draws(sampler, document):
    draws = [sampler._draw("VO2", 3, number)[1] for number in range(40)]
    drawn = load_potential().energies([one for one in draws if one is not None])
    assert max(energies(document, "VO2")) < drawn.min() - 0.02


def test_same_seed_same_crystals_and_formulas_do_not_disturb_each_other(sampler, document):
    again = sampler.sample({"V2O3": 2}, seed=3)
    before = [one for one in document.candidates if one.formula == "V2O3"]
    assert [one.candidate_id for one in again.candidates] == [one.candidate_id for one in before]
    for one, other in zip(again.candidates, before, strict=True):
        assert one.structure == other.structure
    other = sampler.sample({"V2O3": 2}, seed=4)
    assert crystals(other, "V2O3") != crystals(again, "V2O3")


def test_other_crystals_have_other_ids(sampler, document):
    """The lowest of 10 draws and the lowest of 20 are two crystals, and two keys in a store."""
    fewer = sampler.sample({"V2O3": 1}, seed=3)
    ids = {one.candidate_id for one in document.candidates}
    assert ids.isdisjoint(one.candidate_id for one in fewer.candidates)
    assert len(ids) == 6


def test_known_crystals_are_refused(sampler, document):
    first, *rest = crystals(document, "V2O3")
    known = KnownStructures({"the lowest": first})
    found = sampler.sample({"V2O3": 2}, seed=3, known=known)
    assert found.rejected["V2O3"][RejectionReason.KNOWN] == 1
    assert found.candidates[0].structure == rest[0]
    assert found.options["novel_only"] is True


def test_what_is_missing_is_counted():
    """Two draws give at most two crystals, of which one is kept."""
    found = SearchSampler(draws=1, narrowing=[(2, 0.5)], steps=4).sample({"VO2": 2}, seed=1)
    assert found.missing == {"VO2": 2 - len(found.candidates)}
    assert found.missing["VO2"] >= 1
    assert found.attempts["VO2"] == 2
    assert sum(found.rejected["VO2"].values()) == 2 - len(found.candidates)


def test_a_draw_that_cannot_be_made_is_counted(monkeypatch):
    monkeypatch.setattr(module, "draw_crystal", lambda *_: (225, None))
    found = SearchSampler(draws=3).sample({"VO2": 1})
    assert found.candidates == []
    assert found.rejected["VO2"] == {RejectionReason.GENERATION_FAILED: 3}


def test_what_falls_apart_is_counted_and_not_relaxed_further(monkeypatch):
    draw = module.draw_crystal

    def stretched(*arguments):
        group, crystal = draw(*arguments)
        return group, crystal.scale_lattice(100 * crystal.volume)

    monkeypatch.setattr(module, "draw_crystal", stretched)
    found = SearchSampler(toy_potential(), draws=3, narrowing=()).sample({"VO2": 1})
    assert found.candidates == []
    assert found.rejected["VO2"] == {RejectionReason.GENERATION_FAILED: 3}


def test_a_potential_as_an_object_or_a_file(tmp_path):
    potential = toy_potential()
    potential.save(tmp_path / "own.npz")
    options = {"draws": 2, "steps": 4, "narrowing": ()}
    of_file = load_sampler("search", potential=tmp_path / "own.npz", **options)
    of_object = SearchSampler(potential, **options)
    assert of_file.model_id == of_object.model_id
    assert of_file.model_id.startswith(f"{potential.potential_id}-pyxtal-")
    assert of_file.model_id != SearchSampler(**options).model_id
    one, other = (made.sample({"VO2": 1}, seed=2) for made in (of_file, of_object))
    assert [c.structure for c in one.candidates] == [c.structure for c in other.candidates]


def test_progress_is_told():
    seen = []
    options = {"draws": 2, "narrowing": (), "steps": 2}
    SearchSampler(toy_potential(), **options, progress=lambda *of: seen.append(of)).sample(
        {"VO2": 1}
    )
    assert seen == [("VO2", 2, 2)]


def test_a_system_without_a_potential_names_the_command():
    with pytest.raises(MissingModelError, match=r"python tools/train_potential.py --system Ti-O"):
        SearchSampler(system=TITANIUM)


def test_a_potential_of_another_system():
    with pytest.raises(InputError, match="the potential is of O-V, asked for is O-Ti"):
        SearchSampler(toy_potential(), system=TITANIUM)


def test_a_damaged_potential(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"broken")
    with pytest.raises(ArtefactError, match=r"bad\.npz: .*train_potential"):
        SearchSampler(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    "option",
    [
        {"draws": 0},
        {"draws": 1.5},
        {"min_atoms": 0},
        {"steps": -1},
        {"narrowing": 0},
        {"narrowing": "half"},
        {"narrowing": [4, 0.5]},
        {"narrowing": [(4, 1.1)]},
        {"narrowing": [(4, float("nan"))]},
        {"narrowing": [(0, 0.5)]},
        {"narrowing": [(4, 0.5), (4, 0.2)]},
        {"narrowing": [(4, 0.2), (8, 0.5)]},
        {"narrowing": [(80, 0.5)]},
        {"symmetry_tolerance": -0.1},
        {"symmetry_tolerance": float("inf")},
    ],
)
def test_options_out_of_range(option):
    with pytest.raises(InputError, match=next(iter(option))):
        SearchSampler(toy_potential(), **option)


def test_unknown_options_and_counts():
    with pytest.raises(InputError, match="options of the sampler search"):
        load_sampler("search", depth=3)
    sampler = SearchSampler(toy_potential())
    with pytest.raises(CountsError, match="V10O19 has more than 20 atoms"):
        sampler.sample({"V10O19": 1})
    with pytest.raises(CountsError):
        sampler.sample({"VO2": 0})
    with pytest.raises(InputError, match="seed"):
        sampler.sample({"VO2": 1}, seed=-1)


def test_options_that_decide_are_kept(document):
    assert document.options == OPTIONS
    assert re.fullmatch(r"[0-9a-f]{16}-pyxtal-[\d.]+", document.model_id)


@pytest.fixture
def small_blocks(monkeypatch):
    """Eight draws are compared with each other, so that few are more than one part."""
    monkeypatch.setattr(module, "DRAWS_COMPARED", 8)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_draws_relaxed_in_parts_give_the_same_sample(parts):
    plain = SearchSampler(draws=8)
    whole = plain.sample({"VO2": 3, "VO": 1}, seed=5)
    made = [plain.relax_part("VO2", 3, 5, part, parts) for part in range(parts)]
    # as a job store keeps them, and in any order
    stored = [RelaxedDraws.model_validate_json(one.model_dump_json()) for one in reversed(made)]
    divided = SearchSampler(draws=8, relaxed=stored).sample({"VO2": 3, "VO": 1}, seed=5)
    names = [[one.candidate_id for one in made.candidates] for made in (divided, whole)]
    assert names[0] == names[1]
    assert len(names[0]) >= 3
    assert divided.rejected == whole.rejected
    assert divided.attempts == whole.attempts
    for one, other in zip(divided.candidates, whole.candidates, strict=True):
        assert one.structure == other.structure
        assert one.details == other.details


@pytest.mark.usefixtures("small_blocks")
def test_parts_of_another_search_are_refused():
    sampler = SearchSampler(draws=8)
    first, second = (sampler.relax_part("VO2", 2, 5, part, 2) for part in range(2))
    for parts, options, seed in (
        ([first], {}, 5),
        ([first, first], {}, 5),
        ([first, second], {}, 6),
        ([first, second], {"steps": 40}, 5),
        ([first, second], {"draws": 9}, 5),
    ):
        other = SearchSampler(**{"draws": 8} | options, relaxed=parts)
        with pytest.raises(InputError, match="not all parts"):
            other.sample({"VO2": 2}, seed=seed)
    for part, parts in ((2, 2), (-1, 2), (0, 3), (0, 0)):
        with pytest.raises(InputError, match="there are 1 to 2 parts"):
            sampler.relax_part("VO2", 2, 5, part, parts)
