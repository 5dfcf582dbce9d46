"""Judge with an engine of your own: any ASE calculator, with references of its own.

Usage: python examples/my_engine.py [FOLDER] [ATOMS]

The calculator here is CHGNet with its r2SCAN weights. Energies of another potential need a hull of
their own: ATOMS is the largest cell of the known phases that are relaxed for it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from jobflow import run_locally

from atomate2_vogen import DiscoveryFlowMaker, ReferencesFlowMaker, VogenStores
from atomate2_vogen.engines import Engine, chgnet, reference_structures
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc


def r2scan() -> Any:
    """The calculator; workers import it by the name of this file, which must lie on their path."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(CHGNet.load(model_name="r2scan", verbose=False), use_device="cpu")


def engine() -> Engine:
    """The Makers of ours with another calculator, and with it another scale of energies."""
    ours = chgnet()
    mine = {"force_field_name": {"@module": "my_engine", "@callable": "r2scan"}}
    mine["calculator_kwargs"] = {}
    return replace(
        ours,
        name="r2scan",
        scheme="CHGNet-r2SCAN",
        relax_maker=replace(ours.relax_maker, name="r2scan relax", **mine),
        static_maker=replace(ours.static_maker, name="r2scan static", **mine),
        phonon_maker=None,
        engine_versions={"chgnet": ours.engine_versions["chgnet"]},
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
