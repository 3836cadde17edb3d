"""Timed lock, atomic counter, atomic list: what FaaSKeeper builds on, each of them on conditional writes of a `Store`.

Source: Copik et al., "FaaSKeeper: Learning from Building Serverless Services with ZooKeeper as an Example" (HPDC '24),
synchronization primitives. Two things differ. A lease is judged by the clock of whoever waits for it, not by
timestamps of different machines: an item that stood still for the lease has been abandoned. And a list is an item per
entry, not one that grows, so that appending costs the same at any length.

None of them keeps anything in memory that matters: a lock that forgets what it saw reads or waits more, and that is
all. Every call raises what `ports.Store` raises; after Unknown the docstring says what to do. Costs are in requests to
the store.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from . import codec
from .errors import Conflict
from .ports import Clock, Item, Key, Put, Remove, Store

WRITES_AT_ONCE = 100
"""Writes in one commit of a list (what a transaction of DynamoDB may hold)."""


class Held(NamedTuple):
    """A lock that is held: what to hand to the next call. ``fence`` stays while it is held, ``rev`` does not."""

    fence: int
    holder: str
    value: bytes
    """Of the item that it guards."""
    rev: int


class TimedLock:
    """One holder at a time, until it releases the lock or stands still for the lease.

    The lock is in the item whose value it guards, as the paper's is: taking it, writing under it, and writing and
    releasing are one conditional write each. The holder of an expired lease may not know, so nothing is written by a
    holder but under that condition: `write`, `release`, or `guard` in a commit of more. Fences grow, also across
    releases, so they can be passed on to order effects elsewhere.

    Every write makes the item's rev one more, so that nothing is overwritten unseen; the item is never removed.
    """

    def __init__(self, store: Store, clock: Clock, key: Key, lease_ms: int) -> None:
        """``key``: the item. What else it is to guard has to be committable together with that table."""
        self._store = store
        self._clock = clock
        self._key = key
        self._lease_ms = lease_ms
        self._seen: Optional[Tuple[Item, float]] = None
        self._free: Optional[Item] = None

    async def acquire(self, holder: str) -> Optional[Held]:
        """The lock, or None while somebody else holds it. One commit where nobody came between the last release by
        this object and now; if somebody did, or this is the first call, one read more. None: one read, or both.

        A lock that is held is watched from the first call on, and taken by the first call after it stood still for
        its holder's lease: call again. ``holder`` is a name that nobody else uses: who has the lock already gets it
        under a new fence, so after Unknown, call again.
        """
        if self._free is not None:
            item, self._free = self._free, None
            held = await self._take(item, holder)
            if held is not None:
                return held
        (found,) = await self._store.get([self._key])
        if found is not None and _lock_of(found)[0] and not self._may_take(found, holder):
            return None
        return await self._take(found, holder)

    async def write(self, held: Held, value: bytes) -> Optional[Held]:
        """Writes the value and starts the lease anew; None if the lock is lost. One commit.

        After Unknown, `acquire` again: it tells the value.
        """
        put, after = self.guard(held, value)
        return after if await self._commits(put) else None

    async def renew(self, held: Held) -> Optional[Held]:
        """Starts the lease anew; None if the lock is lost. One commit. After Unknown, `acquire` again."""
        return await self.write(held, held.value)

    async def release(self, held: Held, value: Optional[bytes] = None) -> bool:
        """Frees the lock, and writes a value if there is one; False if it was lost already. One commit.

        After Unknown, `acquire` again to know; who does not care may leave the rest to the lease.
        """
        free = self._item(held.rev + 1, "", 0, held.value if value is None else value)
        if not await self._commits(Put(self._key, free, expect=held.rev)):
            return False
        self._free = free
        return True

    def guard(self, held: Held, value: Optional[bytes] = None) -> Tuple[Put, Held]:
        """For a commit of more that the lock protects: Conflict if it was lost; if not, the lease starts anew.

        The second one is what is held once that is committed.
        """
        after = held._replace(rev=held.rev + 1, value=held.value if value is None else value)
        return Put(self._key, self._item(after.rev, after.holder, after.fence, after.value), expect=held.rev), after

    async def _take(self, item: Optional[Item], holder: str) -> Optional[Held]:
        rev = 0 if item is None else item.rev
        held = Held(rev + 1, holder, b"" if item is None else _lock_of(item)[3], rev + 1)
        if not await self._commits(Put(self._key, self._item(held.rev, holder, held.fence, held.value), expect=rev)):
            return None
        self._seen = None
        return held

    def _item(self, rev: int, holder: str, fence: int, value: bytes) -> Item:
        return Item(rev, codec.dumps([holder, self._lease_ms, fence, value]))

    def _may_take(self, item: Item, holder: str) -> bool:
        name, lease_ms = _lock_of(item)[:2]
        now = self._clock.monotonic()
        if self._seen is None or self._seen[0] != item:
            self._seen = (item, now)
        return bool(name == holder or (now - self._seen[1]) * 1000 >= lease_ms)

    async def _commits(self, write: Put) -> bool:
        try:
            await self._store.commit([write])
        except Conflict:
            return False
        return True


def _lock_of(item: Item) -> Tuple[str, int, int, bytes]:
    """Holder ("": nobody), lease in ms, fence, value."""
    holder, lease_ms, fence, value = codec.loads(item.body)
    return holder, lease_ms, fence, value


class AtomicCounter:
    """A number that any number of writers add to. It is the item's rev; absent is 0. 64 bits, signed."""

    def __init__(self, store: Store, key: Key) -> None:
        self._store = store
        self._key = key

    async def add(self, by: int = 1) -> int:
        """Adds, atomically, and returns the sum. One request. After Unknown it was added once or not at all."""
        return await self._store.increment(self._key, by)

    async def value(self) -> int:
        """What it is now: every `add` that returned is in it. One read."""
        (item,) = await self._store.get([self._key])
        return 0 if item is None else item.rev


