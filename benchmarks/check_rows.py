"""Judge some rows of a raw file again, from the crystals as generated that it holds.

    python benchmarks/check_rows.py benchmark/wgan/candidates.csv.gz --rows 3 --out check

The CIFs of the rows, drawn by a seed, go to ``OUT/cifs``; ``vogen evaluate`` relaxes and judges
them; and what it finds is put beside the rows. Exit code 1 if an energy above hull differs by
more than the tolerance, or a crystal is ranked in one and not in the other. Which crystals are
unique depends on the company, and is not compared.
"""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from records import GENERATED, Record, read_records

from atomate2_vogen.errors import InputError, VogenError

COMPARED = ("initial_energy_above_hull", "energy_above_hull")


@click.command(help=__doc__.split("\n", 1)[0])
@click.argument("raw", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--rows", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for CIFs.")
@click.option("--only-cifs", is_flag=True, help="Write the CIFs and judge nothing.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=0.005,
    show_default=True,
    help="eV/atom. Another processor rounds otherwise, and a relaxation may end elsewhere.",
)
def main(*, raw: Path, rows: int, seed: int, out: Path, only_cifs: bool, tolerance: float) -> None:
    """Draw, write, judge, compare."""
    try:
        chosen = draw_rows(read_records(raw), rows, seed)
    except VogenError as error:
        raise click.ClickException(str(error)) from error
    cifs = write_cifs(chosen, out / "cifs")
    if only_cifs:
        click.echo("\n".join(map(str, cifs)))
        return
    judged = out / "judged"
    command = [sys.executable, "-m", "atomate2_vogen.cli", "evaluate", *map(str, cifs)]
    subprocess.run([*command, "--out", str(judged)], check=True, stdout=subprocess.DEVNULL)
    with (judged / "stability.csv").open(encoding="utf-8", newline="") as file:
        again = {Path(row["file"]).stem: row for row in csv.DictReader(file)}
    lines, same = compare(chosen, again, tolerance)
    click.echo("\n".join(lines))
    if not same:
        raise click.ClickException(f"not all rows came out within {tolerance:g} eV/atom")


def draw_rows(records: Sequence[Record], number: int, seed: int) -> list[Record]:
    """Some rows at random, in the order of the file.

    Raises
    ------
    InputError
        If there are fewer.
    """
    if number > len(records):
        raise InputError(f"{number} rows asked for, the file has {len(records)}")
    drawn = np.random.default_rng(seed).choice(len(records), number, replace=False)
    return [records[index] for index in sorted(drawn.tolist())]


def write_cifs(records: Sequence[Record], folder: Path) -> list[Path]:
    """A file for each row, named by its candidate."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{record['candidate_id']}.cif" for record in records]
    for path, record in zip(paths, records, strict=True):
        path.write_text(record[GENERATED], encoding="utf-8")
    return paths


def compare(
    records: Sequence[Record], again: Mapping[str, Mapping[str, Any]], tolerance: float
) -> tuple[list[str], bool]:
    """A Markdown table of both, and whether they agree.

    Parameters
    ----------
    records
        Rows of the raw file.
    again
        Rows of ``stability.csv`` by candidate id.
    tolerance
        eV/atom on the energies above hull.
    """
    lines = ["| candidate | state | before | again | relaxed | again | novel | again |"]
    lines += ["|---|---|---:|---:|---:|---:|---|---|"]
    same = True
    for record in records:
        row = again[record["candidate_id"]]
        cells = [record["candidate_id"], f"{record['state']} / {row['state']}"]
        same &= record["state"] == row["state"]
        for name in COMPARED:
            ours, theirs = record[name], float(row[name]) if row[name] else None
            same &= _close(ours, theirs, tolerance)
            cells += [_number(ours), _number(theirs)]
        cells += [_answer(record["is_novel"]), row["is_novel"] or "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines, same


def _close(first: float | None, second: float | None, tolerance: float) -> bool:
    if first is None or second is None:
        return first is second
    return math.isclose(first, second, rel_tol=0, abs_tol=tolerance)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _answer(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


if __name__ == "__main__":
    main()
