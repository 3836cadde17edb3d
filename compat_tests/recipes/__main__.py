"""Checks every recipe under every fault on a deployment.

python -m compat_tests.recipes --url URL [RECIPE …] [--fault FAULT] [--half]
python -m compat_tests.recipes --simulated SEEDS [--first SEED] [RECIPE …] [--fault FAULT]
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
import warnings
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from . import exclusion, killed, membership, queues_and_counters
from .faulty_clients import FAULTS, Client, Clients, Fault

CHECKS: Dict[str, Callable[[Clients, Fault], None]] = {
    "Lock": exclusion.lock,
    "ReadLock, WriteLock": exclusion.read_write_lock,
    "Semaphore": exclusion.semaphore,
    "Election": exclusion.election,
    "Barrier": membership.barrier,
    "DoubleBarrier": membership.double_barrier,
    "Queue": queues_and_counters.queue,
    "LockingQueue": queues_and_counters.locking_queue,
    "Counter": queues_and_counters.counter,
    "Party, ShallowParty": membership.party,
    "NonBlockingLease, MultiNonBlockingLease": queues_and_counters.lease,
    "SetPartitioner": membership.partitioner,
    "TreeCache": membership.tree_cache,
}


KILL = "kill"
"""Of a process: not on memory://, which has only one."""


def half(recipes: Sequence[str], faults: Sequence[str]) -> List[Tuple[str, str]]:
    """Of all pairs of both every other one, so that every recipe meets faults, and every fault recipes."""
    return [(r, f) for row, r in enumerate(recipes) for column, f in enumerate(faults) if (row + column) % 2]


def check(url: str, recipe: str, fault: str) -> None:
    """One recipe under one fault. AssertionError if it does not keep what it is for."""
    if fault == KILL:
        return killed.check(url, recipe)
    clients = Clients(lambda can_fail: Client(url, can_fail))
    try:
        CHECKS[recipe](clients, FAULTS[fault])
    finally:
        clients.close()


def simulated(recipe: str, fault: str, seed: int) -> str:
    """One recipe under one fault in the world of a seed; a hash of what happened. AssertionError names the seed."""
    from .simulated import simulate  # needs greenlet

    try:
        return simulate(CHECKS[recipe], recipe, fault, seed).world.trace
    except Exception as error:
        raise AssertionError("%s under %s, seed %d: %r" % (recipe, fault, seed, error)) from error


def main(argv: Optional[List[str]] = None) -> int:
    """0 if everything held."""
    parser = argparse.ArgumentParser(prog="python -m compat_tests.recipes", description=str(__doc__).splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--simulated", type=int, metavar="SEEDS", help="in so many simulated worlds instead")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="only those whose name contains this")
    parser.add_argument("--fault", choices=sorted([*FAULTS, KILL]), help="only this one")
    parser.add_argument("--half", action="store_true", help="each recipe under every other fault, in turn")
    options = parser.parse_args(argv)
    faults = [*FAULTS, *([KILL] if options.url and not options.url.startswith("memory:") else [])]
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # connections are broken on purpose
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if options.simulated:
        logging.disable(logging.CRITICAL)
    failed = 0
    names = [name for name in CHECKS if not options.recipes or any(part in name for part in options.recipes)]
    faults = [options.fault] if options.fault else faults
    pairs = half(names, faults) if options.half else [(recipe, fault) for recipe in names for fault in faults]
    for recipe, fault in pairs:
        started, outcome = time.monotonic(), "holds"
        try:
            if options.url:
                check(options.url, recipe, fault)
            for seed in range(options.first, options.first + (options.simulated or 0)):
                simulated(recipe, fault, seed)
        except Exception:
            traceback.print_exc()
            outcome, failed = "FAILED", failed + 1
        print("%-40s %-10s %-6s %4.1f s" % (recipe, fault, outcome, time.monotonic() - started), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
