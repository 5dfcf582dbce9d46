"""Shells complete verbs and options."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.completion import SHELLS
from atomate2_vogen.cli.main import cli


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_that_their_shells_accept(shell, tmp_path):
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    script = tmp_path / "script"
    script.write_text(result.output)
    assert f"_VOGEN_COMPLETE={shell}_complete" in result.output
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(script)], check=True)


def test_an_unfinished_word_is_completed():
    environment = {"_VOGEN_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "vogen que"}
    result = CliRunner().invoke(cli, [], env=environment, prog_name="vogen")
    assert result.output.split() == ["plain,query"]
    words = {"COMP_CWORD": "3", "COMP_WORDS": "vogen discover --sampler sub"}
    result = CliRunner().invoke(cli, [], env={**environment, **words}, prog_name="vogen")
    assert result.output.split() == ["plain,substitution"]


def test_another_shell_is_refused():
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2
