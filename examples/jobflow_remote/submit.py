"""A flow to the workers of jobflow-remote: python submit.py."""

from __future__ import annotations

from jobflow_remote import submit_flow

from atomate2_vogen.engines import chgnet
from atomate2_vogen.flows import DiscoveryFlowMaker, prepare_flow

WORKERS = {
    "training": {"worker": "cluster", "resources": {"time": "48:00:00"}},
    "sampling": {"worker": "cluster"},
    "forcefield": {"worker": "cluster"},
    "dft": {"worker": "cluster", "resources": {"nodes": 1, "ntasks": 64}},
    "analysis": {"worker": "local"},
}
"""Which worker runs jobs of which category, also those that are made on the way."""


def main() -> None:
    """Submit."""
    flow, identity = prepare_flow(
        DiscoveryFlowMaker(engine=chgnet()).make({"VO2": 100}, seed=1), WORKERS
    )
    print(identity, submit_flow(flow, project="vogen", worker="local"))


if __name__ == "__main__":
    main()
