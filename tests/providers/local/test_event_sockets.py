"""Who watches is told by whoever commits; the host has a part in that only where it must."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, List, Sequence, Set, Tuple

import pytest

from fk_backend import codec
from fk_backend.core.model import EventType
from fk_backend.core.requests import SetData
from fk_backend.core.watches import PERSISTENT
from fk_backend.errors import Unavailable
from fk_backend.messages import Fired, decode_note
from fk_backend.ports import Pushed
from fk_backend.providers.local import event_sockets, files, host
from fk_backend.providers.local.event_sockets import MAX_BYTES, EventSocket, EventSockets, inbox_at
from fk_backend.session.ops import AddWatch, Exists, GetData

from .conftest import Child, hear
from .test_beside import MADE, Scene, done, play

NAME = "0" * 32


@pytest.fixture
def by_host(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """The events that the host tells."""
    found: List[Any] = []
    push = host.Host.push

    async def noted(self: host.Host, messages: Sequence[Pushed]) -> None:
        notes = [decode_note(message.body) for message in messages]
        found.extend(note for note in notes if isinstance(note, Fired))
        await push(self, messages)

    monkeypatch.setattr(host.Host, "push", noted)
    return found


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


async def told_by_the_host(on: Scene, by_host: List[Any]) -> None:
    """What a third session writes both hear, and the host has a part in that."""
    third, _ = await on.session(on.other)
    done(third.write_now(SetData("/a", b"x", -1)))
    await heard(on)
    assert by_host
    third.end("lost", "over")


@pytest.mark.parametrize("by", ["another process", "the host's process"])
def test_who_commits_tells_who_watches(place: files.Place, by_host: List[Any], by: str) -> None:
    async def scene(on: Scene) -> None:
        await armed(on)
        third, _ = await on.session(on.other if by == "another process" else on.host)
        done(third.write_now(SetData("/a", b"x", -1)))
        assert on.is_free(), "nothing is left to the host"
        await heard(on)
        assert not by_host
        third.end("lost", "over")

    play(scene)


def test_a_watch_of_something_else_wakes_nobody(place: files.Place, by_host: List[Any]) -> None:
    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        await on.asked(on.at_host, on.ear_at_host, Exists("/b", True))
        received: List[bytes] = []
        on.host._events._received = lambda inbox, body: received.append(body)
        done(on.here.write_now(SetData("/a", b"x", -1)))
        assert on.is_free()
        await asyncio.sleep(0)
        assert not received and not by_host

    play(scene)


def test_where_there_is_no_room_the_host_tells(place: files.Place, by_host: List[Any]) -> None:
    """The socket is full: its process has not read it for a while."""

    async def scene(on: Scene) -> None:
        await armed(on)
        events = on.host._events
        on.host._events._loop.remove_reader(events.descriptor.number)
        with pytest.raises(Unavailable, match="temporarily unavailable"):
            for _ in range(10_000):
                await EventSockets(place).push([Pushed(inbox_at(NAME, events.number), b"")])
        await told_by_the_host(on, by_host)

    play(scene)


def test_a_watch_that_stays_sees_every_change_once_whoever_tells_it(place: files.Place, by_host: List[Any]) -> None:
    """Of a process that reads nothing for a while: first its socket is full, then the host tells it."""

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        assert (await on.asked(on.here, on.ear_here, AddWatch("/a", PERSISTENT))).code == 0
        events = on.other._events
        events._loop.remove_reader(events.descriptor.number)
        first = on.head_rev() + 1
        for number in range(40):
            await on.until(on.is_free)
            change = SetData("/a", b"%d" % number, -1)
            if on.at_host.write_now(change) is None:
                assert (await on.asked(on.at_host, on.ear_at_host, change)).code == 0
        assert by_host and len(by_host) < 40
        events._loop.add_reader(events.descriptor.number, events._read)
        await on.until(lambda: len(on.ear_here.events) >= 40)
        await asyncio.sleep(0)
        assert sorted(event.zxid for event in on.ear_here.events) == list(range(first, first + 40))

    play(scene)


def test_where_a_process_has_no_socket_the_host_tells(
    place: files.Place, by_host: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.Place, "event_socket", lambda self, number: "/" + "x" * 200)

    async def scene(on: Scene) -> None:
        await armed(on)
        await told_by_the_host(on, by_host)

    play(scene)


def test_what_killed_processes_left_is_removed_by_the_next_host(place: files.Place) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(place.event_socket(7))
    left.close()
    lives = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    lives.bind(place.event_socket(8))

    async def scene(on: Scene) -> None:
        assert not os.path.lexists(place.event_socket(7)) and os.path.lexists(place.event_socket(8))

    play(scene)
    lives.close()
    assert sockets(place) == {"events-8.sock"}


def test_what_a_killed_process_left_is_removed_when_it_is_given_up(
    place: files.Place, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "ABSENT_S", 1.0)

    async def scene(on: Scene) -> None:
        before = sockets(place)
        killed = child("sets", "d", 0)
        await asyncio.get_running_loop().run_in_executor(None, hear, killed)
        assert len(sockets(place) - before) == 1
        killed.kill()
        await on.until(lambda: sockets(place) == before)
        assert len(before) == 2, "those of who lives stay"

    play(scene)


def sockets(place: files.Place) -> Set[str]:
    """Their files."""
    return {name for name in os.listdir(place.directory) if name.startswith("events-")}


def on_socket(place: files.Place) -> Tuple[EventSocket, List[Tuple[str, bytes]]]:
    """A socket, and what comes there."""
    received: List[Tuple[str, bytes]] = []
    return EventSocket(place, lambda inbox, body: received.append((inbox, body))), received


def test_what_is_for_one_process_is_one_datagram(place: files.Place) -> None:
    async def run() -> None:
        made, received = on_socket(place)
        inboxes = [inbox_at(letter * 32, made.number) for letter in "ab"]
        await EventSockets(place).push([Pushed(inbox, b"x%d" % at) for at, inbox in enumerate(inboxes)])
        made._read()
        assert received == [(inboxes[0], b"x0"), (inboxes[1], b"x1")]
        made.close()
        with pytest.raises(Unavailable):
            await EventSockets(place).push([Pushed(inboxes[0], b"")])

    asyncio.run(run())


@pytest.mark.parametrize("datagram", [b"", b"rubbish", codec.dumps(7), codec.dumps([7]), codec.dumps([["a"]])])
def test_rubbish_harms_nobody(place: files.Place, datagram: bytes) -> None:
    async def run() -> None:
        made, received = on_socket(place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, place.event_socket(made.number))
        await EventSockets(place).push([Pushed(inbox_at(NAME, made.number), b"x")])
        made._read()
        assert received == [(inbox_at(NAME, made.number), b"x")]
        made.close()

    asyncio.run(run())


def test_what_is_not_sent_by_datagrams(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known before anything is sent."""

    async def run() -> None:
        made, received = on_socket(place)
        here = Pushed(inbox_at(NAME, made.number), b"x")
        monkeypatch.setattr(event_sockets, "MAX_PROCESSES", 2)
        for others in (
            [Pushed(NAME, b"at no socket")],
            [Pushed(inbox_at(NAME, made.number), bytes(MAX_BYTES))],
            [Pushed(inbox_at(NAME, made.number + more), b"of too many") for more in (1, 2)],
        ):
            with pytest.raises(Unavailable):
                await EventSockets(place).push([here, *others])
        made._read()
        assert not received
        made.close()

    asyncio.run(run())


def test_a_socket_is_for_those_who_share_the_deployment(place: files.Place) -> None:
    async def run() -> None:
        made, _ = on_socket(place)
        assert os.stat(place.event_socket(made.number)).st_mode & 0o777 == 0o600
        made.close()

    asyncio.run(run())


def test_where_no_process_can_have_a_socket_nobody_looks_whom_to_tell(tmp_path: Path) -> None:
    assert event_sockets.sender_of_events(files.Place("/tmp/app")) is not None
    assert event_sockets.sender_of_events(files.Place(str(tmp_path / ("deep" * 25)))) is None
