"""Who is not the host writes all the same, while the host has nothing to do there, and everybody hears of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any, Awaitable, Callable, List, Tuple

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, SetAcl, SetData
from fk_backend.errors import NoPermission, Unavailable, Unknown
from fk_backend.functions import writer as writers
from fk_backend.providers import local
from fk_backend.providers.contention import Contention
from fk_backend.providers.local import beside, files, progress, store
from fk_backend.providers.local.host import Host
from fk_backend.session.engine import Session
from fk_backend.session.ops import Exists, GetData

NS = "ns"
MADE = Create("/a", b"", OPEN_ACL, 0, 0, False)


class Subscriber:
    """A session's listener."""

    def __init__(self) -> None:
        self.events: List[Any] = []
        self.answers: List[Any] = []

    def fired(self, event: Any) -> None:
        """`Listener.fired`."""
        self.events.append(event)

    def replied(self, tag: Any, result: Any) -> None:
        """`Listener.replied`."""
        self.answers.append(result)

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""


class Scene:
    """A host, and another one's way to it, each with a session. Both are in one event loop."""

    host: Any
    other: Any
    at_host: Session
    here: Session
    ear_at_host: Subscriber
    ear_here: Subscriber

    async def begin(self) -> None:
        """The host first."""
        self.host = await local.connect("d", {})
        await self.host.check()
        self.other = await local.connect("d", {})
        self.at_host, self.ear_at_host = await self.session(self.host)
        self.here, self.ear_here = await self.session(self.other)
        await self.until(self.is_free)
        assert self.host.link.is_host and not self.other.link.is_host

    async def session(self, gateway: Any) -> Tuple[Session, Subscriber]:
        """Of a gateway."""
        ear = Subscriber()
        session = Session(gateway, NS, ear)
        await session.open(4000)
        return session, ear

    def is_free(self) -> bool:
        """Whether whoever asks may write."""
        direct = self.other.direct
        return direct is not None and direct._is_free(NS)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits for it, for as long as that takes."""

        async def wait() -> None:
            while not reached():
                await asyncio.sleep(0.001)

        await asyncio.wait_for(wait(), 8)

    async def asked(self, session: Session, ear: Subscriber, op: Any) -> Any:
        """The answer, by the way that an app's call takes that does not wait."""
        before = len(ear.answers)
        session.submit("asked", op)
        await self.until(lambda: len(ear.answers) > before)
        return ear.answers[-1]

    def head_rev(self) -> int:
        """The zxid of the last commit."""
        database = sqlite3.connect(self.host.place.state)
        (row,) = database.execute("SELECT rev FROM state WHERE part = ? AND sort = 'head'", (NS + ":",)).fetchall()
        database.close()
        return int(row[0])

    async def end(self) -> None:
        """Everything."""
        for session in (self.at_host, self.here):
            session.end("lost", "over")
        for gateway in dict.fromkeys((self.other, self.host)):
            await gateway.close()


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        made = Scene()
        await made.begin()
        try:
            await scene(made)
        finally:
            await made.end()

    asyncio.run(run())


def done(result: Any) -> Any:
    """It was written at once, and well."""
    assert result is not None and result.code == Error.OK
    return result


