"""What a report says of the run as a whole: what was run, what came out, what to doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.numbers import DASH, Facts, interval, number
from atomate2_vogen.schemas import FormulaMetrics, Proportion, Rate, StabilityState

JUDGES = {
    "CHGNet": "CHGNet is a machine-learned potential. It cannot settle differences below about "
    "60 meV/atom, knows magnetism only implicitly, and is too soft: it underestimates the "
    "curvature of the energy and with it phonon frequencies (DOI 10.1038/s41524-024-01500-6).",
    "SevenNet": "SevenNet is a machine-learned potential: its energies carry the error of its fit.",
}
"""Known errors of energy models, by the beginning of the name of their scale."""


@dataclass(frozen=True)
class Tile:
    """One of the numbers at the top of the report."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One property of many crystals as shares of several totals."""

    name: str
    cells: tuple[str, ...]
    """Counts with intervals, one per whole."""
    low: float | None = None
    share: float | None = None
    high: float | None = None


def tiles(documents: ReportDocuments) -> list[Tile]:
    """Numbers of candidates: all, ranked, near the hull, and stable, unique and novel."""
    whole = len(documents.stability)
    ranked = [d for d in documents.stability if d.state is StabilityState.RANKED]
    found = [Tile(str(whole), "candidates"), Tile(str(len(ranked)), f"ranked of {whole}")]
    metrics = documents.measured
    if metrics is None:
        return found
    if metrics.overall.stable is not None:
        near = metrics.overall.stable[f"{metrics.sun_threshold:g}"].of_delivered
        found.append(
            Tile(str(near.count), f"≤ {metrics.sun_threshold:g} eV/atom above hull", _of(near))
        )
    if metrics.overall.sun is not None:
        sun = metrics.overall.sun.of_delivered
        label = f"≤ {metrics.sun_threshold:g} eV/atom, unique, novel"
        found.append(Tile(str(sun.count), label, _of(sun)))
    return found


def _of(part: Proportion) -> str:
    if part.share is None or part.low is None or part.high is None:
        return f"of {part.total}"
    return (
        f"{100 * part.share:.0f} % of {part.total} "
        f"(95 %: {100 * part.low:.0f} to {100 * part.high:.0f} %)"
    )


def attempt_rows(metrics: FormulaMetrics) -> list[Row]:
    """Rejections of the sampler's attempts by reason, where they are known."""
    rows = [
        _proportion("gave a crystal of any composition", metrics.decoded),
        _proportion("gave one of the composition asked for", metrics.exact_composition),
        _proportion("gave one whose atoms keep their distances too", metrics.sound),
    ]
    return [row for row in rows if row is not None]


def metrics_rows(metrics: FormulaMetrics, sun_threshold: float) -> list[Row]:
    """Shares of the crystals asked for, delivered and ranked, with counts and intervals."""
    rows = [
        _proportion("delivered", metrics.delivered, 3),
        _rate("no two atoms too close, as generated", metrics.distances_valid),
        _rate("charges can balance", metrics.charge_neutral),
        _rate("unlike the others, as generated", metrics.unique),
        _rate("ranked: relaxed, converged, not collapsed, bulk crystals", metrics.ranked),
        _rate("no bulk crystals: layers, chains or molecules in vacuum", metrics.not_bulk),
        _rate("unlike the others, relaxed", metrics.unique_relaxed),
        _rate("novel: unlike every known crystal", metrics.novel),
    ]
    for threshold, rate in (metrics.stable or {}).items():
        rows.append(_rate(f"≤ {threshold} eV/atom above hull, relaxed", rate))
    rows.append(_rate(f"S.U.N.: ≤ {sun_threshold:g} eV/atom, unique, novel", metrics.sun))
    rows.append(_rate("still the same crystal after relaxation", metrics.still_matches))
    return [row for row in rows if row is not None]


def _proportion(name: str, part: Proportion | None, columns: int = 1) -> Row | None:
    if part is None:
        return None
    cells = (_cell(part), *[""] * (columns - 1))
    return Row(name, cells, part.low, part.share, part.high)


def _rate(name: str, rate: Rate | None) -> Row | None:
    if rate is None:
        return None
    part = rate.of_delivered
    cells = (_cell(rate.of_requested), _cell(part), _cell(rate.of_ranked))
    return Row(name, cells, part.low, part.share, part.high)


