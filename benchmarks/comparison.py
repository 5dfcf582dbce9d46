"""Tables of several samplers side by side, beside what was published and what is demanded.

Pure: from `MetricsDoc`, `SampleDoc` and `StabilityDoc` to rows, and from rows to Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.schemas import (
    Distribution,
    FormulaMetrics,
    MetricsDoc,
    Proportion,
    Rate,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.paper_tables import CRITERIA, count_class
from atomate2_vogen.stability.published import ALL
from atomate2_vogen.stability.statistics import proportion

Value = Proportion | float | None
Yardsticks = Mapping[str, Mapping[str, str]]
"""Texts by key of the row, then by column: what is demanded, what others reached."""

NARROWER_LIMITS = (0.05, 0.025, 0.0)
"""Energies above hull in eV/atom, beside the 0.1 of S.U.N."""


@dataclass(frozen=True)
class Entry:
    """What one sampler did.

    Parameters
    ----------
    sample
        Request, attempts and seconds; its candidates are not looked at.
    metrics
        Of the same sample.
    stability
        Its judgements.
    """

    sample: SampleDoc
    metrics: MetricsDoc
    stability: Sequence[StabilityDoc]


@dataclass(frozen=True)
class Row:
    """One quantity of all samplers.

    Parameters
    ----------
    key
        For programs, and for the look-up in the yardsticks.
    label
        For people, with the unit.
    values
        By sampler; None where there is nothing to tell.
    digits
        After the decimal point of a plain number.
    """

    key: str
    label: str
    values: Mapping[str, Value]
    digits: int = 2


def summary_rows(entries: Mapping[str, Entry]) -> list[Row]:
    """How samplers compare.

    Shares are of the crystals delivered, except what was delivered and S.U.N., which are of
    the crystals asked for: a sampler that delivers little must not win by it.

    Parameters
    ----------
    entries
        By sampler.
    """

    def row(key: str, label: str, value: Callable[[Entry], Value], digits: int = 2) -> Row:
        return Row(key, label, {name: value(entry) for name, entry in entries.items()}, digits)

    def overall(entry: Entry) -> FormulaMetrics:
        return entry.metrics.overall

    stages = sorted({stage for entry in entries.values() for stage in entry.metrics.cpu_seconds})
    return [
        row("delivered", "delivered, of those asked for", lambda e: overall(e).delivered),
        row("sound", "attempts that give the composition, atoms apart", lambda e: overall(e).sound),
        row("valid", "valid (distances, charges)", lambda e: overall(e).valid.of_delivered),
        row("not_bulk", "no bulk crystals, relaxed", lambda e: _of_delivered(overall(e).not_bulk)),
        row("within_0.3", "≤ 0.3 eV/atom above hull, relaxed", lambda e: _within(e, "0.3")),
        row("within_0.1", "≤ 0.1 eV/atom above hull, relaxed", lambda e: _within(e, "0.1")),
        row(
            "median_before",
            "median eV/atom above hull, as generated",
            lambda e: _median(overall(e).above_hull_before),
            3,
        ),
        row(
            "median_after",
            "median eV/atom above hull, relaxed",
            lambda e: _median(overall(e).above_hull_after),
            3,
        ),
        row("rmsd", "median RMSD to relaxed (Å)", lambda e: _median(overall(e).rmsd_to_relaxed)),
        row(
            "unique_relaxed",
            "unique after relaxation",
            lambda e: _of_delivered(overall(e).unique_relaxed),
        ),
        row("novel", "novel", lambda e: _of_delivered(overall(e).novel)),
        row("sun", "S.U.N. at 0.1 eV/atom, of those asked for", _sun),
        *(
            row(
                f"sun_{limit:g}",
                f"S.U.N. at {limit:g} eV/atom",
                lambda e, limit=limit: _sun_within(e, limit),  # type: ignore[misc]
            )
            for limit in NARROWER_LIMITS
        ),
        row("finds", "S.U.N. per CPU-hour, all stages", _finds, 1),
        row("rate", "delivered per second of sampling and filter, one process", _rate),
        *(
            row(
                f"seconds_{stage}",
                f"CPU seconds of {stage}",
                lambda e, stage=stage: e.metrics.cpu_seconds.get(stage),  # type: ignore[misc]
                0,
            )
            for stage in stages
        ),
    ]


def class_rows(
    entries: Mapping[str, Entry], published: Mapping[str, Mapping[str, int]]
) -> list[tuple[str, Row]]:
    """The paper's Table 2 for every sampler, of the crystals asked for.

    Parameters
    ----------
    entries
        By sampler, all of the same request.
    published
        Counts by formula (or ``all``) and key of `CRITERIA`, and ``total``.

    Returns
    -------
    list of tuple
        Formula or ``all``, and a row whose values have one more column, ``paper``.
    """
    rows = []
    requested = next(iter(entries.values())).sample.requested if entries else {}
    for formula in [*requested, ALL]:
        for key, (label, _) in CRITERIA.items():
            values: dict[str, Value] = {"paper": _published(published.get(formula), key)}
            for name, entry in entries.items():
                values[name] = count_class(entry.stability, entry.sample.requested, formula, key)
            rows.append((formula, Row(key, label, values)))
    return rows


def summary_markdown(rows: Sequence[Row], yardsticks: Yardsticks | None = None) -> str:
    """Table of `summary_rows`; the yardsticks' columns stand at its right."""
    given = yardsticks or {}
    samplers = list(rows[0].values) if rows else []
    others = list(dict.fromkeys(column for texts in given.values() for column in texts))
    body = [
        [
            row.label,
            *(value_text(row.values[name], row.digits) for name in samplers),
            *(given.get(row.key, {}).get(column, "") for column in others),
        ]
        for row in rows
    ]
    return _markdown(["", *samplers, *others], body)


