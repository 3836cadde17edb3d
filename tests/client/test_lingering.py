"""A deployment stays open while anybody uses it, and for its lingering second after the last one; then it is closed.

Every order of starts, stops and half seconds, with a clock that is set by hand.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Callable, Iterator, List, Sequence, Set, Tuple
from unittest import mock

import pytest

from fk_kazoo import loop_thread
from fk_kazoo.loop_thread import KEEP_OPEN_S, LoopThread, Opening
from fk_kazoo.url import parse

START, STOP, WAIT = "start", "stop", "half a second"
LENGTH = 8
STEP_S = KEEP_OPEN_S / 2


class Timer:
    """Something that is due."""

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """As asyncio's."""
        self.cancelled = True


class Clock:
    """In place of the loop: timers, and a time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: List[Timer] = []

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """As asyncio's."""
        timer = Timer(self.now + delay, lambda: callback(*args))
        self._timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Lets time pass; what is due then is done."""
        self.now += seconds
        due = [timer for timer in self._timers if timer.due <= self.now]
        self._timers = [timer for timer in self._timers if timer.due > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.call()


class Provider:
    """Opens what can be closed, and remembers whether it was."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: Set[int] = set()

    def identity(self, name: str) -> str:
        """`providers.Provider.identity`."""
        return name

    async def connect(self, name: str, options: Any) -> Any:
        """`providers.Provider.connect`."""
        self.opened += 1
        number = self.opened

        async def close() -> None:
            assert number not in self.closed, "closed twice"
            self.closed.add(number)

        return mock.Mock(close=close)


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _lived(steps: Sequence[str]) -> List[str]:
    """What is wrong after some step of a process that starts and stops clients."""
    provider, clock, wrong = Provider(), Clock(), []
    thread: Any = object.__new__(LoopThread)
    thread._open, thread.loop = {}, clock
    users: List[Opening] = []
    left, openings = 0.0, 0
    with mock.patch.object(loop_thread, "provider", lambda scheme: provider):
        for step in steps:
            if step == START:
                lingers = openings and (users or clock.now - left < KEEP_OPEN_S)
                openings += not lingers
                users.append(thread.acquire(parse("local://d")))
            elif step == STOP:
                thread.release(users.pop())
                left = clock.now
            else:
                clock.advance(STEP_S)
            await _settled()
            if provider.opened != openings:
                wrong.append("opened %d times, not %d" % (provider.opened, openings))
            open_now = provider.opened - len(provider.closed)
            expected = 1 if openings and (users or clock.now - left < KEEP_OPEN_S) else 0
            if open_now != expected:
                wrong.append("%d are open, not %d" % (open_now, expected))
    return wrong


def _programs() -> Iterator[Tuple[str, ...]]:
    """Those with at most two clients at a time, ending with time in which everything is closed."""
    for steps in itertools.product((START, STOP, WAIT), repeat=LENGTH):
        users = [steps[: n + 1].count(START) - steps[: n + 1].count(STOP) for n in range(LENGTH)]
        if steps[0] == START and min(users) >= 0 and max(users) <= 2:
            yield steps


def _wrong() -> List[Tuple[Tuple[str, ...], List[str]]]:
    async def lives() -> List[Tuple[Tuple[str, ...], List[str]]]:
        found = [(steps, await _lived(steps)) for steps in _programs()]
        return [(steps, wrong) for steps, wrong in found if wrong]

    return asyncio.run(lives())


def test_it_is_open_while_it_is_used_and_a_second_longer() -> None:
    assert len(list(_programs())) > 500
    assert _wrong() == []


def _cancels_nothing(self: Any, url: Any) -> Opening:
    for opening in self._open.values():
        opening.retiring = None
    return acquire(self, url)


def _closes_at_once(self: Any, opening: Opening) -> None:
    opening.users -= 1
    if not opening.users:
        self._retire(opening)


def _never_closes(self: Any, opening: Opening) -> None:
    return None


def _forgets_users(self: Any, opening: Opening) -> None:
    opening.retiring = self.loop.call_later(KEEP_OPEN_S, self._retire, opening)


acquire = LoopThread.acquire


@pytest.mark.parametrize(
    "name, mistake",
    [
        ("acquire", _cancels_nothing),
        ("release", _closes_at_once),
        ("release", _never_closes),
        ("release", _forgets_users),
        ("_retire", _never_closes),
    ],
)
def test_a_mistake_would_be_seen(name: str, mistake: Any) -> None:
    with mock.patch.object(LoopThread, name, mistake):
        assert _wrong()
