"""Once a day, what nothing belongs to any more is removed: what a crash or a client that never came back has left.

Nothing young is touched: it may be about to belong to something. A session that owns nothing does not beat, so it is
asked to, through its inbox, and what its counter stood at is noted; if it stands there the next day, the session is
ended. What a queue tells of itself does not count: SQS API Reference, GetQueueAttributes, "the
ApproximateNumberOfMessages... metrics may not achieve consistency until at least 1 minute after the producers stop
sending messages".

Tables are read page by page. What is kept for longer is a name for each inbox and for each object in the bucket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from typing import Awaitable, Callable, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple, TypeVar

from ... import codec, layout
from ...core.model import Blob, Session
from ...core.requests import Expire
from ...errors import Conflict
from ...functions.heartbeat import SENDER
from ...mac import shared_name
from ...messages import Message, encode, message_id
from ...ports import INTEREST, SESSIONS, STATE, Item, Key, Put
from .blobs import S3Blobs
from .queues import Queues
from .store import REQUESTS_AT_ONCE, DynamoStore
from .ticks import Orders

log = logging.getLogger(__name__)

MIN_AGE_S = 3600.0
"""What is younger is left alone."""
ENDED_AT_ONCE = 100
"""Sessions that one message ends."""
MAX_MESSAGES = 80
"""Of those, to one namespace in a sweep: so many orders are remembered (`ticks.ORDERS_KEPT_S`), and a few ticks'."""

T = TypeVar("T")
R = TypeVar("R")
Owned = Tuple[str, int]
"""A namespace and the id of a session."""


class Swept(NamedTuple):
    """How much was removed, or told to end."""

    inboxes: int
    registrations: int
    blobs: int
    sessions: int
    woken: int


async def _each(work: Callable[[T], Awaitable[R]], items: Sequence[T]) -> List[R]:
    """Side by side, as many at a time as there are connections."""
    done: List[R] = []
    for first in range(0, len(items), REQUESTS_AT_ONCE):
        done.extend(await asyncio.gather(*map(work, items[first : first + REQUESTS_AT_ONCE])))
    return done


