"""Recipes whose object is shared by tasks, whose client ends meanwhile, or whose body fails; in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any, List

import pytest
from kazoo.recipe.partitioner import PartitionState

from fk_backend.errors import Unavailable
from fk_kazoo.aio import KazooClient
from fk_kazoo.exceptions import CancelledError, ConnectionClosedError, ConnectionLoss, LockLostError, NoNodeError
from fk_kazoo.handlers.threading import KazooTimeoutError
from fk_kazoo.locks import Lost

from .support import run as in_real_time
from .test_locks import drop, expire
from .virtual import World, run


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
def test_tasks_that_share_an_object_take_turns(name: str) -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")
        shared: Any = getattr(zk, name)("/held")
        inside: List[int] = []

        async def task() -> None:
            async with shared:
                inside.append(len(inside))
                assert len(inside) == 1 and len(await zk.get_children("/held")) == 1
                await asyncio.sleep(1)
                inside.pop()

        tasks = []
        for _ in range(3):  # one of them has it already
            tasks.append(asyncio.ensure_future(task()))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        assert await zk.get_children("/held") == []

    run(play)


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
def test_who_waits_for_its_turn_is_cancelled_as_who_contends(name: str) -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")
        shared: Any = getattr(zk, name)("/held")
        await shared.acquire()
        waiting = [asyncio.ensure_future(shared.acquire()) for _ in range(2)]
        await asyncio.sleep(1)
        shared.cancel()
        with pytest.raises(CancelledError):
            await asyncio.wait_for(waiting[0], 60)
        await shared.release()
        assert await asyncio.wait_for(waiting[1], 60)  # only one is cancelled at a time, and nobody later
        await shared.release()
        assert await zk.get_children("/held") == []

    run(play)


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
@pytest.mark.parametrize("lost", list(Lost))
def test_who_lost_it_does_not_release_what_another_task_has(name: str, lost: Lost) -> None:
    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        shared: Any = getattr(zk, name)("/held", lost=lost)
        leaves = asyncio.Event()

        async def first() -> None:
            async with shared:
                await leaves.wait()

        late = asyncio.ensure_future(first())
        await asyncio.sleep(1)
        await expire(world, zk)
        async with shared:
            held = await other.get_children("/held")
            leaves.set()
            if lost is Lost.RAISE:
                with pytest.raises(LockLostError):
                    await late
            else:
                await late
            assert len(held) == 1 and await other.get_children("/held") == held and not shared.lost.is_set()
        assert await other.get_children("/held") == []

    run(play)


def test_a_partitioner_that_is_over_is_waited_for_no_longer() -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")
        parts = zk.SetPartitioner("/parts", ["a"], time_boundary=0.1)
        await parts.start()
        assert await parts.wait_for_acquire()
        waiting = asyncio.ensure_future(parts.wait_for(PartitionState.RELEASE))
        await asyncio.sleep(1)
        await zk.stop()
        assert not await asyncio.wait_for(waiting, 1)
        assert parts.failed and await parts.wait_for(PartitionState.FAILURE)

    run(play)


def test_a_body_that_fails_waits_for_nobody_at_a_double_barrier() -> None:
    """A time limit ends it, though others stay; and nobody finds the way open afterwards."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")

        async def body(client: KazooClient) -> None:
            async with client.DoubleBarrier("/double", 2):
                await asyncio.sleep(100)

        stays = asyncio.ensure_future(body(other))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wait_for(body(zk), 5), 10)
        await zk.sync("/")
        assert len(await zk.get_children("/double")) == 1 and not stays.done()
        await stays
        assert await zk.get_children("/double") == []

    run(play)


def test_a_locking_queue_says_what_was_not_done() -> None:
    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        queue = zk.LockingQueue("/queue")
        await queue.put(b"1")
        assert await queue.get() == b"1"
        (name,) = await other.get_children("/queue/entries")
        holds = queue.holds_lock

        async def then_it_goes() -> bool:
            held = await holds()
            await other.delete("/queue/entries/" + name)
            return held

        queue.holds_lock = then_it_goes  # type: ignore[method-assign]
        assert not await queue.consume()
        await queue.release()
        await other.delete("/queue", recursive=True)
        with pytest.raises(NoNodeError):
            await queue.put(b"2")

    run(play)


def test_the_body_of_a_locking_queue_that_lost_its_entry_ends_with_an_error() -> None:
    """What it worked on may be with somebody else: it must not look done."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        await zk.LockingQueue("/queue").put(b"1")
        with pytest.raises(LockLostError):
            async with zk.LockingQueue("/queue"):
                await expire(world, zk)
                assert await other.LockingQueue("/queue").get() == b"1"
        queue = zk.LockingQueue("/queue")
        await queue.put(b"2")
        async with queue as value:
            assert value == b"2" and await queue.consume()

    run(play)


def test_who_waits_for_a_client_that_is_stopped_is_told() -> None:
    """And not cancelled; nor left until his time limit."""

    async def play(world: World) -> None:
        zk = await world.client("zk")
        drop(zk)
        calls = zk.DataWatch("/a", lambda data, stat: None)

        async def first_call() -> None:
            await calls

        waiting = asyncio.ensure_future(first_call())
        await asyncio.sleep(0)
        await zk.stop()
        with pytest.raises((ConnectionClosedError, ConnectionLoss)):
            await waiting

        late = KazooClient("memory://" + world.name)

        async def unreachable() -> bool:
            raise Unavailable("for ever")

        late._attempt = unreachable  # type: ignore[method-assign]
        starting = asyncio.ensure_future(late.start(1000))
        await asyncio.sleep(1)
        await late.stop()
        with pytest.raises(KazooTimeoutError):
            await asyncio.wait_for(starting, 1)

    run(play)


def test_a_cache_goes_on_whatever_its_listeners_raise() -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")

        def bad(_: Any) -> None:
            raise ZeroDivisionError

        cache = zk.TreeCache("/tree")
        cache.listen(bad)
        cache.listen_fault(bad)
        async with cache:
            await asyncio.sleep(1)
            await zk.create("/tree/a", b"1")
            await asyncio.sleep(1)
            found = cache.get_data("/tree/a")
            assert found is not None and found.data == b"1"

    run(play)


def test_a_coroutine_function_is_refused_where_nobody_would_await_it() -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")

        async def function(_: Any) -> None: ...

        for ask in (zk.get, zk.exists, zk.get_children, zk.add_watch):
            with pytest.raises(TypeError, match="coroutine function"):
                await ask("/", function)
        with pytest.raises(TypeError, match="coroutine function"):
            zk.add_listener(function)

    run(play)


def test_what_is_kept_is_made_again_whoever_lost_the_connection(memory_url: str) -> None:
    """Also if that was within a body that is interrupted. In a loop whose tasks have contexts."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other, zk.keep("/kept") as kept:
            with pytest.raises(LockLostError):
                async with zk.Lock("/lock", lost=Lost.RAISE):
                    await other.delete("/kept")
                    drop(zk)
                    zk._session_id, zk._session_passwd = 1, bytes(16)  # which is over
                    while not kept.there:
                        await asyncio.sleep(0.01)
                    assert await other.exists("/kept")

    in_real_time(main())
