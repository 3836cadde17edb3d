"""Who finds another process writing has it commit for him, once, whatever becomes of that process."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, List, Tuple

import pytest

from fk_backend.core.requests import Create, Multi, Result, SetData
from fk_backend.eager import at_once
from fk_backend.errors import Unavailable, Unknown
from fk_backend.messages import encode
from fk_backend.providers import local
from fk_backend.providers.contention import Contention
from fk_backend.providers.local import combining, direct, files, progress, shared_memory, store
from fk_backend.providers.local.combining import COMMIT_LOCK, DONE, LOST, PUBLISHED, REFUSED, TAKEN, Records
from fk_backend.session.engine import Session
from fk_backend.writer import step
from tests.providers.local.conftest import Child, hear
from tests.providers.local.test_direct import MADE, NS, Scene, done, play

MINE, THEIRS = SetData("/a", b"mine", -1), SetData("/a", b"theirs", -1)


IS_LOOPS_THREAD = direct.is_loops_thread


class Interruption(BaseException):
    """What a signal's handler raises, or the end of a process."""


@pytest.fixture(autouse=True)
def in_a_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it seems: these scenes are played in one event loop. What meets anybody is tried again at once."""
    monkeypatch.setattr(direct, "QUEUED_S", 0.0)
    monkeypatch.setattr(direct, "is_loops_thread", lambda: False)


class Waiting:
    """A process that has published a request and waits, with its session."""

    def __init__(self, gateway: Any, session: Session, op: Any) -> None:
        self.direct = gateway.direct
        self.records: Records = self.direct._records
        self.message = session._one(op)
        self.number = self.records.publish(b"%s\n%s" % (NS.encode(), encode(self.message)))

    @property
    def state(self) -> int:
        """Of what it published."""
        return self.records.state(self.number)

    def goes_on(self) -> Any:
        """Its call, which is in the middle of waiting: what comes of it."""
        return at_once(self.direct._with_others(NS, self.message, self.records, Contention(), self.number))


async def with_one_who_waits(on: Scene, op: Any = THEIRS) -> Tuple[Any, Waiting]:
    """A third process; `Scene.here` is about to write."""
    third = await local.connect("d", {})
    session, _ = await on.session(third)
    done(on.here.write_now(MADE))
    return third, Waiting(third, session, op)


def test_what_waits_is_committed_together(place: files.Place, monkeypatch: Any) -> None:
    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        before = on.head_rev()
        commits: List[Any] = []
        commit = store.LocalStore.commit

        async def counted(self: Any, writes: Any) -> None:
            commits.append(writes)
            await commit(self, writes)

        monkeypatch.setattr(store.LocalStore, "commit", counted)
        assert waiting.state == PUBLISHED
        mine = done(on.here.write_now(MINE))
        assert waiting.state == DONE and on.head_rev() == before + 2 and len(commits) == 1
        theirs = direct._decoded(waiting.records.answer())
        assert (mine.value[4], theirs.result.value[4]) == (1, 2), "versions: each was done, in this order"
        assert waiting.goes_on() == theirs and not waiting.records.number
        assert on.is_free(), "nobody is told anything but them"
        done(on.here.write_now(SetData("/a", b"", 2)))
        await third.close()

    play(scene)


def test_each_is_judged_by_itself(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on, SetData("/a", b"", 7))
        done(on.here.write_now(MINE))
        assert direct._decoded(waiting.records.answer()).result.code == -103
        await third.close()

    play(scene)


@pytest.mark.parametrize("when", ["before the commit", "after the commit", "while it answers"])
def test_who_commits_may_end_at_any_moment(place: files.Place, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Then whoever has the lock next finds out what came of it: it is done once."""
    commit = store.LocalStore.commit

    async def before(self: Any, writes: Any) -> None:
        raise Interruption

    async def after(self: Any, writes: Any) -> None:
        await commit(self, writes)
        raise Interruption

    def answering(self: Any, *arguments: Any) -> None:
        raise Interruption

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        with monkeypatch.context() as patched:
            if when == "while it answers":
                patched.setattr(Records, "settle", answering)
            else:
                patched.setattr(store.LocalStore, "commit", before if when == "before the commit" else after)
            with pytest.raises(Interruption):
                on.here.write_now(MINE)
        assert waiting.state == TAKEN
        zxid = on.head_rev()
        answer = waiting.goes_on()
        if when == "before the commit":
            assert answer is None and on.head_rev() == zxid, "it was not done, and the queue is for it"
        else:
            assert answer.result.value[4] == 2 and on.head_rev() == zxid
        assert not waiting.records.number
        await third.close()

    play(scene)


