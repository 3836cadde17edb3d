"""Whoever is cancelled leaves nothing behind: at every await of every recipe and operation, in virtual time.

Nothing is: no node of a contender, no watch, neither here nor in the store, no request, no task. What is looked at
is what another client sees, and what is left in the deployment, in the session and in the client.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Callable, Coroutine, Dict, List, Tuple

import pytest

from fk_kazoo.aio import KazooClient
from fk_kazoo.locks import Lost

from .virtual import Stepped, World, run, told_apart

R = "/r"
Body = Callable[[KazooClient], Coroutine[Any, Any, object]]


async def nothing(other: KazooClient) -> None:
    """Nobody is in the way."""


async def holds_lock(other: KazooClient) -> None:
    """Somebody has the lock for a while."""
    async with other.Lock(R):
        await asyncio.sleep(0.5)


async def lock(zk: KazooClient) -> None:
    async with zk.Lock(R, "me"):
        await asyncio.sleep(0.1)


async def lock_that_tells(zk: KazooClient) -> None:
    async with zk.Lock(R, lost=Lost.RAISE) as held:
        assert held.fence and not held.lost.is_set()
        await zk.exists(R)


async def kept(zk: KazooClient) -> None:
    async with zk.keep(R + "/kept", b"1") as node:
        await node.set(b"2")


async def made_once(zk: KazooClient) -> None:
    await zk.ensure_path(R)
    await zk.create_once(R + "/once", b"x", ephemeral=True)


async def lock_in_time(zk: KazooClient) -> None:
    await asyncio.wait_for(_acquired(zk), 5)


async def _acquired(zk: KazooClient) -> None:
    async with zk.Lock(R):
        pass


async def read_lock(zk: KazooClient) -> None:
    async with zk.ReadLock(R):
        await zk.exists(R)


async def write_lock(zk: KazooClient) -> None:
    async with zk.WriteLock(R):
        await zk.exists(R)


async def election(zk: KazooClient) -> None:
    async def lead() -> None:
        await asyncio.sleep(0.1)

    await zk.Election(R, "me").run(lead)


async def semaphore(zk: KazooClient) -> None:
    async with zk.Semaphore(R, "me", max_leases=1):
        await asyncio.sleep(0.1)


async def holds_lease(other: KazooClient) -> None:
    async with other.Semaphore(R, max_leases=1):
        await asyncio.sleep(0.5)


async def barrier_wait(zk: KazooClient) -> None:
    await zk.Barrier(R + "/barrier").wait()


async def holds_barrier(other: KazooClient) -> None:
    await other.ensure_path(R)
    async with other.Barrier(R + "/barrier"):
        await asyncio.sleep(0.5)


async def barrier(zk: KazooClient) -> None:
    async with zk.Barrier(R + "/barrier"):
        await asyncio.sleep(0.1)


async def double_barrier(zk: KazooClient) -> None:
    async with zk.DoubleBarrier(R, 2, "me"):
        await asyncio.sleep(0.1)


async def enters_too(other: KazooClient) -> None:
    await asyncio.sleep(0.2)
    try:
        async with other.DoubleBarrier(R, 2):
            await asyncio.sleep(0.3)
    finally:
        await other.delete(R + "/ready", recursive=True)


async def party(zk: KazooClient) -> None:
    async with zk.Party(R, "me") as joined:
        assert await joined.members() == ["me"]


async def shallow_party(zk: KazooClient) -> None:
    async with zk.ShallowParty(R, "me") as joined:
        assert await joined.size() == 1


async def queue_get(zk: KazooClient) -> None:
    queue = zk.LockingQueue(R)
    async with queue as value:
        assert value == b"entry"
        await asyncio.sleep(0.1)


async def puts_late(other: KazooClient) -> None:
    await asyncio.sleep(0.3)
    await other.LockingQueue(R).put(b"entry")


async def lease(zk: KazooClient) -> None:
    assert await zk.NonBlockingLease(R, timedelta(seconds=60), "me")


async def watch(zk: KazooClient) -> None:
    await zk.ensure_path(R)
    async with zk.watch(R, recursive=True) as events:
        async for event in events:
            if event.path == R + "/made":
                break


async def watch_by_callback(zk: KazooClient) -> None:
    for read in (zk.exists, zk.get_children, zk.get):
        await zk.ensure_path(R)
        await read(R, lambda event: None)
        await zk.remove_all_watches(R)


async def add_watch(zk: KazooClient) -> None:
    await zk.add_watch(R, lambda event: None)
    await zk.remove_all_watches(R)


async def makes_late(other: KazooClient) -> None:
    await asyncio.sleep(0.3)
    await other.ensure_path(R)
    await other.create(R + "/made")
    await asyncio.sleep(0.3)
    await other.delete(R + "/made")


async def data_watch(zk: KazooClient) -> None:
    async with zk.data_watch(R + "/made") as seen:
        async for data, _ in seen:
            if data is not None:
                break


async def data_calls(zk: KazooClient) -> None:
    made = asyncio.Event()

    async def look(data: object, stat: object) -> bool:
        if data is not None:
            await zk.exists(R)
            made.set()
        return data is None

    watch = zk.DataWatch(R + "/made", look)
    try:
        await watch
        await made.wait()
    finally:
        watch.stop()


async def children_watch(zk: KazooClient) -> None:
    await zk.ensure_path(R)
    async with zk.children_watch(R) as seen:
        async for names in seen:
            if "made" in names:
                break


async def tree_cache(zk: KazooClient) -> None:
    async with zk.TreeCache(R) as cache:
        while cache.get_data(R + "/made") is None:
            await asyncio.sleep(0.05)


async def partitioner(zk: KazooClient) -> None:
    async with zk.SetPartitioner(R, {"a", "b"}, time_boundary=0.2) as parts:
        assert await parts.wait_for_acquire(5)
        assert sorted(parts) == ["a", "b"]


async def another_client(zk: KazooClient) -> None:
    await zk.ensure_path(R)
    async with KazooClient(str(zk.deployment) + R, auth_data=[("digest", "me:secret")]) as another:
        await another.create("/mine", ephemeral=True)


PLAYS: Dict[str, Tuple[Body, Body, List[str]]] = {
    "lock": (lock, holds_lock, []),
    "lock that tells": (lock_that_tells, holds_lock, []),
    "kept": (kept, nothing, []),
    "made once": (made_once, nothing, [R + "/once"]),
    "lock in time": (lock_in_time, holds_lock, []),
    "read lock": (read_lock, holds_lock, []),
    "write lock": (write_lock, holds_lock, []),
    "election": (election, holds_lock, []),
    "semaphore": (semaphore, holds_lease, []),
    "semaphore that is free": (semaphore, nothing, []),
    "waiting at a barrier": (barrier_wait, holds_barrier, []),
    "barrier": (barrier, nothing, []),
    "double barrier": (double_barrier, enters_too, []),
    "party": (party, nothing, []),
    "shallow party": (shallow_party, nothing, []),
    "locking queue": (queue_get, puts_late, [R + "/entries", R + "/taken", R + "/entries/entry-100-0000000000"]),
    "lease": (lease, nothing, []),
    "watch": (watch, makes_late, [R + "/made"]),
    "watch by callback": (watch_by_callback, nothing, []),
    "added watch": (add_watch, nothing, []),
    "data watch": (data_watch, makes_late, [R + "/made"]),
    "data watch that calls": (data_calls, makes_late, [R + "/made"]),
    "children watch": (children_watch, makes_late, [R + "/made"]),
    "tree cache": (tree_cache, makes_late, [R + "/made"]),
    "another client": (another_client, nothing, [R + "/mine"]),
    "partitioner": (partitioner, nothing, [R + "/locks", R + "/locks/a", R + "/locks/b", R + "/party"]),
}
"""What is done, what somebody else does meanwhile, and what may be there afterwards beside ``/r`` and what it locks."""


def cancelled(name: str, at: int, how: str) -> Tuple[int, bool]:
    """How many awaits there were, and whether it was cancelled."""
    body, meanwhile, may_stay = PLAYS[name]
    outcome: List[Any] = []

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        way = asyncio.ensure_future(meanwhile(other))
        await asyncio.sleep(0.01)
        stepped = Stepped(body(zk), at, how, zk)
        outcome.append(await stepped.run())
        outcome.append(stepped.awaits)
        if outcome[0]:  # a double barrier waits for who does not come any more
            way.cancel()
        await asyncio.gather(way, return_exceptions=True)
        await zk.start()  # where the connection was lost: until there is another one
        await asyncio.sleep(1.0)
        left = [path for root in (R, R + "-__lock__") for path in await told_apart(world, root)]
        if not outcome[0]:
            left = [path for path in left if not path.endswith("/lease_holder")]  # it was obtained, for its time
        assert not set(left).difference(may_stay), left
        assert len(zk._watches) == 0, zk._watches._watchers
        assert zk._connection is not None and not zk._connection.calls and not zk._queue
        assert world.interests() == []
        assert not zk._tasks and not zk._listeners and not zk._held_nodes and zk.connected

    run(play)
    return outcome[1], outcome[0]


@pytest.mark.parametrize("how", ["early", "late", "dropped"])
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_is_left_behind(name: str, how: str) -> None:
    """Cancelled at its first await, at its second, …, and not at all."""
    at, was_cancelled = 0, True
    while was_cancelled:
        at += 1
        awaits, was_cancelled = cancelled(name, at, how)
    assert awaits >= max(1, at - 1)


async def _set_up(zk: KazooClient) -> None:
    await zk.ensure_path(R + "/old")


WRITES: Dict[str, Tuple[Body, Tuple[List[str], List[str]]]] = {
    "create": (lambda zk: zk.create(R + "/new"), ([], ["new"])),
    "create with its parents": (lambda zk: zk.create(R + "/a/b", makepath=True), ([], ["a"])),
    "delete": (lambda zk: zk.delete(R + "/old"), (["old"], [])),
    "transaction": (lambda zk: _transaction(zk), (["old"], ["x", "y", "z"])),
}


async def _transaction(zk: KazooClient) -> None:
    async with zk.transaction() as three:
        for name in "xyz":
            three.create("%s/%s" % (R, name))
        three.delete(R + "/old")


@pytest.mark.parametrize("how", ["early", "late", "dropped"])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_done_as_a_whole_or_not(name: str, how: str) -> None:
    """Whenever its task is cancelled; and the client goes on."""
    body, (before, after) = WRITES[name]

    def cancelled_at(at: int) -> bool:
        outcome: List[bool] = []

        async def play(world: World) -> None:
            zk, other = await world.client("zk"), await world.client("other")
            await _set_up(other)
            outcome.append(await Stepped(body(zk), at, how, zk).run())
            await zk.start()
            await zk.sync(R)
            seen = sorted(await other.get_children(R))
            keeps_old = ["old"] if name.startswith("create") else []
            assert seen in (sorted([*before, *keeps_old]), sorted([*after, *keeps_old]))
            assert outcome[0] or seen == sorted([*after, *keeps_old])
            assert zk._connection is not None and not zk._connection.calls and not len(zk._watches)

        run(play)
        return outcome[0]

    at = 1
    while cancelled_at(at):
        at += 1
    assert at > 1


def test_something_left_behind_would_be_seen() -> None:
    """A lock without its cleaning up: a contender is found."""

    class Careless:
        def __init__(self, zk: KazooClient) -> None:
            self.zk = zk

        async def body(self) -> None:
            await self.zk.ensure_path(R)
            await self.zk.create(R + "/contender-", ephemeral=True, sequence=True)
            await asyncio.sleep(1)

    PLAYS["careless"] = (lambda zk: Careless(zk).body(), nothing, [])
    try:
        with pytest.raises(AssertionError, match="contender"):
            for at in range(1, 20):
                cancelled("careless", at, "early")
    finally:
        del PLAYS["careless"]
