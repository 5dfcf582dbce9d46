"""Count how many real phases a sampler finds again, of unfiltered samples of each formula.

    python benchmarks/discovery/refind.py --sampler wgan --samples 1000 --out results/discovery/refind

Targets are the shipped reference phases and those of ``literature.json`` with at most 20 atoms per
primitive cell; phases that relax into the same crystal are one target. Samples are not compared with
known crystals; each is relaxed, and compared with the targets at the matcher's own tolerances, as
generated and as relaxed. Stop it at any time: the same command goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from pymatgen.core import Structure

from atomate2_vogen.energy_rounding import as_printed
from atomate2_vogen.errors import InputError, VogenError
from atomate2_vogen.files import check_name, write_atomically
from atomate2_vogen.managers.workers import THREAD_VARIABLES
from atomate2_vogen.samplers.base import seed_of_round
from atomate2_vogen.structured import parse_json
from atomate2_vogen.structures.matching import KnownStructures
from discovery.arms import Arm
from discovery.counting import RANKED
from discovery.judging import Judge
from discovery.measuring import Session, Stopwatch
from discovery.raw import Round, locked, total_seconds
from discovery.run import TELL_SECONDS, load_judge
from discovery.targets import Target, targets

BATCH = 50
"""Crystals of one call of the sampler; part of what decides which crystals these are."""


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--sampler", required=True, help="Name of the sampler.")
@click.option("--options", default="{}", help="Further arguments of `load_sampler`, as JSON.")
@click.option("--samples", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--formulas", help="Formulas to sample.  [default: those of the targets]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(
    *, sampler: str, options: str, samples: int, formulas: str | None, seed: int, out: Path
) -> None:
    """Sample, relax and compare what is left."""
    try:
        given = parse_json(options, "--options", InputError)
        if not isinstance(given, dict):
            raise InputError(f"--options {options}: give a JSON object")
        arm = Arm(check_name(sampler), {"sampler": sampler, **given}, refuse_known=False)
        arm.check()
        wanted = None if formulas is None else [name.strip() for name in formulas.split(",")]
    except VogenError as error:
        raise click.ClickException(str(error)) from error
    # libraries read these when they are loaded, and here they are
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    process = multiprocessing.get_context("spawn").Process(
        target=work,
        args=(arm, seed, out / arm.name / f"seed-{seed}"),
        kwargs={"samples": samples, "formulas": wanted},
    )
    process.start()
    process.join()
    if process.exitcode:
        raise click.exceptions.Exit(1)


def work(arm: Arm, seed: int, folder: Path, **request: Any) -> None:
    """Measure and print the result, in a separate process."""
    try:
        click.echo(refind(arm, seed, folder, load_judge=load_judge, **request))
    except VogenError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def refind(
    arm: Arm,
    seed: int,
    folder: Path,
    *,
    samples: int,
    formulas: Sequence[str] | None,
    load_judge: Callable[[], Judge],
) -> str:
    """Do what is left, and write ``refound.json`` and ``refound.md``; returns the latter.

    Raises
    ------
    InputError
        If the folder is of another measurement or in use, or a formula has no target.
    """
    watch = Stopwatch()
    with locked(folder):
        judge = load_judge()
        wanted, left_out = targets(judge, arm)
        with_targets = list(dict.fromkeys(target.formula for target in wanted))
        formulas = list(formulas or with_targets)
        if strange := [one for one in formulas if one not in with_targets]:
            raise InputError(f"{strange[0]} has no target; take some of {', '.join(with_targets)}")
        identity = {
            "seed": seed,
            "formulas": formulas,
            "targets": [[phase.name for phase in target.phases] for target in wanted],
        }
        session = Session(arm, folder, identity, judge, watch)
        plan = batches(formulas, samples)
        for one, (_, counts) in zip(session.rounds, plan, strict=False):
            if one.row.requested != counts:
                raise InputError(
                    f"{folder}: was begun with other --samples; give a multiple of {BATCH} to add "
                    "to it, or another --out"
                )
        session.load(formulas)
        session.loaded()
        printed_at = 0.0
        for number, (batch, counts) in enumerate(plan):
            if number == len(session.rounds):
                session.sample(counts, seed_of_round(seed, batch))
            while not session.rounds[number].is_finished:
                row = session.calculate(session.rounds[number])
                if time.monotonic() - printed_at > TELL_SECONDS:
                    printed_at = time.monotonic()
                    click.echo(_line(session, plan, row.formula), err=True)
        done = session.rounds[: len(plan)]
        document = summary(wanted, matches(wanted, done), left_out)
        document |= {"sampler": arm.options, "samples": samples, "seed": seed}
        document["scheme"] = judge.engine.scheme
        document["cpu_hours"] = round(total_seconds(done) / 3600, 3)
        text = markdown(document)
        write_atomically(folder / "refound.json", json.dumps(document, indent=1) + "\n")
        write_atomically(folder / "refound.md", text)
        return text


def batches(formulas: Sequence[str], samples: int) -> list[tuple[int, dict[str, int]]]:
    """Number and counts of each call of the sampler: formulas in turn, so that all advance."""
    return [
        (number, {formula: min(BATCH, samples - start)})
        for number, start in enumerate(range(0, samples, BATCH), start=1)
        for formula in formulas
    ]


def matches(
    wanted: Sequence[Target], rounds: Sequence[Round]
) -> dict[str, list[dict[str, list[str]]]]:
    """For each sample of each formula the targets that it matches, as generated and as relaxed."""
    known = [(target.name, KnownStructures({"": target.structure})) for target in wanted]

    def names(structure: Structure) -> list[str]:
        return [name for name, one in known if one.find(structure) is not None]

    found: dict[str, list[dict[str, list[str]]]] = {}
    for one in rounds:
        for formula in one.row.requested:
            found.setdefault(formula, [])
        for candidate, row in zip(one.candidates, one.crystals, strict=True):
            ranked = row.relaxed.state == RANKED
            found[row.formula].append(
                {
                    "generated": names(candidate.structure),
                    "relaxed": names(one.relaxed[row.candidate_id]) if ranked else [],
                }
            )
    return found


def _line(session: Session, plan: Sequence[Any], formula: str) -> str:
    """Progress, with the time left by the mean of the crystals so far."""
    done = sum(len(one.crystals) for one in session.rounds)
    left = sum(sum(counts.values()) for _, counts in plan) - done
    hours = left * session.spent / done / 3600
    return (
        f"{time.strftime('%H:%M:%S')} {formula}: {done} crystals relaxed, at most {left} to go, "
        f"{hours:.1f} CPU-hours"
    )


def summary(
    wanted: Sequence[Target],
    done: Mapping[str, Sequence[Mapping[str, Any]]],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """How often each target was found again, and how many were found at all.

    Targets of formulas that were not sampled are listed with None and not counted.
    """
    rows = []
    for target in wanted:
        samples = done.get(target.formula)
        counts = {
            kind: None
            if samples is None
            else sum(target.name in sample[kind] for sample in samples)
            for kind in ("generated", "relaxed")
        }
        rows.append(
            {
                "name": target.name,
                "formula": target.formula,
                "n_atoms": len(target.structure),
                "above_hull": round(target.phases[0].above_hull, 4),
                "merged": [phase.name for phase in target.phases[1:]],
                "given_as": target.given_as,
                "source": [phase.source for phase in target.phases],
                "samples": None if samples is None else len(samples),
                **counts,
            }
        )
    counted = [row for row in rows if row["samples"] is not None]
    held_out = [row for row in counted if row["given_as"] is None]
    return {
        "targets": rows,
        "left_out": dict(left_out),
        "refound": {
            name: {kind: sum(bool(row[kind]) for row in group) for kind in ("generated", "relaxed")}
            | {"of": len(group)}
            for name, group in (("all", counted), ("not given to the sampler", held_out))
        },
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The summary for people."""
    header = ["target", "atoms", "eV/atom above hull", "merged with", "given to the sampler as"]
    header += ["samples", "as generated", "as relaxed"]
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    for row in document["targets"]:
        numbers = (row["samples"], row["generated"], row["relaxed"])
        lines.append(
            [
                row["name"],
                str(row["n_atoms"]),
                f"{as_printed(row['above_hull']):.3f}",
                ", ".join(row["merged"]) or "–",
                row["given_as"] or "–",
                *("–" if number is None else str(number) for number in numbers),
            ]
        )
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    found = "\n".join(
        f"Targets found again, {name}: {counts['relaxed']} of {counts['of']} as relaxed, "
        f"{counts['generated']} as generated."
        for name, counts in document["refound"].items()
    )
    left_out = "".join(f"\nLeft out: {k} ({v})." for k, v in document["left_out"].items())
    return f"{table}\n\n{found}{left_out}\n"


if __name__ == "__main__":
    main()
