"""The paper's tables and figures: one flow in Python, as ``vogen paper`` runs it.

Usage: python examples/paper.py [FOLDER] [SHARE] [BANDS] [PHONONS]

SHARE of the paper's 184 VO2, 152 V2O3 and 115 V2O5 is made by the WGAN and by substitution, at least
one crystal of each formula; the whole takes hours on one core. BANDS and PHONONS are the engines that
the lowest new crystals go on to: gpaw or vasp, chgnet or vasp; an empty word leaves the stage out.
"""

from __future__ import annotations

import sys

from jobflow import run_locally

from atomate2_vogen import PaperFlowMaker, VogenStores, load_engine, load_references
from atomate2_vogen.flows import ElectronicFlowMaker, PhononFlowMaker, steps_of
from atomate2_vogen.flows.paper import share_of_request
from atomate2_vogen.report import draw_paper, paper_markdown
from atomate2_vogen.schemas import PaperDoc
from atomate2_vogen.stores import parse


def main(
    folder: str = "paper_store", share: str = "1", bands: str = "", phonons: str = "chgnet"
) -> None:
    """Run the flow; print the tables, draw the figures."""
    engine = load_engine("chgnet")
    flow = PaperFlowMaker(
        samplers=("wgan", "substitution"),
        engine=engine,
        generator_steps=None,  # 5000 trains GAN and WGAN for Fig. 5, in half an hour
        phonons=PhononFlowMaker(engine=load_engine(phonons)) if phonons else None,
        electronic=ElectronicFlowMaker(engine=load_engine(bands)) if bands else None,
    ).make(share_of_request(float(share)), seed=1)
    with VogenStores.open(folder, create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, ensure_success=True)
        made = parse(PaperDoc, stores.job_store.get_output(flow.output.uuid, load=True))
        print(paper_markdown(made.tables))
        figures = draw_paper(
            made,
            stores.job_store,
            load_references(engine),
            f"{folder}/figures",
            steps=steps_of(flow),
        )
    for name, files in figures.drawn.items():
        print(f"{name}: {', '.join(files)}")
    for name, why in figures.left_out.items():
        print(f"{name} left out: {why}")


if __name__ == "__main__":
    main(*sys.argv[1:])
