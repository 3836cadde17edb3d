"""The client under the simulation: random programs, faults and cancellations; and mistakes of its own, each caught."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator, List, Tuple
from unittest import mock

import pytest
from kazoo.protocol.serialization import Transaction

from fk_backend.testing.simulation.checks import judge
from fk_kazoo.aio.recipes.lock import Lock
from fk_kazoo.aio.session import Life
from fk_kazoo.aio.transaction import TransactionRequest
from fk_kazoo.aio.watches import Watches

from .simulated import plan, run

FIRST = 5_000_000


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """What is logged of thousands of faults is for nobody."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def broken(seed: int) -> List[Any]:
    """What is wrong with the run of a seed."""
    history = run(plan(seed))
    return [*history.complaints, *judge(history)]


def test_schedules_keep_every_promise() -> None:
    wrong = {seed: found for seed in range(FIRST, FIRST + 25) for found in [broken(seed)] if found}
    assert not wrong


@pytest.mark.slow
def test_more_schedules_keep_every_promise() -> None:
    wrong = {seed: found for seed in range(FIRST + 25, FIRST + 100) for found in [broken(seed)] if found}
    assert not wrong


def test_a_seed_is_a_run() -> None:
    assert run(plan(FIRST)).trace == run(plan(FIRST)).trace


# --- mistakes ---------------------------------------------------------------------------------------

_answered, _notify, _greet = Watches.answered, Life._notify_pending, Life._greet


def _orphan(self: Any) -> Any:
    """Who is cancelled while it contends leaves its node behind."""
    if self._held_node is not None:
        return _let_go(self)
    self._renew()
    self._pass_on()
    return None


_let_go: Any = Lock._let_go


def _left_behind(self: Any, armed: Any, watcher: Any, is_armed: bool, is_wanted: bool) -> None:
    """The watch of a read that was cancelled stays."""
    _answered(self, armed, watcher, is_armed, True)


async def _half_sent(self: Any) -> Any:
    """A transaction is sent one by one, so that it may be cancelled in the middle."""
    self.committed = True
    for each in self.operations:
        self.results += await self.client._ask(Transaction([each]))
        await asyncio.sleep(0.01)
    return self.results


def _sent_again(self: Any, state: Any) -> None:
    """What was unanswered when the connection was lost is asked again by the next one."""
    connection = self._connection
    if connection is not None and state == "CONNECTING":
        self._queue.extend(connection.calls)
        connection.calls.clear()
        return
    _notify(self, state)


def _not_set_again(self: Any, connection: Any) -> None:
    """Watches that stay are not set again by the next connection."""
    with mock.patch.object(Watches, "staying", lambda self: []):
        _greet(self, connection)


def _never_told(self: Any, state: Any) -> None:
    """Who waits for an answer when the connection is lost waits for ever."""


def _not_interrupted(client: Any) -> None:
    """Who has lost a lock goes on."""


MISTAKES: Dict[str, Tuple[Any, str, Callable[..., Any]]] = {
    "an orphan contender": (Lock, "_let_go", _orphan),
    "a watch left behind": (Watches, "answered", _left_behind),
    "a half-sent write": (TransactionRequest, "commit", _half_sent),
    "a write that is sent again": (Life, "_notify_pending", _sent_again),
    "a watch that is not set again": (Life, "_greet", _not_set_again),
    "a call that is never answered": (Life, "_notify_pending", _never_told),
    "a body that is not interrupted": ("fk_kazoo.aio.session", "interrupt", _not_interrupted),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_caught(name: str) -> None:
    place, attribute, mistake = MISTAKES[name]
    with ExitStack() as stack:
        if isinstance(place, str):
            stack.enter_context(mock.patch("%s.%s" % (place, attribute), mistake))
        else:
            stack.enter_context(mock.patch.object(place, attribute, mistake))
        assert any(broken(seed) for seed in range(FIRST, FIRST + 100))
