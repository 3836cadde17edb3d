"""Once a day, what nothing belongs to any more is removed: what a crash or a client that never came back has left.

Nothing young is touched: it may be about to belong to something. A session that owns nothing does not beat, so whether
its client lives shows in its inbox: a live one has taken yesterday's note by today.
"""

from __future__ import annotations

import asyncio
import time
from typing import Dict, List, NamedTuple, Set, Tuple

from ... import layout
from ...core.model import Blob, Session
from ...core.requests import Expire
from ...functions.heartbeat import SENDER
from ...messages import Ended, Message, encode, encode_note, message_id
from ...ports import INTEREST, SESSIONS, STATE, Key, Pushed
from .blobs import S3Blobs
from .queues import Queues
from .store import DynamoStore
from .ticks import Orders

YOUNG_S = 3600.0
"""What is younger is left alone."""
LOOK_AGAIN_S = 2.0
"""Between the two looks after which a session is ended."""
ALL = 1 << 40
NOTHING = encode_note(Ended(0, False))
"""A note that no session takes for its own end."""


class Swept(NamedTuple):
    """How much was removed, or told to end."""

    inboxes: int
    registrations: int
    blobs: int
    sessions: int
    woken: int


class Sweep:
    """One sweep of a whole deployment. Reads all of its tables."""

    def __init__(
        self, store: DynamoStore, queues: Queues, blobs: S3Blobs, orders: Orders, young_s: float = YOUNG_S
    ) -> None:
        self._store = store
        self._queues = queues
        self._blobs = blobs
        self._orders = orders
        self._young_s = young_s

    async def __call__(self) -> Swept:
        """Sweeps; may be called again at any time."""
        kept = await self._blobs.older_than(self._young_s)  # before the nodes are read: what is named later is younger
        named, woken = await self._state()
        sessions, owners = await self._sessions()
        live = {session.inbox for _, session in sessions}
        unnamed = [key for key in kept if key not in named]
        await self._blobs.remove(unnamed)
        suspects = [each for each in sessions if each[1].id not in owners and not await self._lives(each[1])]
        if suspects:
            await asyncio.sleep(LOOK_AGAIN_S)  # what was pushed to a live one just then has been taken now
        ended = 0
        for ns, session in suspects:
            if not await self._lives(session):
                ended += 1
                await self._expire(ns, session)
        registrations = await self._registrations(live)
        return Swept(await self._inboxes(live), registrations, len(unnamed), ended, woken)

    async def _state(self) -> Tuple[Set[str], int]:
        """Keys of every blob that a node names; namespaces whose heartbeat should go on, woken once more."""
        named: Set[str] = set()
        woken = 0
        for key, item in await self._store.scan(STATE, limit=ALL):
            if key.sort == layout.NODE:
                data = layout.node_of(item).data
                named.update([data.key] if isinstance(data, Blob) else [])
            elif key.sort == "head" and layout.head_of(item).ticking:
                woken += 1
                await self._queues.tick(key.partition[:-1], 0)
        return named, woken

    async def _sessions(self) -> Tuple[List[Tuple[str, Session]], Set[int]]:
        """(namespace, session) of all, and the ids of those that own something."""
        sessions: List[Tuple[str, Session]] = []
        owners: Set[int] = set()
        for key, item in await self._store.scan(SESSIONS, limit=ALL):
            ns, _, what = key.partition.rpartition(":")
            if what == "sessions":
                sessions.append((ns, layout.session_of(item)))
            elif key.sort.startswith("/") and what != "reapable":
                owners.add(int(what, 16))
        return sessions, owners

    async def _lives(self, session: Session) -> bool:
        state = await self._queues.state(session.inbox)
        if state is None:
            return False
        if state.waiting and not state.taken and time.time() - state.created_s > self._young_s:
            return False  # nobody takes anything
        await self._queues.push([Pushed(session.inbox, NOTHING)])
        return True

    async def _expire(self, ns: str, session: Session) -> None:
        (beats,) = await self._store.get([layout.beat_key(ns, session.id)])
        request = Expire(session.id, layout.count_of(beats))
        inbox = "%s:sweep-%s" % (SENDER, layout.session_name(session.id))
        number = int(time.time())
        name = message_id(inbox, number)
        await self._orders.give(ns, name)
        await self._queues.send(ns, name, encode(Message(inbox, 0, number, (request,))))

    async def _registrations(self, live: Set[str]) -> int:
        """What inboxes have left that are of no session: nobody else finds it, unless something happens to its node.

        And what nobody can understand: clients can store anything there.
        """
        left: Dict[str, List[Key]] = {}
        strange: List[Key] = []
        for key, _ in await self._store.scan(INTEREST, limit=ALL):
            found = layout.interest_of(key)
            if found is None:
                strange.append(key)
            elif not isinstance(found, layout.Beat):
                left.setdefault(found.inbox, []).append(key)
        await self._store.discard(strange)
        count = len(strange)
        for inbox in left.keys() - live:
            state = await self._queues.state(inbox)
            if state is None or time.time() - state.created_s > self._young_s:
                await self._store.discard(left[inbox])
                count += len(left[inbox])
        return count

    async def _inboxes(self, live: Set[str]) -> int:
        count = 0
        for inbox in await self._queues.inboxes():
            state = await self._queues.state(inbox) if inbox not in live else None
            if state is not None and time.time() - state.created_s > self._young_s:
                await self._queues.remove_inbox(inbox)
                count += 1
        return count