class Sweep:
    """One sweep of a whole deployment. Reads all of its tables."""

    def __init__(
        self, store: DynamoStore, queues: Queues, blobs: S3Blobs, orders: Orders, young_s: float = MIN_AGE_S
    ) -> None:
        self._store = store
        self._queues = queues
        self._blobs = blobs
        self._orders = orders
        self._min_age_s = young_s
        self._run = secrets.token_hex(8)
        self._messages: "Counter[str]" = Counter()
        """To end sessions, by namespace."""

    async def __call__(self) -> Swept:
        """Sweeps; may be called again at any time."""
        left = set(await self._blobs.older_than(self._min_age_s))  # before the nodes: what is named later is younger
        woken = await self._state(left)
        await self._blobs.remove(sorted(left))
        live: Set[str] = set()
        ended = 0
        async for page in self._store.pages(SESSIONS):
            ended += await self._sessions(page, live)
        registrations = await self._registrations(live)
        return Swept(await self._inboxes(live), registrations, len(left), ended, woken)

    async def _state(self, left: Set[str]) -> int:
        """Takes from ``left`` what a node names. Namespaces whose heartbeat should go on, woken once more."""
        woken = 0
        async for page in self._store.pages(STATE):
            for key, item in page:
                if key.sort == layout.NODE:
                    data = layout.node_of(item).data
                    if isinstance(data, Blob):
                        left.discard(data.key)
                elif key.sort == "head" and layout.head_of(item).ticking:
                    woken += 1
                    await self._queues.wake(key.partition[:-1])
        return woken

    # --- sessions -------------------------------------------------------------------------------

    async def _sessions(self, page: Iterable[Tuple[Key, Item]], live: Set[str]) -> int:
        """Looks at what is in a page; adds the names of their queues to ``live``. How many were told to end."""
        sessions: List[Tuple[str, Session]] = []
        owners: Set[Owned] = set()
        asked: Dict[Owned, Key] = {}
        for key, item in page:
            ns, _, what = key.partition.rpartition(":")
            if what == "sessions":
                sessions.append((ns, layout.session_of(item)))
            elif what == "asked":
                asked[ns, int(key.sort, 16)] = key
            elif key.sort.startswith("/") and what != "reapable":
                owners.add((ns, int(what, 16)))
        live.update(shared_name(session.inbox) for _, session in sessions)
        await self._list(sorted(owners))
        there = await self._store.load([layout.session_key(*each) for each in asked])
        await self._store.discard([key for key, session in zip(asked.values(), there) if session is None])
        return await self._ask(sessions)

    async def _list(self, owners: Sequence[Owned]) -> None:
        """Who owns something is among the holders, where the heartbeat finds it: versions before did not do that."""
        listed = await self._store.load([layout.holder_key(*owner) for owner in owners])
        unlisted = [owner for owner, holder in zip(owners, listed) if holder is None]
        found = await self._store.load([layout.session_key(*owner) for owner in unlisted])
        for (ns, _), item in zip(unlisted, found):
            if item is not None:
                session = layout.session_of(item)
                put = Put(layout.holder_key(ns, session.id), layout.holder_item(session, 1), expect=0)
                try:
                    await self._store.commit([put])
                except Conflict:
                    pass  # the writer did
                await self._queues.wake(ns)

    async def _ask(self, sessions: Sequence[Tuple[str, Session]]) -> int:
        """Asks those that need not beat for a sign of life, and ends who gave none since it was asked the last time.

        A connection that took the session over since was not asked: the inbox is another one then. And who is asked is
        asked before that is noted: who was not asked is not judged.
        """
        keys = [layout.holder_key(ns, session.id) for ns, session in sessions]
        keys += [layout.asked_key(ns, session.id) for ns, session in sessions]
        keys += [layout.beat_key(ns, session.id) for ns, session in sessions]
        found, count = await self._store.load(keys), len(sessions)
        fresh: List[Tuple[str, Session, int]] = []
        silent: List[Tuple[str, Session, int]] = []
        for (ns, session), holder, before, beats in zip(
            sessions, found[:count], found[count : 2 * count], found[2 * count :]
        ):
            beaten = layout.count_of(beats)
            if holder is None:
                known = before is not None and codec.loads(before.body) == [beaten, session.inbox]
                (silent if known else fresh).append((ns, session, beaten))
        pushed = await _each(self._queues.ping, [session.inbox for _, session, _ in fresh])
        await self._store.put(
            [
                (layout.asked_key(ns, session.id), Item(1, codec.dumps([beaten, session.inbox])))
                for (ns, session, beaten), took in zip(fresh, pushed)
                if took
            ]
        )
        return await self._end(silent)

    async def _end(self, silent: Sequence[Tuple[str, Session, int]]) -> int:
        """Who owns something after all is the heartbeat's. An expiry is void if the count moves before it is done."""
        owns = await _each(self._owns, [(ns, session.id) for ns, session, _ in silent])
        over: Dict[str, List[Expire]] = {}
        for (ns, session, beaten), some in zip(silent, owns):
            if not some:
                over.setdefault(ns, []).append(Expire(session.id, beaten))
        ended = 0
        for ns, requests in over.items():
            for first in range(0, len(requests), ENDED_AT_ONCE):
                if self._messages[ns] == MAX_MESSAGES:
                    log.warning("namespace %s: %d sessions are left for the next sweep", ns, len(requests) - first)
                    break
                self._messages[ns] += 1
                part = tuple(requests[first : first + ENDED_AT_ONCE])
                message = Message("%s:sweep-%s" % (SENDER, self._run), 0, self._messages[ns], part)
                name = message_id(message.inbox, message.first)
                await self._orders.give(ns, name)
                await self._queues.send(ns, name, encode(message))
                ended += len(part)
        return ended

    async def _owns(self, session: Owned) -> bool:
        page = await self._store.query(SESSIONS, layout.ephemerals_partition(*session), limit=1)
        return bool(page.rows)

    # --- what is left -----------------------------------------------------------------------------

    async def _registrations(self, live: Set[str]) -> int:
        """What inboxes have left that are of no session: nobody else finds it, unless something happens to its node.

        Counters of sessions that are over: no id comes twice. And what nobody can understand: clients can store
        anything there.
        """
        removed, now_ms = 0, time.time() * 1000
        old: Dict[str, bool] = {}
        async for page in self._store.pages(INTEREST):
            gone: List[Key] = []
            left: List[Tuple[str, Key]] = []
            counters: List[Tuple[Key, Key]] = []
            for key, item in page:
                found = layout.interest_of(key)
                if found is None:
                    gone.append(key)
                elif isinstance(found, layout.Beat):
                    counters.append((key, layout.session_key(key.partition.partition(":")[0], found.session)))
                elif isinstance(found, layout.Hello) and abs(now_ms - layout.said_ms(item)) < 1000 * self._min_age_s:
                    continue  # a session is about to be asked for there, and need not have made it
                elif shared_name(found.inbox) not in live:
                    left.append((shared_name(found.inbox), key))
            sessions = await self._store.load([session for _, session in counters])
            gone.extend(counter for (counter, _), session in zip(counters, sessions) if session is None)
            unseen = sorted({inbox for inbox, _ in left} - old.keys())
            old.update(zip(unseen, await _each(self._is_old, unseen)))
            gone.extend(key for inbox, key in left if old[inbox])
            await self._store.discard(gone)
            removed += len(gone)
        return removed

    async def _is_old(self, inbox: str) -> bool:
        """Whether an inbox was made long ago, or is gone."""
        made_s = await self._queues.made_s(inbox)
        return made_s is None or time.time() - made_s > self._min_age_s

    async def _inboxes(self, live: Set[str]) -> int:
        """Those of no session."""
        left = [inbox for inbox in await self._queues.inboxes() if inbox not in live]
        old = [inbox for inbox, is_old in zip(left, await _each(self._is_old, left)) if is_old]
        await _each(self._queues.remove_inbox, old)
        return len(old)
