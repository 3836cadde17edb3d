"""Whatever another process of the machine sends to the host, the host goes on for the others."""

from __future__ import annotations

import asyncio
from typing import Any, Iterator, List, NamedTuple
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fk_backend.ports import Pushed
from fk_backend.providers.local import files
from fk_backend.providers.local.host import Host, Lock

INBOX = "0" * 32
numbers = st.sampled_from((0, 1, -1, 1 << 62, 1 << 63, 1 << 64)) | st.integers()
inboxes = st.sampled_from((INBOX, "other", "", "x" * 70_000, "a:b", "heartbeat:1")) | st.text(max_size=5)
anything: Any = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | numbers | inboxes | st.binary(max_size=5),
    lambda v: st.lists(v, max_size=4),
    max_leaves=6,
)
kinds = st.sampled_from(("send", "got", "ping", "hello", "drop"))
frames = st.one_of(
    st.tuples(
        st.just("send"), st.sampled_from(("ns", "", "a:b", "\0")) | anything, inboxes, numbers, st.binary(max_size=9)
    ),
    st.tuples(st.just("got"), inboxes, numbers),
    st.tuples(st.just("drop"), inboxes),
    st.tuples(st.just("hello"), st.lists(st.tuples(inboxes, numbers), max_size=3)),
    st.lists(anything, max_size=5).flatmap(lambda rest: kinds.map(lambda kind: (kind, *rest))),
    anything,
)


class Running(NamedTuple):
    """A host, and the loop that it runs in."""

    host: Host
    loop: asyncio.AbstractEventLoop


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One host for all frames: what one of them did to it would show in the next ones."""
    loop = asyncio.new_event_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fk_backend.providers.local.host.ABSENT_S", 3600.0)  # nobody hears the victim, ever
        patch.setenv("FK_KAZOO_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("fk_backend.providers.local.host.ABSENT_S", 3600.0)  # nobody listens, and all is kept
        place = files.prepare("d")
        lock = Lock.acquire(place.lock)
        assert lock is not None
        host = Host(place, lock, None)
        loop.run_until_complete(host.start())
        yield Running(host, loop)
        loop.run_until_complete(host.stop())
    loop.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(frames, max_size=12))
@example([("drop", "x" * 70_000)])
@example([("drop", 7)])
@example([("got", "victim", None)])
@example([("send", [], INBOX, 1, b"")])
def test_the_host_goes_on(running: Running, sent: List[Any]) -> None:
    """It hangs up on who sends what it must not, and everybody else is pushed to, and that is kept."""
    host = running.host

    async def check() -> None:
        await host.push([Pushed("victim", b"before")])
        for value in sent:
            host._received(mock.Mock(), value)
        await host.push([Pushed("victim", b"after")])
        assert not host._unsaved
        assert [kept.body for kept in host._outbox.after("victim", 0)][-1:] == [b"after"]

    running.loop.run_until_complete(check())
