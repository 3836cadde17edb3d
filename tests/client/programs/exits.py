"""Ends without having stopped its client: ``exits.py HANDLER SCENARIO URL``. The process must end by itself, soon.

HANDLER: threading, gevent, gevent-patched, eventlet, eventlet-patched.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Callable, Dict

KIND, _, PATCHED = sys.argv[1].partition("-")

if KIND == "gevent":
    if PATCHED:
        from gevent import monkey

        monkey.patch_all()
    from kazoo.handlers.gevent import SequentialGeventHandler as Handler
elif KIND == "eventlet":
    warnings.simplefilter("ignore")  # eventlet says at its import that it is not long for this world
    import eventlet

    if PATCHED:
        eventlet.monkey_patch()
    from kazoo.handlers.eventlet import SequentialEventletHandler as Handler
else:
    from kazoo.handlers.threading import SequentialThreadingHandler as Handler

from fk_kazoo.client import KazooClient  # noqa: E402 (after the patching)


def _connect(url: str) -> Any:
    client = KazooClient(url, handler=Handler())
    client.start(10)
    client.ensure_path("/n")
    return client


def _stuck(client: Any) -> Any:
    """An event that nobody sets."""
    return client.handler.event_object()


def plain(url: str) -> None:
    """Nothing is going on."""
    _connect(url)


def stuck_watch(url: str) -> None:
    """A watch callback never returns."""
    client = _connect(url)
    reached = client.handler.event_object()

    def watch(event: Any) -> None:
        reached.set()
        _stuck(client).wait()

    client.get("/n", watch=watch)
    client.set("/n", b"1")
    assert reached.wait(10)


def stuck_listener(url: str) -> None:
    """A state listener never returns."""
    client = KazooClient(url, handler=Handler())
    reached = client.handler.event_object()

    def listen(state: str) -> None:
        reached.set()
        _stuck(client).wait()

    client.add_listener(listen)
    client.start_async()
    assert reached.wait(10)


def stuck_after_stop(url: str) -> None:
    """A watch callback never returns, and the client was stopped nevertheless."""
    client = _connect(url)
    reached = client.handler.event_object()

    def watch(event: Any) -> None:
        reached.set()
        _stuck(client).wait()

    client.get("/n", watch=watch)
    client.set("/n", b"1")
    assert reached.wait(10)
    client.stop()
    client.close()


def blocked_call(url: str) -> None:
    """sys.exit while other threads wait for a lock, for an answer, and for a queue's next entry."""
    client, other = _connect(url), _connect(url)
    other.Lock("/lock").acquire()
    for work in (lambda: client.Lock("/lock").acquire(), lambda: client.LockingQueue("/queue").get()):
        client.handler.spawn(work)
    while len(client.Lock("/lock").contenders()) < 2:
        client.handler.sleep_func(0.01)
    sys.exit(3)


def raising(url: str) -> None:
    """The program ends by an exception."""
    client = _connect(url)
    client.Lock("/lock").acquire()
    raise RuntimeError("the app's own")


def callbacks_first(url: str) -> None:
    """Callbacks that are queued when the program ends run before it does, as with kazoo."""
    client = _connect(url)

    def watch(event: Any) -> None:
        client.handler.sleep_func(0.3)
        print("callback ran")

    client.get("/n", watch=watch)
    client.set("/n", b"1")
    client.get("/n")


def unreachable(url: str) -> None:
    """A client is connecting to what does not answer."""
    os.environ["FK_KAZOO_HOME"] = os.environ["FK_KAZOO_HOME"] + "/x"
    client = KazooClient(url, handler=Handler())
    client.start_async()


SCENARIOS: Dict[str, Callable[[str], None]] = {
    work.__name__: work
    for work in (
        plain,
        stuck_watch,
        stuck_listener,
        stuck_after_stop,
        blocked_call,
        raising,
        callbacks_first,
        unreachable,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[2]](sys.argv[3])
    print("main is over")
