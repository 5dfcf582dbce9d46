"""Entry point of ``vogen``: verbs, exit codes, and errors on one line.

Exit codes: 0 done; 2 bad input; 1 anything else that went wrong; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

from typing import Any

import click

from atomate2_vogen.cli.build import build
from atomate2_vogen.cli.completion import completion
from atomate2_vogen.cli.confirm import confirm
from atomate2_vogen.cli.discover import discover
from atomate2_vogen.cli.doctor import doctor
from atomate2_vogen.cli.evaluate import evaluate
from atomate2_vogen.cli.grouped import GroupedCommands
from atomate2_vogen.cli.known import known
from atomate2_vogen.cli.loop import loop
from atomate2_vogen.cli.paper import paper
from atomate2_vogen.cli.query import query
from atomate2_vogen.cli.reconstruct import reconstruct
from atomate2_vogen.cli.recover import recover
from atomate2_vogen.cli.report_file import report
from atomate2_vogen.cli.sample import sample
from atomate2_vogen.cli.submit import submit
from atomate2_vogen.cli.train import train
from atomate2_vogen.errors import InputError, VogenError, reason
from atomate2_vogen.masking import printable

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class VogenGroup(GroupedCommands):
    """Commands whose expected errors end in one line on stderr and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except VogenError as error:
            text = printable(" ".join(reason(error).split()))
            click.echo(f"vogen: {type(error).__name__}: {text}", err=True)
            ctx.exit(EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED)
        except KeyboardInterrupt:
            click.echo(
                "vogen: stopped; what was finished is kept. The same command goes on from there.",
                err=True,
            )
            ctx.exit(EXIT_INTERRUPTED)


VERBS: dict[str, tuple[click.Command, ...]] = {
    "Generate and judge": (discover, loop, evaluate, confirm, sample, paper),
    "Look at results": (query, report),
    "Databases and clusters": (submit, build, recover),
    "Networks": (train, reconstruct),
    "Set up": (doctor, known, completion),
}
"""Commands in the order of the help."""


@click.group(
    cls=VogenGroup,
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="atomate2-vogen", prog_name="vogen")
def cli() -> None:
    """Find new oxide crystals: generate, relax, place on a convex hull.

    All energies of a run come from one energy model, which the results name. Each command has
    a --help with examples; start with: vogen discover

    Exit codes: 0 success; 1 failure; 2 bad input; 130 stopped with Ctrl-C.
    """


def main() -> None:
    """Run ``vogen``."""
    cli(prog_name="vogen")
