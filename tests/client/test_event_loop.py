"""A loop that is given something wakes, or does not fall asleep, whenever that is; and nobody rings for nothing."""

from __future__ import annotations

import asyncio
import selectors
import threading
from functools import partial
from typing import Any, Callable, Iterator, List, Optional, Tuple, cast

import pytest

from fk_backend.providers.descriptors import Descriptor
from fk_kazoo import loop_thread
from fk_kazoo.client import KazooClient
from fk_kazoo.event_loop import Loop, YieldingSelector
from tests.client.programs.support import within


class Selector:
    """The system's, but that it sleeps for no time, and something may happen meanwhile."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.timeouts: List[Optional[float]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def select(self, timeout: Optional[float]) -> List[Any]:
        """As a selector's."""
        self.timeouts.append(timeout)
        self.meanwhile()
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Bell:
    """In place of the socket by which the loop is woken."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.rings = 0

    def send(self, data: bytes) -> None:
        """A ring."""
        self.rings += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Watched(Loop):
    """A loop in which something happens at one of its steps."""

    at = ""
    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def falls_asleep(self) -> None:
        """`Loop.falls_asleep`."""
        if self.at == "before":
            self.meanwhile()
        super().falls_asleep()
        if self.at == "after":
            self.meanwhile()


Made = Tuple[Watched, YieldingSelector, Selector, Bell]


@pytest.fixture
def made() -> Iterator[Made]:
    """A loop that does not run, and what it has."""
    inner = Selector()
    selector = YieldingSelector(cast(Any, inner), lambda: True)
    loop = Watched(cast(Any, selector))
    selector.loop = loop
    sock = loop._csock
    bell = loop._csock = Bell(sock)
    loop.wakes = Descriptor.of(sock.fileno())
    selector.loop_lock.acquire()
    yield loop, selector, inner, bell
    loop._csock = sock
    loop.close()


@pytest.mark.parametrize("at", ["before", "after", "asleep"])
def test_what_is_given_at_any_moment_is_not_slept_through(made: Made, at: str) -> None:
    loop, selector, inner, bell = made
    give = partial(loop.call_soon_threadsafe, print)
    loop.at, loop.meanwhile = at, give
    if at == "asleep":
        inner.meanwhile = give
    selector.select(0.5)
    assert bell.rings == 1 or inner.timeouts == [0]
    assert bell.rings == (at != "before")


def test_it_is_rung_for_once_in_each_sleep(made: Made) -> None:
    loop, selector, inner, bell = made

    def give_three() -> None:
        for _ in range(3):
            loop.call_soon_threadsafe(print)

    give_three()
    assert bell.rings == 0
    inner.meanwhile = give_three
    selector.select(None)
    assert bell.rings == 1 and inner.timeouts == [0]
    selector.select(None)
    assert bell.rings == 2


def test_who_is_interrupted_before_he_rang_leaves_it_to_others(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, selector, inner, bell = made
    ring = bell.send

    def interrupted(data: bytes) -> None:
        monkeypatch.setattr(bell, "send", ring)
        raise ZeroDivisionError

    def give_twice() -> None:
        with pytest.raises(ZeroDivisionError):
            loop.call_soon_threadsafe(print)
        loop.call_soon_threadsafe(print)

    monkeypatch.setattr(bell, "send", interrupted)
    inner.meanwhile = give_twice
    selector.select(None)
    assert bell.rings == 1


def test_a_loop_that_runs_does_all_that_threads_give_it() -> None:
    """As it is: each waits for its turn with what another one asked for before, so that the loop sleeps in between."""
    selector = YieldingSelector(selectors.DefaultSelector(), lambda: True)
    loop = Loop(cast(Any, selector))
    selector.loop = loop
    loop.wakes = Descriptor.of(loop._csock.fileno())

    def run() -> None:
        selector.loop_lock.acquire()
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def ask() -> None:
        for number in range(1000):
            done = threading.Event()
            for _ in range(number % 3):
                loop.call_soon_threadsafe(int)
            loop.call_soon_threadsafe(done.set)
            late.extend([] if done.wait(0.9) else [number])  # `LOOK_S` would wake it

    late: List[int] = []
    threads = [threading.Thread(target=run), *(threading.Thread(target=ask) for _ in range(3))]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    loop.call_soon_threadsafe(loop.stop)
    threads[0].join()
    loop.close()
    assert late == []


def test_who_calls_a_client_in_the_loops_thread_leaves_the_loop_its_turn(memory_url: str) -> None:
    """As kazoo calls what is linked to a result, when its handler has been stopped meanwhile."""
    client = KazooClient(memory_url)
    client.start()
    asked: List[Any] = []
    called = threading.Event()

    def call() -> None:
        asked.append(client.exists_async("/"))
        called.set()

    loop_thread.current().call(call)
    assert called.wait(10)
    assert within(10, asked[0].get) is not None
    lives = threading.Event()
    loop_thread.current().call(lives.set)
    assert lives.wait(10)
    within(10, client.stop)
