"""``completion``: for bash, zsh and fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what makes a shell complete commands, options and paths.

    \b
    fk-kazoo completion bash > ~/.local/share/bash-completion/completions/fk-kazoo
    fk-kazoo completion zsh  > ~/.zfunc/_fk-kazoo
    fk-kazoo completion fish > ~/.config/fish/completions/fk-kazoo.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    from .main import commands

    click.echo(made(commands, {}, "fk-kazoo", "_FK_KAZOO_COMPLETE").source())
