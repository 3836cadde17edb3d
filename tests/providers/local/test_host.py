"""What other processes ask of the host: none of them is the heartbeat, and none loses anything by another one."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any, Awaitable, Callable, List

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Expire, Open
from fk_backend.messages import Answers, Message, decode_note, encode, message_id
from fk_backend.ports import Pushed
from fk_backend.providers.local import files
from fk_backend.providers.local.host import Host, Lock, Subscriber
from fk_backend.providers.local.outbox import Kept, Outbox
from fk_backend.providers.local.store import namespaces
from tests.functions.doubles import KEY

from .doubles import KeptFrames

NS = "ns"


class Peer(KeptFrames):
    """A process, as the host sees it."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    def says(self, *value: Any) -> None:
        """A frame from the process."""
        self.host._received(self, list(value))  # type: ignore[arg-type]

    def asks(self, message: Message, ns: str = NS) -> None:
        """A message from the process."""
        self.says("send", ns, message.inbox, message.first, encode(message, KEY))

    @property
    def pushed(self) -> List[Any]:
        """(inbox, body) of every push."""
        return [(inbox, body) for kind, inbox, *_, body in (s for s in self.sent if s[0] == "push")]

    async def answers(self, inbox: str, number: int) -> Any:
        """The answer to a request, when it is there."""
        for _ in range(2000):
            for to, body in self.pushed:
                note = decode_note(body)
                if to == inbox and isinstance(note, Answers) and note.first <= number < note.first + len(note.results):
                    return note.results[number - note.first]
            await asyncio.sleep(0)
        raise AssertionError("never answered")


def _hosted(place: files.Place, test: Callable[[Host, Peer], Awaitable[None]]) -> None:
    async def check() -> None:
        lock = Lock.acquire(place.lock)
        assert lock is not None
        host = Host(place, lock, None)
        await host.start()
        try:
            await test(host, Peer(host))
        finally:
            await host.stop()

    asyncio.run(check())


def _create(path: str) -> Create:
    return Create(path, b"", OPEN_ACL, 0, 0, False)


async def _opened(peer: Peer, inbox: str) -> int:
    peer.says("hello", [[inbox, 0]])
    peer.asks(Message(inbox, 0, 0, (Open(KEY, 60_000, inbox, None),)))
    return int((await peer.answers(inbox, 0))[1][0])


@pytest.mark.parametrize("inbox", ["heartbeat:1", "heartbeat", "one"])
def test_no_other_process_is_the_heartbeat(place: files.Place, inbox: str) -> None:
    """Whatever it calls itself. The host's own functions are."""

    async def test(host: Host, peer: Peer) -> None:
        session = await _opened(peer, "one")
        forged = Message(inbox, 0, 5, (Expire(session, 0),))
        peer.asks(forged)
        peer.asks(Message("one", session, 6, (_create("/a"),)))
        assert (await peer.answers("one", 6))[0] == Error.OK
        await host.send(NS, message_id("one", 7), encode(forged._replace(inbox="one", first=7)))
        peer.asks(Message("one", session, 8, (_create("/b"),)))
        assert (await peer.answers("one", 8))[0] == Error.OK
        await host.send(NS, message_id("heartbeat:2", 1), encode(Message("heartbeat:2", 0, 1, (Expire(session, 0),))))
        peer.asks(Message("one", session, 9, (_create("/c"),)))
        assert (await peer.answers("one", 9))[0] == Error.SESSION_EXPIRED

    _hosted(place, test)