@pytest.fixture(autouse=True)
def nobody_gives_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under contention one writes at once all the same, except where just that is tested."""
    if "contention" not in request.node.name:
        monkeypatch.setattr(beside, "QUEUED_S", 0.0)


def test_contention_on_this_machine_pauses_as_long_each_time() -> None:
    paused = Contention(beside.QUEUED_S)
    for now in (100.0, 100.0 + beside.QUEUED_S):
        assert paused.is_due(now)
        paused.met(now)
        assert not paused.is_due(now) and not paused.is_due(now + beside.QUEUED_S * 0.9)


def test_a_write_is_done_without_the_host(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(on: Scene) -> None:
        taken: List[Any] = []
        monkeypatch.setattr(Host, "accept", lambda self, *message: taken.append(message))
        first = done(on.here.write_now(MADE))
        second = done(on.here.write_now(SetData("/a", b"x", 0)))
        assert second.zxid == first.zxid + 1 == on.head_rev() and not taken
        refused = on.here.write_now(SetData("/a", b"x", 0))
        assert refused is not None and refused.code == Error.BAD_VERSION and on.head_rev() == second.zxid
        assert on.is_free(), "nobody watches, so nothing is left to be told"

    play(scene)


def test_they_take_turns_and_each_sees_what_the_others_wrote(place: files.Place) -> None:
    """What is known of a namespace is true for one head: whoever wrote the next one, and whatever, it is read again."""

    async def scene(on: Scene) -> None:
        third = await local.connect("d", {})
        there, ear = await on.session(third)
        await on.until(lambda: third.direct is not None and third.direct._is_free(NS))
        done(on.here.write_now(MADE))
        done(there.write_now(SetData("/a", b"1", 0)))
        done(on.at_host.write_now(SetData("/a", b"2", 1)))
        done(on.here.write_now(SetData("/a", b"3", 2)))
        assert (await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"4", 3))).code == Error.OK
        await on.until(on.is_free)
        done(there.write_now(SetData("/a", b"5", 4)))
        done(on.here.write_now(SetAcl("/a", OPEN_ACL, 0)))
        done(there.write_now(SetAcl("/a", OPEN_ACL, 1)))
        assert (await on.asked(there, ear, GetData("/a", False))).value[0] == b"5"
        there.end("lost", "over")
        await third.close()

    play(scene)


def test_who_watches_hears_of_it(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        await on.asked(on.at_host, on.ear_at_host, Exists("/a", True))
        written = done(on.here.write_now(MADE))
        await on.until(lambda: bool(on.ear_at_host.events))
        assert [event.zxid for event in on.ear_at_host.events] == [written.zxid]

    play(scene)


def test_who_is_interrupted_leaves_nobody_untold(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its commit: it tells the host. Killed, it can't, and the host finds out."""

    class Interruption(Exception):
        pass

    async def interrupted(self: Any, ns: str) -> bool:
        raise Interruption

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        for killed in (False, True):
            await on.until(on.is_free)
            await on.asked(on.at_host, on.ear_at_host, Exists("/a", True))
            with monkeypatch.context() as patched:
                patched.setattr(writers.Writer, "is_fanned_out", interrupted)
                with pytest.raises(Interruption):
                    on.here.write_now(SetData("/a", b"new", -1))
            zxid = on.head_rev()
            assert on.here.write_now(SetData("/a", b"newer", -1)) is None, "the last one is not told"
            if not killed:
                on.here.finish_fan_out()
            await on.until(lambda: bool(on.ear_at_host.events))
            assert [event.zxid for event in on.ear_at_host.events] == [zxid]
            on.ear_at_host.events.clear()

    play(scene)


def test_what_may_have_been_done_is_told(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = store.LocalStore.commit

    async def unknown(self: Any, writes: Any) -> None:
        await commit(self, writes)
        raise Unknown("the disk does not say")

    async def scene(on: Scene) -> None:
        await on.asked(on.at_host, on.ear_at_host, Exists("/a", True))
        frames: List[str] = []
        handle = Host._handle
        monkeypatch.setattr(Host, "_handle", lambda *said: (frames.append(said[2]), handle(*said)))
        with monkeypatch.context() as patched:
            patched.setattr(store.LocalStore, "commit", unknown)
            with pytest.raises(Unknown):
                on.here.write_now(MADE)
        await on.until(lambda: bool(on.ear_at_host.events))
        assert "tell" in frames, "else it waits for the host's next tick"

    play(scene)


@pytest.mark.parametrize("when", ["before", "concurrently"])
def test_while_the_host_has_something_it_is_the_hosts_turn(
    place: files.Place, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Also where it comes to have it when the write was worked out already."""

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        before = on.head_rev()
        next_step = writers.next_step

        async def and_then(*arguments: Any) -> Any:
            step = await next_step(*arguments)
            on.at_host.submit("asked", SetData("/a", b"queued", -1))
            return step

        if when == "before":
            on.at_host.submit("asked", SetData("/a", b"queued", -1))
        with monkeypatch.context() as patched:
            if when == "concurrently":
                patched.setattr(writers, "next_step", and_then)
            assert on.here.write_now(SetData("/a", b"direct", -1)) is None
        assert on.head_rev() == before
        await on.until(lambda: bool(on.ear_at_host.answers) and on.is_free())
        assert done(on.here.write_now(SetData("/a", b"direct", 1))).zxid == before + 2

    play(scene)


def test_a_batch_meets_a_write_that_had_begun_before(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's writer finds another head, once, and goes on from there: nobody takes that for a failure."""

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        next_step = writers.next_step
        failures: List[Any] = []
        monkeypatch.setattr(local.host.log, "exception", failures.append, raising=False)

        async def and_then(ports: Any, *arguments: Any) -> Any:
            step = await next_step(ports, *arguments)
            if ports.store is not on.other.store:  # the other one had looked at the word before it changed
                monkeypatch.setattr(writers, "next_step", next_step)
                on.other.store.only_while(lambda ns: store.ANY_TIME)
                on.other.direct._is_free = lambda ns: True
                done(on.here.write_now(SetData("/a", b"first", 0)))
            return step

        monkeypatch.setattr(writers, "next_step", and_then)
        answer = await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"second", 1))
        assert answer.code == Error.OK and not failures

    play(scene)