def _cell(part: Proportion | None) -> str:
    return "" if part is None else f"{part.count} of {part.total}, {interval(part)}"


def run_facts(documents: ReportDocuments) -> Facts:
    """Command, samplers, energy model and times of a run."""
    run, metrics = documents.run, documents.measured
    facts: Facts = []
    if command := run.get("command"):
        facts.append(("command", f"vogen {command}"))
    identity = run.get("identity")
    for name, value in (identity if isinstance(identity, Mapping) else {}).items():
        facts.append((str(name).replace("_", " "), _plain(value)))
    if metrics is not None:
        facts.append(("samplers", _plain(metrics.samplers)))
        if "seed" not in (identity or {}):
            facts.append(("seed", _plain(metrics.seeds)))
    models = sorted({document.model_id for document in documents.stability})
    facts.append(("model id", ", ".join(models[:5]) + (", …" if len(models) > 5 else "")))
    facts += [
        ("energy model", documents.scheme),
        ("hull id", documents.hull_id),
        ("reference phases", str(len(documents.hull.references))),
    ]
    for name in ("started", "updated", "workers"):
        if run.get(name) is not None:
            facts.append((name, _plain(run[name])))
    last = max(document.last_updated for document in documents.stability)
    facts.append(("stability computed", last.strftime("%Y-%m-%d %H:%M UTC")))
    return [(name, value) for name, value in facts if value]


def versions(documents: ReportDocuments) -> Facts:
    """Versions of the package and of the packages that the numbers depend on."""
    found = documents.run.get("versions")
    versions = {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}
    versions.setdefault("atomate2-vogen", documents.stability[0].package_version)
    if documents.measured is not None:
        versions |= documents.measured.engine_versions
    return list(versions.items())


def stage_rows(run: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Stage, seconds of its first run, seconds of all later ones, and what the first one did."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for entry in run.get("stages") or ():
        if isinstance(entry, Mapping):
            stages.setdefault(str(entry.get("stage", DASH)), []).append(entry)
    return [
        (
            name,
            number(_seconds(entries[0]), 1),
            number(sum(_seconds(entry) for entry in entries[1:]), 1) if entries[1:] else "",
            ", ".join(
                f"{value} {key.replace('_', ' ')}"
                for key, value in entries[0].items()
                if key not in {"run", "stage", "seconds"} and isinstance(value, int) and value
            ),
        )
        for name, entries in stages.items()
    ]


def _seconds(entry: Mapping[str, Any]) -> float:
    value = entry.get("seconds")
    return float(value) if isinstance(value, int | float) else 0.0


def limits(documents: ReportDocuments) -> list[str]:
    """Limits of the results, as sentences."""
    scheme = documents.scheme
    found = [
        (
            f"Every energy is by {scheme}, at 0 K, on a hull of "
            f"{len(documents.hull.references)} reference phases computed the same way. Another "
            "energy model gives other energies, another order and other classes."
        ),
    ]
    found += [text for name, text in JUDGES.items() if scheme.startswith(name)]
    found.append(
        "A small energy above hull is a reason to compute, not a discovery: confirm with density "
        "functional theory, then in the laboratory."
    )
    metrics = documents.measured
    if metrics is not None and metrics.novelty_pool:
        pool = ", ".join(f"{count} {kind}" for kind, count in metrics.novelty_pool.items())
        found.append(f"Novel means unlike {pool} of these formulas, and no more than that.")
    else:
        found.append("Novel means unlike the crystals of the pool that it was compared with.")
    found.append(
        "Relaxation does much of the work: compare the energies before and after it before "
        "crediting the generator."
    )
    found.append(
        "Intervals are Wilson's at 95 % and take the candidates for independent draws. Uniqueness "
        "depends on the size of the sample."
    )
    found += sorted(
        {f"{d.engine}: {d.known_weakness}." for d in documents.phonons if d.known_weakness}
    )
    return found


def cost(documents: ReportDocuments) -> Facts:
    """CPU seconds by stage, and what an hour of them finds."""
    metrics = documents.measured
    if metrics is None:
        return []
    facts = [(f"{stage} (CPU s)", number(value, 1)) for stage, value in metrics.cpu_seconds.items()]
    if metrics.finds_per_cpu_hour is not None:
        facts.append(("S.U.N. crystals per CPU hour", number(metrics.finds_per_cpu_hour, 1)))
    return facts


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(entry) for entry in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
