"""The command line: ``fk-kazoo`` and ``python -m fk_kazoo``.

``run`` is here, and needs nothing but the plain install; every other command is `fk_kazoo.cli`'s. Rule upheld here:
importing this module imports nothing that an app may want to patch before it is imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import List, Optional, Sequence

from fk_backend.errors import BadUrl
from fk_kazoo import run
from fk_kazoo.url import DEFAULT_URL, ENVIRONMENT_VARIABLE, parse
from fk_kazoo.versions import version_line

AWS = ("deploy", "status", "destroy", "rollback", "package", "verify", "dev")
"""What needs the extra ``aws``."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code of the command that ``arguments`` (default: ``sys.argv``) ask for."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        return _run(given[1:])
    if arguments is not None:
        return _command(given)
    try:
        from fk_kazoo import interrupts

        return interrupts.run_command(lambda: _command(given))
    except KeyboardInterrupt:
        return 130


def _command(given: List[str]) -> int:
    if given[:1] == ["--version"]:
        print(version_line())
        return 0
    try:
        import click
        import rich
    except ImportError as error:
        return _plain(given, error.name or "click")
    from fk_kazoo.cli.main import main as whole

    del click, rich
    return whole(given)


def _plain(given: List[str], missing: str) -> int:
    """What the plain install has to say of everything but ``run``."""
    command = next((word for word in given if not word.startswith("-")), "")
    if command:
        extra = "aws" if command in AWS else "postgres" if command == "init" else "cli"
        print(f"fk-kazoo {command}: {missing} is missing: pip install 'fk_kazoo[{extra}]'", file=sys.stderr)
        return 1
    print(
        "fk-kazoo run [--url URL] (app.py | -m module) [argument ...]: runs an unmodified app with its kazoo client "
        "replaced.\nEvery other command needs more: pip install 'fk_kazoo[cli]', or 'fk_kazoo[aws]'."
    )
    return 0 if given else 2


# --- run ------------------------------------------------------------------------------------------


def _run_parser() -> argparse.ArgumentParser:
    """Of fixed width: to ask for the terminal's, argparse imports ``shutil``, and Python 3.9 ``threading`` with it."""
    parser = argparse.ArgumentParser(
        prog="fk-kazoo run",
        usage="fk-kazoo run [--url URL] (app.py | -m module) [argument ...]",
        description="Runs an app as python does, with kazoo.client.KazooClient replaced. ZooKeeper hosts that the app "
        f"names stand for the deployment in {ENVIRONMENT_VARIABLE}.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("--url", help=f"the deployment; default: {ENVIRONMENT_VARIABLE}, or {DEFAULT_URL}")
    parser.add_argument("-m", metavar="module", help="runs a module, as python -m does")
    parser.add_argument("app", nargs="?", help="the app: a file, a directory, a zip file, or an installed script")
    parser.add_argument("argument", nargs="*", help="the app's own arguments")
    return parser


def _run(given: List[str]) -> int:
    own, app = run.split(given)
    options = _run_parser().parse_args(own)
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


if __name__ == "__main__":
    sys.exit(main())
