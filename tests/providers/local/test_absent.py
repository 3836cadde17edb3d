"""Who is gone costs nothing for long: what comes for him is kept for moments, and he is told if he comes back.

A process that was killed leaves watches behind, which fire until its session expires, and nobody takes the pushes. All
that was kept of them was read by each new host before it served anybody, and written again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path
from typing import Any, Awaitable, Callable, List, Tuple

import pytest

from fk_backend.ports import Pushed
from fk_backend.providers.local import files, host, outbox
from fk_backend.providers.local.frames import Frames
from fk_backend.providers.local.host import Host, Lock
from fk_backend.providers.local.outbox import Outbox

NOTE = b"x" * 500
PUSHES = 200
Scene = Callable[[Host], Awaitable[None]]


class Peer:
    """The end of a client's process: what it was sent."""

    def __init__(self) -> None:
        self.got: List[Any] = []
        self.ended = asyncio.Event()
        self._frames = Frames(lambda _, value: self.got.append(value), lambda _: self.ended.set())

    @classmethod
    async def connect(cls, place: files.Place) -> Peer:
        peer = cls()
        await asyncio.get_running_loop().create_unix_connection(lambda: peer._frames, place.socket)
        return peer

    def say(self, *value: Any) -> None:
        self._frames.send(*value)

    async def in_step(self) -> None:
        """All that was said is heard, and all that was answered has come."""
        self.say("ping", len(self.got))
        await until(lambda: bool(self.got) and self.got[-1][0] == "pong")
        self.got.pop()

    async def die(self) -> None:
        self._frames.hang_up()
        await self.ended.wait()


async def until(condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 20)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> files.Place:
    # Short enough for a socket, whatever the directory of the tests is called.
    short = tmp_path / "h"
    monkeypatch.setenv(files.HOME_VARIABLE, str(short))
    monkeypatch.setattr(host, "ABSENT_S", 0.01)
    return files.prepare("d")


def act(place: files.Place, *scenes: Scene) -> None:
    """Each in the time of a host of its own, one after the other."""

    async def run() -> None:
        for scene in scenes:
            lock = Lock.acquire(place.lock)
            assert lock is not None
            running = Host(place, lock, None)
            await running.start()
            try:
                await scene(running)
            finally:
                await running.stop()

    asyncio.run(run())


async def leave(running: Host, place: files.Place, inbox: str) -> None:
    """A client comes, and its process is killed."""
    peer = await Peer.connect(place)
    peer.say("hello", [[inbox, 0]])
    await peer.in_step()
    await peer.die()
    await until(lambda: inbox not in running._subscribers)


async def given_up(running: Host, inbox: str) -> None:
    await until(lambda: inbox in running._outbox.given_up)


async def tell(running: Host, inbox: str, count: int = PUSHES) -> None:
    for _ in range(count):
        await running.push([Pushed(inbox, NOTE, 0)])


def kept(place: files.Place) -> Tuple[int, int]:
    """How much the next host would have to read and to write again: inboxes that wait, and bytes."""
    left = Outbox(place.outbox)
    left.close()
    return len(left.waiting_s()), os.path.getsize(place.outbox)


def test_nothing_is_kept_for_a_dead_process(place: files.Place) -> None:
    async def scene(running: Host) -> None:
        await leave(running, place, "dead")
        await tell(running, "dead")
        await given_up(running, "dead")
        await tell(running, "dead")
        assert not running._outbox.waiting_s()

    act(place, scene)
    assert kept(place) < (1, 500)


def test_nor_for_one_that_died_with_the_host(place: files.Place) -> None:
    async def first(running: Host) -> None:
        await tell(running, "dead", 1)

    async def second(running: Host) -> None:
        await given_up(running, "dead")
        await tell(running, "dead")

    act(place, first, second)
    assert kept(place) < (1, 500)


def test_many_takeovers_in_a_row_do_not_make_it_more(place: files.Place) -> None:
    """Each with a dead client: the file is about as long after fifteen as after three."""

    async def scene(running: Host) -> None:
        inbox = os.urandom(8).hex()
        await leave(running, place, inbox)
        await tell(running, inbox, 20)
        await given_up(running, inbox)

    act(place, *[scene] * 3)
    few = kept(place)[1]
    act(place, *[scene] * 12)
    assert kept(place)[1] < few + 12 * 100


