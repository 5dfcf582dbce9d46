"""Make one figure and one table of what ``run.py`` measured.

    python benchmarks/discovery/report.py results/discovery/raw --out results/discovery

Writes ``discovery.png``, ``discovery.pdf``, ``discovery.md`` and ``discovery.csv``, from the raw rows
alone; where crystals were refined, also ``discovery_refined.png`` and ``.pdf``. Runs that are not
finished are taken as far as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from atomate2_vogen.errors import InputError, SchemeMismatchError, VogenError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.structured import read_structured
from discovery.arms import TABLE
from discovery.counting import Line
from discovery.measuring import has_run_dry
from discovery.raw import read_header, read_rounds, run_folders
from discovery.table import Arms, Run, csv_text, has_refinements, markdown, table_rows


@click.command(help=__doc__.split("\n", 1)[0])
@click.argument("raw", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option(
    "--at-hours",
    type=click.FloatRange(0, min_open=True),
    help="CPU-hours of the table.  [default: those that every run has]",
)
def main(*, raw: Path, out: Path, at_hours: float | None) -> None:
    """Write table and figure."""
    from discovery.figure import plot_discovery

    try:
        arms = read_runs(raw)
        shared = common_hours(arms)
        if at_hours is not None and at_hours > shared:
            raise InputError(
                f"--at-hours {at_hours:g}: some runs have {shared:.4g} CPU-hours only; give fewer, "
                "or measure on with run.py"
            )
        hours = at_hours or shared
        rows = table_rows(arms, hours)
        out.mkdir(parents=True, exist_ok=True)
        text = f"{preface(arms, hours)}\n\n{markdown(rows)}"
        write_atomically(out / "discovery.md", text)
        write_atomically(out / "discovery.csv", csv_text(rows))
        kinds = [("discovery", False)]
        if has_refinements(arms):
            kinds.append(("discovery_refined", True))
        for name, final in kinds:
            plot_discovery(arms, [out / f"{name}.png", out / f"{name}.pdf"], final=final)
    except VogenError as error:
        raise click.ClickException(str(error)) from error
    click.echo(text)


def read_runs(raw: Path) -> Arms:
    """Runs by arm, in the order of the table of arms.

    Raises
    ------
    InputError
        If there is none with a crystal, or runs differ in what was asked for.
    SchemeMismatchError
        If runs were judged on different hulls or pools of known crystals.
    ArtefactError
        If a file is damaged.
    """
    found: dict[str, list[Run]] = {}
    shared: dict[str, object] = {}
    for folder in run_folders(raw):
        header = read_header(folder)
        rounds = read_rounds(folder, structures=False)
        line = Line.of(rounds)
        if not rounds:
            continue
        name = str(header.identity["arm"])
        for key in ("scheme", "hull_id", "stages", "novelty_pool"):
            value = shared.setdefault(key, header.identity[key])
            if value != header.identity[key]:
                raise SchemeMismatchError(
                    f"{folder}: {key} is {header.identity[key]}, of other runs {value}; measure "
                    "them alike"
                )
        runs = found.setdefault(name, [])
        for key in ("options", "learns", "counts", "refuse_known", "novelty_margin"):
            # runs that were begun before samplers could learn do not tell of it
            if runs and runs[0].header.identity.get(key) != header.identity.get(key):
                raise InputError(f"{folder}: {key} differs from that of another seed of {name}")
        runs.append(Run(header, rounds, line))
    if not found:
        raise InputError(f"{raw}: no crystals are measured there yet")
    order = list(read_structured(TABLE, InputError))
    names = sorted(found, key=lambda name: (order.index(name) if name in order else 99, name))
    return {name: found[name] for name in names}


def common_hours(arms: Arms) -> float:
    """CPU-hours that every run has; those that ran dry have any number."""
    lengths = [
        run.line.total_hours
        for runs in arms.values()
        for run in runs
        if not has_run_dry(run.rounds)
    ]
    longest = max(run.line.total_hours for runs in arms.values() for run in runs)
    return min(lengths, default=longest)


def preface(arms: Arms, hours: float) -> str:
    """What the table is of."""
    identity = next(iter(arms.values()))[0].header.identity
    return (
        f"New crystals at {hours:.3g} CPU-hours of each run. Energy model {identity['scheme']}, hull "
        f"`{identity['hull_id']}`, known crystals `{identity['novelty_pool']}`. New: bulk and "
        "converged after relaxation, matching neither a known crystal nor an earlier one of the "
        "same run. Rates of all seeds together with 95% Poisson intervals, after the semicolon "
        "the counts of the seeds; ratios with exact conditional intervals; shares with Wilson "
        "intervals; medians with quartiles."
    )


if __name__ == "__main__":
    main()
