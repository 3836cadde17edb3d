"""The command line: ``fk-kazoo`` and ``python -m fk_kazoo``.

Rule upheld here: a sub-command is one entry of COMMANDS, and importing this module imports nothing that an app may want
to patch before it is imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Callable, List, NamedTuple, Optional, Sequence

from fk_backend.errors import BadUrl
from fk_kazoo import __version__, run
from fk_kazoo.commands import backup, cost, deploy, destroy, dev, init, package, restore, rollback, status, verify
from fk_kazoo.url import DEFAULT_URL, ENVIRONMENT_VARIABLE, parse


class Command(NamedTuple):
    """A sub-command: how its arguments are declared, and what it does with them; it returns the exit code."""

    name: str
    help: str
    declare: Callable[[argparse.ArgumentParser], None]
    call: Callable[[argparse.Namespace], int]


def _declare_run(parser: argparse.ArgumentParser) -> None:
    parser.usage = "fk-kazoo run [--url URL] (app.py | -m module) [argument ...]"
    parser.description = (
        "Runs an app as python does, with kazoo.client.KazooClient replaced. ZooKeeper hosts that the app names stand "
        f"for the deployment in {ENVIRONMENT_VARIABLE}."
    )
    parser.add_argument("--url", help=f"the deployment; default: {ENVIRONMENT_VARIABLE}, or {DEFAULT_URL}")
    parser.add_argument("-m", metavar="module", help="runs a module, as python -m does")
    parser.add_argument("app", nargs="?", help="the app: a file, a directory, a zip file, or an installed script")
    parser.add_argument("argument", nargs="*", help="the app's own arguments")


def _run(options: argparse.Namespace) -> int:
    app: List[str] = options.rest
    module = app[0][2:] or (app[1] if len(app) > 1 else "") if app and app[0].startswith("-m") else None
    if not app or module == "":
        print("fk-kazoo run: which app? Give a file, or -m and a module", file=sys.stderr)
        return 2
    url = options.url or os.environ.get(ENVIRONMENT_VARIABLE, "").strip() or DEFAULT_URL
    try:
        os.environ[ENVIRONMENT_VARIABLE] = parse(url).whole()
    except BadUrl as error:
        print(f"fk-kazoo run: {error}", file=sys.stderr)
        return 2
    if module is None:
        return run.run_script(run.on_path(app[0]), app[1:])
    return run.run_module(module, app[1:] if app[0][2:] else app[2:])


COMMANDS = [
    Command("run", "run an unmodified app with its kazoo client replaced", _declare_run, _run),
    Command("deploy", "make or update a deployment on AWS", deploy.declare, deploy.call),
    Command("init", "make a deployment in a PostgreSQL database, or bring it up to date", init.declare, init.call),
    Command("status", "show how a deployment on AWS is", status.declare, status.call),
    Command("rollback", "make an earlier release of a deployment's functions live", rollback.declare, rollback.call),
    Command("destroy", "remove a deployment on AWS", destroy.declare, destroy.call),
    Command("backup", "write all that a deployment holds to a file", backup.declare, backup.call),
    Command("restore", "fill a new deployment from a backup", restore.declare, restore.call),
    Command("package", "make the zip of a deployment's functions", package.declare, package.call),
    Command("cost", "estimate what a load costs on AWS", cost.declare, cost.call),
    Command("verify", "prove it on an AWS account, and leave nothing behind", verify.declare, verify.call),
    Command("dev", "run a deployment for development on this machine", dev.declare, dev.call),
]


class _Version(argparse.Action):
    """Prints our version and those of what we stand on; kazoo's is looked up only now."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        python = ".".join(map(str, sys.version_info[:3]))
        print(f"fk-kazoo {__version__} (kazoo {version('kazoo')}, Python {python})")
        parser.exit()


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Of fixed width: to ask for the terminal's, argparse imports ``shutil``, and Python 3.9 ``threading`` with it."""
    return argparse.HelpFormatter(prog, width=100)


def _parser() -> argparse.ArgumentParser:
    description = "kazoo without ZooKeeper servers."
    parser = argparse.ArgumentParser(prog="fk-kazoo", description=description, formatter_class=_formatter)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.help, formatter_class=_formatter)
        command.declare(one)
        one.set_defaults(call=command.call)
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code of the command that ``arguments`` (default: ``sys.argv``) ask for."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    rest: List[str] = []
    if given[:1] == ["run"]:
        own, rest = run.split(given[1:])
        given = ["run", *own]
    options = _parser().parse_args(given)
    options.rest = rest
    call: Callable[[argparse.Namespace], int] = options.call
    return call(options)


if __name__ == "__main__":
    sys.exit(main())
