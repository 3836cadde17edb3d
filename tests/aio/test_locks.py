"""Locks that tell the truth, among tasks: fences, what is lost, who is interrupted, and who would wait for himself.

In virtual time. What a connection or a session ends by is done to it, and not waited for.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any, List

import pytest
from kazoo.protocol.states import KazooState

from fk_backend.providers import memory
from fk_kazoo import logs
from fk_kazoo.aio import KazooClient
from fk_kazoo.exceptions import (
    ConnectionLoss,
    LockLostError,
    NodeExistsError,
    PayloadTooLargeError,
    ReentrantLockError,
)
from fk_kazoo.locks import Lost
from fk_kazoo.why import Reason

from .virtual import World, run

RECIPES = ["Lock", "ReadLock", "WriteLock", "Semaphore", "Election"]
RAISE = Lost.RAISE


def drop(zk: KazooClient) -> None:
    """The connection is lost."""
    assert zk._connection is not None
    zk._connection.hang_up()


async def expire(world: World, zk: KazooClient) -> None:
    """The session is over, and the client knows."""
    from fk_backend.core.requests import Expire
    from fk_backend.layout import beat_key
    from fk_backend.messages import Message, encode

    deployment: Any = memory.deployment(world.name)
    session = zk._session_id
    for number in itertools.count():
        (beats,) = await deployment.store.get([beat_key("default", session)])
        expiry = Expire(session, 0 if beats is None else beats.rev)
        await deployment.send("default", "heartbeat:%s:%d" % (session, number), encode(Message("", 0, 0, (expiry,), 0)))
        await asyncio.sleep(0.1)
        if zk._session_id != session:
            break
    await zk.start()


# --- fences ---


def test_a_fence_grows_with_every_holder_and_is_the_czxid() -> None:
    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        fences: List[int] = []
        for client in (zk, other, zk, other):
            async with client.Lock("/lock") as lock:
                stat = await client.exists("/lock/%s" % lock.node)
                assert stat is not None and lock.fence == stat.czxid
                fences.append(lock.fence)
        assert fences == sorted(set(fences))
        with pytest.raises(LockLostError, match="not held"):
            lock.fence  # noqa: B018
        async with zk.Semaphore("/leases", max_leases=2) as first, other.Semaphore("/leases", max_leases=2) as second:
            assert first.fence < second.fence
        async with zk.Election("/leader") as one:
            before = one.fence
        async with other.Election("/leader") as two:
            assert two.fence > before

    run(play)


def test_a_fence_through_a_lost_answer() -> None:
    """The contender is found again, and its fence is that of the node."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        await zk.ensure_path("/lock")
        lock = zk.Lock("/lock")
        acquiring = asyncio.ensure_future(lock.acquire())
        while not await other.get_children("/lock"):
            await asyncio.sleep(0)
        drop(zk)
        assert await acquiring
        (node,) = await other.get_children("/lock")
        stat = await other.exists("/lock/" + node)
        assert stat is not None and lock.fence == stat.czxid
        await lock.release()

    run(play)


# --- lost ---


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("how", ["suspended", "expired", "deleted", "stopped"])
def test_lost_is_set(name: str, how: str) -> None:
    """Before the listeners are told; it stays set, and the next one is new. A change of the node's data is no end."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        held: Any = getattr(zk, name)("/lock")
        await held.acquire()
        lost = held.lost
        (node,) = await other.get_children("/lock")
        await other.set("/lock/" + node, b"changed")
        await zk.sync("/")
        assert not lost.is_set()
        told: List[bool] = []
        zk.add_listener(lambda state: told.append(lost.is_set()))
        if how == "suspended":
            drop(zk)
        elif how == "expired":
            await expire(world, zk)
        elif how == "stopped":
            await zk.stop()
        else:
            await other.delete("/lock/" + node)
        await asyncio.wait_for(lost.wait(), 5)
        assert set(told) == (set() if how == "deleted" else {True})
        await zk.start()
        assert lost.is_set()
        await held.release()
        assert await asyncio.wait_for(held.acquire(), 60) and not held.lost.is_set()
        await held.release()
        assert not held.lost.is_set()
        await zk.sync("/")
        assert len(zk._watches) == 0 and not zk._held_nodes

    run(play)


def test_a_lock_whose_session_is_over_can_be_had_again() -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")
        lock = zk.Lock("/lock")
        await lock.acquire()
        before = lock.fence
        await expire(world, zk)
        assert await asyncio.wait_for(lock.acquire(), 60) and lock.fence > before

    run(play)


# --- bodies that are interrupted ---


@pytest.mark.parametrize("name", RECIPES)
def test_a_body_is_interrupted_at_its_next_call(name: str) -> None:
    """Nothing is sent for it. Its child tasks are a part of it; other tasks go on. The lock is given back."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        children: List[object] = []

        async def child() -> None:
            children.extend(await asyncio.gather(zk.create("/by-a-child"), return_exceptions=True))

        with pytest.raises(LockLostError, match="/lock"):
            async with getattr(zk, name)("/lock", lost=RAISE):
                async with zk.Lock("/inner"):
                    drop(zk)
                    await asyncio.ensure_future(child())
                    await asyncio.get_running_loop().create_task(other.create("/by-another"))
                    await zk.create("/never")
        assert isinstance(children[0], LockLostError)
        await zk.start()
        assert await zk.create("/after") and await other.exists("/never") is None
        assert await zk.sync("/") and await other.get_children("/lock") == [] == await other.get_children("/inner")

    run(play)


