"""Powerups reach every calculation of every flow, made at once or when a job has run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import cheap_engine
import marked_makers
import pytest
import toy_engines
from atomate2.forcefields.flows.phonons import PhononMaker
from jobflow import Flow, Job, job, run_locally
from marked_makers import RAN, Marked
from monty.json import MontyDecoder, MontyEncoder
from sampler_job import GridSampleMaker

from atomate2_vogen.engines.forcefields import SharedRelaxMaker, SharedStaticMaker
from atomate2_vogen.engines.references import ReferencePhase
from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.flows import (
    DiscoveryFlowMaker,
    ElectronicFlowMaker,
    EvaluateMaker,
    MoleculeReferencesFlowMaker,
    PhononFlowMaker,
    ReferencesFlowMaker,
    ScreeningFlowMaker,
)
from atomate2_vogen.jobs.guard import GuardedMaker
from atomate2_vogen.jobs.tolerance import guard_flow
from atomate2_vogen.stores import VogenStores

CRYSTALS = [cheap_engine.crystal("VO2", 3.4), cheap_engine.crystal("VO2", 3.5)]
SCREENED = {"MarkedRelaxMaker", "MarkedStaticMaker"}
BANDS = {"MarkedToyStatic", "MarkedToyBands"}


@job
def give(what):
    return what


@dataclass
class Case:
    """A Maker of a flow, what it makes it of, and the Makers whose calculations run."""

    maker: Any
    argument: Any
    kinds: set[str] = field(default_factory=lambda: set(SCREENED))

    def flow(self, dynamic: bool, maker: Any = None) -> Flow:
        maker = maker or self.maker
        # a discovery knows its counts, but its crystals only when it runs
        if not dynamic or isinstance(self.argument, dict):
            return maker.make(self.argument)
        before = give(self.argument)
        made = maker.make(before.output)
        return Flow([before, made], output=made.output)


def screening():
    return Case(ScreeningFlowMaker(engine=marked_makers.engine()), CRYSTALS)


def evaluation():
    candidates = [cheap_engine.candidate("VO2", index) for index in range(2)]
    maker = EvaluateMaker(engine=marked_makers.engine(), references=cheap_engine.references())
    return Case(maker, candidates)


def electronic():
    engine = marked_makers.engine(toy_engines.toy_dft())
    return Case(ElectronicFlowMaker(engine=engine), CRYSTALS[:1], BANDS)


def phonons():
    engine = marked_makers.engine(toy_engines.lj())
    return Case(PhononFlowMaker(engine=engine, supercell=(1, 1, 1)), [toy_engines.fcc()])


def references():
    phases = [
        ReferencePhase(formula, cheap_engine.crystal(formula), 0.0) for formula in ("V", "O2", "VO")
    ]
    return Case(ReferencesFlowMaker(engine=marked_makers.engine()), phases)


def molecules():
    """With the anion as a molecule in a box."""
    phases = [
        ReferencePhase(formula, cheap_engine.crystal(formula), 0.0) for formula in ("V", "VO")
    ]
    return Case(MoleculeReferencesFlowMaker(engine=marked_makers.engine()), phases)


def discovery(phonons=None):
    """Its crystals, and those that go on to the last stages, are known when it runs."""
    maker = DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=marked_makers.engine(),
        references=cheap_engine.references(),
        electronic=ElectronicFlowMaker(engine=marked_makers.engine(toy_engines.toy_dft())),
        phonons=phonons,
        threshold=99,
    )
    return Case(maker, {"VO2": 1}, SCREENED | BANDS)


def flows(*cases):
    names = [f"{build.__name__}-{'later' if dynamic else 'now'}" for build, dynamic in cases]
    return pytest.mark.parametrize(("build", "dynamic"), cases, ids=names)


every_flow = flows(
    (screening, False), (screening, True), (evaluation, False), (evaluation, True),
    (electronic, False), (electronic, True), (phonons, False), (phonons, True),
    (references, False), (molecules, False), (discovery, True),
)  # fmt: skip
few_flows = flows((screening, True), (electronic, False), (phonons, False))


@pytest.fixture
def run(tmp_path):
    with VogenStores.memory() as stores:

        def run(flow):
            RAN.clear()
            run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
            return stores.job_store

        run.store = stores.job_store
        yield run


def kinds():
    return {type(maker).__name__ for maker in RAN}


@every_flow
def test_changes_of_a_flow_reach_every_calculation_and_job(run, build, dynamic, monkeypatch):
    case = build()
    flow = case.flow(dynamic)
    flow.update_maker_kwargs({"mark": "x"}, class_filter=Marked)
    flow.update_metadata({"campaign": "spring"})
    flow.update_config({"manager_config": {"_fworker": "mine"}}, attributes="manager_config")
    flow.append_name(" (spring)")
    flow = MontyDecoder().decode(json.dumps(flow, cls=MontyEncoder))
    workers = []
    genuine = Job.run

    def spied(self, *arguments, **options):
        workers.append(self.config.manager_config.get("_fworker"))
        return genuine(self, *arguments, **options)

    monkeypatch.setattr(Job, "run", spied)
    store = run(flow)
    assert kinds() == case.kinds
    assert {maker.mark for maker in RAN} == {"x"}
    jobs = list(store.query({}, properties=["name", "metadata"]))
    assert len(workers) >= len(jobs) >= len(RAN)
    assert set(workers) == {"mine"}
    for found in jobs:
        assert found["metadata"].get("campaign") == "spring", found["name"]
        assert "(spring)" in found["name"], found["name"]


@every_flow
def test_changes_of_the_flows_maker_reach_those_that_they_fit(run, build, dynamic):
    """Here as dict mods, and only where the Maker's name fits."""
    case = build()
    change = {"_set": {"mark": "x"}}
    maker = case.maker.update_kwargs(
        change, name_filter=" static", class_filter=Marked, dict_mod=True
    )
    run(case.flow(dynamic, maker))
    assert kinds() == case.kinds
    assert {maker.mark for maker in RAN} == {"", "x"}
    assert all((maker.mark == "x") == (" static" in maker.name) for maker in RAN)