class Entry(NamedTuple):
    """An entry of a list. Positions are unique for ever, and grow in the order in which they were given out."""

    position: int
    body: bytes


class Entries(NamedTuple):
    """A stretch of a list, in order. ``more`` says whether it goes on."""

    entries: List[Entry]
    more: bool


class AtomicList:
    """Entries in the order of their positions, one item each, in a partition that nothing else is in.

    What was appended before an append began comes before it. Of appends that overlap, a later position may be seen
    before an earlier one, and an append that failed leaves a gap; so who follows a list by its last position has to
    look back over what was under way.
    """

    _NEXT = "!"
    _FIRST = "0"

    def __init__(self, store: Store, table: str, partition: str) -> None:
        self._store = store
        self._table = table
        self._partition = partition
        self._positions = AtomicCounter(store, Key(table, partition, self._NEXT))

    async def append(self, body: bytes) -> int:
        """Adds an entry and returns its position. Two requests at any length. After Unknown: once or not at all."""
        return (await self.extend([body]))[0]

    async def extend(self, bodies: Sequence[bytes]) -> List[int]:
        """Adds entries next to each other, all or nothing; at most `WRITES_AT_ONCE`. Two requests."""
        if not bodies:
            return []
        if len(bodies) > WRITES_AT_ONCE:
            raise ValueError("at most %d entries at once" % WRITES_AT_ONCE)
        last = await self._positions.add(len(bodies))
        positions = list(range(last - len(bodies) + 1, last + 1))
        await self._store.commit([Put(self._at(p), Item(p, body), expect=0) for p, body in zip(positions, bodies)])
        return positions

    async def entries(self, start: int = 0, limit: int = 1000) -> Entries:
        """Entries from position ``start`` on, at most ``limit``. One query."""
        page = await self._store.query(self._table, self._partition, _sort(start), limit=limit)
        return Entries([Entry(item.rev, item.body) for _, item in page.rows], page.more)

    async def remove(self, positions: Sequence[int]) -> None:
        """Removes entries; those that are gone already are no error. A commit for every `WRITES_AT_ONCE`: each is
        atomic, all together are not. After Unknown, call again."""
        for first in range(0, len(positions), WRITES_AT_ONCE):
            keys = {self._at(position) for position in positions[first : first + WRITES_AT_ONCE]}
            await self._store.commit([Remove(key) for key in sorted(keys)])

    async def truncate(self, before: int) -> int:
        """Removes every entry below position ``before``; how many. Not atomic. After Unknown, call again.

        A query and a commit for every `WRITES_AT_ONCE` entries.
        """
        removed = 0
        while True:
            page = await self._store.query(
                self._table, self._partition, self._FIRST, _sort(before), limit=WRITES_AT_ONCE
            )
            await self.remove([item.rev for _, item in page.rows])
            removed += len(page.rows)
            if not page.more:
                return removed

    def _at(self, position: int) -> Key:
        return Key(self._table, self._partition, _sort(position))


def _sort(position: int) -> str:
    """Of a position: digits, so that it comes after the counter, and of one width, so that it sorts as a number."""
    return "%016x" % max(position, 0)
