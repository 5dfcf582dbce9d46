"""What DFT+U says about finds and known phases, beside the energy models that chose them.

    python benchmarks/dft_finds.py --top 5 --max-atoms 14 --workers 2 --out results/dft

Takes the lowest finds of ``results/confirmation`` that all models place within 0.1 eV/atom, per
formula, and the known phases of these formulas, with at most ``--max-atoms`` in the primitive cell.
Stop it at any time: the same command goes on, and loses at most the self-consistent cycles that ran.
``--table`` writes table and picture of what is there, and calculates nothing.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from confirm_finds import consensus_of, read

from atomate2_vogen import VogenStores
from atomate2_vogen.cli.exports import dft_csv
from atomate2_vogen.engines import load_engine
from atomate2_vogen.files import write_atomically
from atomate2_vogen.flows import DftFlowMaker
from atomate2_vogen.flows.dft import n_primitive
from atomate2_vogen.jobs.dft import compare_with_known
from atomate2_vogen.managers import Event, run_parallel
from atomate2_vogen.plotting import plot_parity
from atomate2_vogen.schemas import ConsensusDoc, DftDoc, Verdict
from atomate2_vogen.stability import model_agreements

CONFIRMED = Path(__file__).parents[1] / "results/confirmation/search.csv.gz"


def lowest(top: int, max_atoms: int, path: Path = CONFIRMED) -> list[ConsensusDoc]:
    """The lowest confirmed finds of each formula, by the model that found them."""
    found: dict[str, list[ConsensusDoc]] = {}
    rows = [row for row in read(path) if row["verdict"] == Verdict.CONFIRMED]
    for row in sorted(rows, key=lambda row: float(row["chgnet energy_above_hull"])):
        document = consensus_of(row)
        if n_primitive(document.structure) <= max_atoms:
            found.setdefault(document.formula, []).append(document)
    return [document for formula in sorted(found) for document in found[formula][:top]]


def calculate(
    maker: DftFlowMaker, finds: Sequence[ConsensusDoc], workers: int, folder: Path
) -> None:
    """Run the flow; documents come into the store as crystals end."""
    begin = time.monotonic()

    def print_progress(event: Event) -> None:
        if event.kind in {"finished", "failed"} and event.stage in {"dft static", "dft"}:
            hours = (time.monotonic() - begin) / 3600
            click.echo(f"{time.strftime('%H:%M:%S')} {hours:.2f} h {event.name}", err=True)

    with VogenStores.open(folder / "store", create=True) as stores:
        run_parallel(
            maker.make(finds),
            stores.job_store,
            workers=workers,
            folder=folder / "jobs",
            on_event=print_progress,
        )


def documents_of(folder: Path, scheme: str) -> list[DftDoc]:
    """All crystals that ended, known phases first."""
    with VogenStores.open(folder / "store") as stores:
        stores.ingest_jobs()
        found = list(stores.iterate(DftDoc, {"scheme": scheme}))
    compare_with_known(found, [one for one in found if one.is_known])
    return sorted(found, key=lambda one: (one.formula, not one.is_known, one.crystal))


def markdown(documents: Sequence[DftDoc]) -> str:
    """Tables for people."""
    models = list(dict.fromkeys(one.engine for doc in documents for one in doc.by_models))
    lines = [
        f"DFT: {', '.join(sorted({one.scheme for one in documents}))}.",
        "",
        f"| crystal | | atoms | geometry of | start | order | by DFT | {' | '.join(models)} |",
        f"|---|---|---:|---|---|---|---:|{'---:|' * len(models)}",
    ]
    for one in documents:
        heights = {model.engine: model.above_known_phase for model in one.by_models}
        chosen = [energy for energy in one.energies if energy.geometry == one.geometry]
        state = chosen[0].magnetism if chosen else None
        cells = [
            one.crystal,
            "known" if one.is_known else "find",
            str(len(one.energies[0].structure)),
            one.geometry or "–",
            (chosen[0].magnetic_start if chosen else None) or "–",
            state.order.value if state is not None and state.order is not None else "–",
            _height(one.above_known_phase),
            *(_height(heights.get(model)) for model in models),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Energies in eV/atom above the phase of the formula that is lowest by each.", ""]
    for agreement in model_agreements(documents):
        rank = agreement.rank_correlation
        lines.append(
            f"{agreement.engine}: n = {agreement.n}, rank correlation "
            f"{'–' if rank is None else f'{rank:.2f}'}, mean absolute difference "
            f"{_height(agreement.mean_absolute_difference)} eV/atom."
        )
    seconds = [start.cpu_time for one in documents for e in one.energies for start in _timed(e)]
    hours = sum(value or 0 for value in seconds) / 3600
    lines += ["", f"{len(seconds)} self-consistent calculations, {hours:.1f} CPU-hours.", ""]
    return "\n".join(lines)


def _timed(energy):
    return energy.magnetic_starts or [energy]


def _height(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--engine", default="gpaw", show_default=True)
@click.option("--formulas", default="V2O3,V2O5,VO2", show_default=True, help="In this order.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True)
@click.option("--max-atoms", type=click.IntRange(1), default=14, show_default=True)
@click.option("--geometries", type=click.IntRange(1), default=2, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--table", is_flag=True, help="Write table and picture of what is there.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(
    *,
    engine: str,
    formulas: str,
    top: int,
    max_atoms: int,
    geometries: int,
    workers: int,
    table: bool,
    out: Path,
) -> None:
    """Calculate, then write rows, table and picture."""
    code = load_engine(engine)
    maker = DftFlowMaker(engine=code, geometries=geometries, max_atoms=max_atoms)
    folder = out / "runs" / engine
    if not table:
        found = lowest(top, max_atoms)
        for formula in formulas.split(","):
            same = [one for one in found if one.formula == formula]
            calculate(maker, same, workers, folder)
    documents = documents_of(folder, code.scheme)
    write_atomically(out / f"{engine}.csv", dft_csv(documents))
    plot_parity(documents, out / f"{engine}.png")
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "scheme": code.scheme,
        **code.engine_versions,
        **{name: version(name) for name in ("chgnet", "sevenn", "diep", "torch", "atomate2")},
    }
    write_atomically(out / f"{engine}.json", json.dumps(about, indent=1) + "\n")
    text = markdown(documents)
    write_atomically(out / f"{engine}.md", text)
    click.echo(text)


if __name__ == "__main__":
    sys.exit(main())
