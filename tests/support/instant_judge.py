"""A judge for the command line that takes no time: energies in closed form, no worker processes."""

from __future__ import annotations

import contextlib
import json
from multiprocessing import Pipe

import judged_documents
from jobflow import Flow, job
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure

from atomate2_vogen import engines, managers
from atomate2_vogen.builders import project
from atomate2_vogen.flows import references
from atomate2_vogen.jobs import known, screening
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.managers import local, workers
from atomate2_vogen.schemas import CalculationDoc, CalculationState

FAILING = "V2O3"
"""Formula that makes the judge fail."""
VOLUME = 10.0
"""Of a relaxed crystal, Å³ per atom; its shape and its coordinates stay."""


def crystal(formula: str, scale: float = 1.0) -> Structure:
    """A small crystal; those of one formula relax into the same one."""
    a = 4.5 * scale
    groups = {
        "VO2": ("P4_2/mnm", Lattice.tetragonal(a, 0.63 * a), [[0, 0, 0], [0.3, 0.3, 0]]),
        "VO": ("Fm-3m", Lattice.cubic(a), [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "V2O3": ("R-3c", Lattice.hexagonal(1.1 * a, 3.1 * a), [[0, 0, 0.346], [0.31, 0, 0.25]]),
    }
    group, lattice, sites = groups[formula]
    return Structure.from_spacegroup(group, lattice, ["V", "O"], sites).get_primitive_structure()


def relax(candidate) -> CalculationDoc:
    """Its calculation: the smaller the crystal was, the lower its energy."""
    structure = candidate.structure
    document = CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{judged_documents.SCHEME}",
        candidate_id=candidate.candidate_id,
        scheme=judged_documents.SCHEME,
        state=CalculationState.FAILED,
        error="this crystal is cursed",
        candidate=candidate,
        cpu_time=1.0,
    )
    if candidate.formula == FAILING:
        return document
    relaxed = structure.copy()
    relaxed.scale_lattice(VOLUME * len(structure))
    on_hull = -judged_documents.HULL.position(structure.composition, 0.0).energy_above_hull
    energy = on_hull + 0.001 * structure.volume / len(structure)
    return document.model_copy(
        update={
            "state": CalculationState.COMPLETED,
            "error": None,
            "structure": relaxed,
            "initial_energy_per_atom": energy + 1,
            "energy_per_atom": energy,
            "max_force": 0.01,
        }
    )


@job
def fail(candidate):
    """A relaxation that leaves nothing but the reason why it failed."""
    return JobFailure(error="this crystal is cursed") if candidate.formula == FAILING else None


@job(output_schema=CalculationDoc)
def calculate(candidate, _failure) -> CalculationDoc:
    """The job that takes the place of the calculations of one candidate."""
    return relax(candidate)


def candidate_flow(_engine, candidate, _refine=None) -> Flow:
    """As `screening.candidate_flow`, which it replaces."""
    first = fail(candidate)
    made = calculate(candidate, first.output)
    made.update_metadata({"candidate_id": candidate.candidate_id, "stage": "record"})
    made.name = f"record {candidate.candidate_id}"
    return Flow([first, made], output=made.output, name=candidate.candidate_id)


class HereWorker:
    """Runs jobs in this process, where what tests replace is in its place."""

    store = None

    def __init__(self, *_):
        self.connection, self._other = Pipe()

    def give(self, text, folder):
        made = MontyDecoder().process_decoded(json.loads(text))
        with contextlib.chdir("."):  # a worker process stays where its job was
            self._answer = workers._run(made, self.store, str(folder))
        self._other.send(None)

    def take(self):
        self.connection.recv()
        return self._answer

    def stop(self):
        self.connection.close()
        self._other.close()


def work_here(monkeypatch) -> None:
    """Run jobs of commands in this process, which has imported the heavy libraries already.

    A separate worker process would import them again, 3 s each for PyTorch and TensorFlow.
    """
    run_parallel = local.run_parallel

    def run_here(flow, store, **settings):
        monkeypatch.setattr(HereWorker, "store", store)
        return run_parallel(flow, store, **settings)

    monkeypatch.setattr(local, "Worker", HereWorker)
    monkeypatch.setattr(managers, "run_parallel", run_here)


def use(monkeypatch) -> None:
    """Put it in the place of every engine; no crystal is known but the reference phases."""
    work_here(monkeypatch)
    engine = engines.chgnet()  # of whose scheme the documents are; it calculates nothing
    monkeypatch.setattr(engines, "load_engine", lambda *_: engine)
    for module in (engines, project, references):
        monkeypatch.setattr(module, "load_references", lambda *_: judged_documents.REFERENCES)
    for module in (engines, project):
        monkeypatch.setattr(module, "has_references", lambda *_: True)
    monkeypatch.setattr(screening, "candidate_flow", candidate_flow)
    monkeypatch.setattr(known, "_prototypes", lambda _: ())
    monkeypatch.setattr(known, "_relaxed_prototypes", lambda _: ())