@few_flows
def test_names_of_makers_choose_in_flows_too(run, build, dynamic):
    case = build()
    flow = case.flow(dynamic)
    flow.update_maker_kwargs({"mark": "x"}, name_filter=" static", class_filter=Marked)
    run(flow)
    assert kinds() == case.kinds
    assert all((maker.mark == "x") == (" static" in maker.name) for maker in RAN)


def test_a_wrapped_maker_is_what_filters_mean():
    """The wrapper takes the name of its job; a change is not for it, nested or not."""
    job = GuardedMaker(marked_makers.engine().relax_maker).make(CRYSTALS[0])
    job.name = "relax this one"
    job.update_maker_kwargs({"steps": 7}, name_filter="cheap relax", nested=False)
    job.update_maker_kwargs({"mark": "x"}, name_filter="this one")
    assert (job.maker.maker.steps, job.maker.maker.mark) == (7, "")
    guard_flow(job)
    job.update_maker_kwargs({"steps": 9})
    assert job.maker.maker.maker.steps == 9
    with pytest.raises(TypeError, match="colour"):
        job.update_maker_kwargs({"colour": "blue"})


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_powerup_that_changes_the_energy_model_is_refused(run, dynamic):
    """At once, or in the documents: the scheme stays, so the energies must be of it."""
    other = {"force_field_name": {"@module": "toy_engines", "@callable": "attraction"}}
    flow = screening().flow(dynamic)
    try:
        for kind in (SharedRelaxMaker, SharedStaticMaker):
            flow.update_maker_kwargs(other, class_filter=kind)
    except SchemeMismatchError:
        return
    run(flow)
    found = run.store.get_output(flow.output.uuid, load=True)
    states = {getattr(document, "state", None) or document["state"] for document in found}
    assert states == {"failed"}


def test_settings_that_are_in_jobs_already_cannot_be_changed_unseen(run):
    case = phonons()
    flow = case.flow(dynamic=False)
    flow.update_maker_kwargs({"displacement": 0.02}, class_filter=PhononMaker)
    run(flow)
    (output,) = run.store.get_output(flow.output.uuid, load=True)
    assert output["state"] == "failed"
    assert "displacement of the phonon Maker cannot be changed" in output["error"]
    # where the jobs are not made yet, or the flow is not, it can
    flow = case.flow(dynamic=True)
    flow.update_maker_kwargs({"displacement": 0.02}, class_filter=PhononMaker)
    run(flow)
    (output,) = run.store.get_output(flow.output.uuid, load=True)
    assert (output.state, output.displacement) == ("completed", 0.02)


@pytest.mark.slow
def test_all_stages_of_a_discovery_at_once(run):
    engine = marked_makers.engine(toy_engines.lj(relax=False))
    case = discovery(phonons=PhononFlowMaker(engine=engine, supercell=(1, 1, 1)))
    flow = case.flow(dynamic=True)
    flow.update_maker_kwargs({"mark": "x"}, class_filter=Marked)
    run(flow)
    assert kinds() == case.kinds
    assert {maker.mark for maker in RAN} == {"x"}
