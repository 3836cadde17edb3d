"""Three processes of one machine write at once; each is killed, or stopped, at each access of what they share."""

from __future__ import annotations

from typing import List, Optional

import pytest

from fk_backend.core.requests import SetData
from fk_backend.testing.simulation.checks import Violation, judge
from fk_backend.testing.simulation.crashes import CALM, Crossing, crash, crossings
from fk_backend.testing.simulation.plan import Plan, Step
from fk_backend.testing.simulation.run import run
from fk_backend.testing.simulation.workload import SETUP
from fk_backend.testing.simulation.world import Process

# Not quite without anything slow: where nothing goes wrong at all, nobody may be left without an answer.
KNOBS = CALM._replace(lag=0.001, slow=1e-9, beside=1.0, combined=True, queued_s=0.01, timeouts_ms=(3000,))
AT_S = 0.5


def _plan(seed: int) -> Plan:
    first = (*(Step(0.0, op) for op in SETUP), Step(AT_S, SetData("/a", b"0", -1)))
    others = tuple((Step(AT_S, SetData("/a", b"%d" % number, -1)),) for number in (1, 2))
    return Plan(seed, KNOBS, (first, *others), ())


def _accesses(plan: Plan) -> List[Crossing]:
    """Those of the memory and the store by clients, but what comes before they meet."""
    found = crossings(plan)
    published = min(each.number for each in found if each.call == "memory.write")
    return [
        each
        for each in found
        if each.number >= published - 30 and each.process.startswith("client") and each.call.startswith(("mem", "sto"))
    ]


def _stop(plan: Plan, at: int) -> List[Violation]:
    """What breaks if the process stands still there, for longer than anybody waits for it, and then goes on."""
    count = -1

    def stop(process: Process, port: str, name: str) -> Optional[str]:
        nonlocal count
        count += 1
        if count == at:
            process.paused_until = process.world.now + 0.8
        return None

    return judge(run(plan, stop))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["before", "after", "stopped"])
def test_an_end_at_any_access_breaks_nothing(how: str) -> None:
    plan = _plan(1)
    accesses = _accesses(plan)
    assert len(accesses) > 100 and {"memory.lock", "memory.wake", "store.commit"} <= {each.call for each in accesses}
    for access in accesses:
        broken = _stop(plan, access.number) if how == "stopped" else crash(plan, access.number, how)
        assert not broken, access
