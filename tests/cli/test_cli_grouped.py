"""Help texts show every option and command once, under a heading."""

import re

import click
import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.grouped import (
    GENERATION,
    OTHERS,
    GroupedCommand,
    GroupedCommands,
)
from atomate2_vogen.cli.main import VERBS, cli

GROUPED = {name: verb for name, verb in cli.commands.items() if isinstance(verb, GroupedCommand)}


def help_of(*verb, width=80):
    found = CliRunner().invoke(
        cli, [*verb, "--help"], terminal_width=width, max_content_width=width
    )
    assert found.exit_code == 0
    return found.output


def sections(text):
    """Lines of each heading that ends with a colon at the left margin."""
    parts = re.split(r"^(\S.*):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", GROUPED)
def test_every_option_is_shown_once_in_the_order_of_the_groups(name):
    verb = GROUPED[name]
    found = sections(help_of(name))
    shown = {
        heading: re.findall(r"^  (?:-\w, )?(--[\w-]+)", lines, flags=re.MULTILINE)
        for heading, lines in found.items()
    }
    options = {o.name: o for o in verb.params if isinstance(o, click.Option)}
    long_names = {
        key: next(text for text in one.opts if text.startswith("--"))
        for key, one in options.items()
    }
    everything = [text for texts in shown.values() for text in texts]
    assert sorted(everything) == sorted([*long_names.values(), "--help"])
    for heading, names in verb.groups.items():
        assert shown.get(heading, []) == [long_names[key] for key in names if key in options]
    assert shown[OTHERS] == ["--help"]  # every option of the package has a group


def test_groups_name_options_that_there_are():
    known = {parameter.name for verb in GROUPED.values() for parameter in verb.params}
    for names in GENERATION.values():
        assert set(names) <= known
    for verb in GROUPED.values():
        if verb.groups is not GENERATION:
            own = {key for names in verb.groups.values() for key in names}
            assert own & known == own


def test_an_option_without_a_group_is_not_lost():
    verb = GroupedCommand("x", params=[click.Option(["--odd"]), click.Argument(["place"])])
    text = verb.get_help(click.Context(verb))
    assert "--odd" in sections(text)[OTHERS]
    assert "place" not in sections(text)[OTHERS].lower()


def test_a_command_added_later_is_not_lost():
    group = GroupedCommands("x", verbs={"Look": [cli.commands["query"]]})
    group.add_command(click.Command("odd", help="What is odd."))
    found = sections(group.get_help(click.Context(group)))
    assert found["Other commands"].split() == ["odd", "What", "is", "odd."]
    assert found["Look"].split()[0] == "query"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_command_stands_under_its_heading(width):
    text = help_of(width=width)
    found = sections(text)
    for heading, verbs in VERBS.items():
        names = re.findall(r"^  (\w+)", found[heading], flags=re.MULTILINE)
        assert names == [verb.name for verb in verbs]
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_keeps_to_eighty_columns(name):
    printed = help_of(name)
    # examples are to be copied, and are not broken
    lines = [line for line in printed.splitlines() if not line.strip().startswith("vogen ")]
    # nor is a metavar, such as the list of samplers
    assert not [line for line in lines if len(line) > 80 and not line.startswith("  -")]