def test_what_is_answered_is_not_done_again(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        session = await _opened(peer, "one")
        other = await _opened(peer, "two")
        for inbox, owner in (("one", session), ("two", other)):  # the head remembers what came last, and not before it
            peer.asks(Message(inbox, owner, 1, (_create("/" + inbox),)))
            await peer.answers(inbox, 1)
        peer.sent.clear()
        peer.asks(Message("one", session, 1, (_create("/one"),)))
        peer.asks(Message("one", session, 2, (_create("/next"),)))
        await peer.answers("one", 2)
        assert [decode_note(body).first for _, body in peer.pushed] == [2]

    _hosted(place, test)


def test_what_is_not_acknowledged_comes_again_in_order_and_nothing_else(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        peer.says("hello", [["one", 0], ["two", 0]])
        await host.push([Pushed("one", b"1"), Pushed("two", b"x"), Pushed("one", b"2"), Pushed("one", b"3")])
        assert peer.pushed == [("one", b"1"), ("two", b"x"), ("one", b"2"), ("one", b"3")]
        seqs = [seq for kind, inbox, seq, *_ in peer.sent if inbox == "one"]
        peer.says("got", "one", seqs[0])
        host._closed(peer)  # type: ignore[arg-type]
        await host.push([Pushed("one", b"4")])
        assert len(peer.sent) == 4, "nobody is there"
        back = Peer(host)
        back.says("hello", [["one", seqs[1]]])
        assert back.pushed == [("one", b"3"), ("one", b"4")]

    _hosted(place, test)


def test_a_process_that_ends_takes_no_other_ones_inbox_along(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        other = Peer(host)
        peer.says("hello", [["one", 0]])
        other.says("hello", [["two", 0]])
        host._closed(other)  # type: ignore[arg-type]
        await host.push([Pushed("one", b"1"), Pushed("two", b"2")])
        assert peer.pushed == [("one", b"1")] and other.pushed == []
        late = Peer(host)
        late.says("hello", [["two", 0]])
        assert late.pushed == [("two", b"2")]

    _hosted(place, test)


@pytest.mark.parametrize("kind", ["drop", "moved", "keep"])
def test_what_is_given_up_is_forgotten(place: files.Place, kind: str) -> None:
    async def test(host: Host, peer: Peer) -> None:
        peer.says("hello", [["one", 0], ["two", 0]])
        await host.push([Pushed("one", b"1"), Pushed("two", b"2")])
        if kind == "drop":
            peer.says("drop", "one")
        elif kind == "moved":
            await host.drop("one")
        else:
            host.unsubscribe("one", keep=True)
        assert [value for value in peer.sent if value[0] == "lost"] == ([("lost", "one")] if kind == "moved" else [])
        await host.push([Pushed("two", b"3")])
        assert ("two", b"3") in peer.pushed
        back = Peer(host)
        back.says("hello", [["one", 0]])
        assert back.pushed == ([("one", b"1")] if kind == "keep" else [])

    _hosted(place, test)


def test_what_is_heard_in_the_hosts_own_process_is_not_kept(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        heard: List[Kept] = []
        host.listen("own", 0, Subscriber(heard.append, lambda: None, None))
        await host.push([Pushed("own", b"1"), Pushed("nobody", b"2"), Pushed("heartbeat:1", b"3")])
        assert [kept.body for kept in heard] == [b"1"]
        assert set(host._outbox.waiting_s()) == {"nobody"}

    _hosted(place, test)
    left = Outbox(place.outbox)
    assert set(left.waiting_s()) == {"nobody"}
    left.close()


@pytest.mark.parametrize(
    "rubbish",
    [
        ["nonsense"],
        ["send", NS],
        ["send", NS, "one", "first", b""],
        ["hello", 1],
        ["hello", [["one"]]],
        ["got", "one"],
        ["drop"],
        ["drop", 1],
        ["drop", "\u00e4"],
        ["drop", "x" * 1000],
        ["got", "one", -1],
        ["got", "one", 1 << 64],
        ["got", "one", "1"],
        ["got", "one", 1, 1],
        ["hello", [["one", -1]]],
        ["hello", [[1, 0]]],
        ["send", 1, "one", 1, b""],
        ["send", NS, "one", 1, "text"],
        ["send", NS, 1, 1, b""],
        ["send", NS + ":/x", "one", 1, b""],
        ["ping"],
        [1, 2],
        None,
        7,
    ],
)
def test_who_sends_what_it_must_not_is_cut_off_and_nobody_else(place: files.Place, rubbish: Any) -> None:
    async def test(host: Host, peer: Peer) -> None:
        session = await _opened(peer, "one")
        bad = Peer(host)
        host._received(bad, rubbish)  # type: ignore[arg-type]
        assert bad.hung_up and not peer.hung_up
        peer.asks(Message("one", session, 1, (_create("/a"),)))
        assert (await peer.answers("one", 1))[0] == Error.OK

    _hosted(place, test)


def test_the_next_host_finds_every_namespace(place: files.Place) -> None:
    """Also where one's name is the beginning of another's."""
    names = ["a", "a-b", "a.b", "ab", "b", "0"]

    async def found(host: Host, peer: Peer) -> None:
        for number, ns in enumerate(names):
            inbox = "inbox-%d" % number
            peer.says("hello", [[inbox, 0]])
            peer.asks(Message(inbox, 0, 0, (Open(KEY, 60_000, inbox, None),)), ns)
            await peer.answers(inbox, 0)
        assert sorted(await namespaces(host.store)) == sorted(names)

    async def looked_after(host: Host, peer: Peer) -> None:
        assert set(host._functions.watched) == set(names)

    _hosted(place, found)
    _hosted(place, looked_after)


def test_the_door_is_the_users_own(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        assert stat.S_IMODE(os.stat(place.socket).st_mode) == 0o600

    _hosted(place, test)


def test_what_has_come_does_not_come_again(place: files.Place) -> None:
    """A process that says how far it has heard gets what is after that, also where it was never acknowledged."""

    async def test(host: Host, peer: Peer) -> None:
        await host.push([Pushed("one", b"1"), Pushed("one", b"2"), Pushed("one", b"3")])
        seqs = [kept.seq for kept in host._outbox.after("one", 0)]
        host._outbox.acknowledge = lambda inbox, last: None  # type: ignore[method-assign]
        peer.says("hello", [["one", seqs[1]]])
        assert peer.pushed == [("one", b"3")]

    _hosted(place, test)


def test_what_is_acknowledged_is_kept_for_nobody(place: files.Place) -> None:
    async def test(host: Host, peer: Peer) -> None:
        peer.says("hello", [["one", 0]])
        await host.push([Pushed("one", b"1"), Pushed("one", b"2")])
        peer.says("got", "one", peer.sent[-1][2])
        assert set(host._outbox.waiting_s()) == set()

    _hosted(place, test)
