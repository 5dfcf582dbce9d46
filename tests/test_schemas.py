"""Documents: deterministic keys, counts that add up, and a round trip through JSON."""

import json
from datetime import UTC, datetime

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from atomate2_vogen import __version__
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import (
    SCHEMA_VERSION,
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    Rejection,
    RejectionReason,
    SampleDoc,
    StabilityDoc,
)

CELL = Structure(Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def candidate(**changes):
    fields = {"sampler": "s", "model_id": "m", "formula": "VO", "seed": 0, "index": 0}
    return CandidateDoc.make(CELL, **(fields | changes))


def test_candidate_ids_are_deterministic_and_tell_everything_apart():
    assert candidate().candidate_id == candidate().candidate_id == "VO-a902547ae56a"
    others = [
        candidate(),
        candidate(sampler="t"),
        candidate(model_id="n"),
        candidate(formula="VO2"),
        candidate(seed=1),
        candidate(index=1),
    ]
    assert len({c.candidate_id for c in others}) == len(others)


def test_documents_carry_versions_and_time():
    before = datetime.now(UTC)
    document = candidate()
    assert document.schema_version == SCHEMA_VERSION
    assert document.package_version == __version__
    assert before <= document.last_updated <= datetime.now(UTC)


def sample():
    return SampleDoc.make(
        sampler="s",
        model_id="m",
        seed=0,
        requested={"VO": 3, "VO2": 1, "V2O3": 2},
        attempts={"VO": 5, "VO2": 0, "V2O3": 2},
        candidates=[
            candidate(index=0),
            candidate(index=1),
            *(candidate(formula="V2O3", index=i) for i in range(2)),
        ],
        rejections=[
            Rejection(formula="VO", index=2, reason=RejectionReason.DUPLICATE),
            Rejection(formula="VO", index=3, reason=RejectionReason.DUPLICATE),
            Rejection(formula="VO", index=4, reason=RejectionReason.ATOMS_TOO_CLOSE),
        ],
        wall_time=1.0,
    )


def test_sample_counts_rejections_yields_and_what_is_missing():
    document = sample()
    assert document.rejected["VO"] == {"duplicate": 2, "atoms too close": 1}
    assert document.rejected["V2O3"] == {}
    assert document.yields == {"VO": 2 / 5, "VO2": 0.0, "V2O3": 1.0}
    assert document.missing == {"VO": 1, "VO2": 1}


def calculation():
    one = candidate()
    return CalculationDoc(
        calculation_id="c",
        candidate_id=one.candidate_id,
        scheme="x",
        state="completed",
        candidate=one,
        structure=CELL,
        energy_per_atom=-8.0,
    )


@pytest.mark.parametrize("make", [candidate, sample, calculation])
def test_round_trip_through_the_json_that_stores_write(make):
    document = make()
    text = json.dumps(document.model_dump(mode="python"), cls=MontyEncoder)
    again = type(document).model_validate(json.loads(text, cls=MontyDecoder))
    assert again == document


def test_fields_of_the_database_are_ignored():
    stored = candidate().model_dump() | {"_id": "5f", "@class": "CandidateDoc"}
    assert CandidateDoc.model_validate(stored).candidate_id == candidate().candidate_id


def test_states_read_back_from_text():
    assert calculation().state is CalculationState.COMPLETED
    with pytest.raises(ValidationError):
        calculation().model_validate(calculation().model_dump() | {"state": "done"})


def test_stability_needs_to_say_whether_it_converged():
    with pytest.raises(ValidationError, match="is_converged"):
        StabilityDoc(
            stability_id="a",
            candidate_id="a",
            scheme="x",
            hull_id="h",
            chemsys="O-V",
            formula="VO",
            natoms=2,
            sampler="s",
            model_id="m",
            state="ranked",
        )


def part(formula, seconds, **changes):
    content = {
        "sampler": "s",
        "model_id": "m",
        "seed": 1,
        "requested": {formula: 2},
        "attempts": {formula: 5},
        "candidates": [candidate(formula=formula, seed=1)],
        "rejections": [Rejection(formula=formula, index=0, reason=RejectionReason.DUPLICATE)],
        "wall_time": seconds,
        "cpu_time": seconds,
    }
    return SampleDoc.make(**(content | changes))


def test_samples_of_different_formulas_merge_into_one():
    merged = SampleDoc.merge([part("VO2", 3.0), part("V2O3", 4.0, judge_cpu_time=1.5)])
    assert merged.requested == {"VO2": 2, "V2O3": 2}
    assert merged.attempts == {"VO2": 5, "V2O3": 5}
    assert merged.yields == {"VO2": 0.2, "V2O3": 0.2}
    assert merged.missing == {"VO2": 1, "V2O3": 1}
    assert merged.rejected == {"VO2": {"duplicate": 1}, "V2O3": {"duplicate": 1}}
    assert (merged.wall_time, merged.cpu_time, merged.judge_cpu_time) == (7.0, 7.0, 1.5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 2}, "seed: 1 and 2"),
        ({"model_id": "other"}, "model_id"),
        ({"options": {"preselect": 4}}, "options"),
        ({"requested": {"VO2": 2}}, "VO2 in more than one"),
    ],
)
def test_samples_that_differ_are_not_merged(changes, named):
    other = part("V2O3", 4.0).model_copy(update=changes)
    with pytest.raises(InputError, match=named):
        SampleDoc.merge([part("VO2", 3.0), other])
    with pytest.raises(InputError, match="no samples"):
        SampleDoc.merge([])
