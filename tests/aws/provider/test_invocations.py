"""A write with no company is one invocation of the writer; what is pipelined or refused goes on as ever."""

from __future__ import annotations

import threading
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.states import KazooState
from kazoo.security import make_digest_acl

from fk_backend.errors import Unavailable, Unknown
from fk_backend.functions.writer import Writer
from fk_backend.providers.aws import names
from fk_backend.providers.aws.clients import AT_FUNCTIONS
from fk_backend.providers.aws.dev.function import Function
from fk_backend.session import inbox
from fk_backend.session.engine import Session
from tests.service.processes import eventually

from ..conftest import DEPLOYMENT, Deployment
from .conftest import Requests

WRITER = names.function(DEPLOYMENT, names.WRITER)


@pytest.fixture()
def invoked(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """The deployment, with its functions where clients reach them."""
    monkeypatch.setenv(AT_FUNCTIONS, deployment.host.url)
    return deployment


def _direct(deployment: Deployment) -> List[Any]:
    return [one for one in deployment.invocations if one.function == WRITER and "message" in one.event]


def test_a_write_alone_is_one_invocation(requests: Requests, invoked: Deployment, connect: Callable[..., Any]) -> None:
    zk, queued = connect(), connect("&via=queue")
    invoked.invocations.clear()
    requests.clear()
    zk.create("/a", b"1")
    zk.set("/a", b"2")
    assert zk.get("/a")[0] == b"2" and len(_direct(invoked)) == 2
    assert not requests.sent["SendMessage"]
    queued.set("/a", b"3")
    assert requests.sent["SendMessage"] == 2 and len(_direct(invoked)) == 2  # the message, and its answer
    assert zk.get("/a")[0] == b"3"


QUEUES = ("CreateQueue", "DeleteQueue", "SendMessage", "ReceiveMessage", "DeleteMessageBatch")


def test_without_watches_there_is_no_queue_from_connecting_to_closing(
    requests: Requests, invoked: Deployment, connect: Callable[..., Any]
) -> None:
    zk = connect()
    zk.add_auth("digest", "a:b")
    zk.create("/alone", b"1", acl=[make_digest_acl("a", "b", all=True)])
    zk.set("/alone", b"2")
    assert zk.get("/alone")[0] == b"2" and zk.get_children("/alone") == []
    zk.stop()
    assert {name: requests.sent[name] for name in QUEUES} == dict.fromkeys(QUEUES, 0)
    assert len(_direct(invoked)) == 5  # opening, the credential, two writes, closing


def test_the_first_watch_makes_the_inbox_and_what_is_pipelined_uses_it(
    requests: Requests, invoked: Deployment, connect: Callable[..., Any]
) -> None:
    zk, other = connect(), connect()
    zk.create("/w", b"1")
    fired = threading.Event()
    assert requests.sent["CreateQueue"] == 0
    zk.get("/w", watch=lambda event: fired.set())
    assert requests.sent["CreateQueue"] == 1
    other.set("/w", b"2")
    assert fired.wait(20)
    assert [one.get(20) for one in [zk.create_async("/p-", sequence=True) for _ in range(3)]]
    zk.exists("/none", watch=lambda event: None)
    assert requests.sent["CreateQueue"] == 1
    zk.stop()
    other.stop()
    eventually(lambda: requests.sent["DeleteQueue"] == 1, "its inbox is removed")


def test_who_connects_again_goes_on_with_the_inbox(
    requests: Requests, invoked: Deployment, connect: Callable[..., Any]
) -> None:
    zk, other, fired = connect(), connect(), threading.Event()
    zk.create("/w", b"1")
    zk.get("/w", watch=lambda event: fired.set())
    session, connected = zk.client_id[0], threading.Event()
    zk.add_listener(lambda state: state == KazooState.CONNECTED and connected.set())
    zk._connection._socket.close()
    assert connected.wait(20) and zk.client_id[0] == session
    zk.get("/w", watch=lambda event: fired.set())
    other.set("/w", b"2")
    assert fired.wait(20) and requests.sent["CreateQueue"] == 1
    zk.stop()
    eventually(lambda: requests.sent["DeleteQueue"] == 1, "its inbox is removed")


def test_what_a_function_that_died_with_its_client_has_told_nobody_is_found(
    invoked: Deployment, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    zk, other, fired = connect(), connect(), threading.Event()
    zk.create("/w", b"1")
    monkeypatch.setattr(inbox, "LOOK_S", 1.0)
    watching = connect()
    watching.get("/w", watch=lambda event: fired.set())
    tell = Writer._tell

    async def killed(self: Any, *_: Any) -> None:
        monkeypatch.setattr(Writer, "_tell", tell)
        raise Unknown("killed")

    async def dead(*_: Any) -> None:
        raise Unavailable("its client is dead, too")

    monkeypatch.setattr(Session, "attach", dead)
    monkeypatch.setattr(Writer, "_tell", killed)
    with pytest.raises(ConnectionLoss):
        other.set("/w", b"2")
    assert fired.wait(20) and watching.get("/w")[0] == b"2"


def test_what_is_pipelined_goes_to_the_queue_and_stays_in_order(
    invoked: Deployment, connect: Callable[..., Any]
) -> None:
    zk = connect()
    zk.create("/q")
    made = [zk.create_async("/q/n-", b"%d" % number, sequence=True) for number in range(20)]
    names = [one.get(20) for one in made]
    assert names == ["/q/n-%010d" % number for number in range(20)]
    assert zk.create("/q/n-", sequence=True) == "/q/n-%010d" % 20
    assert len(_direct(invoked)) > 1
    assert any("message" not in one.event for one in invoked.invocations if one.function == WRITER)


def test_watches_and_locks_hear_of_it(invoked: Deployment, connect: Callable[..., Any]) -> None:
    one, other = connect(), connect()
    one.create("/w", b"1")
    heard: List[Any] = []
    fired = threading.Event()
    other.get("/w", watch=lambda event: (heard.append(event.type), fired.set()))
    one.set("/w", b"2")
    assert fired.wait(20) and heard == ["CHANGED"] and other.get("/w")[0] == b"2"
    lock, waiting = one.Lock("/lock", "one"), other.Lock("/lock", "other")
    assert lock.acquire(timeout=20)
    taken = threading.Event()
    thread = threading.Thread(target=lambda: waiting.acquire(timeout=20) and taken.set(), daemon=True)
    thread.start()
    lock.release()
    assert taken.wait(20)
    waiting.release()
    assert len(_direct(invoked)) > 2


def test_a_function_that_dies_is_a_lost_connection_and_what_comes_late_is_fenced(
    invoked: Deployment, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    zk = connect()
    zk.create("/a", b"1")
    states: List[str] = []
    zk.add_listener(states.append)
    invoke = Function.invoke

    async def killed(self: Any, event: Any, *more: Any, **others: Any) -> Any:
        if "message" in event:
            monkeypatch.setattr(Function, "invoke", invoke)
            result = await invoke(self, event, *more, **others)
            from fk_backend.providers.aws.dev.environment import InvocationFailed

            raise InvocationFailed("Runtime.ExitError", "killed: %s" % result)
        return await invoke(self, event, *more, **others)

    monkeypatch.setattr(Function, "invoke", killed)
    with pytest.raises(ConnectionLoss):
        zk.set("/a", b"2")
    zk.retry(zk.set, "/a", b"3")
    assert zk.get("/a")[0] == b"3" and zk.get("/a")[1].version == 2
    assert KazooState.SUSPENDED in states and zk.state == KazooState.CONNECTED


def test_where_there_is_no_room_the_queue_has_it(
    invoked: Deployment, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    zk = connect()
    opened = len(_direct(invoked))
    monkeypatch.setattr(Function, "is_full", True)
    for number in range(3):
        assert zk.create("/n-", sequence=True) == "/n-%010d" % number
    assert len(_direct(invoked)) == opened
