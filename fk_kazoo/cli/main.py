"""The group of all commands. A command's module is imported when the command is asked for, or help is.

Rule upheld here: whatever goes wrong ends in `failures.explained`; what that can't explain is a defect and keeps its
traceback.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any, Dict, List, Optional, Sequence

import click

from fk_kazoo.versions import version_line

from .failures import FAILED, INTERRUPTED, explained
from .formats import printable

SECTIONS: Dict[str, Dict[str, str]] = {
    "Looking and changing": {
        "ls": "read",
        "tree": "read",
        "get": "read",
        "stat": "read",
        "find": "read",
        "set": "change",
        "create": "change",
        "rm": "change",
        "acl": "change",
        "cp": "change",
        "edit": "edit",
        "watch": "watch",
    },
    "Moving": {"copy": "copy", "compare": "copy", "backup": "backups", "restore": "backups"},
    "Understanding": {
        "sessions": "sessions",
        "locks": "locks",
        "doctor": "doctor",
        "top": "top",
        "console": "console",
        "bench": "bench",
        "shell": "shell",
    },
    "Deployments": {
        "run": "running",
        "serve": "serve",
        "init": "init",
        "deployments": "deployments",
        "destroy": "deployments",
        "deploy": "aws",
        "status": "aws",
        "rollback": "aws",
        "package": "aws",
        "verify": "aws",
        "cost": "aws",
        "dev": "aws",
        "completion": "completion",
    },
}
MODULES = {name: module for section in SECTIONS.values() for name, module in section.items()}


class Commands(click.Group):
    """Finds a command in its module."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        """In the order of the sections."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """The module's attribute of that name, with ``_`` before it where Python has one of that name."""
        module = MODULES.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(importlib.import_module("fk_kazoo.cli." + module), "%s_command" % cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By section."""
        for title, names in SECTIONS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(200)))
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _version(ctx: click.Context, _: Any, wanted: bool) -> None:
    if wanted:
        click.echo(version_line())
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 130 interrupted. NO_COLOR is heeded.",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show versions.")
def commands() -> None:
    """kazoo without ZooKeeper servers: looks into, changes, moves and keeps deployments, and ZooKeepers too.

    Each command takes --url, or $FK_KAZOO_URL: local://NAME, aws://NAME?region=REGION,
    postgresql://USER@HOST/DATABASE, and zk://HOST:PORT/CHROOT, which is a ZooKeeper.
    """


def main(arguments: Sequence[str], clients: Optional[Dict[Any, Any]] = None) -> int:
    """The exit code of the command that the arguments ask for.

    ``clients``: by URL and credentials, those that are connected already; what a command connects is added and goes on.
    """
    name = next((word for word in arguments if not word.startswith("-")), "")
    for standard in ("stdout", "stderr"):
        if getattr(sys, standard) is None:  # closed by whoever began this
            setattr(sys, standard, open(os.devnull, "w", encoding="utf-8"))
        stream = getattr(sys, standard)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # who can't show a character sees which it is
    try:
        done = commands.main(list(arguments), prog_name="fk-kazoo", standalone_mode=False, obj=clients)
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("fk-kazoo %s: interrupted" % name, err=True)
        return INTERRUPTED
    except BrokenPipeError:  # who read what is printed has had enough
        _discard_output()
        return FAILED
    except Exception as error:
        found = explained(error)
        if found is None:
            raise
        click.echo(printable(" ".join(("fk-kazoo %s: %s" % (name, found[0])).split())), err=True)
        _discard_output()
        return found[1]


def _discard_output() -> None:
    """What can't be written is not tried again at exit: Python would say so, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