def test_the_next_host_waits_for_who_began_and_lets_nobody_begin_for_the_last_one(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        last, direct = on.other.direct._is_free, on.other.direct
        begun = on.other.store._connections["state"]
        begun.execute("BEGIN IMMEDIATE")
        tried: List[Any] = []
        fence = store.LocalStore.fence

        async def watched(self: Any) -> None:
            tried.append(self)
            await fence(self)

        monkeypatch.setattr(store.LocalStore, "fence", watched)
        on.at_host.end("lost", "over")
        await on.host.close()
        on.host = on.other
        await on.until(lambda: bool(tried) or on.other.link.is_host)
        assert not on.other.link.is_host, "somebody is in the middle of a commit"
        begun.execute("ROLLBACK")
        await on.until(lambda: on.other.link.is_host)
        assert not last(NS) and on.other.direct is not direct
        assert (await on.asked(on.here, on.ear_here, SetData("/a", b"x", 0))).code == Error.OK

    play(scene)


def test_while_somebody_is_stopped_in_the_middle_of_a_commit_nobody_is_told_that_all_is_well(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a beat is not heard, and who holds a lock is told in time."""
    monkeypatch.setattr(local.host, "LOCKED_S", 0.05)

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        stopped = sqlite3.connect(place.state, isolation_level=None)
        stopped.execute("BEGIN IMMEDIATE")
        try:
            assert on.here.write_now(SetData("/a", b"x", 0)) is None
            on.here.submit("asked", SetData("/a", b"x", 0))
            await on.until(lambda: on.host.link._host.is_locked_out)
            asking = asyncio.ensure_future(on.other.check())
            with pytest.raises(Unavailable, match="may have been stopped"):
                await on.host.check()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(asking), 0.3)
        finally:
            stopped.close()  # which rolls back
        await asking
        await on.until(lambda: bool(on.ear_here.answers))
        await on.host.check()

    play(scene)


def test_a_host_of_a_version_before_is_left_to_itself(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.HostProgress, "stamp", 0)

    async def run() -> None:
        host: Any = await local.connect("d", {})
        await host.check()
        other: Any = await local.connect("d", {})
        ear = Subscriber()
        session = Session(other, NS, ear)
        await session.open(4000)
        assert other.direct is None and session.write_now(MADE) is None
        session.end("lost", "over")
        await other.close()
        await host.close()

    asyncio.run(run())


def test_beyond_the_slots_everything_takes_the_queue(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SLOTS", 1)

    async def scene(on: Scene) -> None:
        ear = Subscriber()
        session = Session(on.other, "another", ear)
        await session.open(4000)
        assert session.write_now(MADE) is None
        assert (await on.asked(session, ear, MADE)).code == Error.OK
        session.end("lost", "over")

    play(scene)


# --- the words ------------------------------------------------------------------------------------


def _words(place: files.Place, stamp: int) -> progress.HostProgress:
    return progress.HostProgress(place, stamp, lambda: True)


def test_what_another_host_left_says_nothing(place: files.Place) -> None:
    first = _words(place, 1)
    seen = progress.Progress(progress.shared(place.progress), first.stamp)
    seen.found(NS, first.allot(NS, idle=True))
    first.note(NS, 7)
    assert seen.is_idle(NS) and seen.upto(NS) == 7
    second = _words(place, 2)
    assert not seen.is_idle(NS)
    other = progress.Progress(progress.shared(place.progress), second.stamp)
    other.found("other", second.allot("other", idle=True))
    assert other.is_idle("other") and not seen.is_idle(NS) and other.upto("other") == -1
    seen.note(NS, 9)  # by who has not noticed
    assert other.upto("other") != 9
    second.note("other", 9)
    assert other.upto("other") == 9


def test_a_host_whose_pushes_are_not_kept_lets_nobody_write(place: files.Place) -> None:
    kept = [True]
    words = progress.HostProgress(place, 1, lambda: kept[0])
    seen = progress.Progress(progress.shared(place.progress), words.stamp)
    seen.found(NS, words.allot(NS, idle=True))
    words.note(NS, 1)
    kept[0] = False
    words.set_idle(NS, True)
    words.note(NS, 2)
    assert not seen.is_idle(NS) and seen.upto(NS) == 1


@pytest.mark.parametrize("slot", [True, -2, progress.SLOTS, "0", None])
def test_what_is_no_slot_is_refused(place: files.Place, slot: Any) -> None:
    with pytest.raises(ValueError, match="no slot"):
        _words(place, 1).found(NS, slot)


def test_without_room_for_the_words_the_host_writes_alone(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    words = _words(place, 1)
    assert words.stamp == 0 and words.allot(NS, idle=True) == -1
    words.note(NS, 3)
    assert words.upto(NS) == 3


def test_who_may_not_write_the_words_is_no_host(place: files.Place) -> None:
    os.mkdir(place.progress)
    with pytest.raises(NoPermission, match=r"host\.progress: Is a directory"):
        _words(place, 1)


def test_a_file_that_is_too_short_is_not_touched(place: files.Place, home: Path) -> None:
    Path(place.progress).write_bytes(b"x")
    with pytest.raises(ValueError, match="too short"):
        progress.shared(place.progress)


def test_who_takes_part_in_a_group_may_write_the_words(place: files.Place) -> None:
    os.chmod(place.directory, 0o2770)
    _words(place, 1)
    assert os.stat(place.progress).st_mode & 0o777 == 0o660
