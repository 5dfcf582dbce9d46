"""The flow of `vogen submit` from Python: python submit.py [my_launchpad.yaml]."""

from __future__ import annotations

import sys

from atomate2_vogen.engines import chgnet
from atomate2_vogen.flows import DiscoveryFlowMaker, PhononFlowMaker, open_launchpad, submit


def main(launchpad_file: str = "my_launchpad.yaml") -> None:
    """Add a flow; the second time, find it."""
    engine = chgnet()
    flow = DiscoveryFlowMaker(
        sampler="substitution",
        engine=engine,
        phonons=PhononFlowMaker(engine=engine),
        top=1,
        threshold=-1.0,  # eV/atom above hull: nothing goes on to phonons; 0.1 is what you want
    ).make({"VO2": 2, "V2O3": 2}, seed=1)
    submission = submit(
        flow,
        open_launchpad(launchpad_file),
        # what FireWorks is told about jobs of a category, also those that are made on the way
        categories={"forcefield": {"_category": "forcefield", "_priority": 1}},
    )
    print("added" if submission.new else "already there:", len(submission.fw_ids), "Fireworks")
    print(submission.categories)


if __name__ == "__main__":
    main(*sys.argv[1:])
