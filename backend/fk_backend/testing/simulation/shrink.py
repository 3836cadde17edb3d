"""A failing plan made smaller: fewer faults, fewer clients, fewer ops, as long as the same promise stays broken.

Latencies are drawn for each process on its own, so that most of a run stays as it was when a part of the plan goes.
"""

from __future__ import annotations

from typing import Iterator, Set

from .checks import judge
from .plan import Plan
from .run import run

MAX_RUNS = 400


def broken(plan: Plan) -> Set[str]:
    """Names of the promises that a plan's run breaks."""
    return {violation.check for violation in judge(run(plan))}


def shrink(plan: Plan, checks: Set[str], runs: int = MAX_RUNS) -> Plan:
    """The smallest plan found that still breaks one of ``checks``."""
    progress = True
    while progress and runs > 0:
        progress = False
        for smaller in _smaller(plan):
            runs -= 1
            if broken(smaller) & checks:
                plan, progress = smaller, True
                break
            if runs <= 0:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for number, steps in enumerate(plan.clients):
        if steps:
            yield plan._replace(clients=(*plan.clients[:number], (), *plan.clients[number + 1 :]))
    for number in range(len(plan.faults)):
        yield plan._replace(faults=plan.faults[:number] + plan.faults[number + 1 :])
    for size in (8, 4, 2, 1):
        for number, steps in enumerate(plan.clients):
            for first in range(0, len(steps), size):
                fewer = steps[:first] + steps[first + size :]
                if len(fewer) < len(steps):
                    yield plan._replace(clients=(*plan.clients[:number], fewer, *plan.clients[number + 1 :]))
