"""What refinement does to the finds of the benchmark: symmetry, energy and cost.

Run with ``python benchmarks/refine_finds.py --crystals 24 --out FILE``. The finds are the unique,
novel crystals of ``results/benchmark`` within 0.1 eV/atom of the hull, in an order drawn with the
seed; their relaxed crystals and energies are those of the file.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import platform
import random
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from jobflow import run_locally

from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.jobs import RefineMaker
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc
from atomate2_vogen.stores import VogenStores, parse
from atomate2_vogen.structures.cif import read_block
from atomate2_vogen.structures.symmetry import space_group

BENCHMARK = Path(__file__).parents[1] / "results/benchmark"


def finds(sampler: str) -> list[dict[str, str]]:
    """Rows of the unique, novel crystals within 0.1 eV/atom of the hull."""
    csv.field_size_limit(10**9)
    with gzip.open(BENCHMARK / sampler / "candidates.csv.gz", "rt") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row["state"] == "ranked"
            and row["is_unique"] == row["is_novel"] == "true"
            and float(row["energy_above_hull"]) <= 0.1
        ]


def calculation(row: dict[str, str], scheme: str) -> CalculationDoc:
    """Document of a row's relaxation."""
    candidate = CandidateDoc.make(
        read_block(row["cif_generated"])[0],
        sampler=row["sampler"],
        model_id=row["model_id"],
        formula=row["formula"],
        seed=int(row["seed"]),
        index=int(row["index"]),
    )
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{scheme}",
        candidate_id=candidate.candidate_id,
        scheme=scheme,
        state=CalculationState.COMPLETED,
        candidate=candidate,
        structure=read_block(row["cif_relaxed"])[0],
        energy_per_atom=float(row["energy_per_atom"]),
        n_steps=int(row["n_steps"]),
        cpu_time=float(row["relaxation_seconds"]),
    )


def refine(document: CalculationDoc, maker: RefineMaker) -> dict[str, Any]:
    """One crystal; what was measured."""
    made = maker.make(document)
    with VogenStores.memory() as stores, tempfile.TemporaryDirectory() as folder:
        run_locally(made, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
        found = parse(CalculationDoc, stores.job_store.get_output(made.uuid))
    done, structure, relaxed = found.refinement, found.structure, document.structure
    before, after = document.energy_per_atom, found.energy_per_atom
    if done is None or structure is None or relaxed is None or before is None or after is None:
        raise click.ClickException(f"{document.candidate_id} was not refined")
    attempts = [one.model_dump(mode="json", exclude={"wall_time"}) for one in done.attempts]
    return {
        "candidate_id": document.candidate_id,
        "natoms": len(structure),
        "space_group_within_0.1": space_group(relaxed, 0.1)[0],
        "before": done.space_group_before,
        "after": done.space_group_after,
        "atoms_in_primitive_cell": [
            len(one.get_primitive_structure()) for one in (relaxed, structure)
        ],
        "meV_per_atom": round(1000 * (after - before), 3),
        "relaxation": [document.n_steps, round(float(document.cpu_time or 0), 2)],
        "refinement": [done.n_steps, round(sum(one.cpu_time or 0 for one in done.attempts), 2)],
        "attempts": attempts,
    }


@click.command()
@click.option("--crystals", default=24, show_default=True, help="Number of finds.")
@click.option("--sampler", default="wgan", show_default=True, help="wgan, random or substitution.")
@click.option("--seed", default=0, show_default=True, help="Seed of the order of the finds.")
@click.option("--kicks", default=0, show_default=True, help="Random displacements per crystal.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
def main(crystals: int, sampler: str, seed: int, kicks: int, out: Path) -> None:
    """Refine finds of the benchmark, and count what came of it."""
    engine = chgnet()
    rows = finds(sampler)
    random.Random(seed).shuffle(rows)
    maker = RefineMaker(engine=engine, kicks=kicks)
    measured = []
    for row in rows[:crystals]:
        measured.append(refine(calculation(row, engine.scheme), maker))
        last = measured[-1]
        click.echo(f"{last['candidate_id']} {last['before']} -> {last['after']}", err=True)
    outcomes = Counter(
        "accepted" if one["accepted"] else one["reason"].split(" by ")[0]
        for found in measured
        for one in found["attempts"]
    )
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"processor": platform.processor(), "cores": os.cpu_count()},
        "scheme": engine.scheme,
        "sampler": sampler,
        "seed": seed,
        "kicks": kicks,
        "n_finds": len(rows),
        "n_refined": len(measured),
        "more_symmetric": sum(any(a["accepted"] for a in one["attempts"]) for one in measured),
        "P1_within_0.1": [
            sum(one["space_group_within_0.1"] == "P1" for one in measured),
            sum(one["after"] == "P1" for one in measured),
        ],
        "attempts": dict(outcomes),
        "largest_rise_meV_per_atom": max(one["meV_per_atom"] for one in measured),
        "lowest_change_meV_per_atom": min(one["meV_per_atom"] for one in measured),
        "relaxation_steps_and_cpu_s": [
            sum(one["relaxation"][i] for one in measured) for i in (0, 1)
        ],
        "refinement_steps_and_cpu_s": [
            sum(one["refinement"][i] for one in measured) for i in (0, 1)
        ],
        "crystals": measured,
    }
    out.write_text(json.dumps(content, indent=1) + "\n")
    summary = {key: value for key, value in content.items() if key != "crystals"}
    click.echo(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