def test_the_next_who_commits_does_not_do_again_what_is_done(place: files.Place, monkeypatch: Any) -> None:
    def answering(self: Any, *arguments: Any) -> None:
        raise Interruption

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        with monkeypatch.context() as patched:
            patched.setattr(Records, "settle", answering)
            with pytest.raises(Interruption):
                on.here.write_now(MINE)
        on.here.finish_fan_out()
        zxid = on.head_rev()
        await on.until(lambda: on.is_free() and on.other.direct._progress.upto(NS) == zxid)
        done(on.here.write_now(SetData("/a", b"", 2)))
        assert on.head_rev() == zxid + 1 and waiting.state == DONE
        assert direct._decoded(waiting.records.answer()).result.value[4] == 2
        await third.close()

    play(scene)


async def committed_before_it_is_looked_at(on: Scene, waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has committed ends before he answers, and the host commits before anybody looks."""

    def answering(self: Any, *arguments: Any) -> None:
        raise Interruption

    with monkeypatch.context() as patched:
        patched.setattr(Records, "settle", answering)
        with pytest.raises(Interruption):
            on.here.write_now(MINE)
    for _ in range(3):
        await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"host", -1))


def test_the_host_may_commit_before_anybody_looks(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heads keep the answer."""

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        await committed_before_it_is_looked_at(on, waiting, monkeypatch)
        assert waiting.goes_on().result.value[4] == 2
        assert not waiting.records.number
        await third.close()

    play(scene)


def test_what_was_not_committed_is_known_after_further_commits(place: files.Place, monkeypatch: Any) -> None:
    async def defer_interrupts(self: Any, writes: Any) -> None:
        raise Interruption

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        with monkeypatch.context() as patched:
            patched.setattr(store.LocalStore, "commit", defer_interrupts)
            with pytest.raises(Interruption):
                on.here.write_now(MINE)
        for _ in range(3):
            await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"host", -1))
        assert waiting.state == TAKEN and waiting.goes_on() is None
        assert on.head_rev() and not waiting.records.number
        await third.close()

    play(scene)


