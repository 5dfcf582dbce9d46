"""Over-generation and ranking by a judge, with judges and crystals made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.samplers import load_sampler
from atomate2_vogen.samplers.base import RefusedError, Sampler, collect_sample
from atomate2_vogen.samplers.filtered import FilteredSampler
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import RejectionReason
from atomate2_vogen.structures.matching import KnownStructures
from atomate2_vogen.structures.reduction import default_matcher


def layered(c: float) -> Structure:
    """Crystals that differ enough in c to be told apart."""
    return Structure(
        Lattice.orthorhombic(3.4, 4.1, c),
        ["V", "V", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.1], [0.5, 0, 0.6], [0.5, 0, 0.1], [0, 0.5, 0.7]],
    )


class ListSampler:
    """Gives a list of crystals, one attempt each; None is an attempt that failed."""

    name, model_id, system = "list", "by hand", VANADIUM

    def __init__(self, crystals):
        self.crystals = crystals

    def sample(self, counts, seed=0, *, known=None):
        def outcomes(formula, wanted, seed):
            for crystal in self.crystals:
                if crystal is None:
                    yield RefusedError(RejectionReason.DUPLICATE, "made by hand")
                else:
                    yield crystal, {"c": crystal.lattice.c}

        return collect_sample(self, self.system, counts, seed, outcomes, known=known)


def by_c(energy):
    """A judge that knows the third edge and counts how often it is loaded and asked."""
    calls = {"loaded": 0, "judged": 0}

    def load():
        calls["loaded"] += 1

        def energies(structures):
            calls["judged"] += len(structures)
            return [energy(structure.lattice.c) for structure in structures]

        return energies

    return load, calls


def test_lowest_energies_are_kept_and_all_others_are_accounted_for():
    crystals = [layered(c) for c in (7.0, 12.0, 9.0, 16.0)]
    judge, calls = by_c(lambda c: -c)
    sampler = FilteredSampler(ListSampler([None, *crystals]), judge, 2, scheme="edges")
    assert isinstance(sampler, Sampler)
    assert calls["loaded"] == 0
    sample = sampler.sample({"VO2": 2}, seed=4)
    assert calls == {"loaded": 1, "judged": 4}
    assert 0 <= sample.judge_cpu_time <= sample.cpu_time
    assert [round(c.structure.lattice.c) for c in sample.candidates] == [16, 12]
    assert [c.details["judged_rank"] for c in sample.candidates] == [1, 2]
    assert sample.candidates[0].details == {
        "c": 16.0,
        "judge": "edges",
        "judged_energy_per_atom": -16.0,
        "judged_rank": 1,
        "judged_of": 4,
    }
    assert sample.attempts == {"VO2": 5}
    assert sample.rejected == {
        "VO2": {RejectionReason.DUPLICATE: 1, RejectionReason.HIGH_ENERGY: 2}
    }
    assert sample.options == {"judge": "edges", "judge_oversample": 2}
    assert sample.requested == {"VO2": 2}


def test_known_crystals_are_left_out_and_named():
    judge, _ = by_c(lambda c: c)
    known = KnownStructures({"the flat one": layered(7.0).copy()})
    crystals = [layered(c) for c in (12.0, 7.0, 16.0)]
    sampler = FilteredSampler(ListSampler(crystals), judge, 1, scheme="edges")
    sample = sampler.sample({"VO2": 2}, seed=0, known=known)
    # without it the flat one is the lowest; the sampler goes on for it
    assert [c.structure.lattice.c for c in sample.candidates] == [12.0, 16.0]
    assert sample.attempts["VO2"] == 3
    assert sample.rejected["VO2"][RejectionReason.KNOWN] == 1
    assert sample.options["novel_only"] is True
    assert (
        "novel_only"
        not in FilteredSampler(ListSampler([layered(7.0)]), judge, 1, scheme="edges")
        .sample({"VO2": 1})
        .options
    )


def test_candidates_keep_the_ids_of_the_wrapped_sampler():
    inner = ListSampler([layered(7.0), layered(12.0)])
    sample = FilteredSampler(inner, by_c(lambda c: -c)[0], 2).sample({"VO2": 1})
    plain = inner.sample({"VO2": 2})
    assert sample.candidates[0].candidate_id == plain.candidates[1].candidate_id
    assert (sample.sampler, sample.model_id) == (plain.sampler, plain.model_id)
    assert "judge" not in plain.candidates[1].details


def test_of_twins_the_lower_stays():
    crystals = [layered(7.0), layered(7.05), layered(16.0)]
    assert default_matcher().fit(crystals[0], crystals[1])
    sample = FilteredSampler(ListSampler(crystals), by_c(lambda c: -c)[0], 3).sample({"VO2": 3})
    assert [c.structure.lattice.c for c in sample.candidates] == [16.0, 7.05]
    assert sample.rejected["VO2"] == {RejectionReason.DUPLICATE: 1}
    assert sample.missing == {"VO2": 1}


def test_one_crystal_that_the_judge_cannot_do_loses_no_other():
    def energy(c):
        if c == 12.0:
            raise RuntimeError("isolated atom")
        return math.nan if c == 9.0 else -c

    crystals = [layered(c) for c in (7.0, 9.0, 12.0)]
    sample = FilteredSampler(ListSampler(crystals), by_c(energy)[0], 3).sample({"VO2": 3})
    assert [c.structure.lattice.c for c in sample.candidates] == [7.0]
    assert sample.rejected["VO2"] == {RejectionReason.NO_ENERGY: 2}


def test_substitution_can_be_filtered_and_repeats():
    """Against the pool itself: no crystal that was drawn and not kept is lower."""
    volumes = lambda structures: [s.volume / len(s) + s.lattice.a for s in structures]  # noqa: E731
    filtered = FilteredSampler(SubstitutionSampler(), lambda: volumes, 3)
    sample = filtered.sample({"VO2": 3, "V2O5": 2}, seed=8)
    again = filtered.sample({"V2O5": 2}, seed=8)
    assert sample.missing == {}
    drawn = SubstitutionSampler().sample({"VO2": 9, "V2O5": 6}, seed=8)
    for formula in ("VO2", "V2O5"):
        ids = [c.candidate_id for c in sample.candidates if c.formula == formula]
        pool = [c for c in drawn.candidates if c.formula == formula]
        lowest = np.argsort(volumes([c.structure for c in pool]))[: len(ids)]
        assert ids == [pool[i].candidate_id for i in lowest]
    assert [c.candidate_id for c in again.candidates] == [
        c.candidate_id for c in sample.candidates if c.formula == "V2O5"
    ]


def test_chgnet_ranks_real_crystals():
    sampler = load_sampler("substitution", judge_oversample=4)
    assert isinstance(sampler, FilteredSampler)
    sample = sampler.sample({"VO2": 1}, seed=0)
    (best,) = sample.candidates
    assert best.details["judge"] == JUDGE_SCHEME
    assert best.details["judged_of"] == 4
    assert -9.2 < best.details["judged_energy_per_atom"] < -4


def test_bad_requests():
    sampler = FilteredSampler(ListSampler([]), by_c(lambda c: c)[0], 2)
    with pytest.raises(CountsError):
        sampler.sample({"VO2": 0})
    with pytest.raises(InputError, match="seed"):
        sampler.sample({"VO2": 1}, seed=-1)
    with pytest.raises(InputError, match="oversample"):
        FilteredSampler(ListSampler([]), oversample=0)


def test_load_sampler_refuses_what_it_does_not_know():
    with pytest.raises(InputError, match=r"'gan'.*wgan"):
        load_sampler("gan")
    with pytest.raises(InputError, match=r"substitution.*colour"):
        load_sampler("substitution", colour=1)
    with pytest.raises(InputError, match="judge_oversample"):
        load_sampler("substitution", judge_oversample=0)
    with pytest.raises(InputError, match="no trained model"):
        load_sampler("random", model="x.zip")


def test_margin_refuses_what_resembles_a_known_crystal():
    def bent(shift):
        crystal = layered(12.0)
        crystal.translate_sites([len(crystal) - 1], [0, 0, shift], frac_coords=False)
        return crystal

    known = {"straight": layered(12.0)}
    assert KnownStructures(known).find(bent(1.7)) is None
    assert KnownStructures(known, margin=2).find(bent(1.7)) == "straight"
    crystals = [bent(1.7), layered(30.0)]
    plain = ListSampler(crystals).sample({"VO2": 2}, known=KnownStructures(known))
    assert len(plain.candidates) == 2
    assert "novelty_margin" not in plain.options
    wide = ListSampler(crystals).sample({"VO2": 2}, known=KnownStructures(known, margin=2))
    assert [c.structure.lattice.c for c in wide.candidates] == [30.0]
    assert wide.rejected["VO2"] == {RejectionReason.KNOWN: 1}
    assert wide.options["novelty_margin"] == 2
