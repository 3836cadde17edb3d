"""Who keeps the lock of a result keeps nobody else waiting: not the loop, which every client of the process shares."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kazoo.exceptions import ConnectionLoss

from fk_kazoo import loop_thread
from fk_kazoo.channel import Channel
from fk_kazoo.client import KazooClient
from tests.client.programs.support import eventually, within


class TimeIsUp(Exception):
    """What a signal's handler raises."""


class Taken(threading.Condition):
    """Whose lock stays taken once: a handler raises after that was taken, and before it could be given back."""

    raised = False

    def __enter__(self) -> bool:
        taken = super().__enter__()
        if not self.raised and threading.current_thread() is threading.main_thread():
            self.raised = True
            raise TimeIsUp
        return taken


@pytest.fixture
def client(url: str) -> Any:
    """One that is connected, with a node."""
    made = KazooClient(url)
    made.start()
    made.create("/a", b"data")
    yield made
    made.stop()
    made.close()


def _interrupted(client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is asked for, and not answered before its caller was interrupted in waiting for it."""
    result, busy, going = client.handler.async_result(), threading.Event(), threading.Event()
    loop_thread.current().call(lambda: (busy.set(), going.wait(10)))
    assert busy.wait(10)
    result._condition = Taken()
    with monkeypatch.context() as patched:
        patched.setattr(client.handler, "async_result", lambda: result)
        client.get_async("/a")
    with pytest.raises(TimeIsUp):
        result.get()
    going.set()
    return result


def test_an_answer_that_nobody_can_be_given_holds_up_no_other(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = KazooClient(str(client.deployment))
    result = _interrupted(client, monkeypatch)
    within(10, other.start)
    for each in (client, other):
        assert within(10, each.get, "/a")[0] == b"data"
        assert within(10, lambda each=each: each.get_async("/a").get())[0] == b"data"
    within(10, other.stop)
    assert not result.ready()
    result._condition.release()  # a handler that was at work in there has come to its end
    eventually(result.ready)
    assert result.get()[0] == b"data"


def test_nor_does_one_that_is_cut_off(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """kazoo's own thread tells, at the end of the connection."""
    with monkeypatch.context() as patched:
        patched.setattr(Channel, "ask", lambda *arguments: None)
        result = _interrupted(client, monkeypatch)
    within(10, client.stop)
    result._condition.release()
    eventually(result.ready)
    assert isinstance(result.exception, ConnectionLoss)
    within(10, client.start)
    assert within(10, client.get, "/a")[0] == b"data"
