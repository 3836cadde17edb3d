"""What timed lock, atomic counter and atomic list keep to on any store. Run as `store_checks` are run::

class TestMyPrimitives(PrimitiveChecks):
    async def open_store(self):
        return MyStore(...)
"""

from __future__ import annotations

import asyncio
from typing import Awaitable, Callable, List, Optional, Sequence, cast

from ..ports import INTEREST, STATE, Item, Key, Store
from ..primitives import WRITES_AT_ONCE, AtomicCounter, AtomicList, Held, TimedLock
from .harness import Checked, Sandbox, check, put

LEASE_MS = 1000


class ManualClock:
    """`ports.Clock` that only moves when it is told to, or slept on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._drawn = 0

    def now_ms(self) -> int:
        """The same time, in ms."""
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        """The same time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Moves on at once."""
        self.seconds += seconds
        await asyncio.sleep(0)

    def random_bytes(self, count: int) -> bytes:
        """Different every time."""
        self._drawn += 1
        return self._drawn.to_bytes(count, "big")


def lock_of(at: Sandbox, clock: Optional[ManualClock] = None) -> TimedLock:
    """The lock of this check, as one process has it."""
    return TimedLock(at.store, clock or ManualClock(), at.key("lock"), LEASE_MS)


async def held(lock: TimedLock, holder: str) -> Held:
    """What an acquisition gives that has to succeed."""
    given = await lock.acquire(holder)
    assert given is not None
    return given


class LockChecks(Checked):
    """Exclusion, leases, fences."""

    @check
    async def test_of_contending_holders_one_gets_the_lock(self, at: Sandbox) -> None:
        last = 0
        for _ in range(5):
            locks = [lock_of(at) for _ in range(self.concurrency)]
            given = await asyncio.gather(*[lock.acquire(str(n)) for n, lock in enumerate(locks)])
            (winner,) = [n for n, each in enumerate(given) if each is not None]
            won = given[winner]
            assert won is not None and won.fence > last
            assert await locks[winner].release(won)
            last = won.fence

    @check
    async def test_what_the_lock_guards_is_never_done_by_two(self, at: Sandbox) -> None:
        """Unguarded reading and writing under the lock loses nothing, in its own item and beside it."""
        counted = at.key("counted")

        async def work(name: str) -> None:
            lock = lock_of(at)
            for _ in range(3):
                mine = await lock.acquire(name)
                while mine is None:
                    await asyncio.sleep(0.001)
                    mine = await lock.acquire(name)
                item = await at.one(counted)
                await asyncio.sleep(0)
                guard, mine = lock.guard(mine)
                await at.store.commit([guard, put(counted, item.rev + 1 if item else 1)])
                more = b"%d" % (int(mine.value or b"0") + 1)
                assert await lock.release(mine, more)

        await asyncio.gather(*[work(str(n)) for n in range(5)])
        assert await at.one(counted) == Item(15, b"")
        assert (await held(lock_of(at), "last")).value == b"15"

    @check
    async def test_a_lock_that_stands_still_for_its_lease_is_free(self, at: Sandbox) -> None:
        clock = ManualClock()
        first = await held(lock_of(at), "gone")
        lock = lock_of(at, clock)
        assert await lock.acquire("next") is None
        clock.seconds += LEASE_MS / 1000 - 0.001
        assert await lock.acquire("next") is None
        clock.seconds += 0.001
        assert (await held(lock, "next")).fence > first.fence

    @check
    async def test_a_renewed_lock_is_not_free(self, at: Sandbox) -> None:
        clock = ManualClock()
        holders, lock = lock_of(at), lock_of(at, clock)
        mine: Optional[Held] = await held(holders, "alive")
        for beat in range(6):
            assert mine is not None and await lock.acquire("next") is None
            if beat % 3 == 0:
                mine = await holders.renew(mine)
            elif beat % 3 == 1:
                mine = await holders.write(mine, b"%d" % beat)
            else:
                guard, mine = holders.guard(mine)
                await at.store.commit([guard])
            clock.seconds += LEASE_MS / 1000

    @check
    async def test_who_lost_the_lock_can_do_nothing_with_it(self, at: Sandbox) -> None:
        lock = lock_of(at)
        lost = await held(lock, "a")
        assert await lock.release(lost, b"kept")
        await self._is_worth_nothing(at, lock, lost)
        mine = await held(lock, "b")
        await self._is_worth_nothing(at, lock, lost)
        assert mine.value == b"kept"
        assert await lock.renew(mine)

    async def _is_worth_nothing(self, at: Sandbox, lock: TimedLock, lost: Held) -> None:
        assert await lock.renew(lost) is None
        assert await lock.write(lost, b"late") is None
        assert not await lock.release(lost, b"late")
        assert await at.refused(put(at.key("effect"), 1), lock.guard(lost, b"late")[0])
        assert await at.one(at.key("effect")) is None

    @check
    async def test_what_was_written_before_the_lock_was_taken_away_is_not_lost(self, at: Sandbox) -> None:
        """The holder writes once more while another one, who waited for the lease, is about to take the lock."""
        clock = ManualClock()
        holders = lock_of(at)
        mine = await held(holders, "slow")
        late = at.store.get

        async def get(keys: Sequence[Key]) -> List[Optional[Item]]:
            found = await late(keys)
            assert await holders.write(mine, b"written") is not None
            return found

        lock = lock_of(at, clock)
        assert await lock.acquire("next") is None
        clock.seconds += LEASE_MS / 1000
        slow = TimedLock(cast(Store, _Reading(at.store, get)), clock, at.key("lock"), LEASE_MS)
        slow._seen = lock._seen
        assert await slow.acquire("next") is None
        clock.seconds += LEASE_MS / 1000
        assert await lock.acquire("next") is None, "it was renewed"
        clock.seconds += LEASE_MS / 1000
        assert (await held(lock, "next")).value == b"written"

    @check
    async def test_who_released_the_lock_last_takes_it_without_reading(self, at: Sandbox) -> None:
        async def no_get(keys: Sequence[Key]) -> List[Optional[Item]]:
            raise AssertionError("read")

        lock = lock_of(at)
        assert await lock.release(await held(lock, "a"), b"1")
        lock._store = cast(Store, _Reading(at.store, no_get))
        mine = await held(lock, "a")
        assert mine.value == b"1" and await lock.release(mine)
        lock._store = at.store
        other = lock_of(at)
        assert await other.release(await held(other, "b"), b"2")
        assert (await held(lock, "a")).value == b"2", "somebody came between"

    @check
    async def test_the_holder_itself_gets_the_lock_anew(self, at: Sandbox) -> None:
        """After a lost answer: under a new fence, at once, and still only one has it."""
        first = await held(lock_of(at), "a")
        second = await held(lock_of(at), "a")
        assert second.fence > first.fence and not await lock_of(at).renew(first)
        assert await lock_of(at).acquire("b") is None


class _Reading:
    """A store with another `get`."""

    def __init__(self, store: Store, get: Callable[[Sequence[Key]], Awaitable[List[Optional[Item]]]]) -> None:
        self.get, self.commit = get, store.commit


class CounterAndListChecks(Checked):
    """Counting, appending, removing."""

    @check
    async def test_counter(self, at: Sandbox) -> None:
        counter = AtomicCounter(at.store, at.key("c", table=INTEREST))
        assert await counter.value() == 0
        sums = await asyncio.gather(*[counter.add(2) for _ in range(self.concurrency)])
        assert sorted(sums) == list(range(2, 2 * self.concurrency + 1, 2))
        assert await counter.add(-3) == await counter.value() == 2 * self.concurrency - 3

    @check
    async def test_list_keeps_the_order_of_appends(self, at: Sandbox) -> None:
        entries = AtomicList(at.store, STATE, at.prefix + "list")
        assert await read(entries, 10) == []
        for n in range(20):  # past 9 and 15, where text and numbers may sort differently
            await entries.append(b"%d" % n)
        assert await read(entries, 7) == [b"%d" % n for n in range(20)]

    @check
    async def test_list_loses_no_append(self, at: Sandbox) -> None:
        entries = AtomicList(at.store, INTEREST, at.prefix + "list")
        bodies = [b"%d" % n for n in range(self.concurrency)]
        positions = await asyncio.gather(*[entries.append(body) for body in bodies])
        assert len(set(positions)) == len(bodies)
        assert await read(entries, 1000) == [body for _, body in sorted(zip(positions, bodies))]

    @check
    async def test_list_extends_at_once(self, at: Sandbox) -> None:
        entries = AtomicList(at.store, STATE, at.prefix + "list")
        first = await entries.append(b"first")
        positions = await entries.extend([b"", at.large, b"last"])
        assert positions == list(range(first + 1, first + 4)) and await entries.extend([]) == []
        assert await read(entries, 2) == [b"first", b"", at.large, b"last"]
        page = await entries.entries(positions[1], 1)
        assert page.entries == [(positions[1], at.large)] and page.more
        try:
            await entries.extend([b""] * (WRITES_AT_ONCE + 1))
        except ValueError:
            pass
        else:
            raise AssertionError("taken")

    @check
    async def test_list_removes_and_truncates(self, at: Sandbox) -> None:
        entries = AtomicList(at.store, STATE, at.prefix + "list")
        positions = await entries.extend([b"%d" % n for n in range(6)])
        await entries.remove([positions[1], positions[4], positions[4], 10**6])
        assert await read(entries, 2) == [b"0", b"2", b"3", b"5"]
        assert await entries.truncate(positions[3]) == 2
        assert await read(entries, 2) == [b"3", b"5"]
        assert await entries.truncate(10**6) == 2
        assert await entries.append(b"later") > positions[-1], "a position was used twice"

    @check
    async def test_list_truncates_more_than_a_commit_holds(self, at: Sandbox) -> None:
        entries = AtomicList(at.store, INTEREST, at.prefix + "list")
        for _ in range(2):
            await entries.extend([b""] * WRITES_AT_ONCE)
        (position,) = await entries.extend([b"kept"])
        assert await entries.truncate(position) == 2 * WRITES_AT_ONCE
        assert await read(entries, 10) == [b"kept"]


async def read(entries: AtomicList, limit: int) -> List[bytes]:
    """All of a list, page by page."""
    bodies: List[bytes] = []
    start, more = 0, True
    while more:
        found, more = await entries.entries(start, limit)
        assert len(found) <= limit
        bodies.extend(entry.body for entry in found)
        start = found[-1].position + 1 if found else start
    return bodies


class PrimitiveChecks(LockChecks, CounterAndListChecks):
    """All of them. Subclass it as ``Test...``."""
