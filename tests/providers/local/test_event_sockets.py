"""Who watches, or has lost a session, is told by whoever commits; who can't be told finds that out."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import pytest

from fk_backend import codec
from fk_backend.core.model import EventType
from fk_backend.core.requests import SetData
from fk_backend.core.watches import PERSISTENT
from fk_backend.errors import Unavailable
from fk_backend.layout import head_key, head_of
from fk_backend.ports import Pushed
from fk_backend.providers.local import event_sockets, files, gateway, host
from fk_backend.providers.local.event_sockets import MAX_BYTES, EventSocket, EventSockets, inbox_at
from fk_backend.session.engine import Session
from fk_backend.session.ops import AddWatch, Exists, GetData

from .test_direct import MADE, NS, Scene, Subscriber, done, play

NAME = "0" * 32


async def armed(on: Scene) -> None:
    """A node that the sessions of both processes watch."""
    done(on.here.write_now(MADE))
    for session, ear in ((on.at_host, on.ear_at_host), (on.here, on.ear_here)):
        assert (await on.asked(session, ear, GetData("/a", True))).code == 0


async def heard(on: Scene) -> None:
    """Both hear, once, that it was changed."""
    await on.until(lambda: bool(on.ear_at_host.events and on.ear_here.events))
    for ear in (on.ear_at_host, on.ear_here):
        assert [(event.path, event.kind) for event in ear.events] == [("/a", EventType.CHANGED)]


def sockets(place: files.Place) -> Set[str]:
    """Their files."""
    return {name for name in os.listdir(place.directory) if name.startswith("events-")}


@pytest.mark.parametrize("datagram", [b"", b"rubbish", codec.dumps(7), codec.dumps([7]), codec.dumps([["a"]])])
def test_rubbish_harms_nobody(place: files.Place, datagram: bytes) -> None:
    async def run() -> None:
        made, received = on_socket(place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, place.event_socket(made.number))
        await EventSockets(place).push([Pushed(inbox_at(NAME, made.number), b"x")])
        made.read()
        assert received[-1] == (inbox_at(NAME, made.number), b"x") and set(received[:-1]) <= {("woken", None)}
        made.close()

    asyncio.run(run())


def test_a_socket_is_for_those_who_share_the_deployment(place: files.Place) -> None:
    async def run() -> None:
        made, _ = on_socket(place)
        assert os.stat(place.event_socket(made.number)).st_mode & 0o777 == 0o600
        made.close()

    asyncio.run(run())


def on_socket(place: files.Place) -> Tuple[EventSocket, List[Tuple[str, Optional[bytes]]]]:
    """A socket, and what comes there."""
    received: List[Tuple[str, Optional[bytes]]] = []
    made = EventSocket(
        place,
        lambda inbox, body: received.append((inbox, body)),
        lambda: received.append(("woken", None)),
        lambda: received.append(("cut off", None)),
    )
    made.open()
    return made, received


def test_what_came_in_time_is_heard_before_it_shows_that_more_could_not_come(place: files.Place) -> None:
    async def run() -> None:
        made, received = on_socket(place)
        await EventSockets(place).push([Pushed(inbox_at(NAME, made.number), b"in time")])
        os.unlink(place.event_socket(made.number))
        while len(received) < 2:
            await asyncio.sleep(0)
        assert received == [(inbox_at(NAME, made.number), b"in time"), ("cut off", None)]
        made.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def fill(place: files.Place, number: int) -> None:
    """Until there is no room at the socket of that number."""
    with pytest.raises(BlockingIOError):
        for _ in range(10_000):
            EventSockets(place)._send(number, codec.dumps([]))


@pytest.mark.parametrize("by", ["another process", "the same process"])
@pytest.mark.parametrize("way", ["directly", "by the queue"])
def test_who_commits_tells_who_watches(place: files.Place, by: str, way: str) -> None:
    async def scene(on: Scene) -> None:
        await armed(on)
        third, ear = await on.session(on.other if by == "another process" else on.host)
        if way == "directly":
            done(third.write_now(SetData("/a", b"x", -1)))
            assert on.is_free(), "nothing is left to be told"
        else:
            third.submit("one", SetData("/a", b"x", -1))
            third.submit("two", MADE)
            await on.until(lambda: len(ear.answers) == 2)
        await heard(on)
        third.end("lost", "over")

    play(scene)


def test_a_watch_of_something_else_wakes_nobody(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        await on.asked(on.at_host, on.ear_at_host, Exists("/b", True))
        received: List[Any] = []
        on.host._socket._received = lambda inbox, body: received.append(body)
        done(on.here.write_now(SetData("/a", b"x", -1)))
        assert on.is_free()
        await asyncio.sleep(0)
        assert not received

    play(scene)


def test_where_there_is_no_room_one_waits_for_it(place: files.Place) -> None:
    """A watch that stays sees every change once, of a process that reads nothing for a while."""

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        assert (await on.asked(on.here, on.ear_here, AddWatch("/a", PERSISTENT))).code == 0
        events = on.other._socket
        first = on.head_rev() + 1
        for number in range(20):
            if number % 5 == 0:
                events._loop.remove_reader(events.descriptor.number)
                fill(place, events.number)
                asyncio.get_running_loop().call_later(
                    0.02, events._loop.add_reader, events.descriptor.number, events.read
                )
            change = SetData("/a", b"%d" % number, -1)
            if on.at_host.write_now(change) is None:
                assert (await on.asked(on.at_host, on.ear_at_host, change)).code == 0
        await on.until(lambda: len(on.ear_here.events) >= 20)
        assert sorted(event.zxid for event in on.ear_here.events) == list(range(first, first + 20))

    play(scene)


@pytest.mark.parametrize("way", ["directly", "by the queue"])
def test_an_event_comes_before_an_answer_that_shows_it_by_another_way(place: files.Place, way: str) -> None:
    """Of a watch that stays, where so much was written meanwhile that the head tells only the last of it."""

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        assert (await on.asked(on.here, on.ear_here, AddWatch("/a", PERSISTENT))).code == 0
        events = on.other._socket
        events._loop.remove_reader(events.descriptor.number)
        done(on.at_host.write_now(SetData("/a", b"x", -1)))
        changed = on.head_rev()
        for number in range(60):
            done(on.at_host.write_now(MADE._replace(path="/a-long-name-of-a-node-%d" % number)))
        (head,) = await on.host.store.get([head_key(NS)])
        assert head is not None and head_of(head).since > changed, "the head tells all of it"
        change = SetData("/a-long-name-of-a-node-1", b"y", -1)
        if way == "directly":
            outcome = on.here.write_now(change)
            assert outcome is not None
            on.here.submit("mine", outcome)
        else:
            on.here.submit("mine", change)
            on.here.submit("another", change)
        await on.until(lambda: bool(on.ear_here.answers))
        assert [event.zxid for event in on.ear_here.events] == [changed]

    play(scene)


def test_who_has_no_room_for_long_is_cut_off_and_finds_that_out(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others go on after a short while; it ends its connections, and has another socket for the next ones."""
    monkeypatch.setattr(event_sockets, "FULL_S", 0.05)

    async def scene(on: Scene) -> None:
        await armed(on)
        events, over = on.other._socket, []
        number = events.number
        on.ear_here.over = lambda reason, why: over.append((reason, why))  # type: ignore[method-assign]
        events._loop.remove_reader(events.descriptor.number)
        fill(place, number)
        assert (await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"x", -1))).code == 0
        await on.until(on.is_free)
        assert not os.path.lexists(place.event_socket(number)) and not over
        await on.other.check()
        assert over == [("lost", gateway.CUT_OFF)] and on.other._socket.number not in (0, number)
        assert on.here.is_over
        again, ear = await on.session(on.other)
        assert (await on.asked(again, ear, GetData("/a", True))).value[0] == b"x"
        done(on.at_host.write_now(SetData("/a", b"y", -1)))
        await on.until(lambda: bool(ear.events))
        again.end("lost", "over")

    play(scene)


