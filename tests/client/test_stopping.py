"""stop() returns, whatever hangs, and whoever calls it: users of kazoo complain that it does not.

The numbers are issues and pull requests of python-zk/kazoo: #241, #582, #356.
"""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest
from kazoo.exceptions import WriterNotClosedException
from kazoo.protocol.states import KazooState

from fk_backend.providers import memory
from fk_kazoo import connection
from tests.client.programs.support import STOP_S, States, at_once, eventually, within

Connect = Callable[..., Any]


def test_stop_while_the_deployment_is_cut_off(url: str, connect: Connect) -> None:
    """#241, #582: stop() while kazoo is reconnecting."""
    client = connect(url)
    client.cut_off()
    within(STOP_S, client.stop)
    assert client.state == KazooState.LOST


def test_stop_while_the_deployment_does_not_answer(url: str, connect: Connect) -> None:
    """#582: stop() while a reconnect hangs in the network."""
    client = connect(url)
    client.client_link.swallow()
    dialled = client.client_link.dialled
    client._connection._socket.close()
    eventually(lambda: client.client_link.dialled > dialled, what="it tries again")
    within(STOP_S, client.stop)


def test_stop_between_two_tries_to_connect(url: str, connect: Connect) -> None:
    """#582: when stop() hangs up, the next try is about to begin, and it hangs in the network."""
    client, dialling, dropped = connect(url), threading.Event(), threading.Event()
    connection_ = client._connection
    dial, drop = connection_._dial, connection_.hang_up

    def dial_late(host: str, port: int) -> Any:
        dialling.set()
        assert dropped.wait(STOP_S)
        return dial(host, port)

    def drop_and_tell() -> None:
        drop()
        dropped.set()

    client.client_link.swallow()
    connection_._dial, connection_.hang_up = dial_late, drop_and_tell
    connection_._socket.close()
    assert dialling.wait(STOP_S)
    within(STOP_S, client.stop)
    assert client.state == KazooState.LOST


def test_stop_when_the_close_is_not_answered(url: str, connect: Connect) -> None:
    """#241: the deployment goes out of reach while the session is being closed."""
    client = connect(url)
    client._connection._channel.submit = lambda request, xid: None
    within(STOP_S, client.stop)
    assert client.state == KazooState.LOST


