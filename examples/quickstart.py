"""Compose the discovery flow in Python, run it, and read the stability documents back.

Usage: python examples/quickstart.py [FOLDER]
"""

from __future__ import annotations

import sys

from jobflow import run_locally

from atomate2_vogen import DiscoveryFlowMaker, VogenStores, build_stability
from atomate2_vogen.schemas import StabilityDoc


def main(folder: str = "quickstart_store") -> None:
    """Two crystals from known prototypes, relaxed with CHGNet and placed on its hull."""
    maker = DiscoveryFlowMaker(sampler="substitution")
    flow = maker.make({"VO2": 1, "V2O3": 1}, seed=3)
    with VogenStores.open(folder, create=True) as stores:
        run_locally(flow, store=stores.job_store, ensure_success=True)
        build_stability(stores)

    # the documents stay in the folder: another process may open it, query it, build on it
    with VogenStores.open(folder) as stores:
        for doc in stores.load(StabilityDoc, {"state": "ranked"}):
            energy, known = doc.energy_above_hull, doc.known_as or "novel"
            print(
                f"{doc.candidate_id}  {energy:7.3f} eV/atom above hull  {doc.paper_class}  {known}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
