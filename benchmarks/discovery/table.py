"""Table of arms at equal CPU-hours: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.statistics import distribution, proportion
from discovery.counting import (
    RANKED,
    THRESHOLDS,
    Estimate,
    Line,
    is_find,
    new_crystals,
    outcome_of,
    rate,
    ratio,
)
from discovery.raw import CrystalRow, Header, Round

RIVALS = ("random", "evolution")
"""Arms that the others are divided by."""


@dataclass(frozen=True)
class Run:
    """What is read of one run.

    Parameters
    ----------
    header
        What was asked for.
    rounds
        Rows.
    line
        The same in the order of time.
    """

    header: Header
    rounds: list[Round]
    line: Line

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.header.identity["seed"])

    @property
    def training_hours(self) -> float:
        """Hours on one core of the training of its shipped networks."""
        return self.header.training_seconds / 3600


Arms = Mapping[str, Sequence[Run]]
"""Runs by name of the arm."""


@dataclass(frozen=True)
class Row:
    """One quantity of all arms.

    Parameters
    ----------
    key, label
        For programs, and for people, with the unit.
    values
        By arm; None where there is nothing to tell.
    digits
        After the decimal point.
    notes
        Further text by arm, such as the numbers of the seeds.
    """

    key: str
    label: str
    values: Mapping[str, Estimate | None]
    digits: int = 2
    notes: Mapping[str, str] | None = None


def has_refinements(arms: Arms) -> bool:
    """Whether any crystal has a refinement."""
    return any(
        row.refined is not None for runs in arms.values() for run in runs for row in run.line.rows
    )


def table_rows(arms: Arms, hours: float) -> list[Row]:
    """Quantities of all arms within the same CPU-hours of each run.

    Rates are of all seeds of an arm together, with the interval of a Poisson number; counts of
    single seeds stand beside them.

    Parameters
    ----------
    arms
        Runs by arm.
    hours
        CPU-hours of each run, from its beginning.
    """
    seen = {name: [run.line.until(hours) for run in runs] for name, runs in arms.items()}

    def simple(
        key: str, label: str, value: Callable[[list[CrystalRow]], Estimate | None], digits: int = 2
    ) -> Row:
        values = {
            name: value([row for rows in parts for row in rows]) for name, parts in seen.items()
        }
        return Row(key, label, values, digits)

    def spent(name: str, seconds: Callable[[Round], float]) -> float:
        """Seconds of the rounds that were begun within the hours."""
        return sum(seconds(one) for run in arms[name] for one in _rounds_until(run, hours))

    rows = [
        Row(
            "runs",
            "runs (seeds)",
            {name: Estimate(len(runs)) for name, runs in arms.items()},
            0,
            {name: ", ".join(str(run.seed) for run in runs) for name, runs in arms.items()},
        ),
        simple("relaxed", "crystals relaxed", lambda rows: Estimate(len(rows)), 0),
        Row(
            "relaxed_rate",
            "… per CPU-hour",
            {name: rate(sum(map(len, parts)), hours * len(parts)) for name, parts in seen.items()},
            1,
        ),
    ]
    stages = [("", "", False)]
    if has_refinements(arms):
        stages.append(("refined_", ", after refinement", True))
    for prefix, words, final in stages:
        for threshold in THRESHOLDS:
            rows += _discovery(
                arms, seen, hours, threshold, prefix=prefix, words=words, final=final
            )
    for threshold in THRESHOLDS:
        rows += _with_training(arms, hours, threshold)
    for prefix, words, final in stages:
        rows.append(
            simple(
                f"{prefix}p1",
                f"P1 (0.1 Å) among finds within 0.1 eV/atom{words}",
                lambda rows, final=final: _share(  # type: ignore[misc]
                    [
                        outcome_of(row, final=final).space_group == 1
                        for row in rows
                        if is_find(outcome_of(row, final=final), NEAR_HULL_LIMIT)
                    ]
                ),
            )
        )
    rows += [
        simple(
            "p1_generated",
            "P1 (0.01 Å) as generated",
            lambda rows: _share([row.space_group_exact == 1 for row in rows]),
        ),
        simple(
            "above_hull_generated",
            "median eV/atom above hull, as generated",
            lambda rows: _median([row.above_hull for row in _ranked(rows)]),
            3,
        ),
        simple(
            "above_hull_relaxed",
            "median eV/atom above hull, relaxed",
            lambda rows: _median([row.relaxed.above_hull for row in _ranked(rows)]),
            3,
        ),
        simple(
            "rmsd",
            "median RMSD to relaxed (Å)",
            lambda rows: _median([row.relaxed.rmsd for row in _ranked(rows)]),
        ),
        simple(
            "steps",
            "median steps of a relaxation",
            lambda rows: _median([row.n_steps for row in rows]),
            0,
        ),
        simple(
            "ranked",
            "ranked: converged, bulk, not collapsed",
            lambda rows: _share([row.relaxed.state == RANKED for row in rows]),
        ),
        simple(
            "novel",
            "novel, of those ranked",
            lambda rows: _share([bool(row.relaxed.is_novel) for row in _ranked(rows)]),
        ),
        simple(
            "replay",
            "found before by the same run, of those ranked",
            lambda rows: _share([row.replay_of is not None for row in _ranked(rows)]),
        ),
    ]
    delivered = {name: spent(name, lambda one: one.row.delivered) for name in arms}
    requested = {name: spent(name, lambda one: sum(one.row.requested.values())) for name in arms}
    rows.append(
        Row(
            "delivered",
            "delivered, of those asked for",
            {name: _of_counts(int(delivered[name]), int(requested[name])) for name in arms},
        )
    )
    for key, label, seconds in (
        ("sampling", "sampling", lambda one: one.row.sampling_seconds),
        ("single_points", "single points", lambda one: one.row.single_point_seconds),
        ("matching", "comparison with known crystals", lambda one: one.row.matching_seconds),
        ("training", "learning between rounds", lambda one: one.row.training_seconds),
    ):
        rows.append(
            Row(
                f"seconds_{key}",
                f"CPU s of {label}, per candidate",
                {
                    name: Estimate(spent(name, seconds) / delivered[name])
                    if delivered[name]
                    else None
                    for name in arms
                },
            )
        )
    rows += [
        simple(
            "seconds_crystal",
            "CPU s of relaxing and judging, per crystal",
            lambda rows: (
                Estimate(sum(row.cpu_seconds for row in rows) / len(rows)) if rows else None
            ),
        ),
        simple(
            "seconds_relaxation",
            "… of the energy model alone",
            lambda rows: _mean([row.relaxation_seconds for row in rows]),
        ),
        Row(
            "seconds_loading",
            "CPU s of loading, once per start (in no row above)",
            {
                name: _mean([s for run in runs for s in run.header.loading_seconds])
                for name, runs in arms.items()
            },
            0,
        ),
        Row(
            "training_hours",
            "hours of training the shipped networks, one core",
            {name: Estimate(runs[0].training_hours) for name, runs in arms.items()},
        ),
    ]
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """The table for people: value, interval in parentheses, notes."""
    names = list(rows[0].values)
    lines = [["", *names], ["---", *("---:" for _ in names)]]
    lines += [
        [row.label, *(_cell(row, name) for name in names)]
        for row in rows
        if any(row.values.values())
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def csv_text(rows: Sequence[Row]) -> str:
    """One line for each arm and quantity, with all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", "quantity", "label", "value", "low", "high", "note"])
    for row in rows:
        for name, estimate in row.values.items():
            numbers = (
                ["", "", ""]
                if estimate is None
                else [
                    "" if number is None else repr(float(number))
                    for number in (estimate.value, estimate.low, estimate.high)
                ]
            )
            writer.writerow([name, row.key, row.label, *numbers, (row.notes or {}).get(name, "")])
    return text.getvalue()


