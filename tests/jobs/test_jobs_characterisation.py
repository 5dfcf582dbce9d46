"""Flows of one's own: what one job gives goes on to the next stage when it is known."""

from __future__ import annotations

import cheap_engine
import pytest
import toy_engines
from jobflow import Flow, job, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from atomate2_vogen.errors import CountsError, EngineCapabilityError, InputError
from atomate2_vogen.flows import (
    ElectronicFlowMaker,
    EvaluateMaker,
    PhononFlowMaker,
    ScreeningFlowMaker,
)
from atomate2_vogen.jobs import select_best
from atomate2_vogen.schemas import CalculationDoc, ElectronicDoc, PhononDoc, StabilityDoc
from atomate2_vogen.stores import VogenStores

CRYSTALS = [
    cheap_engine.crystal("VO2", 3.4),
    cheap_engine.crystal("VO", 3.4),
    cheap_engine.crystal("VO2", 3.5),
]


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


def evaluation():
    engine, references = cheap_engine.engine(), cheap_engine.references()
    return EvaluateMaker(engine=engine, references=references).make(CRYSTALS)


def phonons():
    return PhononFlowMaker(engine=toy_engines.lj(relax=False), supercell=(1, 1, 1))


def run(jobs, stores, folder, document_class):
    """The output of the last one."""
    flow = Flow(jobs)
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
    found = stores.job_store.get_output(jobs[-1].output.uuid, load=True)
    return [document_class.model_validate(document) for document in found]


@job
def give(what):
    return what


def test_the_best_of_an_evaluation_go_on(stores, tmp_path):
    judged = evaluation()
    best = select_best(judged.output, top=1, threshold=99)
    modes = phonons().make(best.output)
    bands = ElectronicFlowMaker(engine=toy_engines.toy_dft()).make(best.output)
    electronic = run([judged, best, modes, bands], stores, tmp_path, ElectronicDoc)
    chosen = [
        StabilityDoc.model_validate(document)
        for document in stores.job_store.get_output(best.uuid, load=True)
    ]
    # both VO2 relax into one crystal, of which one is kept
    assert [document.formula for document in chosen] == ["VO2", "VO"]
    wanted = [document.candidate_id for document in chosen]
    assert [document.candidate_id for document in electronic] == wanted
    found = stores.job_store.get_output(modes.output.uuid, load=True)
    assert [PhononDoc.model_validate(document).candidate_id for document in found] == wanted
    written = stores.ingest_jobs()
    assert (written["electronic"], written["phonons"]) == (2, 2)


def test_nothing_below_the_threshold_is_a_result(stores, tmp_path):
    judged = evaluation()
    best = select_best(judged.output, threshold=-99)
    modes = phonons().make(best.output)
    assert run([judged, best, modes], stores, tmp_path, PhononDoc) == []


def test_one_structure_or_several_of_any_job(stores, tmp_path):
    """As they come from a relaxation of atomate2, say."""
    one, several = give(CRYSTALS[0]), give(CRYSTALS[:2])
    single = phonons().make(one.output)
    (document,) = run([one, single], stores, tmp_path, PhononDoc)
    assert document.formula == "VO2"
    screened = ScreeningFlowMaker(engine=cheap_engine.engine()).make(several.output)
    found = run([several, screened], stores, tmp_path, CalculationDoc)
    assert [document.candidate.formula for document in found] == ["VO2", "VO"]
    # the same crystals given at once are the same candidates
    direct = ScreeningFlowMaker(engine=cheap_engine.engine()).make(CRYSTALS[:2])
    again = run([direct], stores, tmp_path, CalculationDoc)
    assert [d.candidate_id for d in again] == [d.candidate_id for d in found]


def test_a_relaxation_that_failed_stops_no_other(stores, tmp_path, caplog):
    crystals = [cheap_engine.crystal(cheap_engine.RAISES), CRYSTALS[0]]
    screened = ScreeningFlowMaker(engine=cheap_engine.engine()).make(crystals)
    modes = phonons().make(screened.output)
    (document,) = run([screened, modes], stores, tmp_path, PhononDoc)
    assert document.formula == "VO2"
    assert "is left out: not relaxed" in caplog.text


def test_typed_errors_before_anything_runs():
    output = give([]).output
    with pytest.raises(EngineCapabilityError, match="no phonon Maker"):
        PhononFlowMaker(engine=cheap_engine.engine()).make(output)
    with pytest.raises(EngineCapabilityError, match="no band structure Maker"):
        ElectronicFlowMaker(engine=cheap_engine.engine()).make(output)
    with pytest.raises(CountsError, match="best 0 of each formula"):
        select_best(output, top=0)
    with pytest.raises(InputError, match="threshold above hull is nan"):
        select_best(output, threshold=float("nan"))


def test_workers_of_the_analysis_take_them():
    judged = evaluation()
    best = select_best(judged.output)
    modes = phonons().make(best.output)
    workflow = flow_to_workflow(Flow([judged, best, modes]))
    categories = {fw.name: fw.spec["_category"] for fw in workflow.fws}
    assert categories["select best"] == categories["phonons"] == "analysis"
