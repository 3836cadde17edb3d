"""A client on AWS is judged by functions that go on while its machine is asleep: its own clock must do so, too."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest

from fk_backend.providers import clock, memory
from fk_backend.providers.aws.gateway import AwsGateway
from fk_backend.providers.clock import AwakeClock, SystemClock
from fk_backend.session.engine import LOST, OUT_OF_TOUCH, Session

HOUR_S = 3600.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``slept_s``: how long it was asleep. The event loop's clock knows nothing of that, as on Linux."""
    machine = SimpleNamespace(slept_s=0.0)
    read = time.clock_gettime
    if not clock._GOES_ON:
        pytest.skip("this system has no clock that goes on")
    monkeypatch.setattr(time, "clock_gettime", lambda which: read(which) + machine.slept_s * (which == clock._GOES_ON))
    yield machine


def _gateway() -> AwsGateway:
    client = SimpleNamespace(meta=SimpleNamespace(region_name="us-east-1"))
    clients: Any = SimpleNamespace(dynamodb=client, once=client, sqs=client, s3=client, region="us-east-1")
    queues: Any = SimpleNamespace(account="1" * 12)
    return AwsGateway(clients, "test", queues)


def test_the_clock_of_a_client_goes_on(machine: Any) -> None:
    ours, before = _gateway().clock, _gateway().clock.monotonic()
    machine.slept_s = HOUR_S
    assert HOUR_S <= ours.monotonic() - before < HOUR_S + 60
    assert SystemClock().monotonic() - time.monotonic() < 60


def test_who_sleeps_notices_that_the_machine_did(machine: Any) -> None:
    async def sleep() -> None:
        sleeping = asyncio.ensure_future(AwakeClock().sleep(HOUR_S / 2))
        await asyncio.sleep(0)
        machine.slept_s = HOUR_S
        await asyncio.wait_for(sleeping, 30)

    asyncio.run(sleep())


def test_nobody_sleeps_for_less_than_was_asked(machine: Any) -> None:
    started = time.monotonic()
    asyncio.run(AwakeClock().sleep(clock.NOTICED_S + 0.1))
    assert time.monotonic() - started >= clock.NOTICED_S + 0.1


class Heard:
    """A session's listener."""

    def __init__(self) -> None:
        self.ended: "asyncio.Future[List[str]]" = asyncio.get_running_loop().create_future()

    def replied(self, tag: Any, result: Any) -> None:
        """Nothing."""

    def fired(self, event: Any) -> None:
        """Nothing."""

    def over(self, reason: str, why: str) -> None:
        """The end."""
        self.ended.set_result([reason, why])


def test_a_session_is_suspended_when_the_machine_wakes(machine: Any) -> None:
    """Not when its next beat is due: a third of its timeout later, here for longer than is waited."""

    async def live() -> None:
        gateway: Any = await memory.connect("asleep", {})
        gateway.clock = _gateway().clock
        heard = Heard()
        await Session(gateway, "default", heard).open(300_000)
        for _ in range(100):  # until it has beaten, and waits until it has to again
            await asyncio.sleep(0)
        machine.slept_s = HOUR_S
        assert await asyncio.wait_for(heard.ended, 30) == [LOST, OUT_OF_TOUCH]
        await gateway.close()

    asyncio.run(live())
