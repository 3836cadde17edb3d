"""Replays and tells one seed, or runs many.

python -m fk_backend.testing.simulation --seed 7
python -m fk_backend.testing.simulation --schedules 20000 --jobs 2
python -m fk_backend.testing.simulation --world flickering --schedules 1000
python -m fk_backend.testing.simulation --ci
python -m fk_backend.testing.simulation --explore
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Callable, List, Optional, Sequence

from .campaign import Failure, Tally, by_check, campaign
from .checks import judge
from .crashes import cover
from .explore import LARGE_SCOPES, SMALL_SCOPES, explore
from .narrate import narrate
from .plan import Plan
from .run import run
from .shrink import broken, shrink
from .state_space import Scope
from .workload import SECRETS, WORLDS, plan

CI_RUNS = {"all": 20_000, "invoked": 20_000, "direct": 2_000, "beside": 2_000, "combined": 500, "flickering": 1_000}
"""By world: the first so many seeds are what a change has to pass."""
CI_SECRETS = 2_000
"""Of them, with ACLs and identities that change beside watches, besides."""
CI_SECONDS = 3000.0
"""Beside everything else that CI does, at the lowest priority; alone it takes ten minutes."""
PECULIAR = {
    "flickering": "nodes that come and go, read row by row",
    "direct": "writes that no queue has, in the clients' own processes",
    "beside": "writes beside a host, in other processes of its machine",
    "combined": "processes of one machine, each with its queue, that commit for each other",
    "invoked": "writers that are invoked while the queue's are at work",
}
"""By world: what it has and the plain one has not."""


def tell(seed: int, smaller: bool, world: Callable[[int], Plan] = plan) -> int:
    """Replays a seed and narrates it; if it breaks something, the smallest plan that does."""
    chosen = world(seed)
    checks = broken(chosen)
    if checks and smaller:
        chosen = shrink(chosen, checks)
    history = run(chosen)
    for line in narrate(history):
        print(line[:300])
    violations = judge(history, search=True)
    for violation in violations:
        print("%s BROKEN: %s" % violation)
    for number, steps in enumerate(chosen.clients):
        for step in steps:
            print("client-%d at %.4f: %s" % (number, step.at, step.op))
    for fault in chosen.faults:
        print("fault: %s" % (fault,))
    return 1 if violations else 0


def report(tally: Tally) -> int:
    """Says how many ran and what broke."""
    rate = tally.schedules / max(tally.seconds, 1e-9)
    for name, seeds in sorted(by_check(tally.failures).items()):
        print("%s broken by %d seeds: %s" % (name, len(seeds), seeds[:20]))
    print("seeds %d to %d: %d schedules, %d calls of ports, %.0f s, %.0f schedules a second, %d seeds failed" % (
        tally.upto - tally.schedules, tally.upto - 1, tally.schedules, tally.calls, tally.seconds, rate,
        len(tally.failures),
    ))  # fmt: skip
    return 1 if tally.failures else 0


def progress(upto: int, failures: List[Failure]) -> None:
    """Says what failed at once, and now and then where to go on if it ends here."""
    for failure in failures:
        violations = "; ".join("%s %s" % each for each in failure.violations[:3])
        print("seed %d: %s" % (failure.seed, violations[:1000]), flush=True)
    if upto % 1000 == 0:
        print("to go on: --first %d" % upto, flush=True)


def ci(jobs: int) -> int:
    """What a change has to pass: schedules, every crash, and small scopes exhaustively. Ten minutes on two cores."""
    tally = campaign(0, CI_RUNS["all"], jobs, CI_SECONDS, progress)
    failed = report(tally)
    secret = campaign(SECRETS, CI_SECRETS, jobs, CI_SECONDS, progress)
    failed += report(secret)
    if tally.schedules < CI_RUNS["all"] or secret.schedules < CI_SECRETS:
        done, asked = tally.schedules + secret.schedules, CI_RUNS["all"] + CI_SECRETS
        print("only %d of %d schedules in %d s each" % (done, asked, CI_SECONDS))
        failed = 1
    for name, what in PECULIAR.items():
        print("%s: --world %s" % (what, name))
        failed += report(campaign(0, CI_RUNS[name], jobs, None, progress, WORLDS[name]))
    covered = cover()
    print("%d calls of ports by %d kinds of operation, each crashed before and after: %d runs" % (
        covered.calls, covered.kinds, covered.runs,
    ))  # fmt: skip
    for failure in covered.failures:
        print(failure)
    failed += explored(SMALL_SCOPES)
    return 1 if failed or covered.failures else 0


def explored(scopes: Sequence[Scope]) -> int:
    """Explores scopes, says what it came to; 0 if each was completed and nothing is wrong."""
    failed = states = 0
    for scope in scopes:
        found = explore(scope)
        states += found.states
        print("%s: %d states, %d transitions, %d ends, %.0f s%s" % (
            scope.name, found.states, found.transitions, found.ends, found.seconds,
            ", complete" if found.complete else ", NOT COMPLETE",
        ), flush=True)  # fmt: skip
        for what in found.violations:
            print(what)
        failed += len(found.violations) + (not found.complete)
    print("%d scopes, %d states" % (len(scopes), states))
    return 1 if failed else 0


def main(arguments: Optional[List[str]] = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fk_backend.testing.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="replay this one and tell it")
    parser.add_argument("--whole", action="store_true", help="with --seed: do not make a failing run smaller")
    parser.add_argument("--world", choices=WORLDS, default="all", help="which plans")
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--ci", action="store_true", help="what a change has to pass")
    parser.add_argument("--explore", action="store_true", help="every state of the larger scopes")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    world = WORLDS[chosen.world]
    if chosen.seed is not None:
        return tell(chosen.seed, not chosen.whole, world)
    if chosen.explore:
        return explored(LARGE_SCOPES)
    if chosen.ci:
        return ci(chosen.jobs)
    return report(campaign(chosen.first, chosen.schedules, chosen.jobs, chosen.seconds, progress, world))


if __name__ == "__main__":
    sys.exit(main())
