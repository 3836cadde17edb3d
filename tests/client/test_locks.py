"""Locks that tell the truth: fences, what is lost, who is interrupted, and who would wait for himself."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Any, Callable, List

import kazoo.client
import kazoo.recipe.election
import kazoo.recipe.lock
import pytest
from kazoo.exceptions import NoNodeError

from fk_kazoo.exceptions import LockLostError, ReentrantLockError
from fk_kazoo.locks import Lost
from tests.client.programs.support import Program, eventually

Make = Callable[..., Any]
RECIPES = ["Lock", "ReadLock", "WriteLock", "Semaphore", "Election"]
RAISE = Lost.RAISE


def _children(zk: Any, path: str) -> List[str]:
    return list(zk.get_children(path))


# --- kazoo's stay kazoo's ---


@pytest.mark.parametrize("name", RECIPES)
def test_they_are_kazoos_and_kazoos_stay_as_they_are(zk: Any, name: str) -> None:
    module = kazoo.recipe.election if name == "Election" else kazoo.recipe.lock
    theirs = getattr(module, name)
    made = getattr(zk, name)("/x")
    assert isinstance(made, theirs) and type(made) is not theirs
    plain = kazoo.client.KazooClient("127.0.0.1:1")
    assert type(getattr(plain, name)("/x")) is theirs and not hasattr(theirs, "fence")


def test_what_an_app_put_in_the_place_of_kazoos_stays(zk_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fk_kazoo.client import KazooClient

    class Mine(kazoo.recipe.lock.Lock):  # type: ignore[misc,unused-ignore]
        pass

    monkeypatch.setattr("kazoo.client.Lock", Mine)
    made: Any = KazooClient(zk_url).Lock("/x")
    assert type(made) is Mine


# --- fences ---


def test_a_fence_grows_with_every_holder_and_is_the_czxid(zk: Any, zk_client: Make) -> None:
    other, fences = zk_client(), []
    for client in (zk, other, zk, other):
        with client.Lock("/lock") as lock:
            assert lock.fence == client.exists("/lock/" + lock.node).czxid
            fences.append(lock.fence)
    assert fences == sorted(set(fences))


def test_a_writers_fence_is_greater_than_its_readers_and_the_next_ones_than_his(zk: Any) -> None:
    readers = [zk.ReadLock("/lock"), zk.ReadLock("/lock")]
    for reader in readers:
        reader.acquire()
    before = [reader.fence for reader in readers]
    for reader in readers:
        reader.release()
    with zk.WriteLock("/lock") as writer:
        assert writer.fence > max(before)
        written = writer.fence
    with zk.ReadLock("/lock") as reader:
        assert reader.fence > written


def test_leases_and_leaders_have_fences_and_are_told_what_is_lost(zk: Any, zk_faults: Any) -> None:
    with zk.Semaphore("/leases", max_leases=2) as first, zk.Semaphore("/leases", max_leases=2) as second:
        assert first.fence < second.fence and not first.lost.is_set()
    seen: List[int] = []
    election = zk.Election("/election", "me")

    def lead() -> None:
        seen.append(election.fence)
        if len(seen) == 2:
            zk_faults.disconnect(zk)
            assert election.lost.is_set()
        else:
            assert not election.lost.is_set()

    election.run(lead)
    election.run(lead)
    assert seen[0] < seen[1]


def test_no_fence_of_what_is_not_held(zk: Any, zk_faults: Any) -> None:
    lock = zk.Lock("/lock")
    for _ in range(2):
        with pytest.raises(LockLostError, match="not held"):
            lock.fence  # noqa: B018
        with lock:
            kept = lock.fence
    lock.acquire()
    zk_faults.expire(zk)
    with pytest.raises(LockLostError, match="not asked for before"):
        lock.fence  # noqa: B018
    lock.acquire()
    assert lock.fence > kept


# --- lost ---


def test_lost_is_set_while_it_is_suspended_and_stays_set(zk: Any, zk_faults: Any) -> None:
    lock = zk.Lock("/lock")
    lock.acquire()
    lost = lock.lost
    assert not lost.is_set()
    with zk_faults.partition(zk):
        assert lost.is_set()
    eventually(lambda: zk.connected)
    assert lost.is_set()
    lock.release()
    lock.acquire()
    assert not lock.lost.is_set()
    lock.release()
    assert not lock.lost.is_set()


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
@pytest.mark.parametrize("how", ["expired", "deleted", "stopped", "restored"])
def test_lost_is_set(zk: Any, zk_client: Make, zk_faults: Any, name: str, how: str) -> None:
    other, lock = zk_client(), getattr(zk, name)("/lock")
    lock.acquire()
    lost = lock.lost
    assert not lost.is_set()
    if how == "expired":
        zk_faults.expire(zk)
    elif how == "stopped":
        zk.stop()
    else:
        if how == "restored":  # a change of the node's data is none of its end
            other.set("/lock/" + _children(other, "/lock")[0], b"changed")
            assert not lost.wait(0.05)
        other.delete("/lock/" + _children(other, "/lock")[0])
    assert lost.wait(10)


def test_a_lock_that_outlives_its_session_is_lost_when_its_node_is(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other, lock = zk_client(), zk.Lock("/lock")
    lock.acquire(ephemeral=False)
    lost = lock.lost
    zk_faults.expire(zk)
    zk.sync("/")
    assert not lost.is_set()
    other.delete("/lock/" + lock.node)
    assert lost.wait(10)


def test_a_lock_whose_session_is_over_can_be_had_again(zk: Any, zk_faults: Any) -> None:
    """kazoo's own waits for ever: it takes itself to be acquired."""
    lock = zk.Lock("/lock")
    assert lock.acquire()
    zk_faults.expire(zk)
    assert lock.acquire() and lock.is_acquired and _children(zk, "/lock") == [lock.node]


