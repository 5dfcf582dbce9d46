"""How far to move an atom for CHGNet's force constants: sum rule, lowest mode and verdict.

    python benchmarks/phonon_displacement.py --out results/phonons/displacement.json

Reference phases of the hull, each tightly relaxed and displaced by several distances. In an
exact calculation a rigid shift has no frequency and nothing depends on the distance.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
from jobflow import run_locally

from atomate2_vogen import __version__, engines
from atomate2_vogen.cli.output import write_atomically
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.schemas import PhononDoc
from atomate2_vogen.stores import VogenStores

CRYSTALS = (("VO", 2, (2, 2, 2)), ("VO2", 6, (1, 1, 2)), ("V2O5", 14, (1, 2, 1)))
DISTANCES = (0.003, 0.01, 0.03, 0.05, 0.1)


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(*, out: Path) -> None:
    """Run all, write the rows."""
    engine = engines.chgnet()
    rows = []
    click.echo("| phase | displacement, Å | rigid shift, THz | lowest, THz | verdict |")
    click.echo("|---|---|---|---|---|")
    for formula, n_atoms, supercell in CRYSTALS:
        crystal = next(
            phase.structure
            for phase in engines.reference_structures()
            if phase.structure.composition.reduced_formula == formula
            and len(phase.structure) == n_atoms
        )
        for distance in DISTANCES:
            moved = replace(
                engine, phonon_maker=replace(engine.phonon_maker, displacement=distance)
            )
            flow = PhononFlowMaker(engine=moved, supercell=supercell).make([crystal])
            with VogenStores.memory() as stores, tempfile.TemporaryDirectory() as folder:
                run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
                (found,) = stores.job_store.get_output(flow.output.uuid)
            document = PhononDoc.model_validate(found)
            if document.phonons is None:
                raise click.ClickException(f"{formula}: {document.error}")
            rows.append(
                {"formula": formula, "displacement": distance}
                | document.phonons.model_dump(mode="json", exclude={"free_energy"})
            )
            click.echo(
                f"| {formula} | {distance} | {document.phonons.acoustic_sum_rule_error:.2f} | "
                f"{document.phonons.lowest_frequency:.2f} | {document.phonons.verdict.value} |"
            )
    content = {
        "command": f"python benchmarks/phonon_displacement.py --out {out}",
        "package_version": __version__,
        "judge": engine.scheme,
        "date": time.strftime("%Y-%m-%d"),
        "rows": rows,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