def test_hosts_that_end_sooner_than_that_one_after_the_other_do_not_make_it_more(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The absent are absent for the deployment, not for a host: each host went on where the one before it had begun."""
    monkeypatch.setattr(host, "ABSENT_S", 30.0)
    monkeypatch.setattr(host, "BACK_S", 0.01)

    async def first(running: Host) -> None:
        await leave(running, place, "dead")
        await tell(running, "dead", 1)

    async def later(running: Host) -> None:
        await tell(running, "dead", 20)

    async def last(running: Host) -> None:
        await given_up(running, "dead")

    act(place, first)
    now = time.time()
    for passed_s in (8.0, 16.0, 24.0):
        monkeypatch.setattr("fk_backend.providers.local.outbox.time.time", lambda passed_s=passed_s: now + passed_s)
        act(place, later)
        assert kept(place)[0] == 1
    monkeypatch.setattr("fk_backend.providers.local.outbox.time.time", lambda: now + 32.0)
    act(place, last)
    assert kept(place) < (1, 500)


def test_who_is_back_in_time_gets_all_of_it(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "ABSENT_S", 60.0)

    async def first(running: Host) -> None:
        await leave(running, place, "back")
        await tell(running, "back")

    async def second(running: Host) -> None:
        peer = await Peer.connect(place)
        peer.say("hello", [["back", 0]])
        await until(lambda: len(peer.got) == PUSHES)
        assert {kind for kind, *_ in peer.got} == {"push"}

    act(place, first, second)


def test_who_was_back_in_time_is_not_given_up_later(place: files.Place) -> None:
    async def scene(running: Host) -> None:
        await leave(running, place, "back")
        peer = await Peer.connect(place)
        peer.say("hello", [["back", 0]])
        await peer.in_step()
        await leave(running, place, "later")  # whose time is up after the other one's would have been
        await given_up(running, "later")
        await tell(running, "back", 1)
        await peer.in_step()
        assert [kind for kind, *_ in peer.got] == ["push"]

    act(place, scene)


@pytest.mark.parametrize("takeover", [False, True], ids=["the same host", "another host"])
def test_who_comes_too_late_is_told_and_may_not_go_on(
    place: files.Place, monkeypatch: pytest.MonkeyPatch, takeover: bool
) -> None:
    """What it sends again could have been done already: nobody knows that any more."""
    accepted: List[str] = []

    async def first(running: Host) -> None:
        await leave(running, place, "late")
        await tell(running, "late", 1)
        await given_up(running, "late")
        if not takeover:
            await second(running)

    async def second(running: Host) -> None:
        monkeypatch.setattr(running._functions, "accept", lambda ns, name, body, **_: accepted.append(name))
        peer = await Peer.connect(place)
        peer.say("hello", [["late", 0]])
        peer.say("send", "ns", "late", 7, b"")
        peer.say("hello", [["new", 0]])
        peer.say("send", "ns", "new", 0, b"")
        await peer.in_step()
        assert peer.got == [["lost", "late"]] and accepted == ["new-0"]
        await running.drop("late")  # its session attached anew: that is the end of it
        assert not running._outbox.given_up

    act(place, first, *[second] * takeover)
    assert kept(place)[0] == 0


def test_where_it_can_not_be_noted_nothing_is_lost(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next host would not know that something is missing."""

    async def scene(running: Host) -> None:
        failed: List[int] = []

        def full(*_: Any) -> int:
            failed.append(1)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        await leave(running, place, "dead")
        await tell(running, "dead", 5)
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "_write", full)
            await until(lambda: len(failed) > 2)
            assert len(running._outbox.after("dead", 0)) == 5 and not running._outbox.given_up
        await given_up(running, "dead")

    act(place, scene)


def test_what_was_given_up_long_ago_is_no_longer_noted(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox(place.outbox)
    box.give_up(["a", "b"])
    box.close()
    assert set(Outbox(place.outbox).given_up) == {"a", "b"}
    monkeypatch.setattr(outbox, "FORGET_AFTER_S", 0.0)
    assert Outbox(place.outbox).given_up == {}
