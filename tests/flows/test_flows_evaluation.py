from __future__ import annotations

import json

import cheap_engine
import pytest
from jobflow import Flow, run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from sampler_job import GridSampleMaker

from atomate2_vogen.errors import ElementError, InputError, MissingReferenceError, OverlapError
from atomate2_vogen.flows.evaluation import EvaluateMaker
from atomate2_vogen.schemas import EvaluationDoc, SampleDoc, StabilityState
from atomate2_vogen.stores import VogenStores, parse


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


def maker(**changes) -> EvaluateMaker:
    return EvaluateMaker(
        engine=cheap_engine.engine(), references=cheap_engine.references(), **changes
    )


def run(flow, stores, folder) -> EvaluationDoc:
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    return parse(EvaluationDoc, stores.job_store.get_output(flow.output.uuid, load=True))


def test_structures_and_candidates_are_judged_and_measured(stores, tmp_path):
    crystals = [
        cheap_engine.crystal("VO2", 3.4),
        cheap_engine.candidate(cheap_engine.RAISES),
        cheap_engine.crystal("VO2", 3.5),
        cheap_engine.crystal("VO2", 3.4),
    ]
    document = run(maker().make(crystals), stores, tmp_path)
    assert [doc.formula for doc in document.stability] == ["VO2", "V2O3", "VO2", "VO2"]
    assert document.stability[1].candidate_id == crystals[1].candidate_id
    assert document.stability[1].state is StabilityState.FAILED
    assert len({doc.candidate_id for doc in document.stability}) == 4

    metrics = document.metrics
    assert metrics.scheme == cheap_engine.SCHEME
    assert metrics.hull_id == document.stability[0].hull_id
    assert metrics.samplers == {"files": 3, "test": 1}
    whole = metrics.overall
    assert (whole.n_requested, whole.n_attempts, whole.n_delivered, whole.n_ranked) == (
        4,
        None,
        4,
        3,
    )
    # three sizes of one crystal, which the springs pull to one
    assert metrics.formulas["VO2"].unique.count == 1
    assert whole.unique_relaxed.count == 1
    assert whole.ranked.of_delivered.share == pytest.approx(3 / 4)
    # the time of the judge is known for all, the one that raised too
    assert metrics.n_untimed == 0
    assert metrics.cpu_seconds["relaxation"] > 0
    # none of the references is a VO2 or V2O3, hundreds of prototypes are
    assert metrics.novelty_pool["reference phases"] == 0
    assert 300 < metrics.novelty_pool["prototypes as substituted"] < 500


def test_what_a_job_samples_is_measured_with_its_request(stores, tmp_path):
    sampling = GridSampleMaker(at_most=2).make({"VO2": 3}, 0)
    judging = maker().make(sampling.output)
    document = run(Flow([sampling, judging], output=judging.output), stores, tmp_path)
    whole = document.metrics.overall
    assert (whole.n_requested, whole.n_attempts, whole.n_delivered) == (3, 3, 2)
    assert whole.ranked.of_requested.share == pytest.approx(2 / 3)
    assert document.metrics.seeds == [0]

    given = parse(SampleDoc, stores.job_store.get_output(sampling.uuid, load=True))
    again = run(maker().make(given), stores, tmp_path)
    assert again.metrics.overall.stable == whole.stable
    assert again.metrics.metrics_id == document.metrics.metrics_id


def test_an_empty_sample_is_a_result(stores, tmp_path):
    sampling = GridSampleMaker(at_most=0).make({"VO2": 3}, 0)
    judging = maker().make(sampling.output)
    document = run(Flow([sampling, judging], output=judging.output), stores, tmp_path)
    assert document.stability == []
    assert document.metrics.overall.n_delivered == 0
    assert document.metrics.overall.sun is None


def test_bad_crystals_are_refused_before_anything_runs():
    good = cheap_engine.crystal()
    with pytest.raises(InputError, match="no crystals"):
        maker().make([])
    with pytest.raises(ElementError, match=r"crystal 1: .*Ti"):
        maker().make([good, good.copy().replace_species({"V": "Ti"})])
    with pytest.raises(OverlapError, match="crystal 0: atoms overlap"):
        maker().make([Structure(Lattice.cubic(4), ["V", "O"], [[0, 0, 0], [0.1, 0, 0]]), good])
    candidate = cheap_engine.candidate()
    with pytest.raises(InputError, match=candidate.candidate_id):
        maker().make([candidate, candidate])
    with pytest.raises(MissingReferenceError):
        EvaluateMaker(engine=cheap_engine.engine()).make([good])


def test_survives_json():
    restored = MontyDecoder().decode(json.dumps(maker(), cls=MontyEncoder))
    assert restored.engine.scheme == cheap_engine.SCHEME
    assert restored.system == maker().system
    assert restored.make([cheap_engine.crystal()]).jobs
