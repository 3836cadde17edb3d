"""A read may be done in the caller's thread, but never before what comes before it."""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterator, List

import pytest
from kazoo.exceptions import ConnectionLoss, SessionExpiredError
from programs.support import eventually

from fk_kazoo import loop_thread
from fk_kazoo.client import KazooClient

Connect = Callable[..., Any]


def _waiting(client: Any) -> List[Any]:
    """Every request that goes the long way from now on."""
    seen: List[Any] = []
    submit = client._connection._submit

    def spy(request: Any, *rest: Any) -> None:
        seen.append(request)
        submit(request, *rest)

    client._connection._submit = spy
    return seen


def test_a_read_with_nothing_before_it_is_answered_at_once(url: str, connect: Connect) -> None:
    """No hop to another thread: the result is there when the call returns."""
    client = connect(url)
    client.create("/n", b"x")

    def read() -> List[Any]:
        return [client.get_async("/n"), client.exists_async("/none"), client.get_children_async("/")]

    def at_once() -> bool:
        """Not if the loop is busy at that very moment: with what it has to do after an answer, with a beat."""
        results = read()
        ready = all(result.ready() for result in results)
        for result in results:
            result.get(timeout=10)
        return ready

    eventually(at_once, what="reads are answered at once")
    results = read()
    assert results[0].get(timeout=10)[0] == b"x"
    assert results[1].get(timeout=10) is None
    assert "n" in results[2].get(timeout=10)


def test_a_read_while_the_loop_is_busy_goes_the_long_way(memory_url: str, connect: Connect) -> None:
    """What the loop owns is not looked at while it works."""
    client = connect(memory_url)
    client.create("/n", b"x")
    busy, free = threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        free.wait(10)

    loop_thread.current().call(work)
    assert busy.wait(10)
    result = client.get_async("/n")
    assert not result.ready()
    free.set()
    assert result.get(timeout=10)[0] == b"x"


def test_a_read_comes_after_the_writes_before_it(url: str, connect: Connect) -> None:
    """Also where thousands are in flight, more than kazoo's wake-up pipe has room for."""
    client = connect(url)
    client.create("/n", b"0")
    writes = [client.set_async("/n", b"%d" % number) for number in range(1, 3001)]
    data, stat = client.get("/n")
    assert (data, stat.version) == (b"3000", 3000)
    assert all(write.ready() for write in writes)


def test_a_read_with_a_watch_armed_is_shown_after_its_event(url: str, connect: Connect) -> None:
    """The event's callback is queued before the read that shows the change is answered."""
    client, other = connect(url), connect(url)
    client.create("/n", b"0")
    for number in range(1, 51):
        events: List[Any] = []
        client.get("/n", watch=events.append)
        other.set("/n", b"%d" % number)
        assert client.get("/n")[0] == b"%d" % number
        done = threading.Event()
        client.handler.callback_queue.put(done.set)  # behind everything that was queued before the answer
        assert done.wait(10)
        assert len(events) == 1


def test_requests_go_the_long_way_around_credentials_and_directly_again(url: str, connect: Connect) -> None:
    """Their answers are in order with everything else's."""
    client = connect(url)
    client.create("/n", b"")
    results = []
    for number in range(50):
        results += [client.set_async("/n", b"%d" % number) for _ in range(5)]
        results.append(client.add_auth_async("digest", "me:%d" % number))
        results.append(client.exists_async("/n"))
    for result in results:
        assert result.get(timeout=10)
    seen = _waiting(client)
    for _ in range(100):
        client.set("/n", b"")
    assert len(seen) < 100


def test_a_session_may_end_while_more_is_queued_than_the_pipe_takes(memory_url: str, connect: Connect) -> None:
    """The caller waits for the pipe, and the connection's thread must not wait for the caller."""
    client = connect(memory_url)
    connection = client._connection
    reached, release = threading.Event(), threading.Event()

    def send(*timeouts: float) -> None:
        reached.set()
        release.wait(10)
        raise SessionExpiredError("over")

    connection._send_request, usual = send, connection._send_request
    connection.submit_now = lambda *_: False  # what follows is queued, and not sent at once
    results: List[Any] = []
    caller = threading.Thread(target=lambda: [results.append(client.sync_async("/")) for _ in range(3000)])
    caller.start()
    assert reached.wait(10)
    lengths: List[int] = []

    def stuck() -> bool:
        lengths.append(len(client._queue))
        return 0 < lengths[-1] < 3000 and lengths[-30:].count(lengths[-1]) == 30

    eventually(stuck)
    connection._send_request = usual
    release.set()
    caller.join(30)
    assert not caller.is_alive()
    with pytest.raises((SessionExpiredError, ConnectionLoss)):
        results[0].get(timeout=10)


@pytest.fixture
def direct(url: str) -> Iterator[Any]:
    """A client whose way to the deployment is the shipped one, without a cable in between."""
    client = KazooClient(url)
    client.start()
    yield client
    client.stop()
    client.close()


def test_who_waits_for_a_write_waits_for_no_other_thread(direct: Any) -> None:
    """kazoo's thread for what is linked to an answer may be busy for long; nothing is there that the caller needs."""
    client = direct
    client.create("/n", b"x")
    busy, free, linked = threading.Event(), threading.Event(), threading.Event()

    def work(result: Any) -> None:
        busy.set()
        free.wait(10)

    client.exists_async("/n").rawlink(work)
    assert busy.wait(10)

    def at_once() -> bool:
        """Not if the loop is busy at that very moment, or the host: then an answer takes the other way."""
        outcome: List[Any] = []
        caller = threading.Thread(target=lambda: outcome.append(client.create("/n/", b"", sequence=True)))
        caller.start()
        caller.join(0.5)
        return bool(outcome)

    eventually(at_once, what="a create is answered in its caller's thread")
    result = client.create_async("/later")
    result.rawlink(lambda _: linked.set())  # an app's own runs where kazoo runs it
    assert not linked.wait(0.1)
    free.set()
    assert linked.wait(10) and result.get(timeout=10) == "/later"