def test_stop_when_the_close_is_answered_late(
    memory_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As late as a first answer may be, where functions that nobody has called for long have to start."""
    client = connect(memory_url)
    states = States(client)
    monkeypatch.setattr(connection, "CLOSE_GRACE_S", 0.0)
    monkeypatch.setattr(memory, "FIRST_ANSWER_S", STOP_S, raising=False)
    within(STOP_S, client.stop)
    assert states.seen == [KazooState.LOST]


def test_stop_with_a_watch_callback_that_never_returns(url: str, connect: Connect) -> None:
    """#356: the handler's worker can't be joined. The client can be started again, and its watches work."""
    client, stuck, release = connect(url), threading.Event(), threading.Event()
    client.create("/n")

    def watch(event: Any) -> None:
        stuck.set()
        release.wait()

    client.get("/n", watch=watch)
    client.set("/n", b"1")
    assert stuck.wait(5)
    within(STOP_S, client.stop)
    within(STOP_S, client.start)
    release.set()
    for round_ in range(20):
        fired = threading.Event()
        client.get("/n", watch=lambda event, fired=fired: fired.set())
        client.set("/n", b"%d" % round_)
        assert fired.wait(5), "a watch after the restart, round %d" % round_
    within(STOP_S, client.stop)


def test_stop_with_a_completion_callback_that_never_returns(memory_url: str, connect: Connect) -> None:
    """#356, for the callbacks of async results."""
    client, stuck, release = connect(memory_url), threading.Event(), threading.Event()

    def callback(result: Any) -> None:
        stuck.set()
        release.wait()

    client.exists_async("/").rawlink(callback)
    assert stuck.wait(5)
    within(STOP_S, client.stop)
    within(STOP_S, client.start)
    done = threading.Event()
    client.exists_async("/").rawlink(lambda result: done.set())
    assert done.wait(5)
    release.set()


def test_stop_with_a_listener_that_never_returns(memory_url: str, make: Connect) -> None:
    """#356: a state listener blocks for ever at CONNECTED."""
    client, stuck, release = make(memory_url), threading.Event(), threading.Event()

    def listen(state: str) -> None:
        stuck.set()
        release.wait()

    client.add_listener(listen)
    within(STOP_S, client.start)
    assert stuck.is_set() and client.exists("/")
    within(STOP_S, client.stop)
    release.set()


def test_stop_with_a_listener_that_is_stuck_at_the_suspension(memory_url: str, connect: Connect) -> None:
    """#356: the connection does not wait for it any longer when it is asked to stop."""
    client, stuck, release = connect(memory_url), threading.Event(), threading.Event()

    def listen(state: str) -> None:
        stuck.set()
        release.wait()

    client.add_listener(listen)
    client.client_link.cut()
    assert stuck.wait(5)
    within(STOP_S, client.stop)
    release.set()
    eventually(lambda: client.state == KazooState.LOST, what="it is told as LOST")


def test_stop_with_a_callback_that_is_stuck_at_the_end(memory_url: str, connect: Connect) -> None:
    """#241: a completion callback that the end of the connection itself runs. stop() says so instead of hanging."""
    client, release = connect(memory_url), threading.Event()
    client.cut_off()
    client.exists_async("/").rawlink(lambda result: release.wait())
    with pytest.raises(WriterNotClosedException):
        within(STOP_S, client.stop)
    release.set()
    client.client_link.mend()
    within(STOP_S, client.start)
    assert client.exists("/")


@pytest.mark.parametrize("at", [KazooState.CONNECTED, KazooState.SUSPENDED])
def test_stop_from_within_a_listener(url: str, make: Connect, at: str) -> None:
    """#356, #381: kazoo joins the thread that it is called in."""
    client, stopped = make(url), threading.Event()

    def listen(state: str) -> None:
        if state == at:
            client.stop()
            stopped.set()

    client.add_listener(listen)
    client.start_async()
    if at == KazooState.SUSPENDED:
        eventually(lambda: client.connected, what="connected")
        client.client_link.cut()
    assert stopped.wait(STOP_S)
    eventually(lambda: client.state == KazooState.LOST, what="it is told as LOST")


def test_stop_from_within_a_watch_function(url: str, connect: Connect) -> None:
    """#356: a watch function that ends its client, for example because its node was deleted."""
    client, stopped = connect(url), threading.Event()
    client.create("/n")

    def watch(event: Any) -> None:
        client.stop()
        stopped.set()

    client.get("/n", watch=watch)
    client.delete("/n")
    assert stopped.wait(STOP_S)
    assert client.state == KazooState.LOST
    within(STOP_S, client.start)


def test_stop_from_within_a_completion_callback(memory_url: str, connect: Connect) -> None:
    """#356: the same, for the callback of an async result."""
    client, stopped = connect(memory_url), threading.Event()

    def callback(result: Any) -> None:
        client.stop()
        stopped.set()

    client.exists_async("/").rawlink(callback)
    assert stopped.wait(STOP_S)


def test_stop_from_two_threads_at_once(url: str, connect: Connect) -> None:
    """#241: both return, and the session is over."""
    for _ in range(10):
        client = connect(url)
        at_once(2, STOP_S, client.stop)
        assert client.state == KazooState.LOST
        client.close()


def test_stop_does_not_drop_what_was_asked_before(url: str, connect: Connect) -> None:
    """PR #688, PR #744: the fix that was reverted because it dropped queued requests."""
    client, other = connect(url), connect(url)
    results = [client.create_async("/n%d" % number) for number in range(300)]
    within(STOP_S, client.stop)
    assert [result.get(timeout=5) for result in results] == ["/n%d" % number for number in range(300)]
    assert len(other.get_children("/")) == 301