def test_a_body_that_asks_for_nothing_hears_of_it_at_its_end() -> None:
    """Unless it raised something else; and what `run` awaits is a body."""

    async def play(world: World) -> None:
        zk = await world.client("zk")
        with pytest.raises(LockLostError):
            async with zk.Lock("/lock", lost=RAISE):
                drop(zk)
        await zk.start()
        with pytest.raises(ZeroDivisionError):
            async with zk.Lock("/lock", lost=RAISE):
                drop(zk)
                raise ZeroDivisionError
        await zk.start()
        async with zk.Lock("/lock"):
            drop(zk)

        async def lead() -> None:
            await expire(world, zk)
            await zk.get("/")

        await zk.start()
        election = zk.Election("/lock", lost=RAISE)
        with pytest.raises(LockLostError):
            await election.run(lead)
        await zk.start()

    run(play)


# --- who has it already ---


def test_who_would_wait_for_himself_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def play(world: World) -> None:
        zk = await world.client("zk")
        async with zk.ReadLock("/lock") as held:
            for again in (held, zk.WriteLock("/lock")):
                with pytest.raises(ReentrantLockError, match=r"test_locks\.py:"):
                    await again.acquire()
            assert await zk.ReadLock("/lock").acquire(timeout=1)
            assert not await zk.WriteLock("/lock").acquire(blocking=False)
        async with zk.Semaphore("/leases"):
            with pytest.raises(ReentrantLockError):
                await zk.Semaphore("/leases").acquire()
        lock = zk.Lock("/other")
        await lock.acquire()
        asyncio.get_running_loop().call_later(1, lambda: asyncio.ensure_future(lock.release()))
        with caplog.at_level(logging.WARNING, "fk_kazoo"):
            assert await lock.acquire()  # somebody else may be meant to release it
        assert "unless another task releases it" in caplog.text
        assert await lock.release()

    run(play)


# --- create_once, keep, why ---


@pytest.mark.parametrize("kind", ["sequence", "ephemeral", "plain"])
def test_there_is_no_second_node(kind: str) -> None:
    """Wherever the connection is lost while it is made."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        await zk.ensure_path("/q")
        for delay in range(0, 40, 2):
            asyncio.get_running_loop().call_later(delay / 1000, drop, zk)
            made = await zk.create_once("/q/n-", b"mine", ephemeral=kind == "ephemeral", sequence=kind == "sequence")
            assert made.startswith("/q/_c_" if kind == "sequence" else "/q/n-")
            await asyncio.sleep(0.1)
            assert await other.get_children("/q") == [made.rpartition("/")[2]]
            with pytest.raises(NodeExistsError):
                await other.create_once(made, b"theirs")
            await other.delete(made)
        with pytest.raises(PayloadTooLargeError):
            await zk.create_once("/q/large", bytes(2_000_000))

    run(play)


def test_a_kept_node_is_there_in_every_session() -> None:
    """Waits for who has it meanwhile, and is gone when it is given up."""

    async def play(world: World) -> None:
        zk, other = await world.client("zk"), await world.client("other")
        async with zk.keep("/services/web", b"1") as kept:
            assert kept.there and (await other.get("/services/web"))[0] == b"1"
            with pytest.raises(NodeExistsError):
                await other.keep("/services/web")
            await kept.set(b"2")
            await expire(world, zk)
            while not kept.there:
                await asyncio.sleep(0.01)
            data, stat = await other.get("/services/web")
            assert data == b"2" and stat.ephemeralOwner == zk._session_id
            await other.delete("/services/web")
            await other.create("/services/web", b"theirs", ephemeral=True)
            await expire(world, zk)
            await asyncio.sleep(0.5)
            assert not kept.there and (await zk.get("/services/web"))[0] == b"theirs"
            await other.delete("/services/web")
            while not kept.there:
                await asyncio.sleep(0.01)
        assert await other.exists("/services/web") is None
        again = await zk.keep("/services/web")
        await again.close()
        await again.close()
        assert await other.exists("/services/web") is None and not zk._listeners and not zk._tasks

    run(play)


def test_every_reason(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a listener it is about the state that it is told; lines name deployment and session."""
    monkeypatch.setattr(logs, "_last", {})  # lines about the same thing are left out for a while

    async def play(world: World) -> None:
        zk = KazooClient("memory://" + world.name)
        assert zk.why.reason == Reason.NOT_STARTED
        zk = await world.client("zk")
        assert zk.why.reason == Reason.CONNECTED
        told: List[Any] = []
        zk.add_listener(lambda state: told.append((state, zk.why.reason)))
        session = "session 0x%x" % zk._session_id
        with caplog.at_level(logging.INFO, "fk_kazoo"):
            async with zk.Lock("/lock"):
                drop(zk)
                await zk.start()
                await expire(world, zk)
            await zk.stop()
        assert told == [
            (KazooState.SUSPENDED, Reason.DISCONNECTED),
            (KazooState.CONNECTED, Reason.CONNECTED),
            (KazooState.LOST, Reason.EXPIRED),
            (KazooState.CONNECTED, Reason.CONNECTED),
            (KazooState.LOST, Reason.CLOSED),
        ]
        assert session in caplog.text and "memory://" in caplog.text and "/lock" in caplog.text
        assert zk.why.reason == Reason.CLOSED

    run(play)


def test_an_unanswered_call_is_no_interruption() -> None:
    """What is on its way when the connection is lost raises ConnectionLoss, as ever."""

    async def play(world: World) -> None:
        zk = await world.client("zk")
        with pytest.raises(ConnectionLoss):
            async with zk.Lock("/lock", lost=RAISE):
                asyncio.get_running_loop().call_soon(drop, zk)
                await zk.create("/a")
        await zk.start()

    run(play)