def test_whoever_looks_finds_that_it_was_cut_off(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a beat, too: soon."""
    monkeypatch.setattr(host, "WATCH_S", 0.01)

    async def scene(on: Scene) -> None:
        await on.until(lambda: on.other._socket.number != 0)
        os.unlink(place.event_socket(on.other._socket.number))
        await on.until(lambda: on.here.is_over)
        with pytest.raises(Unavailable):
            await on.other.listen(inbox_at(NAME, 7), lambda body: None, lambda why: None)

    play(scene)


@pytest.mark.parametrize("full", [False, True])
def test_who_loses_its_session_to_another_process_is_told(
    place: files.Place, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setattr(event_sockets, "FULL_S", 0.05)

    async def scene(on: Scene) -> None:
        over: List[Any] = []
        on.ear_here.over = lambda reason, why: over.append((reason, why))  # type: ignore[method-assign]
        events = on.other._socket
        if full:
            events._loop.remove_reader(events.descriptor.number)
            fill(place, events.number)
        thief = Session(on.host, NS, Subscriber())
        assert await thief.attach(on.here.id, PASSWORDS[on.here.id]) is not None
        if full:
            await on.until(lambda: not events.is_heard())
            await on.other.check()
        await on.until(lambda: bool(over))
        assert over[0][0] == "lost"
        thief.end("lost", "over")

    play(scene)


PASSWORDS: Dict[int, bytes] = {}


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the sessions that are opened."""
    opened = Session.open

    async def noted(self: Session, timeout_ms: int) -> Any:
        found = await opened(self, timeout_ms)
        PASSWORDS[found.session] = found.password
        return found

    monkeypatch.setattr(Session, "open", noted)


def test_what_killed_processes_left_is_removed(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SWEEP_S", 0.0)
    lives = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    lives.bind(place.event_socket(8))

    async def scene(on: Scene) -> None:
        left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.bind(place.event_socket(7))
        left.close()
        await on.until(lambda: not os.path.lexists(place.event_socket(7)))
        assert os.path.lexists(place.event_socket(8))

    play(scene)
    lives.close()
    assert sockets(place) == {"events-8.sock"}


def test_what_is_for_one_process_is_one_datagram(place: files.Place) -> None:
    async def run() -> None:
        made, received = on_socket(place)
        inboxes = [inbox_at(letter * 32, made.number) for letter in "ab"]
        await EventSockets(place).push([Pushed(inbox, b"x%d" % at) for at, inbox in enumerate(inboxes)])
        EventSockets(place).wake(made.number)
        made.read()
        assert received == [(inboxes[0], b"x0"), (inboxes[1], b"x1"), ("woken", None)]
        made.close()
        await EventSockets(place).push([Pushed(inboxes[0], b"to nobody")])
        await EventSockets(place).deliver([[inboxes[0], b"to nobody"]])

    asyncio.run(run())


def test_what_is_too_much_for_a_datagram_comes_all_the_same(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller leaves it to its event loop, and so if it is for many."""

    async def run() -> None:
        made, received = on_socket(place)
        note: List[Any] = [inbox_at(NAME, made.number), bytes(10 * MAX_BYTES)]
        with pytest.raises(Unavailable):
            await EventSockets(place).push([Pushed(*note)])
        before = len(os.listdir("/proc/self/fd"))
        await EventSockets(place).deliver([note])
        made.read()
        assert received == [tuple(note)] and len(os.listdir("/proc/self/fd")) == before
        monkeypatch.setattr(event_sockets, "MAX_PROCESSES", 1)
        with pytest.raises(Unavailable):
            await EventSockets(place).push([Pushed(inbox_at(NAME, made.number + more), b"") for more in (0, 1)])
        assert len(received) == 1
        made.close()

    asyncio.run(run())


def test_however_deep_the_directory_lies_it_has_a_socket(tmp_path: Path) -> None:
    deep = files.Place(str(tmp_path.joinpath(*["deep" * 10] * 4)))
    os.makedirs(deep.directory)

    async def run() -> None:
        made, received = on_socket(deep)
        await EventSockets(deep).push([Pushed(inbox_at(NAME, made.number), b"x")])
        made.read()
        assert received == [(inbox_at(NAME, made.number), b"x")] and made.is_heard()
        event_sockets.remove_left(deep)
        assert made.is_heard()
        made.close()
        assert not os.listdir(deep.directory)

    asyncio.run(run())
