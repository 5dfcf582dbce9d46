"""A worker with an empty home directory and no network runs sampling and a relaxation."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from jobflow import Flow

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.artefact import make_artefact
from atomate2_vogen.engines import chgnet, load_references
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.flows.submission import submit
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.jobs.sharing import keep_artefact
from atomate2_vogen.models.shipped import shipped_path
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc

SCRIPT = Path(__file__).parents[1] / "support" / "offline_worker.py"


@pytest.mark.slow
def test_networks_come_from_the_store_and_weights_from_the_package(
    launchpad, launchpad_file, stores, tmp_path
):
    model = shipped_path("paper", VANADIUM)
    reference = keep_artefact(stores.job_store, make_artefact(model.name, model.read_bytes()))
    options = {"max_attempts": 4, "batch": 4, "preselect": 1}
    # another preset, so that nothing of the package would do
    sampling = SampleMaker(sampler="wgan", preset="none that is shipped", options=options).make(
        {"VO2": 1}, seed=2, training=reference
    )
    engine = chgnet()
    engine = replace(engine, relax_maker=replace(engine.relax_maker, steps=2))
    known = next(found for found in load_references(engine) if found.formula == "VO2")
    crystal = CandidateDoc.make(
        known.structure, sampler="test", model_id="known", formula="VO2", seed=0, index=0
    )
    flow = Flow([sampling, ScreeningFlowMaker(engine=engine).make([crystal])])
    submit(flow, launchpad, store=stores.job_store, allow_external_references=True)
    # what the Firework holds is a reference, not the networks
    assert len(str(launchpad.fireworks.find_one({"name": "sample"}))) < 20_000

    home = tmp_path / "home"
    home.mkdir()
    dead = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "-l", str(launchpad_file), "rapidfire", "--max_loops", "1"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "OMP_NUM_THREADS": "1",
            "HOME": str(home),
            **dead,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    states = {f["name"]: f["state"] for f in launchpad.fireworks.find({})}
    assert set(states.values()) == {"COMPLETED"}, (states, done.stderr[-2000:])
    (sample,) = stores.job_store.query({"name": "sample"}, load=True)
    assert sample["output"]["model_id"] == TrainedModel.load(model).model_id
    assert sample["output"]["attempts"]["VO2"] > 0
    stores.ingest_jobs()
    (calculation,) = stores.load(CalculationDoc)
    # two steps from a minimum
    assert calculation.energy_per_atom == pytest.approx(known.energy_per_atom, abs=0.005)