def test_what_nobody_can_tell_any_more_is_unknown(place: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads do not keep answers for ever."""
    monkeypatch.setattr(step, "CARRIED_ZXIDS", 1)
    monkeypatch.setattr(direct, "CARRIED_ZXIDS", 1)

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        await committed_before_it_is_looked_at(on, waiting, monkeypatch)
        with pytest.raises(Unknown):
            waiting.goes_on()
        assert not waiting.records.number
        await third.close()

    play(scene)


@pytest.mark.parametrize("why", ["not told", "locked"])
def test_what_was_definitely_not_committed_is_as_it_was_before(
    place: files.Place, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Whatever the host commits meanwhile: who waits is told nothing by that, and goes on waiting."""

    async def defer_interrupts(self: Any, writes: Any) -> None:
        if why == "locked":
            await asyncio.sleep(0)
        raise Unavailable("it is not told")

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        monkeypatch.setattr(direct, "WAIT_S", 0.0)
        with monkeypatch.context() as patched:
            patched.setattr(store.LocalStore, "commit", defer_interrupts)
            assert on.here.write_now(MINE) is None
        assert waiting.state == PUBLISHED
        for _ in range(3):
            await on.asked(on.at_host, on.ear_at_host, SetData("/a", b"host", -1))
        await on.until(on.is_free)
        done(on.here.write_now(MINE))
        assert waiting.state == DONE
        await third.close()

    play(scene)


def test_who_waits_for_too_long_withdraws_and_it_is_not_done_later(place: files.Place, monkeypatch: Any) -> None:
    """As when who has the lock is stopped, in front of its commit: that finds that it must not be."""
    monkeypatch.setattr(direct, "WAIT_S", 0.02)
    commit = store.LocalStore.commit
    stopped: List[Waiting] = []

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        stopped.append(waiting)

        async def stop_first(self: Any, writes: Any) -> None:
            if self is on.other.store and stopped:
                waits = stopped.pop()
                assert waits.state == TAKEN
                assert waits.goes_on() is None and not waits.records.number
            await commit(self, writes)

        monkeypatch.setattr(store.LocalStore, "commit", stop_first)
        assert on.here.write_now(MINE) is None, "what it has taken is not there any more"
        done(on.here.write_now(MINE))
        assert on.head_rev() and waiting.state == LOST, "it is nobody's"
        assert done(on.here.write_now(SetData("/a", b"", 1))).value[4] == 2, "theirs was not done"
        await third.close()

    play(scene)


def test_who_is_interrupted_while_he_waits_leaves_nothing_to_be_done(place: files.Place, monkeypatch: Any) -> None:
    async def scene(on: Scene) -> None:
        third, _ = await with_one_who_waits(on)
        records = on.other.direct._records

        def interrupted(*arguments: Any) -> None:
            raise Interruption

        monkeypatch.setitem(shared_memory._held, (records._memory.path, COMMIT_LOCK), object())
        monkeypatch.setattr(Records, "wait", interrupted)
        with pytest.raises(Interruption):
            on.here.write_now(MINE)
        assert records.number
        monkeypatch.delitem(shared_memory._held, (records._memory.path, COMMIT_LOCK))
        on.here.finish_fan_out()
        assert not records.number
        await third.close()

    play(scene)


def test_in_an_event_loop_nobody_waits(place: files.Place, monkeypatch: Any) -> None:
    """All that it serves would wait along: the queue has the message."""

    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        monkeypatch.setattr(direct, "is_loops_thread", IS_LOOPS_THREAD)
        monkeypatch.setitem(shared_memory._held, (waiting.records._memory.path, COMMIT_LOCK), object())
        monkeypatch.setattr(Records, "wait", lambda *arguments: pytest.fail("it waits"))
        assert on.here.write_now(MINE) is None and not on.other.direct._records.number
        await third.close()

    play(scene)


def test_what_is_no_message_is_refused(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        for body in (b"", b"ns", b"ns\n", b"ns\nnonsense", b"other\n"):
            waiting.records.retract()
            waiting.number = waiting.records.publish(body)
            done(on.here.write_now(MINE))
            assert waiting.state == (REFUSED if body.startswith(b"ns") else PUBLISHED)
        await third.close()

    play(scene)


def test_what_has_no_room_is_for_the_queue(place: files.Place, monkeypatch: Any) -> None:
    async def scene(on: Scene) -> None:
        third, waiting = await with_one_who_waits(on)
        monkeypatch.setitem(shared_memory._held, (waiting.records._memory.path, COMMIT_LOCK), object())
        many = tuple(SetData("/a", b"", -1) for _ in range(direct.MAX_PARTS + 1))
        assert on.here.write_now(SetData("/a", bytes(combining.MAX_MESSAGE_BYTES), -1)) is None
        assert on.here.write_now(Multi(many)) is None
        monkeypatch.setattr(combining, "RECORDS", 0)
        assert on.at_host.write_now(Create("/b", b"", MADE.acl, 0, 0, False)) is None, "no record is left for it"
        await third.close()

    play(scene)


def test_an_answer_that_has_no_room_goes_without_the_triggers(place: files.Place) -> None:
    long = tuple(direct.unpacked([[7, "/" + "x" * 200, 1]] * 30))
    answer = direct._decoded(direct._encoded(direct.Written(Result(0, None, 7), 9, 3, long)))
    assert answer == direct.Written(Result(0, None, 7), 9, 9, ()), "every trigger after 9 is told"


def test_a_record_is_one_process_and_then_another_ones(place: files.Place, child: Child) -> None:
    files.prepare("d")
    progress.shared_words(place)
    first = child("published", "d")
    assert hear(first) == "0" and hear(child("published", "d")) == "1"
    first.kill()
    first.wait()
    assert hear(child("published", "d")) == "0"


def test_several_processes_write_one_node(place: files.Place, child: Child) -> None:
    """Nothing is lost, and nothing done twice."""
    first = child("sets", "d", 0)
    hear(first)
    crew = [child("sets", "d", 60) for _ in range(4)]
    assert sorted(int(hear(each)) for each in (*crew, *crew)) == [0] * 4 + [240] * 4


def test_who_sleeps_is_woken(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        records = on.other.direct._records
        assert records.publish(b"ns\n")
        bell = records.bell()
        ringing = threading.Thread(target=lambda: (time.sleep(0.05), combining.ring(records._words, records._mine)))
        ringing.start()
        began = time.monotonic()
        records.wait(bell, 10.0)
        assert time.monotonic() - began < 5.0
        ringing.join()
        records.wait(bell, 10.0)
        assert time.monotonic() - began < 5.0, "it has rung already"
        records.retract()

    play(scene)
