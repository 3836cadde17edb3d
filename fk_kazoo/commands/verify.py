"""``fk-kazoo verify``: proves a deployment on somebody's account, and leaves nothing behind."""

from __future__ import annotations

import argparse
import math
import sys
import time

from . import aws_console as console

COMMAND = "verify"
MOST_MINUTES = 20.0


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``fk-kazoo verify``."""
    parser.description = (
        "Deploys under a random name, checks what only AWS can show, measures, destroys everything, looks at what is "
        "left, and writes a report. Exit code 0: every check held and nothing is left; 1: something did not, or is; "
        "3: not everything was run."
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--region", help="default: as for every AWS tool (AWS_REGION, AWS_PROFILE)")
    where.add_argument("--emulator", action="store_true", help="on an emulator of this machine: proves nothing of AWS")
    parser.add_argument("--budget", type=_usd, metavar="USD", help="it ends before so much is spent; needed on AWS")
    minutes = "checks end two before that (default: %d); with fewer the idleness is shorter" % MOST_MINUTES
    parser.add_argument("--minutes", type=_usd, default=MOST_MINUTES, metavar="N", help=minutes)
    parser.add_argument("--quick", action="store_true", help="waits seconds instead of minutes: to try the checks")
    parser.add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="this check; several times for more"
    )
    parser.add_argument("--report", metavar="PATH", help="writes PATH.json and PATH.md; default: fk-kazoo-verify-TIME")


def _usd(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def call(options: argparse.Namespace) -> int:
    """Verifies; the exit code."""
    if options.budget is None and not options.emulator:
        return console.complain(
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
    from ..verify.places import Emulated, Place
    from ..verify.run import Run, Wanted

    unknown = sorted(set(options.only) - {one.name for one in plan.ALL})
    if unknown:
        known = ", ".join(one.name for one in plan.ALL)
        return console.complain(COMMAND, "no check %s; there are: %s" % (unknown[0], known), console.USAGE)
    try:
        place = Emulated(_tell) if options.emulator else Place(options.region, None, _tell)
    except (EmulatorFailed, SetUpFailed) as error:
        raise DeploymentError(str(error)) from error
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # connections end on purpose
    place.cloud.account  # noqa: B018 (who has no credentials is told so before anything begins)
    wanted = Wanted(options.budget or 1.0, options.minutes, options.quick, options.only)
    try:
        made = Run(wanted, place, _tell)()
    finally:
        place.close()
    path = Path(options.report or time.strftime("fk-kazoo-verify-%Y%m%d-%H%M%S"))
    written = report.write(made, path)
    print(report.as_markdown(made))
    print("written: %s" % ", ".join(map(str, written)), file=sys.stderr)
    return made.exit_code


def _tell(line: str) -> None:
    sys.stderr.write("%s %s\n" % (time.strftime("%H:%M:%S"), line))  # in one piece: several threads tell something
    sys.stderr.flush()
