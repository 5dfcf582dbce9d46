"""VASP on a cluster through FireWorks: generate, judge with CHGNet, and bands of the best by PBE+U.

Usage: cd examples/fireworks; python ../vasp_fireworks.py [my_launchpad.yaml] [STORE]

STORE is the database that workers write to, mongodb://localhost/vogen where left out. How workers
are started stands in `examples/fireworks/README.md`; those of my_fworker_dft.yaml run where VASP
and its POTCARs are, and say so in ~/.atomate2.yaml (VASP_CMD) and ~/.pmgrc.yaml (PMG_VASP_PSP_DIR).
"""

from __future__ import annotations

import sys

from atomate2_vogen import DiscoveryFlowMaker, ElectronicFlowMaker, VogenStores
from atomate2_vogen.engines import Engine, chgnet, vasp
from atomate2_vogen.flows import open_launchpad, submit

DFT = {"_category": "dft", "_queueadapter": {"nodes": 1, "walltime": "24:00:00"}}
"""What FireWorks is told about every VASP job, also those that are made on the way."""


def main(
    launchpad_file: str = "my_launchpad.yaml",
    where: str = "mongodb://localhost/vogen",
    dft: Engine | None = None,
) -> None:
    """Nothing is computed here; the same request twice is one workflow."""
    flow = DiscoveryFlowMaker(
        sampler="substitution",
        engine=chgnet(),
        # this machine need not have VASP: the workers' own settings say where it is
        electronic=ElectronicFlowMaker(engine=dft or vasp(check=False)),
        top=1,
        threshold=0.5,  # eV/atom above hull
    ).make({"VO2": 1}, seed=1)
    with VogenStores.open(where, create=True) as stores:
        submission = submit(
            flow,
            open_launchpad(launchpad_file),
            store=stores.job_store,
            categories={"dft": DFT},
        )
        print("added" if submission.new else "already there:", len(submission.fw_ids), "Fireworks")
        # run again when the workers have done their part: what is finished, as documents
        print({name: n for name, n in stores.ingest_jobs().items() if n})


if __name__ == "__main__":
    main(*sys.argv[1:])
