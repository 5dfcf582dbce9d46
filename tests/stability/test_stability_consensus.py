"""Verdicts of several energy models."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen import VANADIUM, load_references
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import EnergyModel, Opinion, StabilityState, Verdict
from atomate2_vogen.stability.consensus import (
    agrees,
    are_independent,
    joint_verdict,
    reference_levels,
    shared_training_data,
)

PBE = EnergyModel(engine="chgnet", scheme="a", functional="PBE(+U)", training_data=["MPtrj"])
PBE2 = EnergyModel(engine="sevennet", scheme="b", functional="PBE(+U)", training_data=["MPtrj"])
R2 = EnergyModel(engine="diep", scheme="c", functional="r2SCAN", training_data=["MatPES"])
TUNED = EnergyModel(engine="tuned", scheme="d", functional="r2SCAN", training_data=["MPtrj", "x"])
DFT = EnergyModel(engine="gpaw", scheme="e", functional="PBE(+U)")


def opinion(model=PBE, height=0.0, state="ranked", *, left=False):
    return Opinion(model=model, state=state, energy_above_hull=height, left_basin=left)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([opinion(R2, 0.1)], Verdict.CONFIRMED),
        ([opinion(R2, 0.1004)], Verdict.CONFIRMED),  # 0.100 as printed
        ([opinion(R2, 0.1006)], Verdict.REFUTED),
        ([opinion(R2, -0.2)], Verdict.CONFIRMED),
        ([opinion(PBE2, 0.01)], Verdict.UNDECIDED),  # the same data
        ([opinion(TUNED, 0.01)], Verdict.UNDECIDED),  # tuned from the same data
        ([opinion(DFT, 0.01)], Verdict.UNDECIDED),  # the same functional
        ([opinion(PBE2, 0.01), opinion(R2, 0.01)], Verdict.CONFIRMED),
        ([opinion(PBE2, 0.01), opinion(R2, 0.2)], Verdict.DISPUTED),
        ([opinion(PBE2, 0.3), opinion(R2, 0.2)], Verdict.REFUTED),
        ([opinion(R2, 0.01, left=True)], Verdict.REFUTED),
        ([opinion(R2, -1.0, "collapsed")], Verdict.REFUTED),
        ([opinion(R2, None, "failed")], Verdict.UNDECIDED),
        ([opinion(R2, 0.01, "unconverged")], Verdict.UNDECIDED),
        ([opinion(R2, 0.01), opinion(PBE2, None, "failed")], Verdict.UNDECIDED),
        ([opinion(R2, 0.3), opinion(PBE2, None, "failed")], Verdict.REFUTED),
    ],
)
def test_verdicts(others, found):
    assert joint_verdict([opinion(PBE, 0.02), *others], 0.1) is found


def test_what_the_first_model_does_not_claim_has_no_verdict():
    for height in (0.0, 0.3):
        assert joint_verdict([opinion(PBE, 0.3), opinion(R2, height)], 0.1) is None
    assert joint_verdict([opinion(PBE, None, "failed"), opinion(R2, 0.0)], 0.1) is None


def test_one_opinion_is_no_consensus():
    with pytest.raises(InputError, match="further energy model"):
        joint_verdict([opinion()], 0.1)


opinions = st.builds(
    opinion,
    st.sampled_from([PBE2, R2, TUNED, DFT]),
    st.floats(-0.5, 0.5),
    st.sampled_from([state.value for state in StabilityState]),
    left=st.booleans(),
)


@given(opinion_first=st.floats(-0.5, 0.5), others=st.lists(opinions, min_size=1, max_size=4))
def test_the_order_of_the_others_is_of_no_matter(opinion_first, others):
    first = opinion(PBE, opinion_first)
    found = {joint_verdict([first, *order], 0.1) for order in itertools.permutations(others)}
    assert len(found) == 1


@given(others=st.lists(opinions, min_size=1, max_size=4), more=opinions)
def test_a_further_opinion_that_does_not_agree_confirms_nothing(others, more):
    before = [opinion(PBE, 0.0), *others]
    after = joint_verdict([*before, more], 0.1)
    if agrees(more, 0.1) is not True:
        assert after is not Verdict.CONFIRMED
    if joint_verdict(before, 0.1) is Verdict.CONFIRMED and agrees(more, 0.1):
        assert after is Verdict.CONFIRMED
    if after is Verdict.CONFIRMED:
        assert all(agrees(one, 0.1) for one in [*before, more])


@given(others=st.lists(opinions, min_size=1, max_size=3), tight=st.floats(0, 0.1))
def test_what_is_confirmed_within_a_limit_is_confirmed_within_a_wider_one(others, tight):
    asked = [opinion(PBE, 0.0), *others]
    if joint_verdict(asked, tight) is Verdict.CONFIRMED:
        assert joint_verdict(asked, 0.1) is Verdict.CONFIRMED


def test_independence_is_mutual_and_never_of_oneself():
    for one, other in itertools.product([PBE, PBE2, R2, TUNED, DFT], repeat=2):
        assert are_independent(one, other) is are_independent(other, one)
    assert not any(are_independent(one, one) for one in (PBE, R2, DFT))
    assert are_independent(R2, DFT)


def test_models_of_common_data_are_named():
    assert shared_training_data([PBE, R2, DFT]) == []
    assert shared_training_data([PBE, PBE2, R2]) == [["chgnet", "sevennet"]]
    bridge = EnergyModel(engine="both", scheme="f", training_data=["MatPES", "MPtrj"])
    assert shared_training_data([PBE, R2, bridge]) == [["chgnet", "diep", "both"]]


def test_levels_are_those_of_the_references():
    references = load_references("CHGNet-0.3.0")
    levels = reference_levels(references, VANADIUM, ["VO2", "V2O3", "V7O11"])
    dioxides = {r.name: r.energy_per_atom for r in references if r.formula == "VO2"}
    assert levels["VO2"].phase == min(dioxides, key=dioxides.get)
    assert levels["VO2"].phase_energy_per_atom == min(dioxides.values())
    # no phase lies below its own hull
    for level in levels.values():
        if level.phase_energy_per_atom is not None:
            assert level.phase_energy_per_atom >= level.hull_energy_per_atom - 1e-9
    assert levels["V7O11"].phase is None
