"""The underscored attributes that real apps override, wrap or read are there and mean what they mean in kazoo."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, List

import kazoo.client
import pytest
from kazoo.exceptions import ConnectionClosedError, NoNodeError
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.serialization import Create, GetData
from kazoo.protocol.states import KazooState, KeeperState

import fk_kazoo.client
from tests.client.programs.support import CableClient, States, eventually

Connect = Callable[..., Any]


def test_it_is_a_kazoo_client(memory_url: str, connect: Connect) -> None:
    client = connect(memory_url)
    assert isinstance(client, kazoo.client.KazooClient) and isinstance(client, fk_kazoo.client.KazooClient)
    assert isinstance(client._connection, kazoo.client.ConnectionHandler)


def test_call_can_be_overridden_in_a_subclass(url: str, make: Connect) -> None:
    """To count, to trace, to inject failures."""

    class Traced(CableClient):
        def _call(self, request: Any, async_object: Any) -> Any:
            calls.append(type(request).__name__)
            if getattr(request, "path", "") == "/forbidden":
                async_object.set_exception(NoNodeError("injected"))
                return False
            return super()._call(request, async_object)

    calls: List[str] = []
    client = Traced(url)
    client.start()
    client.create("/n", b"x")
    assert client.get("/n")[0] == b"x"
    with pytest.raises(NoNodeError, match="injected"):
        client.get("/forbidden")
    with client.Lock("/lock"):
        pass
    client.stop()
    client.close()
    assert calls[:3] == ["Create", "GetData", "GetData"] and len(calls) > 6


def test_call_can_be_wrapped_on_an_instance(url: str, connect: Connect) -> None:
    client = connect(url)
    seen: Deque[Any] = deque()
    plain = client._call

    def wrapped(request: Any, async_object: Any) -> Any:
        seen.append(request)
        return plain(request, async_object)

    client._call = wrapped
    client.create("/n", b"x")
    client.get("/n")
    assert isinstance(seen[0], Create) and isinstance(seen[1], GetData)
    assert seen[0].path == "/n"


def test_call_answers_as_kazoos(url: str, connect: Connect) -> None:
    """False and an exception in the result when the client is closed."""
    client = connect(url)
    client.stop()
    result = client.handler.async_result()
    assert client._call(GetData("/", None), result) is False
    with pytest.raises(ConnectionClosedError):
        result.get(timeout=1)


def test_state_follows_the_connection(url: str, make: Connect) -> None:
    client = make(url)
    seen = [client._state]
    client.start()
    seen.append(client._state)
    client.cut_off()
    seen.append(client._state)
    client.mend()
    seen.append(client._state)
    client.stop()
    seen.append(client._state)
    assert seen == [
        KeeperState.CLOSED,
        KeeperState.CONNECTED,
        KeeperState.CONNECTING,
        KeeperState.CONNECTED,
        KeeperState.CLOSED,
    ]


def test_connect_can_be_wrapped(url: str, make: Connect) -> None:
    """To count connections; it returns kazoo's pair of timeouts in ms."""
    client = make(url, timeout=6.0)
    answers: Deque[Any] = deque()
    plain = client._connection._connect

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        answers.append(plain(*args, **kwargs))
        return answers[-1]

    client._connection._connect = wrapped
    client.start()
    assert client._connection._connect is wrapped
    client.cut_off()
    client.mend()
    eventually(lambda: len(answers) == 2, what="both connects returned")
    assert set(answers) == {(4000.0, 6000.0)}


