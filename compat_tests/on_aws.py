"""Runs a command against a deployment on AWS without AWS: the emulator, the packaged functions, a client's permissions.

python -m compat_tests.on_aws python -m compat_tests.kazoo_suite --url {url}

``{url}`` is the deployment's; FK_KAZOO_URL names it, too. The deployment is made for the command and gone after it.
Everybody has the permissions that a deployment gives them; those of whoever operates it are in FK_KAZOO_OPERATOR, for
the part of a test kit that has to break something.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from typing import Dict, Iterator, List, Optional

OPERATOR = "123456789012:emulated"
"""Access key and secret of the emulator's root."""
_EXPORT = re.compile(r"\s+export (\w+)='?([^']*)'?$")
READY = "Everything in it is gone"


def main(argv: Optional[List[str]] = None) -> int:
    """The command's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.on_aws", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-permissions", action="store_true", help="everybody may do everything: starts quicker")
    parser.add_argument("command", help="a program, {url} in its arguments standing for the deployment's URL")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    if shutil.which(options.command) is None:
        parser.error("there is no program %s" % options.command)
    try:
        with emulated(permissions=not options.no_permissions) as variables:
            words = [options.command, *(word.replace("{url}", variables["FK_KAZOO_URL"]) for word in options.arguments)]
            return subprocess.call(words, env={**os.environ, **variables})
    except NotEmulated as error:
        return error.exit_code


class NotEmulated(Exception):
    """The deployment was not made; why was printed."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("the deployment was not made: exit code %d" % exit_code)
        self.exit_code = exit_code


@contextlib.contextmanager
def emulated(permissions: bool = True) -> Iterator[Dict[str, str]]:
    """A deployment of its own, as long as it lasts: the variables that its clients have to have."""
    serving = [sys.executable, "-m", "fk_kazoo", "dev", "aws", *(["--permissions"] if permissions else [])]
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
        reader = threading.Thread(target=_drain, args=[server], daemon=True)
        try:
            variables = _variables(server)
            if variables is None:
                raise NotEmulated(server.wait() or 1)
            reader.start()
            yield {**variables, "FK_KAZOO_OPERATOR": OPERATOR}
        finally:
            server.send_signal(signal.SIGINT)
            server.send_signal(signal.SIGTERM)  # a background process may ignore the other one
            if reader.is_alive():
                reader.join()  # until there is nothing more to read


def _variables(server: "subprocess.Popen[str]") -> Optional[Dict[str, str]]:
    """What it says has to be exported; None if it ends before."""
    assert server.stdout is not None
    found: Dict[str, str] = {}
    for line in server.stdout:
        exported = _EXPORT.match(line.rstrip())
        if exported:
            found[exported.group(1)] = exported.group(2)
        elif line.startswith(READY):
            return found
        else:
            print(line, end="", flush=True)
    return None


def _drain(server: "subprocess.Popen[str]") -> None:
    """Its account of every invocation is read, so that it is never blocked, and dropped, but for failures."""
    assert server.stdout is not None
    for line in server.stdout:
        if "FAILED" in line or "trouble" in line:
            print(line, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
