"""A write with no company is one invocation of the writer; what is pipelined or refused goes on as ever."""

from __future__ import annotations

import threading
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.states import KazooState

from fk_backend.providers.aws import names
from fk_backend.providers.aws.clients import AT_FUNCTIONS
from fk_backend.providers.aws.dev.function import Function

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
    requests.clear()
    zk.create("/a", b"1")
    zk.set("/a", b"2")
    assert zk.get("/a")[0] == b"2" and len(_direct(invoked)) == 2
    assert not requests.sent["SendMessage"]
    queued.set("/a", b"3")
    assert requests.sent["SendMessage"] == 2 and len(_direct(invoked)) == 2  # the message, and its answer
    assert zk.get("/a")[0] == b"3"


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
    monkeypatch.setattr(Function, "is_full", True)
    for number in range(3):
        assert zk.create("/n-", sequence=True) == "/n-%010d" % number
    assert not _direct(invoked)