def _discovery(
    arms: Arms,
    seen: Mapping[str, list[list[CrystalRow]]],
    hours: float,
    threshold: float,
    *,
    prefix: str,
    words: str,
    final: bool,
) -> list[Row]:
    """New crystals per CPU-hour within a threshold, and ratios over the rivals."""
    each = {
        name: [sum(new_crystals(rows, threshold, final=final)) for rows in parts]
        for name, parts in seen.items()
    }
    total = {name: sum(counts) for name, counts in each.items()}
    time = {name: hours * len(runs) for name, runs in arms.items()}
    rows = [
        Row(
            f"{prefix}new_{threshold:g}",
            f"**new within {threshold:g} eV/atom per CPU-hour**{words}",
            {name: rate(total[name], time[name]) for name in arms},
            1,
            {name: "+".join(map(str, counts)) for name, counts in each.items()},
        )
    ]
    rows += [
        Row(
            f"{prefix}ratio_{threshold:g}_{rival}",
            f"… times {rival}",
            {
                name: None
                if name == rival
                else ratio(total[name], time[name], total[rival], time[rival])
                for name in arms
            },
        )
        for rival in RIVALS
        if rival in arms and len(arms) > 1
    ]
    return rows


def _with_training(arms: Arms, hours: float, threshold: float) -> list[Row]:
    """New crystals per CPU-hour if the hours have to pay for the shipped networks first."""
    if not any(run.training_hours for runs in arms.values() for run in runs):
        return []
    values = {}
    for name, runs in arms.items():
        found = [run.line.until(hours - run.training_hours) for run in runs]
        count = sum(sum(new_crystals(rows, threshold)) for rows in found)
        values[name] = rate(count, hours * len(runs))
    label = f"new within {threshold:g} eV/atom per CPU-hour, training of shipped networks included"
    return [Row(f"new_{threshold:g}_with_training", label, values, 1)]


def _rounds_until(run: Run, hours: float) -> list[Round]:
    """Rounds whose sample was there within some CPU-hours."""
    found, spent = [], 0.0
    for one in run.rounds:
        spent += one.row.cpu_seconds
        if spent > hours * 3600:
            break
        found.append(one)
        spent += sum(row.cpu_seconds for row in one.crystals)
    return found


def _ranked(rows: Sequence[CrystalRow]) -> list[CrystalRow]:
    return [row for row in rows if row.relaxed.state == RANKED]


def _median(values: Sequence[float | None]) -> Estimate | None:
    """Median, with the quartiles in place of an interval."""
    found = distribution(values)
    if found.median is None:
        return None
    return Estimate(found.median, found.quartile_1, found.quartile_3)


def _mean(values: Sequence[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return Estimate(sum(known) / len(known)) if known else None


def _share(flags: Sequence[bool]) -> Estimate | None:
    return _of_counts(sum(flags), len(flags))


def _of_counts(count: int, total: int) -> Estimate | None:
    """Share with its Wilson interval."""
    found = proportion(count, total)
    return None if found.share is None else Estimate(found.share, found.low, found.high)


def _cell(row: Row, name: str) -> str:
    estimate = row.values[name]
    if estimate is None:
        return "–"
    text = _number(estimate.value, row.digits)
    if estimate.low is not None and estimate.high is not None:
        bounds = f"{_number(estimate.low, row.digits)} to {_number(estimate.high, row.digits)}"
        text += f" ({bounds})"
    note = (row.notes or {}).get(name)
    return f"{text}; {note}" if note else text


def _number(value: float, digits: int) -> str:
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}".replace("-", "−")
