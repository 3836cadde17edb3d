"""The recipes, among themselves and beside kazoo's own: what lies in the nodes is kazoo's."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Awaitable, Callable, List, Tuple

import pytest
from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeEvent

from fk_kazoo.aio import KazooClient
from fk_kazoo.client import KazooClient as ThreadedClient

from .support import run

Play = Callable[[KazooClient, Any, Callable[..., Awaitable[Any]]], Awaitable[None]]


def beside(url: str, play: Play) -> None:
    """With a client of either kind. ``call`` has a function of kazoo's called in a thread."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
            return await loop.run_in_executor(None, partial(function, *args, **options))

        threaded = ThreadedClient(url)
        async with KazooClient(url) as zk:
            await call(threaded.start)
            try:
                await play(zk, threaded, call)
            finally:
                await call(threaded.stop)
                await call(threaded.close)
                await loop.shutdown_default_executor()

    run(main())


async def _locks(zk: KazooClient, theirs: Any, call: Any) -> None:
    reader = theirs.ReadLock("/rw", "reader")
    await call(reader.acquire)
    async with zk.ReadLock("/rw", "another"):
        assert await call(reader.contenders) == ["reader", "another"]
        assert not await zk.WriteLock("/rw").acquire(blocking=False)
    writer = zk.WriteLock("/rw", "writer")
    waiting = asyncio.ensure_future(writer.acquire())
    while await zk.WriteLock("/rw").contenders() != ["reader", "writer"]:
        await asyncio.sleep(0.01)
    await call(reader.release)
    assert await waiting
    assert not await call(theirs.ReadLock("/rw").acquire, blocking=False)
    with pytest.raises(LockTimeout):
        await zk.ReadLock("/rw").acquire(timeout=0.05)
    pending = zk.Lock("/rw")
    waiting = asyncio.ensure_future(pending.acquire())
    await asyncio.sleep(0.05)
    pending.cancel()
    with pytest.raises(CancelledError):
        await waiting
    assert await writer.release() and not await writer.release()
    assert await zk.get_children("/rw") == []


async def _semaphore(zk: KazooClient, theirs: Any, call: Any) -> None:
    first = theirs.Semaphore("/sem", "theirs", max_leases=2)
    await call(first.acquire)
    async with zk.Semaphore("/sem", "ours", max_leases=2) as second:
        assert sorted(await second.lease_holders()) == ["ours", "theirs"]
        assert not await zk.Semaphore("/sem", max_leases=2).acquire(blocking=False)
        with pytest.raises(LockTimeout):
            await zk.Semaphore("/sem", max_leases=2).acquire(timeout=0.05)
        with pytest.raises(ValueError):
            await zk.Semaphore("/sem", max_leases=3).acquire()
        third = zk.Semaphore("/sem", max_leases=2)
        waiting = asyncio.ensure_future(third.acquire())
        await call(first.release)
        assert await waiting
        await third.release()
    assert await zk.get_children("/sem") == []


async def _election(zk: KazooClient, theirs: Any, call: Any) -> None:
    led: List[str] = []

    async def lead(name: str) -> None:
        assert (await zk.Election("/leader").contenders())[0] == name
        led.append(name)

    await zk.Election("/leader", "ours").run(lead, "ours")
    await call(theirs.Election("/leader", "theirs").run, led.append, "theirs")
    async with zk.Election("/leader", "again"):
        led.append("again")
    assert led == ["ours", "theirs", "again"]


async def _barriers(zk: KazooClient, theirs: Any, call: Any) -> None:
    await call(theirs.Barrier("/barrier").create)
    barrier = zk.Barrier("/barrier")
    assert not await barrier.wait(0.05)
    waiting = asyncio.ensure_future(barrier.wait())
    await call(theirs.Barrier("/barrier").remove)
    assert await waiting and not await barrier.remove()
    other = theirs.DoubleBarrier("/double", 2)
    entering = asyncio.ensure_future(call(other.enter))
    async with zk.DoubleBarrier("/double", 2) as ours:
        await entering
        assert ours.participating and other.participating
        leaving = asyncio.ensure_future(call(other.leave))
    await leaving
    assert [name for name in await zk.get_children("/double") if name != "ready"] == []


