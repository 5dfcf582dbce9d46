from __future__ import annotations

import json

import cheap_engine
import pytest
from jobflow import run_locally
from jobflow.managers.fireworks import flow_to_workflow
from monty.json import MontyDecoder, MontyEncoder

from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import CalculationDoc, CalculationState
from atomate2_vogen.stores import VogenStores


def run(flow, stores, folder):
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [CalculationDoc.model_validate(document) for document in found]


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


def test_one_bad_candidate_never_stops_the_rest(stores, tmp_path):
    candidates = [
        cheap_engine.candidate("VO2", 0),
        cheap_engine.candidate(cheap_engine.RAISES),
        cheap_engine.candidate(cheap_engine.GIVES_NAN),
        cheap_engine.candidate("VO2", 1, a=3.4),
    ]
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make(candidates)
    found = run(flow, stores, tmp_path)

    assert [doc.candidate_id for doc in found] == [c.candidate_id for c in candidates]
    good, cursed, nan, other = found
    assert good.state is other.state is CalculationState.COMPLETED
    assert cursed.state is nan.state is CalculationState.FAILED
    assert "cursed" in cursed.error
    assert "nan" in nan.error
    assert good.error is None
    # energies and forces against ASE by hand
    from pymatgen.io.ase import AseAtomsAdaptor

    for document in (good, other):
        for structure, energy in (
            (document.candidate.structure, document.initial_energy_per_atom),
            (document.structure, document.energy_per_atom),
        ):
            atoms = AseAtomsAdaptor.get_atoms(structure)
            atoms.calc = cheap_engine.tempered()
            assert energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-8)
        assert document.energy_per_atom < document.initial_energy_per_atom
        assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=1e-3)
        volume = document.structure.volume / len(document.structure)
        assert volume == pytest.approx(cheap_engine.VOLUME, rel=0.01)
        assert 0 <= document.max_force <= 0.05
        assert document.n_steps > 1


def test_steps_used_up_is_unconverged_not_failed(stores, tmp_path):
    flow = ScreeningFlowMaker(engine=cheap_engine.engine(steps=2)).make([cheap_engine.candidate()])
    (document,) = run(flow, stores, tmp_path)
    assert document.state is CalculationState.UNCONVERGED
    assert document.energy_per_atom is not None
    assert "not converged" in document.error


def test_even_a_record_that_breaks_stops_no_other(stores, tmp_path, monkeypatch):
    def full_disk(document):
        if len(document.structure) == 2:
            raise OSError("no space left on device")
        return 0.01

    monkeypatch.setattr("atomate2_vogen.jobs.screening.results.max_force", full_disk)
    candidates = [cheap_engine.candidate("VO"), cheap_engine.candidate("VO2")]
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make(candidates)
    broken, good = run(flow, stores, tmp_path)
    assert good.state is CalculationState.COMPLETED
    assert broken.state is CalculationState.FAILED
    assert broken.candidate_id == candidates[0].candidate_id
    assert "left no result" in broken.error


def test_calculations_are_found_by_metadata(stores, tmp_path):
    candidate = cheap_engine.candidate()
    run(ScreeningFlowMaker(engine=cheap_engine.engine()).make([candidate]), stores, tmp_path)
    jobs = list(
        stores.job_store.query(
            {"metadata.candidate_id": candidate.candidate_id, "metadata.scheme": "cheap-1"}
        )
    )
    assert {job["metadata"]["stage"] for job in jobs} == {
        *("initial", "relax", "static", "record"),
        *("refine", "refine relax", "refine static"),
    }


def test_nothing_is_left_in_the_working_folder(stores, tmp_path):
    run(
        ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()]),
        stores,
        tmp_path,
    )
    assert list(tmp_path.iterdir()) == []


def test_empty_and_double_requests_are_refused():
    maker = ScreeningFlowMaker(engine=cheap_engine.engine())
    with pytest.raises(InputError, match="no candidates"):
        maker.make([])
    candidate = cheap_engine.candidate()
    with pytest.raises(InputError, match=candidate.candidate_id):
        maker.make([candidate, candidate])


def test_converts_to_a_fireworks_workflow():
    maker = ScreeningFlowMaker(engine=cheap_engine.engine())
    restored = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
    assert restored.engine.scheme == maker.engine.scheme
    flow = restored.make([cheap_engine.candidate("VO2", i) for i in range(2)])
    workflow = flow_to_workflow(flow)
    assert len(workflow.fws) == 11  # five of each crystal, and one that collects
    assert json.dumps(workflow.to_dict(), default=str)
