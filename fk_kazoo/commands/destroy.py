"""``fk-kazoo destroy NAME``: removes a deployment on AWS and everything in it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import aws_console as console

if TYPE_CHECKING:
    from fk_backend.providers.aws.destroy import Remains

COMMAND = "destroy"


def call(options: argparse.Namespace) -> int:
    """Removes it; the exit code."""
    if not (options.yes or console.can_ask()):
        return console.print_error(COMMAND, console.NOBODY_TO_ASK, console.USAGE)
    return console.run(COMMAND, lambda: _destroy(options), options.name)


def _destroy(options: argparse.Namespace) -> int:
    from fk_backend.providers.aws.destroy import destroy

    progress = console.ProgressReporter()
    try:
        done = destroy(
            options.name,
            region=options.region,
            endpoint_url=options.endpoint_url,
            force=options.force,
            confirm=lambda remains: _confirmed(options, progress, remains),
            progress=progress,
        )
    finally:
        progress.pause()
    if not done:
        return console.print_error(COMMAND, "nothing was removed")
    print("removed: %s" % options.name)
    return 0


def _confirmed(options: argparse.Namespace, progress: console.ProgressReporter, remains: "Remains") -> bool:
    progress.pause()
    parts = [
        *(["its stack"] if remains.stack else []),
        *("the table " + table for table in remains.tables),
        *(["the bucket " + remains.bucket] if remains.bucket else []),
        *(["%d inboxes" % len(remains.inboxes)] if remains.inboxes else []),
    ]
    print("This removes %s, with everything in it: %s." % (options.name, ", ".join(parts)))
    question = "There is no way back. Type the deployment's name to go on:"
    return bool(options.yes) or console.ask(question) == options.name