async def _queues(zk: KazooClient, theirs: Any, call: Any) -> None:
    await call(theirs.Queue("/queue").put, b"late", 200)
    queue = zk.Queue("/queue")
    await queue.put(b"early", 50)
    assert await queue.size() == 2 and await call(len, theirs.Queue("/queue")) == 2
    assert [await queue.get(), await call(theirs.Queue("/queue").get), await queue.get()] == [b"early", b"late", None]
    locking = zk.LockingQueue("/locking")
    taking = asyncio.ensure_future(locking.get())
    await call(theirs.LockingQueue("/locking").put_all, [b"a", b"b"])
    assert await taking == b"a" and await locking.holds_lock()
    second = theirs.LockingQueue("/locking")
    assert await call(second.get, 5) == b"b"
    assert await zk.LockingQueue("/locking").get(timeout=0.05) is None
    assert await call(second.release) and await locking.consume() and not await locking.consume()
    with pytest.raises(ZeroDivisionError):
        async with zk.LockingQueue("/locking") as value:
            assert value == b"b"
            raise ZeroDivisionError
    async with zk.LockingQueue("/locking") as value:
        assert value == b"b"
    assert await locking.size() == 0 and await zk.get_children("/locking/taken") == []


async def _parties(zk: KazooClient, theirs: Any, call: Any) -> None:
    party = theirs.Party("/party", "theirs")
    await call(party.join)
    async with zk.Party("/party", "ours") as ours:
        assert sorted([member async for member in ours]) == ["ours", "theirs"]
        assert sorted(await call(list, party)) == ["ours", "theirs"] and await ours.size() == 2
    assert await call(list, party) == ["theirs"]
    async with zk.ShallowParty("/shallow", "ours"):
        assert await call(list, theirs.ShallowParty("/shallow")) == ["ours"]


async def _counter(zk: KazooClient, theirs: Any, call: Any) -> None:
    counter, other = zk.Counter("/counter"), theirs.Counter("/counter")
    await call(other.__add__, 5)
    assert await counter.add(2) == 7 and await counter.subtract(3) == 4
    assert (counter.pre_value, counter.post_value) == (7, 4) and await call(lambda: other.value) == 4
    await asyncio.gather(*(zk.Counter("/counter").add(1) for _ in range(3)))
    assert await counter.value() == 7
    assert await zk.Counter("/float", 1.5).add(1.0) == 2.5
    curator = zk.Counter("/curator", support_curator=True)
    await curator.add(3)
    assert await call(lambda: theirs.Counter("/curator", support_curator=True).value) == 3
    with pytest.raises(TypeError):
        await counter.add("1")  # type: ignore[arg-type]


async def _leases(zk: KazooClient, theirs: Any, call: Any) -> None:
    now = datetime(2030, 1, 1)
    minute = timedelta(minutes=1)
    lease = await zk.NonBlockingLease("/lease", minute, "ours", lambda: now)
    assert lease and not await call(theirs.NonBlockingLease, "/lease", minute, "theirs", lambda: now)
    assert await call(theirs.NonBlockingLease, "/lease", minute, "theirs", lambda: now + 2 * minute)
    async with zk.NonBlockingLease("/lease", minute, "ours", lambda: now + 2 * minute) as second:
        assert not second
    obtained = [await zk.MultiNonBlockingLease(2, "/leases", minute, str(number), lambda: now) for number in range(3)]
    assert list(map(bool, obtained)) == [True, True, False]


