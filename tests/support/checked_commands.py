"""Whether a command line is one that its program understands, without running it."""

from __future__ import annotations

import argparse
import shlex
from unittest import mock

import click
import pytest
from fireworks.scripts.lpad_run import lpad
from fireworks.scripts.rlaunch_run import rlaunch

from atomate2_vogen.cli.main import cli

_parse = argparse.ArgumentParser.parse_args


class Parsed(Exception):
    """The arguments are good; what would come next is not wanted."""


def _only_parse(parser, arguments=None, namespace=None):
    _parse(parser, arguments, namespace)
    raise Parsed


def check(command: str) -> None:
    """Parse a command of vogen, lpad or rlaunch; what is wrong with it is raised."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "vogen":
        verb, *rest = arguments
        # click keeps a command's help option as its first context makes it: the group's has -h
        group = click.Context(cli, info_name="vogen", **cli.context_settings)
        cli.commands[verb].make_context(verb, rest, parent=group)
        return
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", _only_parse),
        pytest.raises(Parsed),
    ):
        {"lpad": lpad, "rlaunch": rlaunch}[program](arguments)
