from __future__ import annotations

import json
import math
from types import SimpleNamespace

import cheap_engine
import numpy as np
import pytest
from jobflow import CURRENT_JOB
from monty.json import MontyDecoder, MontyEncoder

from atomate2_vogen.engines.methods import Method
from atomate2_vogen.flows import ScreeningFlowMaker
from atomate2_vogen.jobs import outcomes
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.later import _make
from atomate2_vogen.jobs.screening import collect, record
from atomate2_vogen.schemas import CalculationDoc, CalculationState, SampleDoc
from atomate2_vogen.structures.matching import rmsd

CANDIDATE = cheap_engine.candidate()


def task(energy=-21.0, force=0.01, state="successful", **changes):
    """The fields that task documents of all codes share."""
    structure = changes.pop("structure", cheap_engine.crystal())
    return SimpleNamespace(
        structure=structure,
        state=state,
        output=SimpleNamespace(energy=energy, forces=[[force, 0, 0]] * 3, n_steps=12),
        **changes,
    )


METHODS = {stage: Method("CHGNet", scheme="s-1") for stage in ("relax", "static")}


def recorded(methods=None, **tasks):
    tasks = {"initial": task(-18.0), "relaxed": task(), "static": task()} | tasks
    return record.original(CANDIDATE, "s-1", {"chgnet": "0.4.2"}, methods=methods, **tasks)


def chgnet_task(version="0.4.2", **changes):
    return task(forcefield_name="MLFF.CHGNet", forcefield_version=version, **changes)


def test_numbers_are_taken_from_the_right_calculation():
    document = recorded(relaxed=task(energy=-99.0), static=task(energy=-21.0, force=0.04))
    assert document.state is CalculationState.COMPLETED
    assert document.error is None
    assert document.energy_per_atom == pytest.approx(-7.0)
    assert document.initial_energy_per_atom == pytest.approx(-6.0)
    assert document.max_force == pytest.approx(0.04)
    assert document.n_steps == 12
    assert document.calculation_id == f"{CANDIDATE.candidate_id}|s-1"


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ({"relaxed": None}, "relaxation left no result"),
        ({"static": None}, "static calculation left no result"),
        ({"relaxed": JobFailure(error="boom")}, "boom"),
        ({"static": JobFailure(error="boom")}, "boom"),
        ({"static": task(energy=math.nan)}, "energy is nan"),
        ({"static": task(energy=None)}, "energy is None"),
        ({"static": task(force=math.inf)}, "force is inf"),
        ({"static": task(structure=None)}, "no structure"),
        ({"static": SimpleNamespace(structure=cheap_engine.crystal())}, "output"),
        ({"static": chgnet_task()}, "CHGNet computed this.* does not state its method"),
    ],
)
def test_what_cannot_be_trusted_is_failed_with_a_reason(tasks, reason):
    document = recorded(**tasks)
    assert document.state is CalculationState.FAILED
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(document.error)


@pytest.mark.parametrize("changes", [{"state": "failed"}, {"is_force_converged": False}])
def test_unconverged_relaxations_keep_their_numbers(changes):
    document = recorded(relaxed=task(**changes))
    assert document.state is CalculationState.UNCONVERGED
    assert document.energy_per_atom == pytest.approx(-7.0)


def test_the_same_method_at_work_is_fine():
    tasks = dict.fromkeys(("initial", "relaxed", "static"), chgnet_task())
    document = recorded(METHODS, **tasks)
    assert document.state is CalculationState.COMPLETED
    assert document.error is None


@pytest.mark.parametrize("stage", ["relaxed", "static"])
@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (chgnet_task("0.5.0"), r"CHGNet computed this with chgnet 0\.5\.0 instead of 0\.4\.2"),
        (task(forcefield_name="MLFF.MACE"), "MACE computed this.* of scheme s-1 is CHGNet"),
        (task(), "does not state what computed it"),
    ],
)
def test_another_method_at_work_fails_and_leaves_no_number(stage, foreign, reason):
    tasks = dict.fromkeys(("initial", "relaxed", "static"), chgnet_task()) | {stage: foreign}
    document = recorded(METHODS, **tasks)
    assert document.state is CalculationState.FAILED
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(document.error)
    assert document.energy_per_atom is document.structure is document.max_force is None


