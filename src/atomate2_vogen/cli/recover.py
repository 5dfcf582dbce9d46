"""``vogen recover``: put a LaunchPad in order after workers or the database died."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from atomate2_vogen.cli import options

ROWS = {
    "unlocked": ("locked by nobody", "unlocked"),
    "orphans": ("of no workflow", "deleted"),
    "resumed": ("ended, not followed up", "followed up"),
    "reserved": ("reserved by nobody", "ready again"),
    "lost": ("worker is gone", "ready again"),
    "given_up": ("worker is gone, too often", "fizzled"),
    "rerun": ("fizzled", "ready again"),
    "fizzled": ("fizzled", "left so"),
}
"""What was wrong, and what is done."""

SHOWN = 8


@click.command(short_help="Repair a LaunchPad after workers or the database died.")
@options.launchpad_option
@click.option(
    "--lost-after",
    type=click.FloatRange(0),
    default=4 * 3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time since a worker's last heartbeat after which it counts as dead. Workers send one "
    "every hour; give a shorter time only if no worker is alive.",
)
@click.option(
    "--locked-after",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time after which a workflow that is locked and unchanged is unlocked.",
)
@click.option(
    "--fizzled/--no-fizzled",
    "rerun_fizzled",
    default=False,
    show_default=True,
    help="Also rerun fizzled jobs.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Largest number of runs of one job; a job that kills its worker every time is then given "
    "up.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@options.json_option
def recover(
    *,
    launchpad: Path | None,
    lost_after: float,
    locked_after: float,
    rerun_fizzled: bool,
    attempts: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make jobs of dead workers ready to run again; live workers may continue meanwhile.

    A job that runs again writes the same documents. A job that fails every time stays failed, its
    crystal becomes a failed candidate, and the rest of the flow continues.

    \b
    Examples:
      vogen recover --launchpad my_launchpad.yaml --dry-run
      vogen recover -l my_launchpad.yaml --lost-after 0     # all workers are known to be dead
      vogen recover -l my_launchpad.yaml --fizzled          # the disk has room again
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from rich.table import Table

    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.flows.launchpads import location, open_launchpad
    from atomate2_vogen.flows.recovery import recover as put_right

    pad = open_launchpad(launchpad)
    found = dataclasses.asdict(
        put_right(
            pad,
            lost_after=lost_after,
            locked_after=locked_after,
            rerun_fizzled=rerun_fizzled,
            attempts=attempts,
            dry_run=dry_run,
        )
    )
    if as_json:
        click.echo(json.dumps({"launchpad": location(pad), "dry_run": dry_run, **found}, indent=1))
        return
    voice = Voice()
    listed = {name: numbers for name, numbers in found.items() if numbers}
    if not listed:
        voice.out.print(f"{location(pad)}: nothing to put right", soft_wrap=True, markup=False)
        return
    table = Table("what was found", "Fireworks", "number", "would be" if dry_run else "is now")
    for name, numbers in listed.items():
        wrong, right = ROWS[name]
        some = ", ".join(map(str, numbers[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")
        table.add_row(wrong, some, str(len(numbers)), right)
    voice.out.print(table)
