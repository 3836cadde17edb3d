"""Writes docs/cli.md from what the commands say of themselves, with a session of each.

python -m tests.cli.reference [COMMAND ...]: plays the sessions of these commands, or of all, which takes the emulated
AWS; the others stay as they are. What is written is what `tests` compare with.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence

import click

from compat_tests.on_aws import emulated
from fk_kazoo.cli.main import SECTIONS, commands

from .sessions import EMULATED, SESSIONS, played, template

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
BEGIN = "<!-- From here on written by `python -m tests.cli.reference`. -->\n"
COMMON = ("url", "auth", "timeout", "as_json", "quiet")
"""Said once, for all commands."""
SHORT = {"integer": "N", "integer range": "N", "float": "N", "float range": "N", "filename": "FILE", "file": "FILE"}


_NAME = re.compile(r"[a-z]+(?: aws)?")
BEFORE = "before"
"""The session that the others begin with."""


def sessions_shown() -> Dict[str, str]:
    """By command, as they are on the page."""
    found: Dict[str, str] = {}
    for part in re.split(r"^### `fk-kazoo ", PAGE.read_text("utf-8").partition(BEGIN)[2], flags=re.MULTILINE):
        block = re.search(r"^```console\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        heading = _NAME.match(part)
        found[heading[0] if found and heading else BEFORE] = block[1] if block else ""
    return found


def written(sessions: Mapping[str, str]) -> str:
    """The page as it should be: its beginning is written by hand."""
    by_hand = PAGE.read_text("utf-8").partition(BEGIN)[0]
    return by_hand + BEGIN + "\n" + "\n".join(_sections(sessions))


def _sections(sessions: Mapping[str, str]) -> Iterator[str]:
    context = click.Context(commands)
    yield "Each session below begins with a deployment of this machine, made so:\n"
    yield _session(sessions, BEFORE)
    yield "Times, ids of sessions, ports and figures of speed are examples; the rest is what is printed.\n"
    for title, names in SECTIONS.items():
        yield "## %s\n" % title
        for name in names:
            command = commands.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                for below in sorted(command.commands):
                    yield from _command("%s %s" % (name, below), command.commands[below])
                    yield _session(sessions, "%s %s" % (name, below))
            else:
                yield from _command(name, command)
                yield _session(sessions, name)


def _session(sessions: Mapping[str, str], name: str) -> str:
    return "```console\n%s```\n" % sessions.get(name, "")


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


def main(wanted: Sequence[str]) -> None:
    """Plays these sessions, or all, and writes the page."""
    found = sessions_shown()
    with tempfile.TemporaryDirectory(prefix="fk-kazoo-sessions-") as base:
        home, found[BEFORE] = template(Path(base))
        for name in wanted or SESSIONS:
            if name in SESSIONS:
                found[name] = _played(Path(base), name, home)
        for name in set(wanted or EMULATED) & set(EMULATED):
            with emulated(permissions=False) as variables:
                given = {key: value for key, value in variables.items() if key.startswith("AWS_")}
                found[name] = _played(Path(base), name, home, **given)
    PAGE.write_text(written(found), "utf-8")


def _played(base: Path, name: str, home: Path, **variables: str) -> str:
    directory = base / name.replace(" ", "-")
    directory.mkdir()
    return played(name, directory, home, **variables)


if __name__ == "__main__":
    main(sys.argv[1:])