def test_a_connect_that_fails_is_tried_again(memory_url: str, make: Connect) -> None:
    """Wrapped, to make the first ones fail, as test suites of apps do."""
    client = make(memory_url)
    tries: Deque[Any] = deque()
    plain = client._connection._connect

    def failing(*args: Any, **kwargs: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise client.handler.timeout_exception("injected")
        return plain(*args, **kwargs)

    client._connection._connect = failing
    client.start(timeout=10)
    assert len(tries) == 3 and client.exists("/")


def test_closing_the_socket_hangs_up(url: str, connect: Connect) -> None:
    """SUSPENDED and CONNECTED, the same session, and its ephemerals kept."""
    client = connect(url)
    client.create("/e", ephemeral=True)
    session, states = client.client_id, States(client)
    for number in range(1, 4):
        client._connection._socket.close()
        states.wait(*["SUSPENDED", "CONNECTED"] * number)
    assert states.seen == ["SUSPENDED", "CONNECTED"] * 3
    assert client.client_id == session and client.exists("/e").ephemeralOwner == session[0]


def test_closing_the_socket_in_a_watch_function(memory_url: str, connect: Connect) -> None:
    client = connect(memory_url)
    states = States(client)

    def watch(event: Any) -> None:
        if event.path:
            client._connection._socket.close()

    client.exists("/n", watch=watch)
    client.create_async("/n")
    states.wait("SUSPENDED", "CONNECTED")


def test_the_socket_has_a_descriptor_to_select_on(memory_url: str, connect: Connect) -> None:
    client = connect(memory_url)
    sock = client._connection._socket
    assert sock.fileno() > 0
    assert client.handler.select([], [sock], [], 1.0)[1] == [sock]


@pytest.mark.parametrize(("asked", "negotiated"), [(3.0, 3.0), (0.5, 1.0), (2.5, 2.5)])
def test_the_session_timeout_is_in_milliseconds(url: str, connect: Connect, asked: float, negotiated: float) -> None:
    client = connect(url, timeout=asked)
    assert client._session_timeout == int(asked * 1000)
    assert "to=%d)" % (negotiated * 1000) in client.command(b"cons")


def test_the_session_id_is_the_owner_of_ephemerals(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/e", ephemeral=True)
    assert isinstance(client._session_id, int) and client._session_id == client.client_id[0]
    assert client._session_passwd == client.client_id[1]
    assert client.exists("/e").ephemeralOwner == client.client_id[0]
    with client.Lock("/lock"):
        assert client.get("/lock/" + client.get_children("/lock")[0])[1].ephemeralOwner == client.client_id[0]


def test_client_id_is_none_without_a_connection(url: str, make: Connect) -> None:
    client = make(url)
    assert client.client_id is None
    client.start()
    assert client.client_id is not None
    client.cut_off()
    assert client.client_id is None and client._session_id


def test_a_session_that_was_reset_begins_anew(url: str, connect: Connect) -> None:
    """``_reset_session``, as apps call it to give a session up on the next connect."""
    client = connect(url)
    session = client.client_id
    client.cut_off()
    client._reset_session()
    client.mend()
    assert client.client_id[0] != session[0]


def test_last_zxid_follows_what_was_seen(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/n")
    zxid = client.set("/n", b"x").mzxid
    assert client.last_zxid == zxid


def test_watchers_are_kept_by_the_whole_path(url: str, connect: Connect) -> None:
    """kazoo's cache looks for its own watchers there."""
    connect(url).create("/app/n", makepath=True)
    client = connect(url + "/app")

    def watch(event: Any) -> None:
        seen.append(event.path)

    seen: Deque[Any] = deque()
    client.get("/n", watch=watch)
    client.exists("/m", watch=watch)
    client.get_children("/n", watch=watch)
    assert {path: set(found) for path, found in client._data_watchers.items()} == {"/app/n": {watch}, "/app/m": {watch}}
    assert {path: set(found) for path, found in client._child_watchers.items()} == {"/app/n": {watch}}
    client.set("/n", b"x")
    client.create("/m")
    client.create("/n/c")
    eventually(lambda: len(seen) == 3, what="all fired")
    assert list(seen) == ["/n", "/m", "/n"]
    assert not any(client._data_watchers.values()) and not any(client._child_watchers.values())


def test_the_events_that_apps_wait_on(url: str, make: Connect) -> None:
    client = make(url)
    live = client.start_async()
    assert live is client._live and live.wait(10)
    assert not client._stopped.is_set()
    client.stop()
    assert client._stopped.is_set() and not live.is_set()


def test_listeners_are_a_set_that_can_be_changed_while_they_run(memory_url: str, make: Connect) -> None:
    """A listener that returns True, or removes itself, is not called again."""
    client = make(memory_url)
    once: Deque[Any] = deque()
    also: Deque[Any] = deque()

    def returns_true(state: str) -> bool:
        once.append(state)
        return True

    def removes_itself(state: str) -> None:
        also.append(state)
        client.remove_listener(removes_itself)

    client.add_listener(returns_true)
    client.add_listener(removes_itself)
    states = States(client)
    client.start()
    client.stop()
    states.wait(KazooState.CONNECTED, KazooState.LOST)
    assert (list(once), list(also)) == (["CONNECTED"], ["CONNECTED"])
    assert client.state_listeners == {states}


def test_the_retry_of_a_connection_is_the_apps(memory_url: str, make: Connect) -> None:
    """``connection_retry`` and ``command_retry`` are used; a sleep function of another handler is refused."""
    handler = SequentialThreadingHandler()
    client = make(memory_url, handler=handler, command_retry={"max_tries": 2, "delay": 0.01})
    client.start()
    assert client._retry.max_tries == 2
    assert client.retry(client.exists, "/")


def test_attributes_of_an_apps_own_are_kept(memory_url: str, connect: Connect) -> None:
    client: Any = connect(memory_url)
    client.my_attribute = threading.Lock()
    client.restart()
    assert client.my_attribute and client.connected
