"""Oxides of another metal, by one instance: data set, networks, crystals, a hull of their own.

Usage: python examples/another_oxide.py [METAL] [FOLDER] [PRESET] [CRYSTALS PER FORMULA] [fit]

With the word fit the energies bear a correction per oxygen atom that is fitted to measured enthalpies.
"""

from __future__ import annotations

import sys

from jobflow import Flow, run_locally

from atomate2_vogen import DiscoveryFlowMaker, ReferencesFlowMaker, engines
from atomate2_vogen.data import oxide_system
from atomate2_vogen.jobs import BuildDatasetMaker, SampleMaker, TrainWGANMaker
from atomate2_vogen.schemas import DiscoveryDoc, ReferenceDoc, TrainingDoc
from atomate2_vogen.stores import VogenStores, parse


def main(
    metal: str = "Ti",
    folder: str = "another_oxide",
    preset: str = "quick",
    crystals: str = "8",
    fit: str = "",
) -> None:
    """Stop it at any time: run again, labels and networks go on from where they were."""
    system, engine = oxide_system(metal), engines.chgnet()
    options = {"system": system, "checkpoint_dir": f"{folder}/checkpoints"}
    dataset = BuildDatasetMaker(**options).make()
    training = TrainWGANMaker(preset=preset, **options).make(dataset.output)
    sampling = SampleMaker(sampler="wgan", system=system, options={"max_attempts": 4096})
    counts = dict.fromkeys(system.target_formulas, int(crystals))
    with VogenStores.open(folder, create=True) as stores:
        store = stores.job_store
        if engines.has_references(engine, system):
            references = engines.load_references(engine, system)
        else:  # of the metal, oxygen and its oxides, each relaxed by the judge
            phases = ReferencesFlowMaker(engine=engine, system=system).make()
            run_locally(phases, store=store, ensure_success=True)
            references = [parse(ReferenceDoc, d) for d in store.get_output(phases.output.uuid)]
        if fit:
            correction = engines.fit_anion_correction(references, system).correction
            engine, references = engines.with_correction(engine, references, correction)
        run_locally(Flow([dataset, training]), store=store, ensure_success=True)
        networks = parse(TrainingDoc, store.get_output(training.uuid, load=True))
        given = {"system": system, "engine": engine, "references": references}
        flow = DiscoveryFlowMaker(sampler=sampling, training=networks, **given).make(counts)
        run_locally(flow, store=store, ensure_success=True)
        found = parse(DiscoveryDoc, store.get_output(flow.output.uuid, load=True))
    for name, value in found.sample["missing"].items():
        print(f"{name}: {value} fewer than asked for")
    print(f"model {networks.model_id}, judge {found.scheme}, {len(references)} reference phases")
    for doc in found.stability:
        energy, height = doc.formation_energy_per_atom, doc.energy_above_hull
        if doc.field_class is None:
            print(f"{doc.candidate_id}  {doc.formula:6}  {doc.state.value}")
            continue
        print(
            f"{doc.candidate_id}  {doc.formula:6}  {energy:7.3f} eV/atom  {height:6.3f} above hull"
            f"  {doc.space_group_symbol:10}  {doc.known_as or 'novel'}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
