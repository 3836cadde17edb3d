"""``fk-kazoo verify``: proves a deployment on somebody's account, and leaves nothing behind."""

from __future__ import annotations

import argparse
import sys
import time

from . import aws_console as console

COMMAND = "verify"
MOST_MINUTES = 20.0


def call(options: argparse.Namespace) -> int:
    """Verifies; the exit code."""
    if options.budget is None and not options.emulator:
        return console.print_error(
            COMMAND, "it makes things that cost: say how much it may spend, --budget 2", console.USAGE
        )
    return console.run(COMMAND, lambda: _verify(options))


def _verify(options: argparse.Namespace) -> int:
    import logging
    from pathlib import Path

    from fk_backend.errors import DeploymentError
    from fk_backend.providers.aws.dev.emulator import EmulatorFailed
    from fk_backend.providers.aws.dev.venvs import SetUpFailed

    from ..verify import plan, report
    from ..verify.accounts import Account, EmulatedAccount
    from ..verify.run import Run, Wanted

    unknown = sorted(set(options.only) - {one.name for one in plan.ALL})
    if unknown:
        known = ", ".join(one.name for one in plan.ALL)
        return console.print_error(COMMAND, "no check %s; there are: %s" % (unknown[0], known), console.USAGE)
    try:
        account = EmulatedAccount(_notify) if options.emulator else Account(options.region, None, _notify)
    except (EmulatorFailed, SetUpFailed) as error:
        raise DeploymentError(str(error)) from error
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # connections end on purpose
    account.cloud.account  # noqa: B018 (who has no credentials is told so before anything begins)
    wanted = Wanted(options.budget or 1.0, options.minutes, options.quick, options.only)
    try:
        made = Run(wanted, account, _notify)()
    finally:
        account.close()
    path = Path(options.report or time.strftime("fk-kazoo-verify-%Y%m%d-%H%M%S"))
    written = report.write(made, path)
    print(report.as_markdown(made))
    print("written: %s" % ", ".join(map(str, written)), file=sys.stderr)
    return made.exit_code


def _notify(line: str) -> None:
    sys.stderr.write("%s %s\n" % (time.strftime("%H:%M:%S"), line))  # in one piece: several threads tell something
    sys.stderr.flush()
