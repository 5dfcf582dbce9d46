"""``vogen completion``: completion scripts of shells."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL that completes commands, options and their values.

    \b
    Examples:
      vogen completion bash > ~/.vogen-completion && echo '. ~/.vogen-completion' >> ~/.bashrc
      vogen completion zsh > ~/.vogen-completion && echo '. ~/.vogen-completion' >> ~/.zshrc
      vogen completion fish > ~/.config/fish/completions/vogen.fish
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from click.shell_completion import get_completion_class

    group = ctx.find_root().command
    found = get_completion_class(shell)
    assert found is not None  # click knows all of SHELLS
    click.echo(found(group, {}, "vogen", "_VOGEN_COMPLETE").source())
