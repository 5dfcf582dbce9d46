"""Tables that the command line prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from atomate2_vogen.energy_rounding import ENERGY_DECIMALS, as_printed
from atomate2_vogen.stability.order import by_energy

if TYPE_CHECKING:
    from atomate2_vogen.engines.cost import StaticCost
    from atomate2_vogen.plotting import Step
    from atomate2_vogen.schemas import (
        ConsensusDoc,
        DftDoc,
        Distribution,
        ElectronicDoc,
        MetricsDoc,
        Opinion,
        PaperTable,
        PhononDoc,
        Proportion,
        Rate,
        RoundDoc,
        SampleDoc,
        StabilityDoc,
    )

STYLES = {
    "stable": "green",
    "metastable": "yellow",
    "on hull": "green",
    "near hull": "green",
    "soft": "yellow",
    "unstable": "red",
    "failed": "red",
    "collapsed": "red",
    "unconverged": "magenta",
    "not bulk": "magenta",
    "confirmed": "green",
    "disputed": "yellow",
    "refuted": "red",
}


LEARNT_FROM = {
    "parents": "{n} crystals as parents",
    "potential": "potential fitted to {n} frames",
    "networks": "networks trained on {n} crystals",
}
"""What a sampler had learnt, by kind."""


def candidate_table(
    stability: Sequence[StabilityDoc], names: Mapping[str, str] | None = None
) -> Table:
    """One row per candidate, lowest energy above hull first.

    Parameters
    ----------
    stability
        Documents of one scheme.
    names
        What to show instead of the candidate id, by candidate id, e.g. file names.
    """
    table = plain_table()
    if names is None:
        table.add_column("candidate", overflow="fold", min_width=11)
    else:
        table.add_column("file", overflow="fold", min_width=16)
        table.add_column("formula", no_wrap=True)
    for name in ("E_form", "before", "E_hull"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("paper", "field", "unique"):
        table.add_column(name, no_wrap=True)
    table.add_column("novel", no_wrap=True)
    if names is None:
        table.add_column("group", no_wrap=True)
    for doc in by_energy(stability):
        name = doc.candidate_id if names is None else names.get(doc.candidate_id, doc.candidate_id)
        row: list[str | Text] = [Text(name)]
        if names is not None:
            row.append(doc.formula)
        if doc.paper_class is None or doc.field_class is None:
            # no numbers: those of a collapsed cell would be the lowest of all
            row += ["–", _energy(doc.initial_energy_above_hull), "–", _styled(doc.state.value)]
            row += ["–"] * 3
        else:
            row += [
                _energy(doc.formation_energy_per_atom),
                _energy(doc.initial_energy_above_hull),
                _energy(doc.energy_above_hull),
                _styled(doc.paper_class.value),
                _styled(doc.field_class.value),
                yes_or_no(doc.is_unique),
                yes_or_no(doc.is_novel),
            ]
        if names is None:
            row.append(doc.space_group_symbol or "–")
        table.add_row(*row, style="dim" if doc.paper_class is None else "")
    return table


def characterisation_table(documents: Sequence[ElectronicDoc | PhononDoc]) -> Table:
    """One row per crystal and stage: the verdict and the figure that it rests on."""
    table = plain_table()
    table.add_column("candidate", overflow="fold", min_width=11)
    for name in ("formula", "engine", "verdict"):
        table.add_column(name)
    table.add_column("by")
    for doc in documents:
        verdict, figure = _verdict(doc)
        table.add_row(doc.candidate_id, doc.formula, doc.engine, _styled(verdict), figure)
    return table


def consensus_table(documents: Sequence[ConsensusDoc]) -> Table:
    """One row per crystal: energy above hull by each energy model, and the verdicts."""
    table = plain_table()
    table.add_column("candidate", overflow="fold", min_width=11)
    table.add_column("group", no_wrap=True)
    engines = list(dict.fromkeys(o.model.engine for doc in documents for o in doc.opinions))
    for engine in engines:
        table.add_column(engine, justify="right", overflow="fold", min_width=6)
    for name in ("≤ 0.1", "≤ 0.025"):
        table.add_column(name, no_wrap=True)
    for doc in documents:
        by_engine = {opinion.model.engine: opinion for opinion in doc.opinions}
        table.add_row(
            doc.candidate_id,
            doc.opinions[0].space_group_symbol or "–",
            *(_opinion(by_engine.get(engine)) for engine in engines),
            *(_styled(one.value if one else "–") for one in (doc.verdict, doc.verdict_25mev)),
        )
    return table


def consensus_lines(documents: Sequence[ConsensusDoc]) -> list[str]:
    """What should be known of the verdicts: models of common data, and missing opinions."""
    groups = {tuple(group) for doc in documents for group in doc.shared_training_data}
    lines = [
        f"{' and '.join(group)} learned from common data: their agreement is weaker evidence"
        for group in sorted(groups)
    ]
    reasons = [
        f"{doc.candidate_id}, {opinion.model.engine}: {opinion.reason}"
        for doc in documents
        for opinion in doc.opinions
        if opinion.reason
    ]
    return lines + reasons


def cost_table(sizes: Sequence[tuple[str, int, StaticCost | None]]) -> Table:
    """One row per crystal and geometry that a DFT code calculates: size, memory and time."""
    table = plain_table()
    table.add_column("crystal", overflow="fold", min_width=11)
    for name in ("starts", "atoms", "k-points", "bands", "GiB", "CPU min each"):
        table.add_column(name, justify="right")
    for crystal, starts, cost in sizes:
        row = ["–"] * 5
        if cost is not None:
            minutes = "–" if cost.cpu_time is None else f"{cost.cpu_time / 60:.0f}"
            sizes_of = (cost.n_atoms, cost.n_kpoints, cost.n_bands)
            row = [*map(str, sizes_of), f"{cost.memory:.1f}", minutes]
        table.add_row(crystal, str(starts), *row)
    return table


def dft_table(documents: Sequence[DftDoc]) -> Table:
    """One row per crystal: energy above the lowest known phase by DFT and by each energy model."""
    table = plain_table()
    table.add_column("crystal", overflow="fold", min_width=11)
    table.add_column("order", no_wrap=True)
    models = list(dict.fromkeys(one.engine for doc in documents for one in doc.by_models))
    for name in ("DFT", *models):
        table.add_column(name, justify="right", overflow="fold", min_width=6)
    for doc in documents:
        heights = {one.engine: one.above_known_phase for one in doc.by_models}
        chosen = next((one for one in doc.energies if one.geometry == doc.geometry), None)
        state = None if chosen is None else chosen.magnetism
        table.add_row(
            doc.crystal,
            "–" if state is None or state.order is None else state.order.value,
            "failed" if doc.energy_per_atom is None else _energy(doc.above_known_phase),
            *(_energy(heights.get(model)) for model in models),
            style="dim" if doc.is_known else "",
        )
    return table


def dft_lines(documents: Sequence[DftDoc]) -> list[str]:
    """How the models agree with DFT, and what failed."""
    from atomate2_vogen.stability import model_agreements

    lines = []
    for one in model_agreements(documents):
        rank = one.rank_correlation
        told = "" if rank is None else f", rank correlation {rank:.2f}"
        mean = _energy(one.mean_absolute_difference)
        lines.append(
            f"{one.engine} and DFT: {one.n} crystals{told}, {mean} eV/atom apart on average"
        )
    return lines + [
        f"{doc.crystal}, geometry of {energy.geometry}: {energy.error}"
        for doc in documents
        for energy in doc.energies
        if energy.error
    ]


def paper_table(table: PaperTable) -> Table:
    """Published values beside those of a run; shares as per cent and count."""
    made = Table(box=box.SIMPLE_HEAD, title=table.title, title_justify="left")
    for number, name in enumerate(table.columns):
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        made.add_row(*("–" if cell is None else _paper_cell(cell) for cell in row))
    return made


def step_table(steps: Sequence[Step]) -> Table:
    """Steps of a flow with their jobs, as far as these are known."""
    table = plain_table()
    table.add_column("step", overflow="fold")
    table.add_column("category", no_wrap=True)
    table.add_column("jobs", justify="right", no_wrap=True)
    for step in steps:
        table.add_row(step.name, step.category, str(step.n_jobs))
    return table


def duration(seconds: float | None) -> str:
    """CPU time in the unit that people would use."""
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _paper_cell(cell: Proportion | float | str) -> str:
    """Without intervals, which are in the files."""
    from atomate2_vogen.schemas import Proportion

    if not isinstance(cell, Proportion):
        return str(cell)
    share = "–" if cell.share is None else f"{100 * cell.share:.0f} %"
    return f"{share} {cell.count}/{cell.total}"


def _opinion(opinion: Opinion | None) -> str:
    if opinion is None:
        return "–"
    if opinion.state.value != "ranked":
        return opinion.state.value
    return _energy(opinion.energy_above_hull) + ("*" if opinion.left_basin else "")


def failures(documents: Sequence[ElectronicDoc | PhononDoc]) -> list[str]:
    """Why stages failed, and what documents and engines warn of; each once."""
    lines = [f"{doc.candidate_id}, {doc.scheme}: {doc.error}" for doc in documents if doc.error]
    for doc in documents:
        found = getattr(doc, "phonons", None) or getattr(doc, "electrons", None)
        warnings = [] if found is None else found.warnings
        lines += [f"{doc.candidate_id}, {doc.scheme}: {warning}" for warning in warnings]
        lines.append(getattr(doc, "known_weakness", ""))
    return [line for line in dict.fromkeys(lines) if line]


def _verdict(doc: ElectronicDoc | PhononDoc) -> tuple[str, str]:
    if (phonons := getattr(doc, "phonons", None)) is not None:
        return phonons.verdict.value, f"lowest frequency {phonons.lowest_frequency:.2f} THz"
    if (electrons := getattr(doc, "electrons", None)) is not None:
        channels = [electrons.up] if electrons.down is None else [electrons.up, electrons.down]
        gaps = ", ".join(f"{channel.spin} {channel.gap:.2f}" for channel in channels)
        return electrons.character.value, f"gaps {gaps} eV"
    return doc.state.value, "–"


def summary_table(stability: Sequence[StabilityDoc], sample: SampleDoc | None = None) -> Table:
    """One row per formula: how many were asked for, made, ranked, stable, new."""
    table = plain_table()
    table.add_column("formula")
    if sample is not None:
        for name in ("asked", "made", "attempts", "yield"):
            table.add_column(name, justify="right")
    names = ("relaxed", "ranked", "stable", "metastable", "≤ 0.1", "unique & novel")
    for name in names:
        table.add_column(name, justify="right")
    formulas = list(sample.requested) if sample else sorted({doc.formula for doc in stability})
    for formula in formulas:
        row = [formula]
        if sample is not None:
            attempts = sample.attempts.get(formula, 0)
            made = sum(candidate.formula == formula for candidate in sample.candidates)
            row += [
                str(sample.requested[formula]),
                str(made),
                str(attempts),
                f"{sample.yields[formula]:.1%}",
            ]
        row += map(str, counts_of([doc for doc in stability if doc.formula == formula]).values())
        table.add_row(*row)
    return table


def metrics_table(metrics: MetricsDoc) -> Table:
    """One row per formula, and one for all if there are several."""
    table = plain_table()
    table.add_column("formula")
    names = ("crystals", "valid", "unique", "unique\nrelaxed", "novel", "≤ 0.1", "S.U.N.")
    for name in (*names, "E_hull\nbefore", "E_hull\nafter", "RMSD"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = dict(metrics.formulas)
    if len(rows) > 1:
        rows["all"] = metrics.overall
    for formula, row in rows.items():
        near = None if row.stable is None else row.stable[f"{metrics.sun_threshold:g}"]
        counts = (row.valid, row.unique, row.unique_relaxed, row.novel, near, row.sun)
        medians = (row.above_hull_before_ranked, row.above_hull_after, row.rmsd_to_relaxed)
        table.add_row(
            formula,
            str(row.n_delivered),
            *(_count(rate) for rate in counts),
            *(_median(values) for values in medians),
        )
    return table


def rounds_table(rounds: Sequence[RoundDoc]) -> Table:
    """One row per round of a loop, and one for all if there are several."""
    table = plain_table()
    table.add_column("round")
    limits = list(rounds[0].new) if rounds else []
    for name in ("sampled", "relaxed", *(f"≤ {limit}" for limit in limits), "replays", "P1 %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("CPU-h", justify="right", no_wrap=True)
    rows: list[tuple[str, Sequence[RoundDoc]]] = [(str(one.number), [one]) for one in rounds]
    for name, part in [*rows, *([("all", rounds)] if len(rounds) > 1 else [])]:
        n_finds = sum(len(one.finds) for one in part)
        table.add_row(
            name,
            str(sum(one.n_sampled for one in part)),
            str(sum(one.n_relaxed for one in part)),
            *(str(sum(one.new[limit] for one in part)) for limit in limits),
            str(sum(len(one.replays) for one in part)),
            f"{100 * sum(one.n_p1 for one in part) / n_finds:.0f}" if n_finds else "–",
            f"{sum(one.cpu_hours for one in part):.3f}",
        )
    return table


def learning_lines(rounds: Sequence[RoundDoc]) -> list[str]:
    """What the sampler of each round had learnt, and what should be known of the round."""
    lines = []
    for one in rounds:
        if one.learnt is not None and not one.learns:
            what = f"goes on with the {one.learnt.kind} of round {one.learnt.first_round}"
            lines.append(f"round {one.number}: {what}")
        elif one.learnt is not None:
            beside = f" and {one.learnt.n_rehearsed} earlier" if one.learnt.n_rehearsed else ""
            what = LEARNT_FROM[one.learnt.kind].format(n=f"{one.learnt.n_learnt} new{beside}")
            lines.append(f"round {one.number}: {what}")
        lines += [f"round {one.number}: {text}" for text in one.warnings]
    return lines


def metrics_lines(metrics: MetricsDoc) -> list[str]:
    """What was found, against what, and at what cost."""
    sun, lines = metrics.overall.sun, []
    if sun is not None and metrics.overall.n_delivered:
        parts = [f"{_share(sun.of_delivered)} of {sun.of_delivered.total} delivered"]
        if sun.of_requested.total != sun.of_delivered.total:
            parts.append(f"{_share(sun.of_requested)} of {sun.of_requested.total} requested")
        lines.append(f"S.U.N. at {metrics.sun_threshold:g} eV/atom: {', '.join(parts)}")
    if metrics.finds_per_cpu_hour is not None:
        stages = ", ".join(f"{name} {value:.1f} s" for name, value in metrics.cpu_seconds.items())
        lines.append(f"S.U.N. per CPU-hour: {metrics.finds_per_cpu_hour:.1f} ({stages})")
    if metrics.novelty_pool:
        kinds = ", ".join(f"{count} {kind}" for kind, count in metrics.novelty_pool.items())
        lines.append(f"Novel: unlike the known crystals of these formulas ({kinds})")
    return lines


def counts_of(stability: Sequence[StabilityDoc]) -> dict[str, int]:
    """Numbers of the summary, by name."""
    ranked = [doc for doc in stability if doc.paper_class is not None]
    return {
        "relaxed": sum(doc.state.value != "failed" for doc in stability),
        "ranked": len(ranked),
        "stable": sum(doc.paper_class == "stable" for doc in ranked),
        "metastable": sum(doc.paper_class == "metastable" for doc in ranked),
        "near_hull": sum(doc.field_class in {"on hull", "near hull"} for doc in ranked),
        "unique_and_novel": sum(bool(doc.is_unique and doc.is_novel) for doc in ranked),
    }


def reasons(stability: Sequence[StabilityDoc], names: Mapping[str, str] | None = None) -> list[str]:
    """Why candidates are not ranked, one line each."""
    return [
        f"{(names or {}).get(doc.candidate_id, doc.candidate_id)}: {doc.reason or doc.state.value}"
        for doc in by_energy(stability)
        if doc.paper_class is None
    ]


def remarks(stability: Sequence[StabilityDoc], names: Mapping[str, str]) -> list[str]:
    """What each ranked crystal is, one line each: its symmetry and what it is known as."""
    return [
        f"{names.get(doc.candidate_id, doc.candidate_id)}: "
        f"{doc.space_group_symbol or 'symmetry unknown'}, "
        + (f"known as {doc.known_as}" if doc.known_as else "not known" if doc.is_novel else "")
        for doc in by_energy(stability)
        if doc.paper_class is not None
    ]


def rejection_lines(sample: SampleDoc) -> list[str]:
    """What became of the attempts, one line per formula."""
    lines = []
    for formula, wanted in sample.requested.items():
        made = sum(candidate.formula == formula for candidate in sample.candidates)
        text = f"{formula}: {made} of {wanted} from {sample.attempts.get(formula, 0)} attempts"
        if refused := sample.rejected.get(formula):
            parts = sorted(refused.items(), key=lambda item: -item[1])
            text += f" (rejected: {', '.join(f'{count} {reason}' for reason, count in parts)})"
        lines.append(text)
    return lines


def plain_table() -> Table:
    """Table with a line below its head alone."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _count(rate: Rate | None) -> str:
    return "–" if rate is None else str(rate.count)


def _median(values: Distribution | None) -> str:
    return _energy(None if values is None else values.median)


def _share(part: Proportion) -> str:
    if part.share is None or part.low is None or part.high is None:
        return "–"
    return f"{part.share:.1%} (95 %: {part.low:.1%} to {part.high:.1%})"


def _styled(text: str) -> Text:
    return Text(text, STYLES.get(text, ""))


def _energy(value: float | None) -> str:
    return "–" if value is None else f"{as_printed(value):.{ENERGY_DECIMALS}f}"


def yes_or_no(value: bool | None) -> str:
    """A truth as a word; a dash where it is not known."""
    return "–" if value is None else "yes" if value else "no"
