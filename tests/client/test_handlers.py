"""kazoo's threading, gevent and eventlet handlers work, patched and not; and so does a handler of an app's own."""

from __future__ import annotations

import threading
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import ConfigurationError, ConnectionClosedError
from kazoo.handlers.threading import SequentialThreadingHandler

from fk_kazoo import workers
from tests.client.programs.support import CableClient, Program, eventually

Connect = Callable[..., Any]


@pytest.mark.parametrize("patch", ["plain", "patched"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_a_client_among_greenlets(
    request: pytest.FixtureRequest, run: Callable[..., Program], scheme: str, kind: str, patch: str
) -> None:
    pytest.importorskip(kind, reason="%s is not installed" % kind)
    program = run("greenlets", kind, patch, request.getfixturevalue(scheme + "_url"))
    assert program.end(60) == 0, program.output
    assert program.output[-1] == "done" and "Traceback" not in "".join(program.output), program.output


@pytest.mark.parametrize("when", ["imported", "made", "started", "restarted"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_kazoos_default_handler_where_everything_is_patched(
    request: pytest.FixtureRequest, run: Callable[..., Program], scheme: str, kind: str, when: str
) -> None:
    pytest.importorskip(kind, reason="%s is not installed" % kind)
    program = run("patched", kind, when, request.getfixturevalue(scheme + "_url"))
    assert program.end(60) == 0, program.output
    assert program.output[-1] == "done" and "Traceback" not in "".join(program.output), program.output


def test_callbacks_run_in_the_handlers_workers_one_after_another(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/n")
    threads: List[threading.Thread] = []
    seen: List[int] = []

    def watch(number: int) -> None:
        threads.append(threading.current_thread())
        seen.append(number)

    for number in range(20):
        client.get("/n", watch=lambda event, number=number: watch(number))
        client.set("/n", b"%d" % number)
    eventually(lambda: len(seen) == 20, what="every callback ran")
    assert seen == list(range(20))
    assert len(set(threads)) == 1 and threads[0] in client.handler._workers


def test_completions_run_apart_from_watches(memory_url: str, connect: Connect) -> None:
    """A watch function may wait for what a completion callback does."""
    client, completed, done = connect(memory_url), threading.Event(), threading.Event()

    def watch(event: Any) -> None:
        client.exists_async("/").rawlink(lambda result: completed.set())
        if completed.wait(5):
            done.set()

    client.exists("/n", watch=watch)
    client.create("/n")
    assert done.wait(10)


def test_a_handler_of_an_apps_own(url: str, make: Connect) -> None:
    """A subclass that counts and overrides; what it overrides is used, stop() included."""

    class Counting(SequentialThreadingHandler):
        def __init__(self) -> None:
            super().__init__()
            self.dispatched, self.stopped = 0, 0

        def dispatch_callback(self, callback: Any) -> None:
            self.dispatched += 1
            super().dispatch_callback(callback)

        def stop(self) -> None:
            stops.append(1)
            super().stop()

    stops: List[int] = []
    client = make(url, handler=Counting())
    client.start()
    seen = threading.Event()
    client.exists("/n", watch=lambda event: seen.set())
    client.create("/n")
    assert seen.wait(5) and client.handler.dispatched == 1
    client.stop()
    assert stops == [1]
    client.start()
    assert client.exists("/n") and client.handler.running


def test_one_handler_for_two_clients_one_after_the_other(url: str, make: Connect) -> None:
    handler = SequentialThreadingHandler()
    for _ in range(2):
        client = make(url, handler=handler)
        client.start()
        client.ensure_path("/n")
        seen = threading.Event()
        client.get("/n", watch=lambda event, seen=seen: seen.set())
        client.set("/n", b"x")
        assert seen.wait(5)
        client.stop()


def test_a_handler_class_is_refused_as_kazoo_does(memory_url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an instance"):
        CableClient(memory_url, handler=SequentialThreadingHandler)


@pytest.mark.parametrize("turns", range(8))
def test_what_completes_while_eventlets_workers_end_is_handed_over(turns: int) -> None:
    """kazoo's handler takes completions until its workers have ended; ``ensure_path`` would wait for one for ever."""
    eventlet = pytest.importorskip("eventlet", reason="pip install eventlet")
    from kazoo.handlers.eventlet import SequentialEventletHandler

    handler: Any = SequentialEventletHandler()
    handler.start()
    eventlet.sleep(0.01)
    first, second, done = handler.async_result(), handler.async_result(), handler.event_object()

    def ask_again(_: Any) -> None:
        second.set_exception(ConnectionClosedError())
        second.rawlink(lambda _: done.set())

    def complete() -> None:
        for _ in range(turns):
            eventlet.sleep(0)
        first.set()

    first.rawlink(ask_again)
    eventlet.spawn(complete)
    workers.stop(handler)
    done.wait(5)
    assert done.is_set()
