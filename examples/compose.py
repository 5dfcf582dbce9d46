"""Compose a flow of your own: sampler, screening, electronic structure, phonons.

Usage: python examples/compose.py [FOLDER] [LENGTH]

Bands need GPAW: `examples/gpaw/install.sh` installs it, and GPAW_COMMAND="…/bin/python" names it.
LENGTH is the shortest edge of the supercells of phonons in Å.
"""

from __future__ import annotations

import sys

from jobflow import Flow, Response, job, run_locally

from atomate2_vogen import VogenStores, load_engine
from atomate2_vogen.flows import ElectronicFlowMaker, PhononFlowMaker, ScreeningFlowMaker
from atomate2_vogen.jobs import SampleMaker
from atomate2_vogen.schemas import CalculationDoc, ElectronicDoc, PhononDoc


@job
def characterise_lowest(
    calculations: list[CalculationDoc], electronic: ElectronicFlowMaker, phonons: PhononFlowMaker
) -> Response:
    """What goes on is decided when the energies are known: here the lowest alone."""
    done = [doc for doc in calculations if doc.state == "completed"]
    lowest = min(done, key=lambda doc: doc.energy_per_atom)
    return Response(replace=Flow([electronic.make([lowest]), phonons.make([lowest])]))


def main(folder: str = "compose_store", length: str = "9") -> None:
    """Each Maker has an engine of its own; any of them may be replaced by yours."""
    engine = load_engine("chgnet", fmax=0.05)
    sample = SampleMaker(sampler="substitution").make({"VO2": 2}, seed=5)
    screening = ScreeningFlowMaker(engine=engine).make(sample.output)
    best = characterise_lowest(
        screening.output,
        ElectronicFlowMaker(engine=load_engine("gpaw")),
        PhononFlowMaker(engine=engine, min_length=float(length)),
    )
    with VogenStores.open(folder) as stores:
        flow = Flow([sample, screening, best])
        run_locally(flow, store=stores.job_store, root_dir=folder, ensure_success=True)
        print(stores.ingest_jobs())
        for bands in stores.load(ElectronicDoc):
            found = bands.electrons.character if bands.electrons else bands.error
            print(f"{bands.candidate_id}  {bands.scheme}  {found}")
        for modes in stores.load(PhononDoc):
            found = modes.phonons.verdict if modes.phonons else modes.error
            print(f"{modes.candidate_id}  {modes.scheme}  {found}")


if __name__ == "__main__":
    main(*sys.argv[1:])
