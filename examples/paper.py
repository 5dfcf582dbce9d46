"""The paper end to end: its request from the networks, judged, measured, phonons and bands, report.

Usage: python examples/paper.py [FOLDER] [SHARE] [BANDS] [PHONONS]

SHARE of the paper's request of 184 VO2, 152 V2O3 and 115 V2O5 is made, at least one of each; the
whole takes hours on one core. BANDS and PHONONS are the engines that the
best of each formula go on to: gpaw or vasp, chgnet or vasp; an empty word leaves the stage out.
"""

from __future__ import annotations

import sys
from math import ceil

from jobflow import run_locally

from atomate2_vogen import DiscoveryFlowMaker, VogenStores, build_stability, load_engine
from atomate2_vogen.flows import ElectronicFlowMaker, PhononFlowMaker
from atomate2_vogen.jobs import SampleMaker
from atomate2_vogen.report import ReportDocuments, write_report
from atomate2_vogen.schemas import DiscoveryDoc, StabilityDoc
from atomate2_vogen.stores import parse

PAPER = {"VO2": 184, "V2O3": 152, "V2O5": 115}


def main(
    folder: str = "paper_store", share: str = "1", bands: str = "", phonons: str = "chgnet"
) -> None:
    """Every stage; crystals that resemble a known one are left out as generated."""
    engine = load_engine("chgnet")
    flow = DiscoveryFlowMaker(
        sampler=SampleMaker(sampler="wgan", novel_only=True, novelty_margin=2),
        engine=engine,
        phonons=PhononFlowMaker(engine=load_engine(phonons)) if phonons else None,
        electronic=ElectronicFlowMaker(engine=load_engine(bands)) if bands else None,
        top=1,
        threshold=0.1,
    ).make({formula: ceil(float(share) * n) for formula, n in PAPER.items()}, seed=1)
    with VogenStores.open(folder, create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, ensure_success=True)
        made = parse(DiscoveryDoc, stores.job_store.get_output(flow.output.uuid, load=True))
        print(build_stability(stores))
    with VogenStores.open(folder) as stores:
        for doc in stores.load(StabilityDoc):
            print(f"{doc.candidate_id}  {doc.state}  {doc.energy_above_hull}  {doc.paper_class}")
        documents = ReportDocuments.from_stores(stores, metrics=made.metrics)
    print(write_report(f"{folder}/report.html", documents, title="The paper's request").path)


if __name__ == "__main__":
    main(*sys.argv[1:])
