"""What ``deploy``, ``status``, ``destroy`` and ``package`` have in common: their options, and how they speak.

Rule upheld here: results go to standard output, everything else to standard error; a failure is one line and an exit
code of `operation.code_of`. Importing this module imports nothing but argparse.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List

from .operation import FAILED as FAILED
from .operation import INTERRUPTED as INTERRUPTED
from .operation import NOT_FOUND as NOT_FOUND
from .operation import code_of as code_of
from .operation import print_error as print_error

if TYPE_CHECKING:
    from rich.console import Console

    from fk_backend.providers.aws.stacks import Change

USAGE = 2
NOBODY_TO_ASK = "there is nobody to ask: give --yes"


def run(command: str, work: Callable[[], int], name: str = "") -> int:
    """The exit code of ``work``, on the deployment of that name. Errors become one line on standard error."""
    from fk_backend.errors import BackendError

    lacking = missing()
    if lacking:
        return print_error(command, lacking)
    from fk_backend.providers.aws import names

    try:
        if name:
            names.checked(name)  # before anything is packed or asked for it
        return work()
    except BackendError as error:
        return print_error(command, str(error), code_of(error))
    except KeyboardInterrupt:
        print(
            "\nfk-kazoo %s: interrupted. What CloudFormation has begun goes on: see fk-kazoo status" % command,
            file=sys.stderr,
        )
        return INTERRUPTED


def missing() -> str:
    """What has to be installed before any of these commands can work, and how; ``""`` if everything is there."""
    for module in ("boto3", "aiobotocore", "rich"):
        try:
            importlib.import_module(module)
        except ImportError:
            return "%s is missing: pip install 'fk_kazoo[aws]'" % module
    return ""


def package_file(given: str) -> Path:
    """The functions' zip that was named. NotFound, WrongUsage."""
    import zipfile  # it brings threads along, which `fk-kazoo run` must not import before its app

    from fk_backend.errors import NotFound, WrongUsage

    path = Path(given)
    if not path.is_file():
        raise NotFound("there is no file %s; fk-kazoo package makes one" % given)
    if not zipfile.is_zipfile(path):
        raise WrongUsage("%s is no zip file; fk-kazoo package makes one" % given)
    return path


class ProgressReporter:
    """Progress on standard error: the last line of it on a terminal, all of it elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status: Any = None

    def __call__(self, line: str) -> None:
        """One line of progress; in colour if it is a failure."""
        if not self._console.is_terminal:
            return print(line, file=sys.stderr, flush=True)
        if "FAILED" in line:
            self._console.print(line, style="red", markup=False)
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(line.replace("[", "\\["))

    def pause(self) -> None:
        """Before something else is printed or asked."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def output() -> "Console":
    """Where results go: as wide as the terminal, and never cut elsewhere."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def show_changes(changes: "List[Change]") -> None:
    """A table of them."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("change", "resource", "type", "now"):
        table.add_column(title)
    style = {"Add": "green", "Remove": "red"}
    for one in sorted(changes, key=lambda change: (change.action, change.resource)):
        action = "Replace" if one.replacement else one.action
        table.add_row(action, one.resource, one.kind, one.physical, style=style.get(action, "yellow"))
    output().print(table)


def can_ask() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def ask(question: str) -> str:
    """What was typed."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
