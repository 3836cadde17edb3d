"""Writes docs/cli.md from what the commands say of themselves: ``python -m tests.cli.reference``."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Iterator, List

import click

from fk_kazoo.cli.main import SECTIONS, commands

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
BEGIN = "<!-- From here on written by `python -m tests.cli.reference`. -->\n"
COMMON = ("url", "auth", "timeout", "as_json", "quiet")
"""Said once, for all commands."""
SHORT = {"integer": "N", "integer range": "N", "float": "N", "float range": "N", "filename": "FILE", "file": "FILE"}


def written() -> str:
    """The page as it should be: its beginning is written by hand."""
    by_hand = PAGE.read_text("utf-8").partition(BEGIN)[0]
    return by_hand + BEGIN + "\n" + "\n".join(_sections())


def _sections() -> Iterator[str]:
    context = click.Context(commands)
    for title, names in SECTIONS.items():
        yield "## %s\n" % title
        for name in names:
            command = commands.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                for below in sorted(command.commands):
                    yield from _command("%s %s" % (name, below), command.commands[below])
            else:
                yield from _command(name, command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [_argument(one) for one in command.params if isinstance(one, click.Argument)]
    yield "### `%s`\n" % " ".join(["fk-kazoo", name, *arguments])
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield "".join("    %s\n" % line for line in paragraph[2:].splitlines())
        else:
            yield re.sub(r"\s+", " ", paragraph) + "\n"
    rows = [_row(one) for one in command.params if isinstance(one, click.Option) and one.name not in COMMON]
    if rows:
        yield "\n".join(["| option | |", "| --- | --- |", *rows, ""])


def _argument(argument: click.Argument) -> str:
    shown = (argument.metavar or (argument.name or "").upper()) + ("..." if argument.nargs == -1 else "")
    return shown if argument.required else "[%s]" % shown


def _row(option: click.Option) -> str:
    names: List[str] = sorted(option.opts, key=len)
    metavar = "" if option.is_flag else " " + (option.metavar or SHORT.get(option.type.name, "TEXT"))
    if isinstance(option.type, click.Choice):
        metavar = " " + "\\|".join(option.type.choices)
    return "| `%s%s` | %s |" % ("`, `".join(names), metavar, (option.help or "").replace("|", "\\|"))


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
