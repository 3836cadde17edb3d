"""Once a day, what nothing belongs to any more is removed: what a crash or a client that never came back has left.

Nothing young is touched: it may be about to belong to something. A session that owns nothing does not beat, so whether
its client lives shows in its inbox: a live one has taken yesterday's note by today.
"""

from __future__ import annotations

import asyncio
import time
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple

from ... import layout
from ...core.model import Blob, Session
from ...core.requests import Expire
from ...errors import Conflict
from ...functions.heartbeat import SENDER
from ...messages import Ended, Message, encode, encode_note, message_id
from ...ports import INTEREST, SESSIONS, STATE, Key, Pushed, Put
from .blobs import S3Blobs
from .queues import Queues
from .store import DynamoStore
from .ticks import Orders

YOUNG_S = 3600.0
"""What is younger is left alone."""
LOOK_AGAIN_S = 2.0
"""Between the two looks after which a session is ended."""
ALL = 1 << 40
COUNTERS_AT_ONCE = 100
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
        registrations = await self._registrations(live, {layout.session_name(session.id) for _, session in sessions})
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
                await self._queues.wake(key.partition[:-1])
        return named, woken

    async def _sessions(self) -> Tuple[List[Tuple[str, Session]], Set[int]]:
        """(namespace, session) of all, and the ids of those that own something."""
        sessions: List[Tuple[str, Session]] = []
        owners: Set[int] = set()
        listed: Set[Tuple[str, str]] = set()
        for key, item in await self._store.scan(SESSIONS, limit=ALL):
            ns, _, what = key.partition.rpartition(":")
            if what == "sessions":
                sessions.append((ns, layout.session_of(item)))
            elif what == "holders":
                listed.add((ns, key.sort))
            elif key.sort.startswith("/") and what != "reapable":
                owners.add(int(what, 16))
        holding = [(ns, session) for ns, session in sessions if session.id in owners]
        await self._list([one for one in holding if (one[0], layout.session_name(one[1].id)) not in listed])
        return sessions, owners

    async def _list(self, unlisted: Sequence[Tuple[str, Session]]) -> None:
        """Among the holders, where the heartbeat finds them: versions before did not."""
        for ns, session in unlisted:
            put = Put(layout.holder_key(ns, session.id), layout.holder_item(session, 1), expect=0)
            try:
                await self._store.commit([put])
            except Conflict:
                pass  # the writer did
        for ns in {ns for ns, _ in unlisted}:
            await self._queues.wake(ns)

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

    async def _registrations(self, live: Set[str], known: Set[str]) -> int:
        """What inboxes have left that are of no session: nobody else finds it, unless something happens to its node.

        Counters of sessions that are over; ``known``: names of some that are not. And what nobody can understand:
        clients can store anything there.
        """
        left: Dict[str, List[Key]] = {}
        strange: List[Key] = []
        counters: List[Tuple[Key, Key]] = []
        for key, _ in await self._store.scan(INTEREST, limit=ALL):
            found = layout.interest_of(key)
            if found is None:
                strange.append(key)
            elif isinstance(found, layout.Beat):
                counters.append((key, layout.session_key(key.partition.partition(":")[0], found.session)))
            else:
                left.setdefault(found.inbox, []).append(key)
        of_nobody = await self._of_nobody([one for one in counters if one[1].sort not in known])
        await self._store.discard([*strange, *of_nobody])
        count = len(strange) + len(of_nobody)
        for inbox in left.keys() - live:
            state = await self._queues.state(inbox)
            if state is None or time.time() - state.created_s > self._young_s:
                await self._store.discard(left[inbox])
                count += len(left[inbox])
        return count

    async def _of_nobody(self, counters: Sequence[Tuple[Key, Key]]) -> List[Key]:
        """Of counters and the sessions that they should be of, those whose session is not there: no id comes twice."""
        found: List[Key] = []
        for first in range(0, len(counters), COUNTERS_AT_ONCE):
            part = counters[first : first + COUNTERS_AT_ONCE]
            sessions = await self._store.get([session for _, session in part])
            found.extend(counter for (counter, _), session in zip(part, sessions) if session is None)
        return found

    async def _inboxes(self, live: Set[str]) -> int:
        count = 0
        for inbox in await self._queues.inboxes():
            state = await self._queues.state(inbox) if inbox not in live else None
            if state is not None and time.time() - state.created_s > self._young_s:
                await self._queues.remove_inbox(inbox)
                count += 1
        return count
