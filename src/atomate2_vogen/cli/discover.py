"""``vogen discover``: from known prototypes to a stability table in one command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GroupedCommand
from atomate2_vogen.cli.sampling_options import SamplingOptions, sampling_options

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem


@click.command(
    cls=GroupedCommand,
    short_help="Generate crystals, relax them, and place them on the convex hull.",
)
@options.system_option
@options.counts_option
@options.sampler_options
@sampling_options
@options.engine_option
@options.refine_option
@options.known_option
@options.characterisation_options
@options.workers_option
@options.json_option
@options.out_option("vogen_output")
@click.pass_context
def discover(
    ctx: click.Context,
    *,
    system: OxideSystem | None,
    counts: tuple[str, ...],
    sampler: str,
    preset: str | None,
    seed: int,
    sampling: SamplingOptions,
    engine: str,
    refine: bool | None,
    known: tuple[Path, ...],
    electronic: str | None,
    phonons: str | None,
    top: int,
    threshold: float,
    workers: int,
    as_json: bool,
    out: Path,
) -> None:
    """Generate crystals, relax them, and place them on the convex hull.

    Generates crystals of the requested formulas, relaxes each with the energy model, and compares
    them with the known phases. By default the crystals are the lowest of many random ones on a
    learned potential; --sampler wgan samples them from trained networks, which are trained first
    if none are shipped for the system.

    The output folder holds the table (stability.csv, stability.json), counts over all crystals
    (metrics.json), the relaxed crystals (cifs/), two figures, a record of the run (run.json) and
    all documents (store/). After Ctrl-C the same command continues.

    With --electronic or --phonons bands, density of states and magnetic character, or harmonic
    phonons, are computed for the crystals of each formula that lie lowest above the hull. Both
    can be added to a finished folder; nothing is relaxed twice.

    \b
    Examples:
      vogen discover
      vogen discover --counts VO2=8,V2O3=4 --seed 1 --out trial
      vogen discover --sampler substitution --workers 4
      vogen discover --phonons chgnet --top 2
      vogen discover --system Ti-O --counts TiO2=8 --out titanium
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from dataclasses import replace

    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.makers import discovery_maker
    from atomate2_vogen.cli.session import generation_identity, open_run

    begin = time.perf_counter()
    voice = Voice(quiet=as_json)
    system = system or VANADIUM
    preset = preset or options.default_preset(system)
    wanted = options.parse_counts(counts, system)
    identity = generation_identity(sampler, preset, wanted, seed, sampling) | {"engine": engine}
    identity |= options.refine_identity(engine, refine)
    with open_run(out, "discover", identity, voice, system) as run:
        from atomate2_vogen.cli.characterise import show
        from atomate2_vogen.cli.generation import networks, potential, report_sample
        from atomate2_vogen.cli.known import read_known, set_known
        from atomate2_vogen.cli.progress import RELAXATION, SAMPLING
        from atomate2_vogen.cli.report import print_discovery
        from atomate2_vogen.cli.results import export, measure, report_relaxation, update_stability

        maker = discovery_maker(
            system,
            sampler,
            preset,
            sampling,
            engine=engine,
            electronic=electronic,
            phonons=phonons,
            top=top,
            threshold=threshold,
            refine=refine,
        )
        training = networks(run, sampler, preset, seed, sampling.model)
        own = read_known(known, system, voice)
        flow = replace(maker, training=training, known=own).make(
            wanted, seed, sampling.parents, potential(run, sampling.potential)
        )
        expected = {SAMPLING: len(wanted), RELAXATION: sum(wanted.values())}
        ran = run.run(flow, workers, expected)
        set_known(run.stores, own)
        sample = report_sample(run, ran, wanted)
        ids = [candidate.candidate_id for candidate in sample.candidates]
        report_relaxation(run, ran, maker.engine.scheme, ids)
        judged = update_stability(run, maker.engine)
        metrics = measure(run, judged, sample, ran.output.metrics)
        written = export(run, judged, metrics)
        stages = {"electronic": electronic, "phonons": phonons}
        found, files = show(run, ran, [name for name, given in stages.items() if given])
        run.folder.note(
            workers=workers,
            missing=sample.missing,
            seconds=round(time.perf_counter() - begin, 1),
        )
        print_discovery(
            voice,
            judged.stability,
            sample,
            metrics,
            path=run.folder.path,
            written=[*written, *files],
            further=found,
            as_json=as_json,
        )
        if not sample.candidates:
            voice.warn("no crystal was generated; see the rejections above")
            ctx.exit(1)
