"""Phonons of the catalogue's finds: verdicts, and where soft modes lead.

    python benchmarks/find_phonons.py --engine sevennet-l3i5 --workers 2 --out results/finds

Crystals of ``results/finds/finds.csv`` in its order, as the energy model relaxed them that calculates.
Stop it at any time: the same command goes on; ``phonons.csv`` has what is done. ``benchmarks/catalogue.py``
reads it.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from confirm_finds import RESULTS, consensus_of, read

from atomate2_vogen import PhononFlowMaker, VogenStores
from atomate2_vogen.engines import load_engine
from atomate2_vogen.files import write_atomically
from atomate2_vogen.flows import SoftModeFlowMaker
from atomate2_vogen.managers import Event, run_parallel
from atomate2_vogen.schemas import CandidateDoc, PhononDoc, SoftModeDoc

COLUMNS = (
    "candidate_id",
    "engine",
    "verdict",
    "lowest_frequency",
    "lowest_label",
    "supercell_atoms",
    "error",
    "followed_to",
    "energy_change",
)
PIECE = 4
"""Crystals between two writings of the table."""


def finds(engine: str) -> list[CandidateDoc]:
    """Crystals of the catalogue, as an energy model relaxed them."""
    with (RESULTS / "finds/finds.csv").open() as file:
        rows = list(csv.DictReader(file))
    tables = {
        name: {row["candidate_id"]: row for row in read(RESULTS / f"confirmation/{name}.csv.gz")}
        for name in {row["source"] for row in rows}
    }
    found = []
    for row in rows:
        document = consensus_of(tables[row["source"]][row["candidate_id"]])
        (structure,) = [one.structure for one in document.opinions if one.model.engine == engine]
        found.append(
            CandidateDoc(
                candidate_id=row["candidate_id"],
                sampler=row["sampler"],
                model_id=row["model_id"],
                formula=row["formula"],
                seed=int(row["seed"]),
                index=int(row["index"]),
                structure=structure,
            )
        )
    return found


def table(documents: Sequence[PhononDoc], followed: Sequence[SoftModeDoc]) -> str:
    """CSV, one line per crystal."""
    modes = {one.candidate_id: one for one in followed}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sorted(documents, key=lambda one: one.candidate_id):
        phonons = one.phonons
        cells = [one.candidate_id, one.engine]
        if phonons is None:
            cells += ["", "", "", "", one.error or ""]
        else:
            cells += [
                phonons.verdict.value,
                f"{phonons.lowest_frequency:.3f}",
                phonons.lowest_label,
                str(phonons.n_atoms_supercell),
                "",
            ]
        cells += mode_cells(modes.get(one.candidate_id))
        writer.writerow(cells)
    return text.getvalue()


def mode_cells(mode: SoftModeDoc | None) -> list[str]:
    """Where a soft mode leads, and the energy per atom that it changes, eV."""
    if mode is None:
        return ["", ""]
    if mode.energy_change is None:
        return [f"not followed: {mode.error}", ""]
    where = "the same crystal" if mode.returned else mode.known_as or "a crystal that is not known"
    return [f"{where}, {mode.space_group_symbol}", f"{mode.energy_change:.4f}"]


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--engine", default="sevennet-l3i5", show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--most", type=click.IntRange(1), help="Only the first crystals of the table.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(*, engine: str, workers: int, most: int | None, out: Path) -> None:
    """Calculate what is left, write the table."""
    judge = load_engine(engine)
    crystals = finds(engine)[:most]
    folder = out / "runs"
    begin = time.monotonic()

    def print_progress(event: Event) -> None:
        if event.kind == "finished" and event.stage in {"record phonons", "record soft mode"}:
            click.echo(f"{time.strftime('%H:%M:%S')} {event.name}", err=True)

    with VogenStores.open(folder / "store", create=True) as stores:
        for start in range(0, len(crystals), PIECE):
            piece = crystals[start : start + PIECE]
            names = {one.candidate_id for one in piece}

            def run(flow, stores=stores):
                run_parallel(
                    flow,
                    stores.job_store,
                    workers=workers,
                    folder=folder / "jobs",
                    on_event=print_progress,
                )
                stores.ingest_jobs()

            run(PhononFlowMaker(engine=judge).make(piece))
            query = {"scheme": judge.scheme, "candidate_id": {"$in": sorted(names)}}
            run(SoftModeFlowMaker(engine=judge).make(list(stores.iterate(PhononDoc, query))))
            everything = {"scheme": judge.scheme}
            documents = list(stores.iterate(PhononDoc, everything))
            followed = list(stores.iterate(SoftModeDoc, everything))
            write_atomically(out / "phonons.csv", table(documents, followed))
            hours = (time.monotonic() - begin) / 3600
            click.echo(f"{start + len(piece)} of {len(crystals)} crystals, {hours:.2f} h", err=True)
    click.echo((out / "phonons.csv").read_text())


if __name__ == "__main__":
    sys.exit(main())
