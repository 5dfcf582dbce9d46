"""Compose a flow of your own: sampler, judgement, bands and phonons of the best.

Usage: python examples/compose.py [FOLDER] [LENGTH]

Bands need GPAW: `examples/gpaw/install.sh` installs it, and GPAW_COMMAND="…/bin/python" names it.
LENGTH is the shortest edge of the supercells of phonons in Å.
"""

from __future__ import annotations

import sys

from jobflow import Flow, run_locally

from atomate2_vogen import VogenStores, load_engine
from atomate2_vogen.flows import ElectronicFlowMaker, EvaluateMaker, PhononFlowMaker
from atomate2_vogen.jobs import SampleMaker, select_best
from atomate2_vogen.schemas import ElectronicDoc, PhononDoc


def main(folder: str = "compose_store", length: str = "9") -> None:
    """Each Maker has an engine of its own; any of them may be replaced by yours."""
    engine = load_engine("chgnet", fmax=0.05)
    sample = SampleMaker(sampler="substitution").make({"VO2": 2}, seed=5)
    judged = EvaluateMaker(engine=engine).make(sample.output)
    best = select_best(judged.output, top=1, threshold=0.5)  # eV/atom above hull
    bands = ElectronicFlowMaker(engine=load_engine("gpaw")).make(best.output)
    modes = PhononFlowMaker(engine=engine, min_length=float(length)).make(best.output)
    with VogenStores.open(folder, create=True) as stores:
        flow = Flow([sample, judged, best, bands, modes])
        run_locally(flow, store=stores.job_store, root_dir=folder, ensure_success=True)
        print(stores.ingest_jobs())
        for doc in stores.load(ElectronicDoc):
            character = doc.electrons.character if doc.electrons else doc.error
            print(f"{doc.candidate_id}  {doc.scheme}  {character}")
        for doc in stores.load(PhononDoc):
            verdict = doc.phonons.verdict if doc.phonons else doc.error
            print(f"{doc.candidate_id}  {doc.scheme}  {verdict}")


if __name__ == "__main__":
    main(*sys.argv[1:])
