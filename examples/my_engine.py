"""Judge with an engine of your own: any ASE calculator, with references of its own.

Usage: python examples/my_engine.py [FOLDER] [ATOMS]

The calculator here is CHGNet with its r2SCAN weights. Energies of another potential need a hull of
their own: ATOMS is the largest cell of the known phases that are relaxed for it.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from jobflow import run_locally

from atomate2_vogen import DiscoveryFlowMaker, ReferencesFlowMaker, VogenStores
from atomate2_vogen.engines import Engine, reference_structures
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc


def r2scan() -> Any:
    """The calculator; workers import it by the name of this file, which must lie on their path."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(CHGNet.load(model_name="r2scan", verbose=False), use_device="cpu")


def engine() -> Engine:
    """Relaxation and static calculation with the calculator, on an energy scale with a name."""
    return Engine.from_force_field(
        "my_engine.r2scan",
        scheme="CHGNet-r2SCAN",
        energy_corrections=None,  # its r2SCAN energies are used as they are
        phonon_maker=None,
        engine_versions={"chgnet": version("chgnet")},
    )


def main(folder: str = "my_engine_store", atoms: str = "20") -> None:
    """Relax the known phases, then generate and judge on their hull."""
    mine = engine()
    phases = [phase for phase in reference_structures() if len(phase.structure) <= int(atoms)]
    known = ReferencesFlowMaker(engine=mine).make(phases)
    with VogenStores.open(folder, create=True) as stores:
        run_locally(known, store=stores.job_store, ensure_success=True)
        found = stores.job_store.get_output(known.output.uuid, load=True)
        references = [ReferenceDoc.model_validate(document) for document in found]
        for doc in references:
            print(f"{doc.name:24} {doc.energy_per_atom:8.3f} eV/atom")
        flow = DiscoveryFlowMaker(sampler="substitution", engine=mine, references=references).make(
            {"VO2": 1}
        )
        run_locally(flow, store=stores.job_store, ensure_success=True)
        made = stores.job_store.get_output(flow.output.uuid, load=True)["stability"]
        stability = [StabilityDoc.model_validate(document) for document in made]
        stores.save([*references, *stability])
    for judged in stability:
        print(f"{judged.candidate_id} {judged.scheme} {judged.energy_above_hull:.3f} eV/atom")


if __name__ == "__main__":
    main(*sys.argv[1:])
