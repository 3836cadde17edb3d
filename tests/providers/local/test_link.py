"""A process's way to the host, without one: what is sent again, who is told what, what was seen before."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List
from unittest import mock

import pytest

from fk_backend import codec
from fk_backend.errors import DeploymentError, Unavailable
from fk_backend.providers.local import files, frames, link
from fk_backend.providers.local.frames import Frames
from fk_backend.providers.local.link import Link, Listening

from .doubles import KeptFrames


def _linked(test: Callable[[Link, Any, List[Any]], Awaitable[None]]) -> None:
    """With a link that goes nowhere by itself, its peer, and what was heard in the inboxes ``one`` and ``two``."""

    async def idle(self: Link) -> None:
        await asyncio.Event().wait()

    async def check() -> None:
        with mock.patch.object(Link, "_run", idle):
            made = Link(files.Place("nowhere"), None)
        heard: List[Any] = []
        for inbox in ("one", "two"):
            made.listen(
                inbox,
                lambda body, to=inbox: heard.append((to, body)),  # type: ignore[misc]
                lambda why, to=inbox: heard.append((to, "lost")),  # type: ignore[misc]
            )
        peer: Any = KeptFrames()
        made._peer = peer
        await test(made, peer, heard)
        made._task.cancel()

    asyncio.run(check())


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_came_before_is_dropped_and_what_is_answered_is_not_sent_again() -> None:
    heard: List[bytes] = []
    inbox = Listening(heard.append, lambda why: None)
    inbox.unanswered = [link.Unanswered("ns", first, b"") for first in (1, 3, 7)]
    for seq, upto, body in ((5, 3, b"a"), (5, 3, b"a"), (4, 8, b"old"), (6, 0, b"b"), (9, 7, b"c")):
        inbox.hear(seq, upto, body)
    assert heard == [b"a", b"b", b"c"]
    assert [message.first for message in inbox.unanswered] == [7], "what an old one answers was answered"


def test_the_next_host_is_told_who_is_here_and_then_sent_what_is_not_answered_in_order() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        for first in (1, 2, 4):
            made.send("ns", "one", first, b"%d" % first)
        made._received(peer, ["push", "one", 10, 2, b"answer"])
        following = KeptFrames()
        made._peer = following  # type: ignore[assignment]
        made._introduce(["one", "two"])
        assert following.sent == [
            ("hello", [["one", 10], ["two", 0]]),
            ("send", "ns", "one", 2, b"2"),
            ("send", "ns", "one", 4, b"4"),
        ]

    _linked(test)


def test_a_message_is_kept_while_there_is_no_host() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        made._peer = None
        made.send("ns", "one", 1, b"1")
        made._peer = peer
        made._introduce(["one"])
        assert peer.sent == [("hello", [["one", 0]]), ("send", "ns", "one", 1, b"1")]
        with pytest.raises(Unavailable):
            made.send("ns", "three", 1, b"1")

    _linked(test)


def test_each_inbox_hears_its_own() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        made._received(peer, ["push", "two", 3, 0, b"2"])
        made._received(peer, ["push", "one", 4, 0, b"1"])
        made._received(peer, ["push", "three", 5, 0, b"3"])
        made._received(peer, ["lost", "two"])
        made._received(peer, ["lost", "three"])
        assert heard == [("two", b"2"), ("one", b"1"), ("two", "lost")]

    _linked(test)


def test_what_was_heard_is_acknowledged_once() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        for seq in (3, 4):
            made._received(peer, ["push", "one", seq, 0, b"x"])
        made._acknowledge()
        made._acknowledge()
        assert peer.sent == [("got", "one", 4)]

    _linked(test)


@pytest.mark.parametrize("keep", [False, True])
def test_an_inbox_that_is_given_up_is_dropped_unless_it_is_kept(keep: bool) -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        made.unsubscribe("one", keep)
        made.unsubscribe("one", keep)
        assert peer.sent == ([] if keep else [("drop", "one")])
        made._received(peer, ["push", "one", 3, 0, b"x"])
        assert heard == []

    _linked(test)


def test_the_end_of_a_host_that_was_left_is_no_end() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        made._lost_peer(KeptFrames())  # type: ignore[arg-type]
        assert not made._gone.is_set()
        made._lost_peer(peer)
        assert made._gone.is_set()

    _linked(test)


def test_a_check_is_answered_by_its_own_ping_and_ends_with_the_host() -> None:
    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        made._joined.set()
        checks = [asyncio.ensure_future(made.check()) for _ in range(3)]
        await _turns()
        assert [value[0] for value in peer.sent] == ["ping"] * 3
        made._received(peer, ["pong", peer.sent[1][1]])
        await _turns()
        assert [check.done() for check in checks] == [False, True, False] and checks[1].exception() is None
        await made._leave()
        await _turns()
        assert all(check.done() for check in checks)
        for check in (checks[0], checks[2]):
            with pytest.raises(Unavailable):
                await check
        assert peer.hung_up and not made._pings

    _linked(test)


def test_where_there_is_no_host_a_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOST_AFTER_S", 0.0)

    async def test(made: Link, peer: Any, heard: List[Any]) -> None:
        with pytest.raises(Unavailable):
            await made.check()
        made._failure = DeploymentError("no room")
        with pytest.raises(DeploymentError, match="no room"):
            await made.check()

    _linked(test)


# --- frames ---------------------------------------------------------------------------------------


class Wire:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        """`asyncio.BaseTransport`: its socket has a descriptor that is open."""
        return mock.Mock(fileno=lambda: 2)

    def set_write_buffer_limits(self, high: int) -> None:
        """`asyncio.WriteTransport`."""
        self.high = high

    def write(self, data: bytes) -> None:
        """`asyncio.WriteTransport`."""
        self.written += data

    def abort(self) -> None:
        """`asyncio.WriteTransport`."""
        self.aborted = True


def _end() -> Any:
    received: List[Any] = []
    made = Frames(lambda _, value: received.append(value), lambda _: received.append("closed"))
    wire = Wire()
    made.connection_made(wire)  # type: ignore[arg-type]
    return made, wire, received


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 1000])
def test_frames_come_whole_and_in_order_however_they_are_cut(size: int) -> None:
    sender, wire, _ = _end()
    for number in range(5):
        sender.send("push", "inbox", number, b"x" * number)
    receiver, _, received = _end()
    for at in range(0, len(wire.written), size):
        receiver.data_received(wire.written[at : at + size])
    assert received == [["push", "inbox", number, b"x" * number] for number in range(5)]


@pytest.mark.parametrize(
    "data", [(frames.MAX_FRAME_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\x05\0\0\0\x01{", b"\0\0\0\x01x"]
)
def test_what_is_no_frame_ends_the_connection(data: bytes) -> None:
    receiver, wire, received = _end()
    good = codec.dumps(["ping", 1])
    receiver.data_received(len(good).to_bytes(4, "big") + good + data)
    assert wire.aborted and received == [["ping", 1]]


def test_who_does_not_read_is_cut_off() -> None:
    sender, wire, received = _end()
    assert wire.high == frames.MAX_UNSENT_BYTES
    sender.pause_writing()
    assert wire.aborted
    sender.connection_lost(None)
    sender.send("late")
    assert wire.written == b"" and received == ["closed"]
