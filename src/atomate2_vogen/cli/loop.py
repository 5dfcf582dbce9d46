"""``vogen loop``: rounds of a search, each of which learns from those before."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import ADVANCED, CRYSTALS, ENERGY_MODEL, OUTPUT, GroupedCommand
from atomate2_vogen.cli.sampling_options import SamplingOptions, loop_sampling_options

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem


LOOP_GROUPS = {
    "Crystals": CRYSTALS,
    "Rounds": ("rounds", "cpu_hours", "finds", "threshold", "learn"),
    "Energy model": ENERGY_MODEL,
    "Output": OUTPUT,
    "Advanced": ADVANCED,
}


@click.command(
    cls=GroupedCommand,
    groups=LOOP_GROUPS,
    short_help="Search in rounds that learn from what they found.",
)
@options.system_option
@options.counts_option
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Largest number of rounds.",
)
@click.option(
    "--cpu-hours",
    type=click.FloatRange(0, min_open=True),
    help="No round begins after so many CPU-hours of sampling, relaxation and learning.",
)
@click.option(
    "--finds", type=click.IntRange(1), help="No round begins after so many finds in all rounds."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, min_open=True),
    default=0.1,
    show_default=True,
    help="Largest energy above hull of a find, eV/atom.",
)
@click.option(
    "--learn/--no-learn",
    default=True,
    help="Whether the sampler learns from the finds: evolution gets new parents, the potential of "
    "search is fitted again; substitution and random do not learn.  [default: learn]",
)
@options.sampler_options
@loop_sampling_options
@options.engine_option
@options.refine_option
@options.workers_option
@options.json_option
@options.out_option("vogen_loop")
def loop(
    *,
    system: OxideSystem | None,
    counts: tuple[str, ...],
    rounds: int,
    cpu_hours: float | None,
    finds: int | None,
    threshold: float,
    learn: bool,
    sampler: str,
    preset: str | None,
    seed: int,
    sampling: SamplingOptions,
    engine: str,
    refine: bool | None,
    workers: int,
    as_json: bool,
    out: Path,
) -> None:
    """Search in rounds: sample, relax, keep what is new and low, learn from it, sample again.

    Each round generates crystals of the requested formulas, relaxes them with the energy model and
    places them on the convex hull. Finds are unique, novel, not found before, and within the
    threshold of the hull. The next round learns from them, and leaves out before relaxation what
    resembles one.

    The output folder holds a row per round (rounds.csv, loop.json), the finds (finds.csv), and the
    table and relaxed crystals of all rounds (stability.csv, cifs/, store/). A loop that was stopped
    in any way goes on when the same command is given again; with more rounds it is continued.

    \b
    Examples:
      vogen loop --rounds 2 --counts VO2=8
      vogen loop --sampler evolution --cpu-hours 2 --rounds 50 --out evolved
      vogen loop --finds 20 --threshold 0.05 --workers 4
      vogen loop --system Ti-O --counts TiO2=8 --out titanium
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.makers import loop_maker
    from atomate2_vogen.cli.session import generation_identity, open_run

    begin = time.perf_counter()
    voice = Voice(quiet=as_json)
    system = system or VANADIUM
    preset = preset or options.default_preset(system)
    wanted = options.parse_counts(counts, system)
    # what ends a loop is no part of it: one with more rounds begins with those of a shorter one
    identity = generation_identity(sampler, preset, wanted, seed, sampling)
    identity |= {"engine": engine, "threshold": threshold} | ({} if learn else {"learn": False})
    identity |= options.refine_identity(engine, refine)
    # a loop that cannot be made leaves no folder
    flow = loop_maker(
        system,
        sampler,
        preset,
        sampling,
        engine=engine,
        rounds=rounds,
        cpu_hours=cpu_hours,
        finds=finds,
        threshold=threshold,
        learn=learn,
        refine=refine,
    ).make(wanted, seed, sampling.parents)
    with open_run(out, "loop", identity, voice, system) as run:
        from atomate2_vogen.cli.exports import finds_csv, plain, rounds_csv
        from atomate2_vogen.cli.pipeline import plural
        from atomate2_vogen.cli.progress import LEARNING, LOOP_ROUNDS, RELAXATION, SAMPLING
        from atomate2_vogen.cli.report import print_loop
        from atomate2_vogen.cli.results import export, measure, report_relaxation, update_stability
        from atomate2_vogen.engines import load_engine
        from atomate2_vogen.schemas import LoopDoc
        from atomate2_vogen.stores import parse

        n_crystals = sum(wanted.values())
        expected = {
            LOOP_ROUNDS: rounds,
            SAMPLING: rounds * len(wanted),
            RELAXATION: rounds * n_crystals,
        }
        ran = run.run(flow, workers, expected)
        document = parse(LoopDoc, ran.output)
        n_sampled = sum(one.n_sampled for one in document.rounds)
        run.report(ran, SAMPLING, f"{n_sampled} {plural('crystal', n_sampled)}")
        judge = load_engine(engine, system)
        judged = update_stability(run, judge)
        ids = [one.candidate_id for one in judged.stability]
        report_relaxation(run, ran, judge.scheme, ids)
        n_learnt = sum(one.learns for one in document.rounds)
        run.report(ran, LEARNING, f"{n_learnt} {plural('time', n_learnt)}")
        n_rounds = len(document.rounds)
        run.report(ran, LOOP_ROUNDS, f"{n_rounds} {plural('round', n_rounds)}")
        written = export(run, judged, measure(run, judged))
        for name, text in (
            ("rounds.csv", rounds_csv(document.rounds)),
            ("finds.csv", finds_csv(document.rounds, judged.stability)),
            ("loop.json", json.dumps(plain(document), indent=1) + "\n"),
        ):
            run.folder.write(name, text)
            written.append(name)
        run.folder.note(workers=workers, seconds=round(time.perf_counter() - begin, 1))
        print_loop(voice, document, path=run.folder.path, written=written, as_json=as_json)
