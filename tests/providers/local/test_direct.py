"""A caller's own thread writes, whichever process it is of, and everybody hears of it."""

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
from fk_backend.errors import Unavailable, Unknown
from fk_backend.functions import writer as writers
from fk_backend.providers import local
from fk_backend.providers.contention import Contention
from fk_backend.providers.dispatch import Dispatcher
from fk_backend.providers.local import direct, files, progress, store, turn
from fk_backend.providers.local.turn import Turn
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
    """Two ways to a deployment, as two processes have them, each with a session. Both are in one event loop."""

    host: Any
    other: Any
    at_host: Session
    here: Session
    ear_at_host: Subscriber
    ear_here: Subscriber

    async def begin(self) -> None:
        """The host first."""
        self.host = await local.connect("d", {})
        await self.until(lambda: self.host.host.lock is not None)
        self.other = await local.connect("d", {})
        self.at_host, self.ear_at_host = await self.session(self.host)
        self.here, self.ear_here = await self.session(self.other)
        await self.until(self.is_free)
        assert self.other.host.lock is None

    async def session(self, gateway: Any) -> Tuple[Session, Subscriber]:
        """Of a gateway."""
        ear = Subscriber()
        session = Session(gateway, NS, ear)
        await session.open(4000)
        return session, ear

    def is_free(self) -> bool:
        """Whether whoever asks may write."""
        return bool(self.other.direct._is_free(NS) and self.host.direct._is_free(NS))

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
        monkeypatch.setattr(direct, "QUEUED_S", 0.0)


def test_contention_on_this_machine_pauses_as_long_each_time() -> None:
    paused = Contention(direct.QUEUED_S)
    for now in (100.0, 100.0 + direct.QUEUED_S):
        assert paused.is_due(now)
        paused.met(now)
        assert not paused.is_due(now) and not paused.is_due(now + direct.QUEUED_S * 0.9)


def test_they_take_turns_and_each_sees_what_the_others_wrote(place: files.Place) -> None:
    """What is known of a namespace is true for one head: whoever wrote the next one, and whatever, it is read again."""

    async def scene(on: Scene) -> None:
        third = await local.connect("d", {})
        there, ear = await on.session(third)
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


