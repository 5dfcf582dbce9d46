"""``vogen sample``: only generate crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GroupedCommand
from atomate2_vogen.cli.sampling_options import SamplingOptions, sampling_options

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem


@click.command(
    cls=GroupedCommand, short_help="Generate crystals as CIF files, without relaxing them."
)
@options.system_option
@options.counts_option
@options.sampler_options
@sampling_options
@options.workers_option
@options.json_option
@options.out_option("vogen_sample")
@click.pass_context
def sample(
    ctx: click.Context,
    *,
    system: OxideSystem | None,
    counts: tuple[str, ...],
    sampler: str,
    preset: str | None,
    seed: int,
    sampling: SamplingOptions,
    workers: int,
    as_json: bool,
    out: Path,
) -> None:
    """Generate crystals and write them as CIF files, without relaxing them.

    The output folder holds one CIF per crystal (cifs/) and candidates.json, with the origin of
    each crystal and the reasons why attempts were rejected. Relax them with

    \b
      vogen evaluate vogen_sample

    \b
    Examples:
      vogen sample --counts VO2=20 --sampler substitution
      vogen sample --counts VO2=8,V2O5=8 --seed 3 --out crystals
      vogen sample --judge-oversample 4 --symmetry-tolerance 0.2
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import generation_identity, open_run

    voice = Voice(quiet=as_json)
    system = system or VANADIUM
    preset = preset or options.default_preset(system)
    wanted = options.parse_counts(counts, system)
    identity = generation_identity(sampler, preset, wanted, seed, sampling)
    with open_run(out, "sample", identity, voice, system) as run:
        import json

        from atomate2_vogen.cli.exports import candidate_cif, plain
        from atomate2_vogen.cli.generation import networks, potential, report_sample
        from atomate2_vogen.cli.makers import sample_maker
        from atomate2_vogen.cli.progress import SAMPLING
        from atomate2_vogen.cli.report import print_sample
        from atomate2_vogen.flows import SamplingFlowMaker

        flow = SamplingFlowMaker(
            sampler=sample_maker(system, sampler, preset, sampling),
            system=system,
            training=networks(run, sampler, preset, seed, sampling.model),
        ).make(wanted, seed, sampling.parents, potential=potential(run, sampling.potential))
        document = report_sample(run, run.run(flow, workers, {SAMPLING: len(wanted)}), wanted)
        for candidate in document.candidates:
            run.folder.write(f"{candidate.candidate_id}.cif", candidate_cif(candidate), "cifs")
        text = json.dumps(plain(document), indent=1) + "\n"
        run.folder.write("candidates.json", text)
        if as_json:
            click.echo(text, nl=False)
        else:
            print_sample(voice, document, run.folder.path)
        if not document.candidates:
            voice.warn("no crystal was generated; see the rejections above")
            ctx.exit(1)
