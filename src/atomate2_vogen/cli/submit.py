"""``vogen submit``: what ``vogen discover`` does, on the workers of a cluster."""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GENERATION, GroupedCommand
from atomate2_vogen.cli.sampling_options import SamplingOptions, sampling_options
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.loading import SAMPLERS

if TYPE_CHECKING:
    from jobflow import Flow, OutputReference

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.flows import RequestCost
    from atomate2_vogen.flows.submission import Submission
    from atomate2_vogen.stores import VogenStores


SUBMIT_GROUPS = {"FireWorks": ("launchpad", "where", "dry_run"), **GENERATION}


@click.command(
    cls=GroupedCommand,
    groups=SUBMIT_GROUPS,
    short_help="Submit the flow of vogen discover to FireWorks.",
)
@options.system_option
@options.counts_option
@options.sampler_options
@sampling_options
@options.engine_option
@options.refine_option
@options.characterisation_options
@options.launchpad_option
@click.option(
    "--store",
    "where",
    metavar="WHERE",
    help="Store for results of workers: a mongodb:// URI, a YAML file that names a database, or "
    "a folder on a file system that all workers share.  [default: the JOB_STORE of jobflow's settings on each worker]",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Add nothing: print the jobs, their categories and sizes, and an estimate of CPU time.",
)
@options.json_option
def submit(
    *,
    system: OxideSystem | None,
    counts: tuple[str, ...],
    sampler: str,
    preset: str | None,
    seed: int,
    sampling: SamplingOptions,
    engine: str,
    refine: bool | None,
    electronic: str | None,
    phonons: str | None,
    top: int,
    threshold: float,
    launchpad: Path | None,
    where: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the flow of vogen discover to a LaunchPad of FireWorks, for workers to run.

    Nothing is computed here. A request that is already in the LaunchPad is found, not added again.
    Every job has a category (training, sampling, forcefield, dft, analysis) that workers can
    select in their my_fworker.yaml. Passwords are not written into jobs: workers read them from
    VOGEN_MONGODB_PASSWORD.

    \b
    Examples:
      vogen submit --launchpad my_launchpad.yaml --store mongodb://localhost/vogen
      vogen submit -n VO2=100 --sampler substitution --seed 1 -l my_launchpad.yaml
      vogen submit --phonons chgnet --top 3 --json
      vogen submit -n VO2=100 --dry-run
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from dataclasses import replace

    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.makers import discovery_maker, kept_file
    from atomate2_vogen.flows.estimate import estimate_cost
    from atomate2_vogen.flows.launchpads import location, open_launchpad
    from atomate2_vogen.flows.submission import submit as add
    from atomate2_vogen.jobs.training import TrainWGANMaker
    from atomate2_vogen.models.shipped import shipped_path

    system = system or VANADIUM
    preset = preset or options.default_preset(system)
    wanted = options.parse_counts(counts, system)
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
    if dry_run:
        # files are not put into a store: a flow without them has the same jobs
        flow = maker.make(wanted, seed, sampling.parents)
        _print_plan(flow, estimate_cost(wanted, sampler, engine), as_json=as_json)
        return
    pad = open_launchpad(launchpad)
    with ExitStack() as open_stores:
        stores: VogenStores | None = None
        if where is not None:
            from atomate2_vogen.stores import VogenStores

            stores = open_stores.enter_context(VogenStores.open(where, create=True))
        files = {"model": sampling.model, "potential": sampling.potential}
        kept: dict[str, OutputReference] = {}
        for name, file in files.items():
            if file is None:
                continue
            if stores is None:
                raise InputError(
                    f"--{name}: give --store too; the file travels to the workers through the store"
                )
            kept[name] = kept_file(stores, file)
        training: Any = kept.get("model")
        needs = SAMPLERS[sampler].has_networks and not shipped_path(preset, system).is_file()
        if training is None and needs:
            training = TrainWGANMaker(preset=preset, system=system)
        flow = replace(maker, training=training).make(
            wanted, seed, sampling.parents, kept.get("potential")
        )
        submission = add(
            flow,
            pad,
            store=None if stores is None else stores.job_store,
            allow_external_references=bool(kept),
        )
        commands = _next(launchpad, where, system)
    if as_json:
        content = {"launchpad": location(pad), "flow": submission.identity, "new": submission.new}
        content |= {
            "fireworks": submission.fw_ids,
            "categories": submission.categories,
            "next": commands,
        }
        click.echo(json.dumps(content, indent=1))
        return
    voice = Voice()
    for line in _told(submission, location(pad), commands):
        voice.out.print(line, soft_wrap=True, markup=False)


def _print_plan(flow: Flow, cost: RequestCost, *, as_json: bool) -> None:
    """Jobs of a flow, and what it will cost."""
    from monty.json import MontyEncoder

    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.tables import duration, step_table
    from atomate2_vogen.flows import prepare_flow, steps_of

    steps = steps_of(flow)
    sizes = [len(json.dumps(job.as_dict(), cls=MontyEncoder)) for job, _ in flow.iterflow()]
    identity = prepare_flow(flow)[1]
    if as_json:
        content = {
            "flow": identity,
            "steps": [asdict(step) for step in steps],
            "largest_job_bytes": max(sizes),
            "cpu_seconds": {"sampling": cost.sampling, "relaxation": cost.relaxation},
            "source": cost.source,
        }
        click.echo(json.dumps(content, indent=1))
        return
    out = Voice().out
    out.print(
        f"flow {identity[:16]}: {sum(step.n_jobs for step in steps)} jobs; more are made as it runs"
    )
    out.print(step_table(steps))
    out.print(f"largest job {max(sizes) / 1000:.0f} kB; MongoDB takes 16,000 kB")
    out.print(
        f"CPU time, about: sampling {duration(cost.sampling)}, relaxation "
        f"{duration(cost.relaxation)}; refinement, phonons and bands not included"
    )
    out.print(f"[dim]as {cost.source}[/dim]")
    out.print("Nothing was added: this was a dry run.")


def _next(launchpad: Path | None, store: str | None, system: OxideSystem) -> list[str]:
    """Commands that go on from here."""
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.data.systems import oxide_system

    option = "" if launchpad is None else f" -l {shlex.quote(str(launchpad))}"
    if store is not None and "://" in store:
        from atomate2_vogen.stores.address import MongoAddress

        store = MongoAddress(store).public
    place = "" if store is None else f" --store {shlex.quote(store)}"
    build = f"vogen build{place}" if place else "vogen build --store store.yaml"
    if system != VANADIUM:
        derived = system == oxide_system(system.metal)
        build += f" --system {system.metal}-{system.anion}" if derived else " --system FILE"
    return [
        f"rlaunch{option} -w my_fworker.yaml rapidfire --sleep 5",
        f"lpad{option} get_wflows -d less -m 1",
        build,
    ]


def _told(submission: Submission, place: str, commands: list[str]) -> list[str]:
    numbers = submission.fw_ids
    jobs = ", ".join(f"{n} {category}" for category, n in sorted(submission.categories.items()))
    first = (
        f"added to {place}: Fireworks {numbers[0]} to {numbers[-1]} ({jobs}; more are made as it runs)"
        if submission.new
        else f"already in {place}: Fireworks {numbers[0]} to {numbers[-1]} ({jobs}); nothing added"
    )
    notes = ("on every worker", "how it goes", "when it is done")
    width = max(map(len, commands))
    return [first, *(f"  {c:<{width}}  # {n}" for c, n in zip(commands, notes, strict=True))]