def class_markdown(rows: Sequence[tuple[str, Row]]) -> str:
    """Table of `class_rows`."""
    names = list(rows[0][1].values) if rows else []
    body = [
        [formula, row.label, *(value_text(row.values[name]) for name in names)]
        for formula, row in rows
    ]
    return _markdown(["", "", *names], body)


def value_text(value: Value, digits: int = 2) -> str:
    """A value as it stands in a table: a share as count, whole and per cent."""
    if value is None:
        return "–"
    if isinstance(value, Proportion):
        share = "–" if value.share is None else f"{100 * value.share:.1f} %"
        return f"{share} ({value.count}/{value.total})"
    return f"{value:,.{digits}f}"


def plain_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain JSON values."""
    return [
        {
            "key": row.key,
            "label": row.label,
            "values": {
                name: value.model_dump() if isinstance(value, Proportion) else value
                for name, value in row.values.items()
            },
        }
        for row in rows
    ]


def _within(entry: Entry, threshold: str) -> Value:
    stable = entry.metrics.overall.stable
    return None if stable is None else stable[threshold].of_delivered


def _of_delivered(rate: Rate | None) -> Value:
    return None if rate is None else rate.of_delivered


def _median(values: Distribution | None) -> Value:
    return None if values is None else values.median


def _sun(entry: Entry) -> Value:
    """Of those asked for; a sampler that delivered nothing found nothing."""
    overall = entry.metrics.overall
    if overall.sun is None:
        return None if overall.n_delivered else proportion(0, overall.n_requested)
    return overall.sun.of_requested


def _sun_within(entry: Entry, limit: float) -> Value:
    """Unique, novel crystals within a limit, of those asked for."""
    count = sum(is_find(document, limit) for document in entry.stability)
    return proportion(count, entry.metrics.overall.n_requested)


def is_find(document: StabilityDoc, limit: float) -> bool:
    """Whether a crystal is unique, novel and within a limit above hull (eV/atom)."""
    return (
        document.state is StabilityState.RANKED
        and bool(document.is_unique and document.is_novel)
        and document.energy_above_hull is not None
        and at_most(document.energy_above_hull, limit)
    )


def _finds(entry: Entry) -> Value:
    delivered = entry.metrics.overall.n_delivered
    return entry.metrics.finds_per_cpu_hour if delivered else 0.0


def _rate(entry: Entry) -> Value:
    seconds = entry.sample.wall_time
    return entry.metrics.overall.n_delivered / seconds if seconds > 0 else None


def _published(counts: Mapping[str, int] | None, key: str) -> Value:
    return None if counts is None else proportion(counts[key], counts["total"])


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in header[1:])]
    lines = [header, rule, *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