async def _partitioner(zk: KazooClient, theirs: Any, call: Any) -> None:
    parts = {"a", "b", "c", "d"}
    async with zk.SetPartitioner("/parts", parts, identifier="1", time_boundary=0.2) as ours:
        assert await ours.wait_for_acquire(10) and set(ours) == parts
        other = await call(theirs.SetPartitioner, "/parts", parts, None, "2", 0.2, 0.5)
        assert await ours.wait_for("RELEASE", timeout=10) and ours.release
        await ours.release_set()
        await call(other.wait_for_acquire, 10)
        assert await ours.wait_for_acquire(10)
        assert sorted([*ours, *other]) == sorted(parts) and len(list(ours)) == 2
        await call(other.finish)
    assert ours.failed and await zk.get_children("/parts/party") == []


async def _cache(zk: KazooClient, theirs: Any, call: Any) -> None:
    await call(theirs.create, "/tree/a", b"1", makepath=True)
    told: List[Tuple[int, Any]] = []
    cache = zk.TreeCache("/tree")
    cache.listen(lambda event: told.append((event.event_type, event.event_data and event.event_data.path)))

    async def until(kind: int, path: Any) -> None:
        while (kind, path) not in told:
            await asyncio.sleep(0.01)

    async with cache:
        await until(TreeEvent.INITIALIZED, None)
        assert cache.get_children("/tree") == frozenset("a")
        await call(theirs.create, "/tree/a/b", b"2")
        await until(TreeEvent.NODE_ADDED, "/tree/a/b")
        assert cache.get_data("/tree/a/b") and cache.get_children("/tree/a") == frozenset("b")
        assert zk._connection is not None
        zk._connection.hang_up()
        await call(theirs.set, "/tree/a", b"3")
        await call(theirs.delete, "/tree/a/b")
        await until(TreeEvent.NODE_UPDATED, "/tree/a")
        await until(TreeEvent.NODE_REMOVED, "/tree/a/b")
        assert cache.get_data("/tree/a/b") is None and cache.get_data("/tree/a").data == b"3"  # type: ignore[union-attr]
        with pytest.raises(ValueError):
            cache.get_data("/other")
    assert len(zk._watches) == 0


PLAYS = [_locks, _semaphore, _election, _barriers, _queues, _parties, _counter, _leases, _partitioner, _cache]


@pytest.mark.parametrize("play", PLAYS)
def test_beside_kazoos_own(memory_url: str, play: Play) -> None:
    """Each does what kazoo's does, and keeps out whom kazoo's keeps out, in memory."""
    beside(memory_url, play)


@pytest.mark.parametrize("play", [_locks, _queues])
def test_beside_kazoos_own_on_files(play: Play) -> None:
    """And on files."""
    beside("local://recipes", play)


def test_tasks_share_a_lock(memory_url: str) -> None:
    """One object, many tasks: one at a time; those that are cancelled or late leave the rest their turn."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            lock = zk.Lock("/lock")
            inside: List[int] = []

            async def task(number: int) -> None:
                async with lock:
                    inside.append(number)
                    assert len(await zk.get_children("/lock")) == 1
                    await asyncio.sleep(0.01)
                    assert inside[-1] == number

            tasks = [asyncio.ensure_future(task(number)) for number in range(6)]
            await asyncio.sleep(0.015)
            tasks[3].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(each) for each in done] == [type(None)] * 3 + [asyncio.CancelledError] + [type(None)] * 2
            assert inside == [0, 1, 2, 4, 5]
            async with lock:
                assert not await lock.acquire(blocking=False)
                with pytest.raises(LockTimeout):
                    await lock.acquire(timeout=0.01)
            assert await lock.acquire() and await lock.release()

    run(main())


def test_a_lock_is_waited_for_through_a_lost_connection(memory_url: str) -> None:
    """The contender stays, and has its turn."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            async with other.Lock("/lock"):
                waiting = asyncio.ensure_future(zk.Lock("/lock").acquire())
                while len(await other.get_children("/lock")) < 2:
                    await asyncio.sleep(0.01)
                assert zk._connection is not None
                zk._connection.hang_up()
                await zk.start()
            assert await waiting
            assert len(await other.get_children("/lock")) == 1

    run(main())
