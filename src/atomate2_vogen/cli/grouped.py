"""Commands whose ``--help`` shows options in groups, common ones first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

Groups = Mapping[str, Sequence[str]]
"""Names of parameters by heading, in the order of the help."""

CRYSTALS = (
    "counts",
    "share",
    "stages",
    "sampler",
    "samplers",
    "seed",
    "system",
    "elements",
    "parents",
    "novel_only",
    "known",
    "also_known",
)
ENERGY_MODEL = ("engine", "engines", "refine")
AFTER_RELAXATION = ("phonons", "electronic", "top", "threshold", "max_atoms")
OUTPUT = ("out", "workers", "as_json")
ADVANCED = (
    "preset",
    "model",
    "potential",
    "novelty_margin",
    "judge_oversample",
    "draws",
    "min_atoms",
    "max_attempts",
    "preselect",
    "latent_noise",
    "symmetry_tolerance",
    "generator_steps",
    "max_supercell",
)

GENERATION: Groups = {
    "Crystals": CRYSTALS,
    "Energy model": ENERGY_MODEL,
    "After relaxation": AFTER_RELAXATION,
    "Output": OUTPUT,
    "Advanced": ADVANCED,
}
"""Of commands that generate or relax crystals."""

OTHERS = "Other options"
OTHER_COMMANDS = "Other commands"


class GroupedCommand(click.Command):
    """A click command with headings in its help.

    Parameters
    ----------
    groups
        Names of parameters by heading. Options in none of them come last.
    """

    def __init__(self, *args: Any, groups: Groups = GENERATION, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups that the command has options of."""
        left = {
            option.name: option
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
        }
        sections = {
            heading: [left.pop(name) for name in names if name in left]
            for heading, names in self.groups.items()
        }
        sections[OTHERS] = list(left.values())
        for heading, found in sections.items():
            records = [option.get_help_record(ctx) for option in found]
            if rows := [record for record in records if record is not None]:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class GroupedCommands(click.Group):
    """A click group with headings in its list of commands.

    Parameters
    ----------
    verbs
        Commands by heading; those added later come under a heading of their own.
    """

    def __init__(
        self,
        *args: Any,
        verbs: Mapping[str, Sequence[click.Command]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs or {}
        for commands in self.verbs.values():
            for command in commands:
                self.add_command(command)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, one line each."""
        widest = max(map(len, self.commands))
        limit = formatter.width - 6 - widest
        grouped = {command.name for commands in self.verbs.values() for command in commands}
        others = [command for name, command in self.commands.items() if name not in grouped]
        sections = {**self.verbs, **({OTHER_COMMANDS: others} if others else {})}
        for heading, commands in sections.items():
            with formatter.section(heading):
                # the same second column under every heading
                formatter.write_dl(
                    [
                        ((command.name or "").ljust(widest), command.get_short_help_str(limit))
                        for command in commands
                    ]
                )
