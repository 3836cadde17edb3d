"""State listeners run beside the connection, one change after the other, and it waits for them as it may."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any, Callable, Iterator, List

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

from fk_kazoo import listeners
from fk_kazoo.listeners import Notice

WITHIN_S = 20.0


class Steps:
    """A handler that runs what it is given when a test says so, in this thread."""

    def __init__(self) -> None:
        self.spawned: List[Callable[[], None]] = []
        self.waits: List[Any] = []

    def event_object(self) -> Any:
        """An event that runs what was spawned when somebody waits for it."""
        return Event(self)

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Later."""
        self.spawned.append(lambda: copy_context().run(function, *args))


class Event:
    """Set or not; waiting for it runs what there is to run."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._set = False

    def set(self) -> None:
        """As threading's."""
        self._set = True

    def is_set(self) -> bool:
        """As threading's."""
        return self._set

    def wait(self, timeout: Any = None) -> bool:
        """As threading's."""
        self._steps.waits.append((self._set, timeout))
        while self._steps.spawned and not self._set:
            self._steps.spawned.pop(0)()
        return self._set


def test_the_connection_waits_until_the_listeners_are_done() -> None:
    steps, told = Steps(), []
    notice = Notice(steps, None)
    notice.deliver(lambda: told.append(listeners.inside()))
    assert told == [True] and notice.done.is_set() and notice.settled.is_set() and not listeners.inside()
    assert steps.waits == [(False, listeners.PATIENCE_S)]


def test_a_listener_that_fails_holds_up_nobody() -> None:
    steps = Steps()
    notice = Notice(steps, None)
    with pytest.raises(ZeroDivisionError):
        notice.deliver(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    assert notice.done.is_set() and notice.settled.is_set()


def test_the_connection_does_not_wait_for_a_listener_that_calls_the_client() -> None:
    steps, settled = Steps(), []
    notice = Notice(steps, None)

    def listener() -> None:
        settled.append(notice.settled.is_set())
        listeners.calling()
        settled.append(notice.settled.is_set())
        assert not notice.done.is_set()

    notice.deliver(listener)
    assert settled == [False, True]


def test_who_calls_from_elsewhere_settles_nothing() -> None:
    notice = Notice(Steps(), None)
    listeners.calling()
    assert not notice.settled.is_set()


@pytest.fixture
def handler() -> Iterator[SequentialThreadingHandler]:
    """Of threads."""
    yield SequentialThreadingHandler()


def test_changes_are_told_one_after_the_other(handler: SequentialThreadingHandler) -> None:
    """The second waits for the first, and the connection does not wait for a first that waits for the connection."""
    go, told, told_all = threading.Event(), [], threading.Event()

    def first() -> None:
        listeners.calling()
        assert go.wait(WITHIN_S)
        told.append(1)

    def second() -> None:
        told.append(2)
        told_all.set()

    one = Notice(handler, None)
    one.deliver(first)
    two = Notice(handler, one)
    two.deliver(second)
    assert told == [] and two.settled.is_set() and not two.done.is_set()
    go.set()
    assert told_all.wait(WITHIN_S) and told == [1, 2]
