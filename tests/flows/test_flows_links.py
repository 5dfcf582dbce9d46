"""From a document to the task documents that atomate2 made, whoever ran the flow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cheap_engine
import pytest
import toy_engines
from atomate2.forcefields.schemas import ForceFieldTaskDocument
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, Maker, job, run_locally

from atomate2_vogen.builders import build_stability
from atomate2_vogen.errors import InputError, MissingTaskError
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.flows.submission import submit
from atomate2_vogen.managers import run_parallel
from atomate2_vogen.schemas import CalculationDoc, ElectronicDoc, JobLink, PhononDoc
from atomate2_vogen.stores import VogenStores

STAGES = {"initial", "relax", "static"}
CANDIDATES = [cheap_engine.candidate("VO2", index, a=3.18 + 0.02 * index) for index in (0, 1)]


@dataclass
class TwiceMaker(Maker):
    """A relaxation of two jobs, so that the guarded job is replaced by a flow."""

    relax_maker1: Maker = None
    relax_maker2: Maker = None
    name: str = "twice"

    def make(self, structure, prev_dir=None):
        first = self.relax_maker1.make(structure)
        second = self.relax_maker2.make(first.output.structure)
        return Flow([first, second], output=second.output, name=self.name)


def engine(*, twice=False):
    made = cheap_engine.engine()
    if not twice:
        return made
    return replace(made, relax_maker=TwiceMaker(made.relax_maker, made.relax_maker))


@job
def give(what):
    return what


def check_links(stores, *, relax_index=1):
    """Each task document is that of the stage that it is asked for."""
    stores.ingest_jobs()
    documents = stores.load(CalculationDoc)
    assert [one.candidate_id for one in documents] == sorted(c.candidate_id for c in CANDIDATES)
    for document in documents:
        assert document.jobs.keys() == STAGES
        assert {stage: link.index for stage, link in document.jobs.items()} == {
            "initial": 1,
            "relax": relax_index,
            "static": 1,
        }
        for stage, link in document.jobs.items():
            held = stores.job_store.query_one({"uuid": link.uuid, "index": link.index})
            assert held["metadata"]["stage"] == stage
            assert held["metadata"]["candidate_id"] == document.candidate_id
        tasks = {stage: document.task(stores, stage) for stage in STAGES}
        assert all(isinstance(task, ForceFieldTaskDocument) for task in tasks.values())
        atoms = len(document.structure)
        assert tasks["static"].output.energy / atoms == document.energy_per_atom
        assert tasks["initial"].output.energy / atoms == document.initial_energy_per_atom
        assert tasks["static"].structure == document.structure
        edges = tasks["relax"].structure.lattice.abc
        assert edges == pytest.approx(document.structure.lattice.abc)
        assert edges != pytest.approx(document.candidate.structure.lattice.abc)  # it relaxed
        given = document.candidate.structure.lattice.abc
        assert tasks["initial"].structure.lattice.abc == pytest.approx(given)
        # the job store alone will do, and the energy's calculation is the default
        assert document.task(stores.job_store).output == tasks["static"].output


@pytest.mark.parametrize("later", [False, True], ids=["fan-out now", "fan-out later"])
@pytest.mark.parametrize("manager", ["run_locally", "run_parallel"])
def test_tasks_of_a_local_run(tmp_path, manager, later):
    """`run_parallel` with a folder, and a fan-out made by a job, rename jobs by their content."""
    given = give(CANDIDATES)
    maker = ScreeningFlowMaker(engine=engine(), refine=None)
    made = maker.make(given.output if later else CANDIDATES)
    flow = Flow([given, made] if later else [made])
    before = {job.uuid for job, _ in flow.iterflow()}
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        if manager == "run_locally":
            run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        else:
            run_parallel(flow, stores.job_store, workers=1, folder=tmp_path / "run")
            names = {found["uuid"] for found in stores.job_store.query({}, properties=["uuid"])}
            assert not names & before
        check_links(stores)


def test_a_relaxation_that_a_flow_replaces_is_the_last_output(tmp_path):
    flow = ScreeningFlowMaker(engine=engine(twice=True), refine=None).make(CANDIDATES)
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        check_links(stores, relax_index=2)


@pytest.mark.parametrize("twice", [False, True])
def test_tasks_of_fireworks(launchpad, stores, twice):
    flow = ScreeningFlowMaker(engine=engine(twice=twice), refine=None).make(CANDIDATES)
    submit(flow, launchpad, store=stores.job_store)
    rapidfire(launchpad, FWorker(), sleep_time=0.01, strm_lvl="CRITICAL")
    check_links(stores, relax_index=1 + twice)


def test_rows_of_a_query_lead_to_task_documents(tmp_path):
    flow = ScreeningFlowMaker(engine=engine(), refine=None).make(CANDIDATES)
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        stores.save(cheap_engine.references())
        build_stability(stores)
        rows = stores.query(formula="VO2")
        tasks = [doc.task(stores) for doc in rows.calculations()]
        assert [task.structure for task in tasks] == [d.structure for d in rows.documents()]
        assert len(tasks) == 2
        assert [d.calculation_id for d in rows.calculations()] == [r.stability_id for r in rows]


def test_what_leads_to_no_task_is_an_error_with_a_reason(tmp_path):
    cursed = cheap_engine.candidate(cheap_engine.RAISES)
    flow = ScreeningFlowMaker(engine=engine(), refine=None).make([cursed])
    with VogenStores.memory() as stores, VogenStores.memory() as other:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        stores.ingest_jobs()
        (document,) = stores.load(CalculationDoc)
        with pytest.raises(MissingTaskError, match=r"relax job .* failed: .*cursed"):
            document.task(stores, "relax")
        with pytest.raises(MissingTaskError, match=r"no output of the static job .* that the flow"):
            document.task(other)
        with pytest.raises(InputError, match=r"'bands' is linked; .* initial, relax, static"):
            document.task(stores, "bands")
        old = document.model_copy(update={"jobs": {}})
        with pytest.raises(InputError, match="made by an earlier version"):
            old.task(stores)
        # a worker without access to the store knows no index: the last output is taken
        link = document.jobs["relax"]
        unknown = document.model_copy(update={"jobs": {"relax": JobLink(uuid=link.uuid)}})
        with pytest.raises(MissingTaskError, match="cursed"):
            unknown.task(stores, "relax")


def test_tasks_of_bands_and_phonons(tmp_path):
    bands = ElectronicFlowMaker(engine=toy_engines.toy_dft(), magnetic_starts=("FM",))
    modes = PhononFlowMaker(engine=toy_engines.lj())
    flow = Flow(
        [
            bands.make([cheap_engine.candidate("VO2")]),
            modes.make([toy_engines.fcc()]),
        ]
    )
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        stores.ingest_jobs()
        (electronic,) = stores.load(ElectronicDoc)
        assert electronic.state == "completed"
        assert electronic.jobs.keys() == {"static", "uniform", "line"}
        static = electronic.task(stores)
        assert static.output.energy / len(static.structure) == electronic.energy_per_atom
        uniform = electronic.task(stores, "uniform")
        held = uniform.vasp_objects["bandstructure"]
        assert held.efermi == electronic.uniform_bands["efermi"]
        (phonon,) = stores.load(PhononDoc)
        assert phonon.state == "completed"
        assert type(phonon.task(stores)).__name__ == "PhononBSDOSDoc"
        assert phonon.task(stores).uuids.displacements_uuids