def test_a_write_is_done_in_the_callers_thread(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(on: Scene) -> None:
        taken: List[Any] = []
        monkeypatch.setattr(Dispatcher, "accept", lambda self, *message: taken.append(message))
        first = done(on.here.write_now(MADE))
        second = done(on.here.write_now(SetData("/a", b"x", 0)))
        assert second.zxid == first.zxid + 1 == on.head_rev() and not taken
        refused = on.here.write_now(SetData("/a", b"x", 0))
        assert refused is not None and refused.code == Error.BAD_VERSION and on.head_rev() == second.zxid
        assert on.is_free(), "nobody watches, so nothing is left to be told"

    play(scene)


def test_who_is_interrupted_leaves_nobody_untold(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its commit: its event loop tells. Killed, it can't, and whoever writes next, or the host, finds out."""

    class Interruption(Exception):
        pass

    async def interrupted(self: Any, ns: str) -> bool:
        raise Interruption

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        for then in ("told", "the next write", "a tick"):
            await on.until(on.is_free)
            await on.asked(on.at_host, on.ear_at_host, Exists("/a", True))
            with monkeypatch.context() as patched:
                patched.setattr(writers.Writer, "is_fanned_out", interrupted)
                with pytest.raises(Interruption):
                    on.here.write_now(SetData("/a", b"new", -1))
            zxid = on.head_rev()
            assert on.here.write_now(SetData("/a", b"newer", -1)) is None, "the last one is not told"
            if then == "told":
                on.here.finish_fan_out()
            elif then == "the next write":
                await on.asked(on.here, on.ear_here, SetData("/b", b"", -1))
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
        with monkeypatch.context() as patched:
            patched.setattr(store.LocalStore, "commit", unknown)
            with pytest.raises(Unknown):
                on.here.write_now(MADE)
        assert not on.other.direct._is_free(NS), "it is to be told by its own event loop"
        await on.until(lambda: bool(on.ear_at_host.events))

    play(scene)


def test_while_a_process_has_something_in_its_queue_its_callers_write_nothing(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        before = on.head_rev()
        turns = Turn.__aenter__
        met: List[Any] = []

        async def meanwhile(self: Turn) -> None:
            await turns(self)
            met.append((on.head_rev(), on.other.direct._is_free(NS), on.here.write_now(SetData("/a", b"now", -1))))

        monkeypatch.setattr(Turn, "__aenter__", meanwhile)
        on.here.submit("asked", SetData("/a", b"queued", -1))
        on.here.submit("asked", SetData("/a", b"queued", -1))
        await on.until(lambda: len(on.ear_here.answers) == 2 and on.is_free())
        assert met[0] == (before, False, None)
        assert done(on.here.write_now(SetData("/a", b"direct", 2))).zxid == before + 3

    play(scene)


@pytest.mark.parametrize("does", ["commits", "does not commit"])
def test_nobody_commits_before_it_is_known_what_became_of_a_batch(
    place: files.Place, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """Its first commit is done or not, and nobody is told which. Others wait until it is done, once."""
    commit = store.LocalStore.commit
    first: List[Any] = ["first"]

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        before = on.head_rev()

        async def unknown(self: Any, writes: Any) -> None:
            if self is on.other.store and first and writes[0].key.sort == "head":
                first.clear()
                if does == "commits":
                    await commit(self, writes)
                asyncio.get_running_loop().call_later(0.01, wrote.append, on.at_host.write_now(SetData("/a", b"", -1)))
                raise Unknown("the disk does not say")
            await commit(self, writes)

        wrote: List[Any] = []
        monkeypatch.setattr(store.LocalStore, "commit", unknown)
        on.here.submit("asked", SetData("/a", b"1", 0))
        on.here.submit("asked", SetData("/a", b"2", 1))
        await on.until(lambda: len(on.ear_here.answers) == 2 and bool(wrote))
        assert [answer.code for answer in on.ear_here.answers] == [Error.OK] * 2 and wrote == [None]
        assert on.head_rev() == before + 2 and not first

    play(scene)


def test_while_somebody_is_stopped_in_the_middle_of_a_commit_nobody_is_told_that_all_is_well(
    place: files.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a beat is not heard, and who holds a lock is told in time."""
    monkeypatch.setattr(turn, "STILL_S", 0.05)

    async def scene(on: Scene) -> None:
        done(on.here.write_now(MADE))
        stopped: Turn = on.host._turn
        await stopped.__aenter__()
        assert on.here.write_now(SetData("/a", b"x", 0)) is None
        on.here.submit("asked", SetData("/a", b"x", 0))
        with pytest.raises(Unavailable, match="may have been stopped"):
            await on.other.check()
        await stopped.__aexit__()
        await on.other.check()
        await on.until(lambda: bool(on.ear_here.answers))
        files_locked = sqlite3.connect(place.state, isolation_level=None)
        files_locked.execute("BEGIN IMMEDIATE")
        try:
            on.here.submit("asked", SetData("/a", b"y", 1))
            await on.until(lambda: on.other.store.locked_s() > 0.05)
            with pytest.raises(Unavailable, match="may have been stopped"):
                await on.other.check()
        finally:
            files_locked.close()  # which rolls back
        await on.until(lambda: len(on.ear_here.answers) == 2)
        await on.other.check()

    play(scene)


# --- the words ------------------------------------------------------------------------------------


def words(place: files.Place) -> Tuple[progress.Progress, progress.Progress]:
    """As two processes have them."""
    return progress.Progress(progress.shared_words(place)[0]), progress.Progress(progress.shared_words(place)[0])


def test_what_one_notes_all_know(place: files.Place) -> None:
    mine, theirs = words(place)
    assert mine.upto(NS) == theirs.upto(NS) == -1
    mine.note(NS, 7)
    mine.note("other", 9)
    assert theirs.upto(NS) == 7 and theirs.upto("other") == 9 and theirs.upto("third") == -1


def test_where_there_is_no_slot_each_knows_its_own(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SLOTS", 1)
    mine, theirs = words(place)
    mine.note(NS, 7)
    mine.note("other", 9)
    assert (theirs.upto(NS), theirs.upto("other"), mine.upto("other")) == (7, -1, 9)


@pytest.mark.parametrize("why", ["full", "short", "no file"])
def test_without_the_file_each_knows_its_own(place: files.Place, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    if why == "full":
        monkeypatch.setattr(os, "pwrite", full)
    elif why == "short":
        Path(place.words).write_bytes(b"x")
    else:
        os.mkdir(place.words)
    mine, theirs = words(place)
    assert not progress.shared_words(place)[1] and os.listdir(place.directory).count("shared.words") == (why != "full")
    mine.note(NS, 7)
    assert mine.upto(NS) == 7 and theirs.upto(NS) == -1


def test_who_takes_part_in_a_group_may_write_the_words(place: files.Place) -> None:
    os.chmod(place.directory, 0o2770)
    words(place)
    assert os.stat(place.words).st_mode & 0o777 == 0o660
