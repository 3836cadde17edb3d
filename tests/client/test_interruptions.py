"""A call meets a signal, or another thread that stops its client, at any line: see `tests.client.interruptions`.

Some lines of every operation here; clients among greenlets in the longer proofs; every line by
``python -m tests.client.interruptions``, in twenty minutes. Where the lines that are looked at begin differs from one
operation to the next, so that together they are most of the code that is shared.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, List

import pytest
from kazoo.handlers.threading import SequentialThreadingHandler

import fk_kazoo
from tests.client.interruptions.actions import HANDING_OVER, Interruption
from tests.client.interruptions.driver import Report, interrupt
from tests.client.interruptions.operations import OPERATIONS
from tests.client.interruptions.tripwire import Tripwire

SOME = {"raise": 17, "quit": 61, "stop": 31, "ask": 61, "thread-stop": 61, "thread-restart": 61, "thread-close": 83}
"""Every so manieth line, by action; on local:// half as many. A minute in all. The threads' actions take
longest: the caller is held while another thread comes as far as it can."""
BESIDE = {"raise": 37, "quit": 151, "stop": 151}
"""The same where another process is the host, of what may be done beside it."""
WRITES = ["set", "set_watched", "delete", "commit"]
GREENLETS = ["gevent", "gevent-patched", "eventlet", "eventlet-patched"]
GREEN = ["create", "get", "get_behind", "set", "pipelined", "get_watched", "ensure_path"]
"""Operations among greenlets; the others take the same ways. The last one is made of several, in callbacks."""


def _check(report: Report, at_least: int) -> None:
    assert not report.findings, "\n".join(["%d findings" % len(report.findings), *map(str, report.findings[:20])])
    assert sum(report.points.values()) >= at_least, report.points


def _interrupt(url: str, action: str, every: int) -> Report:
    return interrupt("threading", url, list(OPERATIONS), [action], every, most=20)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scheme", ["memory", "local"])
@pytest.mark.parametrize("action", SOME)
def test_some_lines(request: pytest.FixtureRequest, scheme: str, action: str) -> None:
    """Every operation."""
    every = SOME[action] * (2 if scheme == "local" else 1)
    _check(_interrupt(request.getfixturevalue(scheme + "_url"), action, every), 1500 // every)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("action", BESIDE)
def test_writes_beside_a_host(run: Callable[..., Any], local_url: str, action: str) -> None:
    run("holder", local_url, 30, "/holder").expect("ready")
    _check(interrupt("threading", local_url, WRITES, [action], BESIDE[action], most=20), 300 // BESIDE[action])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("handler", GREENLETS)
def test_among_greenlets(memory_url: str, handler: str) -> None:
    """The handlers of signals run in whatever greenlet is running: here in the one that calls."""
    pytest.importorskip(handler.partition("-")[0], reason="%s is not installed" % handler)
    actions = ["raise", "stop", "thread-stop", "thread-restart"]
    _check(interrupt(handler, memory_url, GREEN, actions, 37, most=20), 100)


# --- the harness itself -------------------------------------------------------------------------

SHIPPED = """
def work(lock, log):
    with lock:
        log.append("in")
    try:
        log.append("try")
    finally:
        log.append("finally")
    return len(log)
"""


def _work() -> Any:
    """Code that lies where the client's does."""
    found: Dict[str, Any] = {}
    exec(compile(SHIPPED, os.path.join(os.path.dirname(fk_kazoo.__file__), "planted.py"), "exec"), found)
    return found["work"]


def test_every_line_is_interrupted_once_and_what_is_raised_comes_out() -> None:
    """A lock is free again afterwards: no line is one at which the interpreter would not run a handler."""

    def interruption(where: str) -> None:
        raise Interruption(where)

    places: List[str] = []
    for number in range(1, 100):
        lock, log = threading.Lock(), []  # type: ignore[var-annotated]
        trip = Tripwire(number, interruption)
        try:
            assert trip.run(_work(), lock, log) == 3
            break
        except Interruption as error:
            assert str(error) == trip.fired
            places.append(trip.fired)
            assert not lock.locked(), trip.fired
    assert [place.split()[0] for place in places] == ["fk_kazoo/planted.py:%d" % line for line in (3, 4, 6, 8, 9)]


def test_a_line_of_others_is_not_interrupted() -> None:
    """Neither of the standard library nor of a test."""
    fired: List[str] = []
    Tripwire(1, fired.append).run(os.path.join, "a", "b")
    assert fired == []


def test_kazoo_itself_loses_what_it_hands_over_to_a_handler_that_is_stopped() -> None:
    """Why these lines are left out where another thread stops the client: kazoo's code alone is seen to do it."""
    handler = SequentialThreadingHandler()
    called: List[Any] = []

    def link_while_another_thread_stops(number: int) -> str:
        handler.start()
        called.clear()
        result = handler.async_result()
        result.set("done")
        stop = threading.Thread(target=handler.stop)
        trip = Tripwire(number, lambda _: (stop.start(), stop.join()))
        trip.run(result.rawlink, called.append)
        if not trip.fired:
            handler.stop()
        return trip.fired

    places = iter(range(1, 100))
    fired = link_while_another_thread_stops(next(places))
    while fired and called:
        fired = link_while_another_thread_stops(next(places))
    assert any(part in fired for part in HANDING_OVER), "kazoo hands everything over: leave out these lines no more"