def test_an_energy_before_relaxation_may_be_missing():
    document = recorded(initial=JobFailure(error="boom"))
    assert document.state is CalculationState.COMPLETED
    assert document.initial_energy_per_atom is None
    assert "boom" in document.error


def test_collect_fills_in_what_never_came():
    other = cheap_engine.candidate("VO2", 1)
    present = recorded()
    found = collect.original([CANDIDATE, other], "s-1", [present, None])
    assert found[0] is present
    assert found[1].state is CalculationState.FAILED
    assert found[1].candidate_id == other.candidate_id


def test_screening_accepts_samples_and_lists(monkeypatch):
    monkeypatch.setattr(CURRENT_JOB, "job", None)  # an earlier test may have left one
    sample = SampleDoc.make(
        sampler="test", model_id="grid", seed=0, requested={"VO2": 1}, attempts={"VO2": 1},
        candidates=[CANDIDATE], rejections=[], wall_time=0.0,
    )  # fmt: skip
    maker = ScreeningFlowMaker(engine=cheap_engine.engine())
    for source in (sample, [CANDIDATE]):
        assert len(_make.original(maker, source).replace.jobs) == 2
    assert _make.original(maker, []).output == []


def test_time_is_that_of_all_calculations_or_unknown():
    def timed(seconds):
        document = task()
        document.output.elapsed_time = seconds
        return document

    tasks = {"initial": timed(1.5), "relaxed": timed(20.0), "static": timed(2.0)}
    assert recorded(**tasks).wall_time == pytest.approx(23.5)
    failed = {"relaxed": JobFailure(error="boom", elapsed_time=4.0)}
    failed["static"] = JobFailure(error="boom", elapsed_time=0.0)
    assert recorded(**(tasks | failed)).wall_time == pytest.approx(5.5)
    for unknown in (None, timed(None), JobFailure(error="boom")):
        assert recorded(**(tasks | {"relaxed": unknown})).wall_time is None


def test_cpu_time_is_that_of_all_calculations_or_unknown():
    tasks = {
        name: task(cpu_time=seconds)
        for name, seconds in {"initial": 1.0, "relaxed": 8.5, "static": 0.5}.items()
    }
    assert recorded(**tasks).cpu_time == pytest.approx(10.0)
    assert recorded(**(tasks | {"static": task()})).cpu_time is None
    failed = JobFailure(error="boom", elapsed_time=4.0, cpu_time=2.0)
    assert recorded(**(tasks | {"relaxed": failed})).cpu_time == pytest.approx(3.5)


def moved(distance):
    structure = CANDIDATE.structure.copy()
    structure.translate_sites([0], [distance, 0, 0], frac_coords=False)
    return structure


def test_how_far_the_atoms_moved_is_recorded():
    """One of n atoms moves by d in a fixed cell: minus the mean, rms = d sqrt(n - 1) / n."""
    document = recorded(static=task(structure=moved(0.02)))
    n = len(CANDIDATE.structure)
    assert document.rmsd_to_relaxed == pytest.approx(0.02 * np.sqrt(n - 1) / n, abs=1e-6)
    assert document.still_matches is True
    unlike = recorded(static=task(structure=cheap_engine.crystal("VO2", 7.0)))
    assert unlike.rmsd_to_relaxed is None
    assert unlike.still_matches is False


def test_what_stores_hold_gives_the_same_number_to_the_last_bit():
    document = recorded(static=task(structure=moved(0.1234567)))
    text = json.dumps(document.model_dump(mode="python"), cls=MontyEncoder)
    again = CalculationDoc.model_validate(json.loads(text, cls=MontyDecoder))
    assert rmsd(again.candidate.structure, again.structure) == document.rmsd_to_relaxed


def test_what_cannot_be_compared_is_left_to_judging(monkeypatch):
    def broken(generated, relaxed):
        raise RuntimeError("no lattice")

    monkeypatch.setattr(outcomes, "rmsd", broken)
    document = recorded()
    assert document.state is CalculationState.COMPLETED
    assert (document.rmsd_to_relaxed, document.still_matches) == (None, None)
    nothing = recorded(static=task(structure=None))
    assert nothing.still_matches is None
