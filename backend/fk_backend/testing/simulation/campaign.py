"""Many seeds, on as many processes as asked for, until they are done or the time is up. None is skipped."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .checks import Violation, judge
from .plan import Plan
from .run import run
from .workload import plan, with_hostile

CHUNK = 25
"""Seeds that a process takes at a time."""
BESET = 10
"""Every so manieth seed is also run with a hostile client in it."""
SAMPLE = 10
"""Every so manieth run is also judged by a search for a linearization."""


class Failure(NamedTuple):
    """A seed, and what its run broke."""

    seed: int
    violations: List[Violation]


class Tally(NamedTuple):
    """What a campaign came to; ``upto`` is the first seed that was not run."""

    upto: int
    schedules: int
    calls: int
    seconds: float
    failures: List[Failure]


def _chunk(world: Callable[[int], Plan], seeds: Tuple[int, int]) -> Tuple[int, int, List[Failure]]:
    logging.disable(logging.CRITICAL)
    gc.disable()  # looking for cycles at every turn takes a seventh of the time; once in a chunk will do
    failures, calls = [], 0
    for seed in range(*seeds):
        try:
            history = run(world(seed))
            calls += history.calls
            violations = judge(history, search=seed % SAMPLE == 0)
            if world is plan and seed % BESET == 0:
                history = run(with_hostile(plan(seed)))
                calls += history.calls
                violations += [each._replace(what="beset: " + each.what) for each in judge(history)]
        except Exception as error:  # of the simulation itself: the other seeds are still worth to be run
            violations = [Violation("the simulation", "failed: %r" % error)]
        if violations:
            failures.append(Failure(seed, violations))
    gc.enable()
    gc.collect()
    return seeds[1] - seeds[0], calls, failures


def campaign(
    first: int,
    schedules: int,
    jobs: int,
    seconds: Optional[float] = None,
    told: Callable[[int, List[Failure]], None] = lambda upto, failures: None,
    world: Callable[[int], Plan] = plan,
) -> Tally:
    """Runs the seeds of a world from ``first`` on, ``schedules`` of them or as many as begin within ``seconds``.

    ``told`` is called again and again: with the first seed that was not run yet, and with failures that are new. An
    interrupt (Ctrl-C) ends it as if the time were up.
    """
    started = time.monotonic()
    done = calls = 0
    failures: List[Failure] = []
    try:
        for count, crossed, found in _results(partial(_chunk, world), list(_chunks(first, schedules)), jobs):
            done, calls = done + count, calls + crossed
            failures.extend(found)
            told(first + done, found)
            if seconds is not None and time.monotonic() - started > seconds:
                break
    except KeyboardInterrupt:
        pass
    return Tally(first + done, done, calls, time.monotonic() - started, failures)


def _results(
    work: Callable[[Tuple[int, int]], Tuple[int, int, List[Failure]]], chunks: List[Tuple[int, int]], jobs: int
) -> Iterator[Tuple[int, int, List[Failure]]]:
    if jobs == 1:
        yield from map(work, chunks)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(work, chunks)
        pool.terminate()


def _chunks(first: int, schedules: int) -> Iterator[Tuple[int, int]]:
    for begin in range(first, first + schedules, CHUNK):
        yield begin, min(begin + CHUNK, first + schedules)


def by_check(failures: List[Failure]) -> Dict[str, List[int]]:
    """Check → seeds that broke it."""
    found: Dict[str, List[int]] = {}
    for failure in failures:
        for name in sorted({violation.check for violation in failure.violations}):
            found.setdefault(name, []).append(failure.seed)
    return found
