"""Failovers to a synchronous standby while others write on; then every write that was answered is read again.

python -m tests.providers.postgres.failovers TIMES [SECONDS]
"""

from __future__ import annotations

import math
import signal
import sys
import time
from contextlib import ExitStack
from typing import Dict

from compat_tests.on_postgres import CLIENT, DATABASE, HERE, PostgresServer

from .kills import SETTERS, Setter, judge_answered, judge_holders

SYNCHRONOUS = {"synchronous_standby_names": "*"}


def run(times: int, seconds: float = math.inf) -> Dict[str, int]:
    """Two servers, of which the primary is killed, the other one promoted, and a new standby made, again and again.

    Fewer times if it takes longer than so long.
    """
    until, done = time.monotonic() + seconds, 0
    with ExitStack() as stack:
        primary = stack.enter_context(PostgresServer())
        standby = stack.enter_context(PostgresServer(primary=primary, settings=SYNCHRONOUS))
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        hosts = ",".join("%s:%d" % (HERE, each.port) for each in (primary, standby))
        url = "postgresql://%s@%s/%s" % (CLIENT, hosts, DATABASE)
        setters = [Setter(url, "/set-%d" % number, locks=True) for number in range(SETTERS)]
        try:
            while done < times and time.monotonic() < until:
                for each in setters:
                    each.wait_for_more()
                primary.stop(signal.SIGKILL)
                standby.ask("SELECT pg_promote()")
                left, primary = primary, standby
                standby = stack.enter_context(PostgresServer(primary=primary, settings=SYNCHRONOUS, port=left.port))
                done += 1
            for each in setters:
                each.wait_for_more()
        finally:
            for each in setters:
                each.kill()
        judge_answered(url, setters)
        answered = sum(len(each.answered) for each in setters)
        unknown = sum(what == "unknown" for each in setters for what, _, _ in each.said)
        return {"failovers": done, "answered": answered, "unknown": unknown, "locked": judge_holders(setters)}


def main() -> None:
    """Prints what it did."""
    started = time.monotonic()
    done = run(int(sys.argv[1]), *map(float, sys.argv[2:]))
    print("%s in %.0f s: nothing answered was lost or done twice" % (done, time.monotonic() - started))


if __name__ == "__main__":
    main()
