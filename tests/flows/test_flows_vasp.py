"""The whole VASP path through the stand-in: from candidates to bands, phonons and verdicts."""

from __future__ import annotations

import uuid

import pytest
import vasp_stand_in
from atomate2.vasp.powerups import add_metadata_to_flow, update_user_incar_settings
from fireworks import LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, JobStore, job, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import GridFSStore, MongoStore
from mongo_server import mongo_uri
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar

from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    CharacterisationState,
    ElectronicCharacter,
    ElectronicDoc,
    PhononDoc,
)
from atomate2_vogen.stores import VogenStores

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        if not vasp_stand_in.REAL:
            folder = vasp_stand_in.write_potcars(tmp_path / "potcars")
            patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
        yield vasp_stand_in.coarse(vasp_stand_in.engine("vasp"))


def candidate():
    return CandidateDoc.make(
        vasp_stand_in.rutile(0.01), sampler="test", model_id="toy", formula="VO2", seed=0, index=0
    )


class Locally:
    """Flows one job after the other, in memory."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store

    def run(self, flow):
        run_locally(flow, store=self.store, root_dir=self.folder, create_folders=True, log=False)


class FireWorks:
    """Flows through a LaunchPad, documents in MongoDB."""

    def __init__(self, folder, uri):
        self.folder = folder
        name = f"vogen_{uuid.uuid4().hex}"
        self.launchpad = LaunchPad(host=uri, name=name, uri_mode=True, strm_lvl="CRITICAL")
        self.launchpad.reset("", require_password=False)
        self.store = JobStore(
            MongoStore(name, "jobs", host=uri),  # a MongoURIStore cannot be read back from JSON
            additional_stores={"data": GridFSStore(name, "data", host=uri)},
        )
        self.store.connect()

    def run(self, flow):
        self.launchpad.add_wf(flow_to_workflow(flow, store=self.store))
        rapidfire(self.launchpad, m_dir=str(self.folder), sleep_time=1, strm_lvl="CRITICAL")
        states = {self.launchpad.get_fw_by_id(i).state for i in self.launchpad.get_fw_ids()}
        assert states == {"COMPLETED"}


@pytest.fixture
def manager(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # rapidfire changes the working directory
    with mongo_uri(tmp_path) as uri:
        made = FireWorks(tmp_path, uri)
        yield made
        made.launchpad.connection.drop_database(made.launchpad.name)


@pytest.mark.timeout(900)
def test_from_candidates_to_electronic_and_phonon_documents(engine, manager):
    def run(flow, kind):
        manager.run(flow)
        found = manager.store.get_output(flow.output.uuid, load=True)
        return [kind.model_validate(document) for document in found]

    screened = run(ScreeningFlowMaker(engine=engine).make([candidate()]), CalculationDoc)
    (electronic,) = run(ElectronicFlowMaker(engine=engine).make(screened), ElectronicDoc)
    phonons = PhononFlowMaker(engine=engine, min_length=5.5)
    (dynamic,) = run(phonons.make(screened), PhononDoc)

    assert electronic.error is None
    assert electronic.candidate_id == dynamic.candidate_id == candidate().candidate_id
    assert electronic.scheme == "VASP-PBE+U(V=3.25)-V_pv"
    assert dynamic.scheme == screened[0].scheme == "VASP-PBE-V_pv"
    assert electronic.electrons.is_spin_polarised
    assert electronic.density_of_states is not None
    assert dynamic.error is None
    assert dynamic.state is CharacterisationState.COMPLETED
    assert dynamic.max_force < 0.01  # the tight relaxation's, not the screening's 0.05
    assert dynamic.phonons.n_atoms_supercell > 6
    if not vasp_stand_in.REAL:
        electrons = electronic.electrons
        assert electrons.character is ElectronicCharacter.HALF_METAL
        assert electrons.up.gap == 0
        assert electrons.down.gap > 1
        assert electrons.total_moment == pytest.approx(2.0, abs=0.01)  # 1 μB on each V


@job
def give(what):
    return what


def incars(folder):
    """INCAR files of all runs in a folder, custodian's copies left out."""
    found = [*folder.rglob("INCAR"), *folder.rglob("INCAR.gz")]
    return [Incar.from_file(path) for path in found]


@pytest.mark.timeout(900)
def test_powerups_reach_every_run_of_vasp(engine, tmp_path):
    """What VASP is given at every stage, and what atomate2's task documents say."""
    makers = {
        "screening later": ScreeningFlowMaker(engine=engine),
        "electronic": ElectronicFlowMaker(engine=engine),
        "phonons": PhononFlowMaker(engine=engine, min_length=4.0),
    }
    for name, maker in makers.items():
        folder = tmp_path / name
        folder.mkdir()
        if name.endswith("later"):
            before = give([candidate()])
            made = maker.make(before.output)
            flow = Flow([before, made], output=made.output)
        else:
            flow = maker.make([candidate()])
        flow = update_user_incar_settings(flow, {"NELM": 77})
        flow = add_metadata_to_flow(flow, {"campaign": "spring"})
        with VogenStores.memory() as stores:
            Locally(folder, stores.job_store).run(flow)
            (output,) = stores.job_store.get_output(flow.output.uuid, load=True)
            tasks = list(
                stores.job_store.query({"output.calcs_reversed": {"$exists": True}}, ["output"])
            )
        output = output if isinstance(output, dict) else output.model_dump()
        assert output["state"] == "completed", output["error"]
        given = incars(folder)
        assert len(given) >= len(tasks) >= 2, name
        assert {incar.get("NELM") for incar in given} == {77}, name
        assert {task["output"].get("campaign") for task in tasks} == {"spring"}, name
