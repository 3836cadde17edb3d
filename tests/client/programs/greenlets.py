"""A client under gevent or eventlet: ``greenlets.py KIND PATCH URL``, PATCH one of ``patched`` and ``plain``.

Asserts that it works, and that the hub goes on while a greenlet waits for an answer.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Callable, List, Tuple

KIND, PATCH, URL = sys.argv[1:]

if KIND == "gevent":
    if PATCH == "patched":
        from gevent import monkey

        monkey.patch_all()
    import gevent
    from kazoo.handlers.gevent import SequentialGeventHandler as Handler

    sleep, spawn = gevent.sleep, gevent.spawn
else:
    warnings.simplefilter("ignore")  # eventlet says at its import that it is not long for this world
    import eventlet

    if PATCH == "patched":
        eventlet.monkey_patch()
    from kazoo.handlers.eventlet import SequentialEventletHandler as Handler

    sleep, spawn = eventlet.sleep, eventlet.spawn

import time  # noqa: E402 (after the patching)

from kazoo.exceptions import ConnectionClosedError, NodeExistsError, NoNodeError  # noqa: E402

from fk_kazoo.client import KazooClient  # noqa: E402


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits as a greenlet waits."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        sleep(0.005)


def make() -> Any:
    """A client, connected."""
    client = KazooClient(URL, handler=Handler())
    client.start(10)
    return client


class Ticker:
    """Notes the longest time in which the hub did nothing for it."""

    def __init__(self) -> None:
        self.ticks, self.longest, self._last = 0, 0.0, time.monotonic()
        spawn(self._run)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            self.longest, self._last = max(self.longest, now - self._last), now
            self.ticks += 1
            sleep(0.001)


def calls(client: Any) -> None:
    """Calls, errors and pipelines."""
    assert client.create("/n", b"1") == "/n"
    assert client.get("/n")[0] == b"1" and client.set("/n", b"2").version == 1
    failing: List[Tuple[Any, Callable[[], Any]]] = [
        (NodeExistsError, lambda: client.create("/n")),
        (NoNodeError, lambda: client.get("/missing")),
    ]
    for error, call in failing:
        try:
            call()
        except error:
            continue
        raise AssertionError(error)
    results = [client.set_async("/n", b"%d" % number) for number in range(200)]
    assert [result.get().version for result in results] == list(range(2, 202))
    transaction = client.transaction()
    transaction.create("/t")
    transaction.delete("/t")
    assert transaction.commit() == ["/t", True]


def hub(client: Any) -> None:
    """The hub is free during calls, and while a greenlet waits for a lock."""
    ticker = Ticker()
    until(lambda: ticker.ticks > 5, "the ticker runs")
    before, ticker.longest = ticker.ticks, 0.0
    for number in range(100):
        client.set("/n", b"%d" % number)
    assert ticker.ticks - before > 10 and ticker.longest < 1.0, (ticker.ticks - before, ticker.longest)


def watches(client: Any, other: Any) -> None:
    """One-shot watches and kazoo's own."""
    events: List[Any] = []
    shown: List[bytes] = []
    client.get("/n", watch=events.append)
    client.DataWatch("/n")(lambda data, stat: shown.append(data))
    other.set("/n", b"new")
    until(lambda: events and shown[-1] == b"new", "the watches fired")
    other.set("/n", b"newer")
    until(lambda: shown[-1] == b"newer", "the data watch goes on")
    assert len(events) == 1 and events[0].type == "CHANGED"


def locks(client: Any, other: Any) -> None:
    """Exclusion between greenlets, and a call in a watch function."""
    inside, most = [0], [0]

    def work(owner: Any) -> None:
        for _ in range(3):
            with owner.Lock("/lock"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                sleep(0.002)
                inside[0] -= 1

    workers = [owner.handler.spawn(work, owner) for owner in (client, other, client, other)]
    for worker in workers:
        worker.join()
    assert most == [1] and client.Lock("/lock").contenders() == []


def recipes(client: Any, other: Any) -> None:
    """A counter, a queue, an election and a party."""
    counter = client.Counter("/counter")
    for owner in (client, other):
        owner.Counter("/counter").__add__(2)
    assert counter.value == 4
    other.Queue("/queue").put(b"entry")
    assert client.Queue("/queue").get() == b"entry"
    led: List[str] = []
    client.Election("/election", "me").run(lambda: led.append("me"))
    assert led == ["me"]
    party = other.Party("/party", "you")
    party.join()
    until(lambda: list(client.Party("/party")) == ["you"], "the party")


def hang_up(client: Any) -> None:
    """The way in which apps force a reconnect; calls meanwhile wait; the session stays."""
    states: List[str] = []
    client.add_listener(lambda state: states.append(str(state)))
    session = client.client_id
    client._connection._socket.close()
    until(lambda: states == ["SUSPENDED", "CONNECTED"], "connected again")
    assert client.client_id == session and client.exists("/n")


def in_listener(client: Any) -> None:
    """The client is called in a state listener."""
    found: List[Any] = []

    def listen(state: str) -> None:
        if state == "CONNECTED":
            found.append(client.exists("/n"))

    client.add_listener(listen)
    client._connection._socket.close()
    until(lambda: found, "the listener got its answer")
    client.remove_listener(listen)


def in_watch(client: Any, other: Any) -> None:
    """The client is stopped in a watch function, and started again."""
    done = client.handler.event_object()
    client.exists("/stop", watch=lambda event: (client.stop(), done.set()))
    other.create("/stop")
    assert done.wait(10)
    client.start(10)
    seen = client.handler.event_object()
    client.exists("/again", watch=lambda event: seen.set())
    other.create("/again")
    assert seen.wait(10)


def stuck(client: Any, other: Any) -> None:
    """A watch function never returns; the client stops, starts again, and its watches work."""
    reached = client.handler.event_object()

    def watch(event: Any) -> None:
        reached.set()
        client.handler.event_object().wait()

    client.exists("/stuck", watch=watch)
    other.create("/stuck")
    assert reached.wait(10)
    client.stop()
    client.start(10)
    for number in range(5):
        seen = client.handler.event_object()
        client.exists("/s%d" % number, watch=lambda event, seen=seen: seen.set())
        other.create("/s%d" % number)
        assert seen.wait(10), number


def main() -> None:
    """The program."""
    client, other = make(), make()
    calls(client)
    hub(client)
    watches(client, other)
    locks(client, other)
    recipes(client, other)
    hang_up(client)
    in_listener(client)
    assert client.command(b"ruok") == "imok" and client.server_version() >= (3, 8)
    in_watch(client, other)
    stuck(client, other)
    for one in (client, other):
        one.stop()
        one.close()
        try:
            one.get("/n")
        except ConnectionClosedError:
            continue
        raise AssertionError("a closed client answered")
    print("done")


main()
