"""What further energy models say about the finds of the benchmark, one row per crystal.

    python benchmarks/confirm_finds.py --sampler search --workers 2 --out results/confirmation
    python benchmarks/confirm_finds.py --discovery search --within 0.025 --out results/confirmation

Finds are the unique, novel crystals within ``--within`` of CHGNet's hull: of ``results/benchmark``,
or of all runs of an arm in ``results/discovery/raw``. Stop it at any time: the same command goes on.
``--table`` writes the table of all samplers that are there, and calculates nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from comparison import is_find
from discovery.counting import new_crystals
from discovery.raw import CrystalRow, read_header, read_rounds
from pymatgen.io.cif import CifWriter
from records import read_records, stability_of
from scipy.stats import spearmanr

from atomate2_vogen import VANADIUM, ConfirmFlowMaker, VogenStores, load_references
from atomate2_vogen.cli.exports import CONSENSUS_COLUMNS, OPINION_COLUMNS
from atomate2_vogen.engines import load_engine
from atomate2_vogen.files import write_atomically
from atomate2_vogen.jobs.confirmation import energy_model
from atomate2_vogen.managers import Event, run_parallel
from atomate2_vogen.schemas import CandidateDoc, ConsensusDoc, Opinion, StabilityDoc
from atomate2_vogen.stability.consensus import TIGHT_LIMIT, agrees, reference_levels
from atomate2_vogen.stability.judging import (
    NEAR_HULL_LIMIT,
    SYMMETRY_PRECISION,
    field_class,
    paper_class,
)
from atomate2_vogen.stability.phases import ReferenceHull
from atomate2_vogen.stability.statistics import proportion
from atomate2_vogen.structures.cif import read_block
from atomate2_vogen.structures.symmetry import space_group

RESULTS = Path(__file__).parents[1] / "results"
BENCHMARK = RESULTS / "benchmark"
SECONDS = 30.0
"""Between two lines of progress."""
HEADER = (
    "energy model",
    "within, eV/atom",
    "of the finds",
    "share, 95 %",
    "shift of the median, eV/atom",
    "rank correlation, n",
    "other crystal",
    "no answer",
)
MORE_COLUMNS = ("energy_per_atom", "n_steps", "cpu_time", "reason")


def finds(sampler: str, within: float = NEAR_HULL_LIMIT) -> list[StabilityDoc]:
    """Unique, novel crystals of the benchmark near the hull, lowest first."""
    records = read_records(BENCHMARK / sampler / "candidates.csv.gz")
    documents = [stability_of(record) for record in records]
    found = [document for document in documents if is_find(document, within)]
    return sorted(found, key=lambda one: (one.energy_above_hull, one.candidate_id))


def discovery_finds(
    arm: str, within: float, folder: Path = RESULTS / "discovery/raw"
) -> list[tuple[StabilityDoc, CandidateDoc]]:
    """New crystals of all runs of an arm of the discovery measure, as refined, lowest first."""
    references = load_references("CHGNet-0.3.0")
    hull = ReferenceHull(references, VANADIUM)
    levels = reference_levels(references, VANADIUM, list(VANADIUM.target_formulas))
    found = []
    for run in sorted((folder / arm).glob("seed-*")):
        header, rounds = read_header(run), read_rounds(run)
        if header.identity["hull_id"] != hull.hull_id:
            raise click.ClickException(f"{run} was judged on another hull than {hull.hull_id}")
        rows = [row for one in rounds for row in one.crystals]
        new = dict(
            zip([id(row) for row in rows], new_crystals(rows, within, final=True), strict=True)
        )
        for one in rounds:
            candidates = {candidate.candidate_id: candidate for candidate in one.candidates}
            for row in one.crystals:
                if new[id(row)]:
                    crystals = one.refined if row.refined else one.relaxed
                    candidate = candidates[row.candidate_id]
                    made = document_of(row, candidate, hull.hull_id)
                    made.structure = crystals[row.candidate_id]
                    made.space_group_symbol, made.space_group_number = space_group(
                        made.structure, SYMMETRY_PRECISION
                    )
                    made.energy_per_atom = (
                        levels[row.formula].hull_energy_per_atom + made.energy_above_hull
                    )
                    place = hull.position(made.structure.composition, made.energy_per_atom)
                    formation = place.formation_energy
                    made.formation_energy_per_atom = formation
                    made.paper_class = paper_class(formation, made.energy_above_hull)
                    made.field_class = field_class(made.energy_above_hull)
                    found.append((made, candidate))
    return sorted(found, key=lambda pair: (pair[0].energy_above_hull, pair[0].candidate_id))


def document_of(row: CrystalRow, candidate: CandidateDoc, hull_id: str) -> StabilityDoc:
    """What a row of the discovery measure tells of a crystal."""
    return StabilityDoc(
        stability_id=f"{row.candidate_id}|CHGNet-0.3.0",
        candidate_id=row.candidate_id,
        scheme="CHGNet-0.3.0",
        hull_id=hull_id,
        chemsys=candidate.structure.chemical_system,
        formula=row.formula,
        natoms=row.n_atoms,
        sampler=candidate.sampler,
        model_id=candidate.model_id,
        state=row.final.state,
        is_converged=True,
        energy_above_hull=row.final.above_hull,
        is_novel=True,
        is_unique=True,
    )


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--sampler", help="Folder in results/benchmark.")
@click.option("--discovery", help="Folder in results/discovery/raw, instead of --sampler.")
@click.option("--within", type=float, default=NEAR_HULL_LIMIT, show_default=True, help="eV/atom.")
@click.option("--engines", default="sevennet-l3i5,diep", show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--most", type=click.IntRange(1), help="Only the first finds, lowest first.")
@click.option("--table", is_flag=True, help="Write the table of what is there.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(
    *,
    sampler: str | None,
    discovery: str | None,
    within: float,
    engines: str,
    workers: int,
    most: int | None,
    table: bool,
    out: Path,
) -> None:
    """Relax with the further models, write rows and the table."""
    if [sampler is not None, discovery is not None, table].count(True) != 1:
        raise click.UsageError("give one of --sampler, --discovery and --table")
    if not table:
        maker = ConfirmFlowMaker(engines=[load_engine(one) for one in engines.split(",")])
        if sampler is not None:
            name, wanted = sampler, finds(sampler, within)[:most]
        else:
            name = f"discovery-{discovery}"
            wanted = [made for made, _ in discovery_finds(str(discovery), within)][:most]
        documents = confirm(maker, wanted, workers, out / "runs" / name)
        write_atomically(out / f"{name}.csv.gz", rows_of(documents))
        about = {
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("chgnet", "sevenn", "diep", "torch", "atomate2")},
        }
        write_atomically(out / "run.json", json.dumps(about, indent=1) + "\n")
    text = markdown({path.name.split(".")[0]: read(path) for path in sorted(out.glob("*.csv.gz"))})
    write_atomically(out / "summary.md", text)
    click.echo(text)


def confirm(
    maker: ConfirmFlowMaker, wanted: Sequence[StabilityDoc], workers: int, folder: Path
) -> list[ConsensusDoc]:
    """Documents of the finds, in their order."""
    printed_at = time.monotonic()

    def print_progress(event: Event) -> None:
        nonlocal printed_at
        if event.stage == "confirm opinion" and time.monotonic() - printed_at > SECONDS:
            printed_at = time.monotonic()
            total = len(wanted) * len(maker.engines)
            click.echo(f"{time.strftime('%H:%M:%S')} {event.stage_ended} of {total}", err=True)

    with VogenStores.open(folder / "store", create=True) as stores:
        done = run_parallel(
            maker.make(wanted),
            stores.job_store,
            workers=workers,
            folder=folder / "jobs",
            on_event=print_progress,
        )
        found = done.output.resolve(stores.job_store)
    return [ConsensusDoc.model_validate(one) for one in found]


def rows_of(documents: Sequence[ConsensusDoc]) -> bytes:
    """Gzipped table: one line per crystal, what each model says of it, and its crystals."""
    engines = [opinion.model.engine for opinion in documents[0].opinions]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{e} {c}" for e in engines for c in (*OPINION_COLUMNS, *MORE_COLUMNS, "cif")]
    writer.writerow([*CONSENSUS_COLUMNS, *names])
    for document in documents:
        cells: list[Any] = [getattr(document, name) for name in CONSENSUS_COLUMNS]
        for opinion in document.opinions:
            cells += [getattr(opinion, name) for name in (*OPINION_COLUMNS, *MORE_COLUMNS)]
            cells.append(None if opinion.structure is None else str(CifWriter(opinion.structure)))
        writer.writerow(["" if cell is None else cell for cell in cells])
    return gzip.compress(text.getvalue().encode(), mtime=0)


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    csv.field_size_limit(10**9)
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def consensus_of(row: dict[str, str]) -> ConsensusDoc:
    """A row as the document that it was made of; a model without a crystal is left out."""
    engines = [name[: -len(" cif")] for name in row if name.endswith(" cif") and row[name]]
    opinions = [opinion_of(row, engine) for engine in engines]
    for opinion, engine in zip(opinions, engines, strict=True):
        judge = load_engine(engine)
        opinion.model = energy_model(judge).model_copy(update={"engine_versions": {}})
        opinion.structure = read_block(row[f"{engine} cif"])[0]
    structure = opinions[0].structure
    assert structure is not None
    return ConsensusDoc(
        consensus_id=f"{row['candidate_id']}|{row['scheme']}",
        structure=structure,
        chemsys=structure.chemical_system,
        opinions=opinions,
        **{name: row[name] or None for name in CONSENSUS_COLUMNS},
    )


def opinion_of(row: dict[str, str], engine: str) -> Opinion:
    """What one model says of a crystal, without the crystal."""
    cells = {name: row.get(f"{engine} {name}") for name in (*OPINION_COLUMNS, "energy_per_atom")}
    content = {name: cell for name, cell in cells.items() if cell}
    return Opinion(model={"engine": engine, "scheme": engine}, **content)


def markdown(found: dict[str, list[dict[str, str]]]) -> str:
    """Tables for people."""
    lines = []
    for sampler, rows in found.items():
        engines = [name[: -len(" state")] for name in rows[0] if name.endswith(" state")]
        first, *others = engines
        highest = max(float(row[f"{first} energy_above_hull"]) for row in rows)
        lines += [f"## {sampler}: {len(rows)} finds of {first}, up to {highest:.3f} eV/atom", ""]
        lines += [
            f"| {' | '.join(HEADER)} |",
            f"|---|{'---:|' * (len(HEADER) - 1)}",
        ]
        for limit in (NEAR_HULL_LIMIT, TIGHT_LIMIT):
            claimed = [row for row in rows if agrees(opinion_of(row, first), limit)]
            for engine in others:
                lines.append(_line(claimed, first, engine, limit))
        lines.append("")
        for name, limit in (("verdict", NEAR_HULL_LIMIT), ("verdict_25mev", TIGHT_LIMIT)):
            verdicts = [row[name] for row in rows if row[name]]
            counts = ", ".join(f"{verdicts.count(one)} {one}" for one in sorted(set(verdicts)))
            lines.append(
                f"Within {limit:g} eV/atom by {first} {len(verdicts)}: {counts or 'none'}."
            )
        hours = {
            engine: sum(float(row[f"{engine} cpu_time"] or 0) for row in rows) / 3600
            for engine in others
        }
        costs = ", ".join(f"{engine} {value:.2f}" for engine, value in hours.items())
        lines += [f"CPU-hours: {costs}.", ""]
    return "\n".join(lines)


def _line(rows: Sequence[dict[str, str]], first: str, engine: str, limit: float) -> str:
    opinions = [opinion_of(row, engine) for row in rows]
    found = [agrees(opinion, limit) for opinion in opinions]
    share = proportion(found.count(True), len(found))
    pairs = np.array(
        [
            (float(row[f"{first} energy_above_hull"]), float(opinion.energy_above_hull or 0))
            for row, opinion, answer in zip(rows, opinions, found, strict=True)
            if answer is not None and opinion.energy_above_hull is not None
        ]
    )
    shift = correlation = "–"
    if len(pairs) > 2:
        shift = f"{np.median(pairs[:, 1]) - np.median(pairs[:, 0]):+.3f}"
        correlation = f"{spearmanr(*pairs.T).statistic:.2f}, {len(pairs)}"
    interval = (
        "–" if share.share is None else f"{share.share:.0%} ({share.low:.0%}-{share.high:.0%})"
    )
    left = sum(bool(opinion.left_basin) for opinion in opinions)
    return (
        f"| {engine} | {limit:g} | {found.count(True)} of {len(found)} | {interval} | {shift} | "
        f"{correlation} | {left} | {found.count(None)} |"
    )


if __name__ == "__main__":
    sys.exit(main())
