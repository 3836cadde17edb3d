"""A heartbeat rests only where nobody opens a session that it would not hear of."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, List

from fk_backend.errors import Unavailable
from fk_backend.providers.ticking import Ticking

from ..session.doubles import ManualClock, rest

NS = "ns"


class Looks:
    """A heartbeat whose every look answers what the test says, and during which the test does something."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.meanwhile: List[Callable[[], object]] = []
        self.on: List[bool] = []
        """At each look, whether sessions may be opened beside the queue."""
        self.ticking: Ticking

    async def __call__(self, ns: str) -> bool:
        """`Heartbeat.__call__`."""
        answer = self.answers.pop(0)
        self.on.append(self.ticking.is_on(ns))
        await asyncio.sleep(0)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


def _play(looks: Looks, busy: bool = False) -> List[bool]:
    async def run() -> List[bool]:
        clock = ManualClock()

        looks.ticking = Ticking(looks, lambda ns: busy, clock, 1.0)  # type: ignore[arg-type]
        looks.ticking.start(NS)
        while looks.answers:
            await rest()
            await clock.advance(1.0)
        found = list(looks.on)
        for task in looks.ticking.cancel():
            await asyncio.gather(task, return_exceptions=True)
        return found

    return asyncio.run(run())


def test_it_is_idle_for_a_tick_and_looks_once_more_before_it_rests_and_nobody_opens_a_session_meanwhile() -> None:
    assert _play(Looks(True, False, False, False)) == [True, True, True, False]


def test_a_session_that_was_opened_meanwhile_is_looked_after() -> None:
    assert _play(Looks(False, False, True, False, False, False)) == [True, True, False, True, True, False]


def test_what_the_queue_takes_meanwhile_is_looked_after() -> None:
    looks = Looks(False, False, False, True)
    looks.meanwhile = [lambda: None, lambda: None, lambda: looks.ticking.start(NS)]
    assert _play(looks) == [True, True, False, True] and not looks.answers


def test_while_the_queue_is_at_work_it_does_not_rest() -> None:
    assert _play(Looks(False, False, False), busy=True) == [True] * 3


def test_a_look_that_fails_is_no_reason_to_rest() -> None:
    assert _play(Looks(False, False, Unavailable("locked"), ZeroDivisionError(), True)) == [
        True,
        True,
        False,
        True,
        True,
    ]
