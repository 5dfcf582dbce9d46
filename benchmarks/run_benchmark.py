"""The benchmark: the paper's request from every sampler, by one judge on one hull.

    python benchmarks/run_benchmark.py --out benchmark --workers 2

Each sampler is one ``vogen discover`` in ``OUT/runs/SAMPLER``, which keeps every finished
relaxation: stop it at any time, and the same command goes on. What is to be kept lies beside:
``OUT/SAMPLER/`` with one row per candidate (``candidates.csv.gz``), ``metrics.json`` and
``sample.json``; the tables ``summary.md`` and ``summary.json``; and the figures. The tables and
figures come from these files alone: with ``--only-tables`` they are made again without a run.

Filters are the same for all samplers, with one exception: ``--novel-only`` is not for
substitution, which makes known crystals only and would deliver nothing.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli.options import SAMPLERS, parse_counts, usable_cores
from atomate2_vogen.errors import (
    InputError,
    MissingModelError,
    SchemeMismatchError,
    VogenError,
)
from atomate2_vogen.models.shipped import shipped_path

PAPER_REQUEST = "VO2=184,V2O3=152,V2O5=115"
YARDSTICKS = Path(__file__).with_name("yardsticks.json")
RAW, METRICS, SAMPLE = "candidates.csv.gz", "metrics.json", "sample.json"


JUDGED = (
    # what a crystal is compared with
    *("is_unique_generated", "is_unique", "duplicate_group", "is_novel", "known_as"),
    "energy_above_joint_hull",
    # whether it is ranked
    *("state", "reason", "paper_class", "field_class", "imatgen_stable"),
    *("bonding_dimensionality", "empty_gap", "is_bulk"),
)
"""Columns that follow from the crystals and energies that are kept."""


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option(
    "--samplers", default="wgan,substitution,random", show_default=True, metavar="NAME[,…]"
)
@click.option("--counts", default=PAPER_REQUEST, show_default=True, metavar="FORMULA=NUMBER[,…]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option(
    "--judge-oversample",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The same for all samplers: crystals drawn per crystal asked for, of which the lowest "
    "by the judge's single points are kept.",
)
@click.option(
    "--novel-only/--no-novel-only",
    default=False,
    show_default=True,
    help="Leave out what matches a known crystal as generated; not for substitution, which makes "
    "nothing else.",
)
@click.option(
    "--novelty-margin",
    type=click.FloatRange(1, 3),
    default=1.0,
    show_default=True,
    help="With --novel-only: factor on the tolerances.",
)
@click.option("--workers", type=click.IntRange(1), default=usable_cores, show_default="cores")
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Networks of the sampler wgan.  [default: those that are shipped]",
)
@click.option(
    "--wgan-options",
    default="",
    help="Further options of vogen discover for the sampler wgan alone, as one text, for example "
    "'--latent-noise 0.5'.",
)
@click.option("--only-tables", is_flag=True, help="Run nothing; make tables and figures anew.")
@click.option(
    "--judge-again",
    is_flag=True,
    help="Run nothing; judge the crystals and energies that are kept once more, and make tables "
    "and figures anew.",
)
def main(
    *,
    out: Path,
    samplers: str,
    counts: str,
    seed: int,
    judge_oversample: int,
    novel_only: bool,
    novelty_margin: float,
    workers: int,
    model: Path | None,
    wgan_options: str,
    only_tables: bool,
    judge_again: bool,
) -> None:
    """Run what is left to run, and write tables and figures."""
    try:
        names = parse_samplers(samplers)
        requested = parse_counts((counts,), VANADIUM)
        out.mkdir(parents=True, exist_ok=True)
        if judge_again:
            for name in names:
                judge_kept(out / name)
                click.echo(f"{_now()} {name}: judged again", err=True)
            summarise(out, names, requested)
        elif not only_tables:
            if "wgan" in names and model is None and not shipped_path("paper", VANADIUM).is_file():
                raise MissingModelError(
                    "--model: no networks of preset paper are shipped; give some"
                )
            shared = ["--counts", counts, "--seed", str(seed)]
            shared += ["--judge-oversample", str(judge_oversample)]
            novelty = ["--novel-only", "--novelty-margin", str(novelty_margin)]
            for name in names:
                own = novelty if novel_only and name != "substitution" else []
                own = [*own, *shlex.split(wgan_options)] if name == "wgan" else own
                own += ["--model", str(model)] if name == "wgan" and model else []
                discover(out, name, [*shared, *own], workers)
                gather(out / "runs" / name, out / name)
                click.echo(f"{_now()} {name}: gathered in {out / name}", err=True)
                summarise(out, names, requested)
        else:
            summarise(out, names, requested)
    except VogenError as error:
        raise click.ClickException(str(error)) from error
    click.echo((out / "summary.md").read_text(encoding="utf-8"))


def parse_samplers(text: str) -> list[str]:
    """Names of samplers, each once.

    Raises
    ------
    InputError
        If one is unknown or comes twice.
    """
    names = [name.strip() for name in text.split(",")]
    if strange := [name for name in names if name not in SAMPLERS]:
        raise InputError(f"--samplers: {strange[0]!r} is none of {', '.join(SAMPLERS)}")
    if len(set(names)) < len(names):
        raise InputError(f"--samplers: {text} names a sampler twice")
    return names


def discover(out: Path, sampler: str, arguments: Sequence[str], workers: int) -> None:
    """Run ``vogen discover`` in a process of its own, whose memory ends with it.

    Raises
    ------
    ClickException
        If it fails.
    """
    folder = out / "runs" / sampler
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = ["discover", "--sampler", sampler, *arguments]
    click.echo(f"{_now()} {sampler}: vogen {shlex.join(command)}", err=True)
    whole = [sys.executable, "-m", "atomate2_vogen.cli", *command]
    whole += ["--workers", str(workers), "--out", str(folder)]
    with (out / "runs" / f"{sampler}.txt").open("w", encoding="utf-8") as tables:
        process = subprocess.Popen(
            whole,
            stdout=tables,
            # a shell makes its background jobs, and what they start, deaf to Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        # whoever ends this process means the other one too
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    # 1 with results: no crystal was delivered, which is a result
    if code not in {0, 1} or not (folder / METRICS).is_file():
        raise click.ClickException(f"{sampler}: vogen discover ended with exit code {code}")


def gather(run: Path, target: Path) -> None:
    """Judge what a finished run has relaxed, and write what is to be kept.

    Novelty is judged here once more, against the pool of known crystals as it is now.

    Raises
    ------
    InputError
        If the run has no sample, or a candidate is not relaxed.
    """
    from records import candidate_records, write_records

    from atomate2_vogen.cli.generation import stored_sample
    from atomate2_vogen.engines import load_references
    from atomate2_vogen.files import write_atomically
    from atomate2_vogen.jobs.evaluation import judge_and_measure
    from atomate2_vogen.schemas import CalculationDoc
    from atomate2_vogen.stores import VogenStores

    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    with VogenStores.open(run / "store") as stores:
        sample = stored_sample(stores, record["identity"]["counts"])
        if sample is None:
            raise InputError(f"{run}: not all formulas are sampled there yet")
        wanted = {candidate.candidate_id for candidate in sample.candidates}
        calculations = [d for d in stores.load(CalculationDoc) if d.candidate_id in wanted]
    scheme = calculations[0].scheme if calculations else record["identity"]["engine"]
    references = load_references(scheme, VANADIUM) if calculations else []
    if missing := wanted - {calculation.candidate_id for calculation in calculations}:
        raise InputError(f"{run}: {len(missing)} candidates are not relaxed yet")
    if calculations:
        stability, metrics = judge_and_measure(sample, calculations, references, VANADIUM)
    else:
        from atomate2_vogen.stability.metrics import measure

        stability, metrics = [], measure(sample)
    target.mkdir(parents=True, exist_ok=True)
    write_records(candidate_records(sample, calculations, stability), target / RAW)
    kept = sample.model_dump(mode="json", exclude={"candidates"})
    kept |= {"identity": record["identity"], "versions": record["versions"]}
    write_atomically(target / SAMPLE, _json(kept))
    write_atomically(target / METRICS, _json(metrics.model_dump(mode="json")))


def judge_kept(target: Path) -> None:
    """Judge crystals that are kept once more, as after a change of how they are judged.

    Nothing is calculated; energies, distances and symmetry stay as they are.

    Raises
    ------
    InputError
        If no crystals are kept there.
    """
    from records import (
        calculation_of,
        candidate_records,
        read_records,
        write_records,
    )

    from atomate2_vogen.engines import load_references
    from atomate2_vogen.files import write_atomically
    from atomate2_vogen.jobs.evaluation import judge_and_measure
    from atomate2_vogen.schemas import SampleDoc

    if not (target / RAW).is_file():
        raise InputError(f"{target}: no crystals are kept there")
    rows = read_records(target / RAW)
    if not rows:
        return
    calculations = [calculation_of(row) for row in rows]
    kept = json.loads((target / SAMPLE).read_text(encoding="utf-8"))
    candidates = [calculation.candidate for calculation in calculations]
    sample = SampleDoc.model_validate({**kept, "candidates": candidates})
    references = load_references(calculations[0].scheme, VANADIUM)
    stability, metrics = judge_and_measure(sample, calculations, references, VANADIUM)
    judged = {
        row["candidate_id"]: row for row in candidate_records(sample, calculations, stability)
    }
    write_records(
        [{**row, **{key: judged[row["candidate_id"]][key] for key in JUDGED}} for row in rows],
        target / RAW,
    )
    versions = json.loads((target / METRICS).read_text(encoding="utf-8"))["engine_versions"]
    metrics = metrics.model_copy(update={"engine_versions": versions})
    write_atomically(target / METRICS, _json(metrics.model_dump(mode="json")))


def summarise(out: Path, names: Sequence[str], requested: Mapping[str, int]) -> None:
    """Tables and figures of the samplers that are finished, from the files that are kept.

    Raises
    ------
    InputError
        If none is, or one was asked for something else.
    SchemeMismatchError
        If they were not judged on the same hull.
    """
    import comparison
    from records import read_records, stability_of

    from atomate2_vogen.files import write_atomically
    from atomate2_vogen.stability import Published

    yardsticks = json.loads(YARDSTICKS.read_text(encoding="utf-8"))
    paper = Published.values()
    records = {name: read_records(out / name / RAW) for name in names if (out / name).is_dir()}
    if not records:
        raise InputError(f"{out}: no sampler is finished there")
    entries = {
        name: _entry(out / name, [stability_of(row, structure=False) for row in rows])
        for name, rows in records.items()
    }
    for name, entry in entries.items():
        if entry.sample.requested != dict(requested):
            raise InputError(f"{out / name}: was asked for {entry.sample.requested}")
    hulls = {entry.metrics.hull_id for entry in entries.values()} - {None}
    if len(hulls) > 1:
        raise SchemeMismatchError(f"{out}: samplers were judged on several hulls: {sorted(hulls)}")

    summary = comparison.summary_rows(entries)
    classes = comparison.class_rows(entries, paper.counts)
    document = {
        "requested": dict(requested),
        "judge": sorted({e.metrics.scheme for e in entries.values()} - {None}),
        "hull_id": sorted(hulls),
        "paper": f"{paper.source}; {paper.method}",
        "samplers": {
            name: json.loads((out / name / SAMPLE).read_text(encoding="utf-8"))
            | {"novelty_pool": entry.metrics.novelty_pool}
            for name, entry in entries.items()
        },
        "rows": comparison.plain_rows(summary),
        "classes": [
            {"formula": formula} | row
            for (formula, _), row in zip(
                classes, comparison.plain_rows([row for _, row in classes]), strict=True
            )
        ],
    }
    write_atomically(out / "summary.json", _json(document))
    text = [
        comparison.summary_markdown(summary, yardsticks["rows"]),
        *(f"{name}: {_filters(entry.sample)}.\n" for name, entry in entries.items()),
        f"Table 2 of the paper, of those asked for. *paper*: {document['paper']}.\n",
        comparison.class_markdown(classes),
    ]
    write_atomically(out / "summary.md", "\n".join(text))
    draw(out, entries, records, paper.counts)


def draw(
    out: Path,
    entries: Mapping[str, Any],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    published: Mapping[str, Mapping[str, int]],
) -> None:
    """The figures."""
    from plots_comparison import (
        plot_formation_comparison,
        plot_hull_comparison,
    )
    from plots_distributions import plot_above_hull, plot_cells
    from records import RELAXED, structure_of

    from atomate2_vogen.engines import load_references

    judged = {name: entry.stability for name, entry in entries.items()}
    requested = {name: entry.sample.requested for name, entry in entries.items()}
    schemes = sorted({entry.metrics.scheme for entry in entries.values()} - {None})
    plot_formation_comparison(judged, out / "formation_energies.png")
    if schemes:
        plot_hull_comparison(judged, load_references(schemes[0], VANADIUM), out / "hulls.png")
    points = {
        formula: {
            0.3: counts["stable"] / counts["total"],
            0.5: (counts["stable"] + counts["metastable"]) / counts["total"],
        }
        for formula, counts in published.items()
    }
    plot_above_hull(judged, requested, out / "above_hull.png", points)
    pairs = {
        name: [
            (structure_of(row), structure_of(row, RELAXED) if row[RELAXED] else None)
            for row in rows
        ]
        for name, rows in records.items()
    }
    plot_cells(pairs, out / "cells.png")


def _entry(folder: Path, stability: list[Any]) -> Any:
    from comparison import Entry

    from atomate2_vogen.schemas import MetricsDoc, SampleDoc

    sample = json.loads((folder / SAMPLE).read_text(encoding="utf-8"))
    return Entry(
        SampleDoc.model_validate({**sample, "candidates": []}),
        MetricsDoc.model_validate_json((folder / METRICS).read_text(encoding="utf-8")),
        stability,
    )


def _filters(sample: Any) -> str:
    """What was kept of what a sampler drew."""
    options = sample.options
    words = [f"seed {sample.seed}"]
    if oversample := options.get("judge_oversample"):
        words.append(f"the lowest of {oversample} drawn per crystal, by single points")
    if options.get("novel_only"):
        margin = options.get("novelty_margin", 1.0)
        words.append(f"none that matches a known crystal at {margin:g} times the tolerances")
    else:
        words.append("known crystals not left out")
    return ", ".join(words)


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _now() -> str:
    return time.strftime("%H:%M:%S")


if __name__ == "__main__":
    main()