# --- a body is interrupted ---


def test_a_body_is_interrupted_at_once_and_the_lock_goes_on(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other, lock = zk_client(), zk.Lock("/lock", lost=RAISE)
    began = time.monotonic()
    with zk_faults.partition(zk):
        pass  # a partition takes a moment to begin
    eventually(lambda: zk.connected)
    with pytest.raises(LockLostError, match=r"/lock may be held by somebody else: .*cut off"):
        with lock:
            partition = zk_faults.partition(zk)
            partition.__enter__()
            zk.set("/lock", b"")
    assert not zk.connected and not lock.is_acquired and time.monotonic() - began < 10
    partition.__exit__(None, None, None)
    assert other.Lock("/lock").acquire(timeout=10)  # the node of the one that was lost is deleted, session or not
    with zk_faults.partition(other):
        zk.exists("/lock")  # what comes after the body is not interrupted


def test_every_kind_of_body_is_interrupted(zk: Any, zk_faults: Any) -> None:
    def expire_and_call() -> None:
        zk_faults.expire(zk)
        zk.get_children_async("/")

    for name in ("Lock", "ReadLock", "WriteLock", "Semaphore"):
        with pytest.raises(LockLostError), getattr(zk, name)("/" + name, lost=RAISE):
            expire_and_call()
    with pytest.raises(LockLostError):
        zk.Election("/election", lost=RAISE).run(expire_and_call)


def test_a_body_that_asks_for_nothing_hears_of_it_at_its_end(zk: Any, zk_faults: Any) -> None:
    with pytest.raises(LockLostError, match="/lock"):
        with zk.Lock("/lock", lost=RAISE):
            zk_faults.expire(zk)
    with zk.Lock("/lock", lost=RAISE):
        zk.exists("/lock")
    with pytest.raises(ZeroDivisionError):  # what a body raises is not hidden
        with zk.Lock("/lock", lost=RAISE):
            zk_faults.expire(zk)
            raise ZeroDivisionError


def test_nobody_but_the_body_is_interrupted(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other, done = zk_client(), []
    with pytest.raises(LockLostError):
        with zk.Lock("/lock", lost=RAISE), zk.Lock("/plain"):
            zk_faults.expire(zk)
            thread = threading.Thread(target=lambda: done.append(zk.exists("/lock")))
            thread.start()
            thread.join(10)
            assert other.exists("/lock") and done and done[0] is not None
            zk.exists("/lock")


def test_locks_within_the_body_are_released(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    """Their session is alive: what is not deleted would stay locked."""
    other = zk_client()
    with pytest.raises(LockLostError):
        with zk.Lock("/outer", lost=RAISE) as outer, zk.Lock("/inner"), zk.Semaphore("/leases"):
            other.delete("/outer/" + outer.node)
            assert outer.lost.wait(10)
            zk.exists("/")
    for recipe in (other.Lock("/inner"), other.Semaphore("/leases")):
        assert recipe.acquire(timeout=10)


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
def test_who_lost_it_does_not_release_what_another_thread_has(
    zk: Any, zk_client: Make, zk_faults: Any, name: str
) -> None:
    """By the same object, since the session has expired."""
    other, shared = zk_client(), getattr(zk, name)("/held")
    entered, leaves = threading.Event(), threading.Event()

    def work() -> None:
        with shared:
            entered.set()
            leaves.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    zk_faults.expire(zk)
    with shared:
        held = _children(other, "/held")
        leaves.set()
        thread.join(10)
        assert len(held) == 1 and _children(other, "/held") == held
    assert _children(other, "/held") == []


def test_who_waits_within_the_body_leaves_nothing_behind(zk: Any, zk_client: Make) -> None:
    other = zk_client()
    theirs = other.Lock("/inner")
    theirs.acquire()
    with pytest.raises(LockLostError):
        with zk.Lock("/outer", lost=RAISE) as outer:
            inner = zk.Lock("/inner")

            def lose() -> None:
                eventually(lambda: len(_children(other, "/inner")) == 2)
                other.delete("/outer/" + outer.node)
                outer.lost.wait(10)
                theirs.release()

            thread = threading.Thread(target=lose)
            thread.start()
            inner.acquire()
    thread.join(10)
    eventually(lambda: not _children(other, "/inner"), what="the contender is gone")


# --- who has it already ---


@pytest.mark.parametrize("again", ["the object", "the path", "to write what is read"])
def test_who_would_wait_for_himself_is_told(zk: Any, again: str) -> None:
    lock = zk.ReadLock("/lock") if "read" in again else zk.Lock("/lock")
    second = lock if again == "the object" else zk.WriteLock("/lock")
    with lock:
        with pytest.raises(ReentrantLockError, match=r"/lock .*test_locks\.py:\d+, and is not re-entrant"):
            second.acquire()
        with pytest.raises(ReentrantLockError), second:
            pass
        assert lock.is_acquired and not second.acquire(blocking=False)
    with second:
        pass
    assert not _children(zk, "/lock")


def test_leases_are_counted(zk: Any) -> None:
    with zk.Semaphore("/leases", max_leases=2), zk.Semaphore("/leases", max_leases=2):
        with pytest.raises(ReentrantLockError):
            zk.Semaphore("/leases", max_leases=2).acquire()


def test_what_does_not_wait_for_itself_goes_on(zk: Any, zk_client: Make) -> None:
    with zk.ReadLock("/lock"), zk.ReadLock("/lock"):
        assert not zk_client().WriteLock("/lock").acquire(blocking=False)
    lock = zk.Lock("/lock")
    with lock:
        taken: List[bool] = []
        thread = threading.Thread(target=lambda: taken.append(zk.Lock("/lock").acquire()))
        thread.start()
        eventually(lambda: len(_children(zk, "/lock")) == 2)
    thread.join(10)
    assert taken == [True]


def test_one_object_twice_in_the_main_thread(zk: Any) -> None:
    lock = zk.Lock("/lock")
    lock.acquire()
    with pytest.raises(ReentrantLockError):
        lock.acquire()


def test_what_another_thread_may_release_is_waited_for_with_a_word(zk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A thread of a pool works for one after another."""
    lock, again = zk.Lock("/lock"), zk.Lock("/lock")
    with caplog.at_level(logging.WARNING, "fk_kazoo"):
        thread = threading.Thread(target=lambda: (lock.acquire(), again.acquire()))
        thread.start()
        eventually(lambda: "asked for by who has it already" in caplog.text)
        assert "test_locks.py" in caplog.text and "/lock" in caplog.text
        lock.release()
        thread.join(10)
    assert again.is_acquired


# --- with other handlers ---


@pytest.mark.parametrize("kind, patch", [("gevent", "plain"), ("eventlet", "patched")])
def test_among_greenlets(run: Callable[..., Program], memory_url: str, kind: str, patch: str) -> None:
    pytest.importorskip(kind, reason="%s is not installed" % kind)
    program = run("green_locks", kind, patch, memory_url)
    assert program.end(60) == 0, program.output
    assert program.output[-1] == "done" and "Traceback" not in "".join(program.output), program.output


def test_a_recipe_that_is_bound_keeps_its_options(zk: Any) -> None:
    made = partial(zk.Lock, "/lock", lost=RAISE)()
    with made:
        assert made.contenders() == [""]
    with pytest.raises(NoNodeError):
        zk.get("/lock/" + "gone")
