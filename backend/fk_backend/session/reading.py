"""Reads go straight to the store, and a watch is registered before its node is read.

Whichever comes first then, the writer's look at the registrations or this read, no event is lost: a registration that
the writer missed belongs to a reader that sees the new state.
"""

from __future__ import annotations

import asyncio
from typing import Awaitable, Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from .. import layout
from ..core import acls, reads, watches
from ..core.errors import ZkError
from ..core.model import Blob, Error, EventType, Id, Perms
from ..core.requests import Result
from ..errors import Conflict, Unavailable
from ..layout import Head
from ..messages import TriggerLog
from ..ports import STATE, Blobs, Item, Key, Put, Remove, Store
from .ops import Exists, GetAcl, GetChildren, GetData, Op
from .watchlist import Event, Pair, Watch, WatchList, missed, shown

PAGE = 1000
"""Rows in one query, where a listing takes several anyway."""
WHOLE = 1 << 40
"""Where one query is a snapshot: all."""
AT_ONCE = 100
"""Registrations that are removed together when the session ends."""


class Reading(NamedTuple):
    """A read's result, and the watch it leaves. ``number`` is 0 if it asked for none."""

    result: Result
    number: int
    path: str
    mode: str
    watch: Optional[Watch]


class Reader:
    """Reads for one connection, and keeps its registrations."""

    def __init__(
        self,
        store: Store,
        blobs: Optional[Blobs],
        ns: str,
        armed: WatchList,
        listen: Optional[Callable[[], Awaitable[None]]] = None,
    ) -> None:
        """``listen``: sees to it that there is an inbox to register."""
        self._store = store
        self._blobs = blobs
        self._ns = ns
        self.inbox = ""
        """Of the connection, once that has one."""
        self._armed = armed
        self._listen = listen
        self._numbers = 0

    async def head(self) -> Head:
        """The namespace's head."""
        (item,) = await self._store.get([layout.head_key(self._ns)])
        if item is None:
            raise Unavailable("the namespace has no head")
        return layout.head_of(item)

    # --- reads ----------------------------------------------------------------------------------

    async def read(self, op: Op, identities: Tuple[Id, ...]) -> Reading:
        """Does one read: registration first, if it leaves a watch. Data that are elsewhere are fetched."""
        missing: Optional[Blob] = None
        while True:
            reading = await self._read(op, identities)
            data = reading.result.value[0] if isinstance(op, GetData) and reading.result.value else None
            if not isinstance(data, Blob) or self._blobs is None:
                return reading
            fetched = await self._blobs.fetch(data)
            if fetched is not None:
                value = (fetched, *reading.result.value[1:])
                return reading._replace(result=reading.result._replace(value=value))
            if data == missing:
                raise Unavailable("the data of %s can't be read: %r" % (reading.path, data))
            missing = data  # it was replaced in the meantime: so was the node

    async def _read(self, op: Op, identities: Tuple[Id, ...]) -> Reading:
        assert isinstance(op, (Exists, GetData, GetChildren, GetAcl))
        mode = watches.CHILD if isinstance(op, GetChildren) else watches.DATA
        watching = not isinstance(op, GetAcl) and op.watch
        number = await self._register(op.path, mode) if watching else 0
        names: List[str] = []
        if isinstance(op, GetChildren):
            pair, names = await self._family(op.path)
        else:
            pair = await self._pair(op.path)
        code, value = _evaluate(op, pair, names, identities)
        head_zxid = 0
        while (code or isinstance(op, GetAcl)) and (watching or len(self._armed)):
            # That it is missing or forbidden, and its ACL, have no zxid of their own: they are as of the head's.
            pair, head_zxid = await self._pair_and_head(op.path)
            code, value = _evaluate(op, pair, names, identities)
            if code or not isinstance(op, GetChildren):
                break
            pair, names = await self._family(op.path)
            code, value = _evaluate(op, pair, names, identities)
        zxid = head_zxid if pair is None else max(pair[0].mzxid, pair[1].pzxid, head_zxid)
        watch = None
        if watching and (code == Error.OK or (isinstance(op, Exists) and code == Error.NO_NODE)):
            readable = pair is None or acls.allowed(pair[0].acl, Perms.READ, identities)
            watch = Watch(op.path, mode, number, shown(mode, pair, head_zxid), pair is not None, readable)
        return Reading(Result(code, value, zxid), number, op.path, mode, watch)

    async def settle(self, read: Reading) -> None:
        """After the events up to the read were delivered: arms its watch, or takes the registration back."""
        if read.watch is not None:
            self._armed.arm(read.watch)
            return
        older = self._armed.get(read.path, read.mode)
        if older is not None:
            self._armed.arm(older._replace(number=read.number))
        else:
            await self._unregister(read.path, read.mode, read.number)

    async def _pair(self, path: str) -> Pair:
        partition = layout.node_partition(self._ns, path)
        page = await self._store.query(STATE, partition, layout.FAMILY, layout.AFTER_NODE, 2)
        return layout.pair_of(await self._together(path, dict(page.rows)))

    async def _together(self, path: str, rows: Dict[str, Item]) -> List[Optional[Item]]:
        """The items of a node and its family, as they were read, or by a dearer read if those were of no one moment."""
        items = [rows.get(layout.NODE), rows.get(layout.FAMILY)]
        if self._store.capabilities.atomic_queries or not layout.torn(items):
            return items
        return await self._store.get(layout.node_keys(self._ns, path))

    async def _pair_and_head(self, path: str) -> Tuple[Pair, int]:
        """One snapshot: a missing node has no zxid of its own that says since when it is missing."""
        *pair, head = await self._store.get([*layout.node_keys(self._ns, path), layout.head_key(self._ns)])
        return layout.pair_of(pair), 0 if head is None else layout.head_of(head).settled

    async def _family(self, path: str) -> Tuple[Pair, List[str]]:
        """A node and the names of its children, as of one moment: while the family did not change.

        One that was missing may come and go with its node meanwhile, so nobody may have been seen in it.
        """
        partition = layout.node_partition(self._ns, path)
        most = WHOLE if self._store.capabilities.atomic_queries else PAGE
        while True:
            found = await self._store.listing(STATE, partition, layout.FAMILY, layout.CHILDREN, most)
            own = dict(found.rows)
            before = own.get(layout.FAMILY)
            pair = layout.pair_of([own.get(layout.NODE), before])
            names = found.names
            if pair is None or (not found.more and self._store.capabilities.atomic_queries):
                return pair, names
            if before is None:
                if not names and not found.more:
                    items = await self._together(path, own)
                    if items[1] is None:
                        return layout.pair_of(items), names
                continue
            while found.more:
                last = layout.CHILDREN + names[-1] if names else found.rows[-1][0]
                found = await self._store.listing(STATE, partition, last + "\0", layout.CHILDREN, PAGE)
                names.extend(found.names)
            (after,) = await self._store.get([Key(STATE, partition, layout.FAMILY)])
            if after is not None and after.rev == before.rev:
                return pair, names

    # --- registrations --------------------------------------------------------------------------

    async def _register(self, path: str, mode: str) -> int:
        if self._listen is not None:
            await self._listen()
        self._numbers += 1
        self._armed.asked[(path, mode)] = None
        key = layout.registration_key(self._ns, path, mode, self.inbox)
        await self._store.commit([Put(key, Item(self._numbers, b""), owner=self.inbox)])
        return self._numbers

    async def _unregister(self, path: str, mode: str, number: int) -> None:
        key = layout.registration_key(self._ns, path, mode, self.inbox)
        try:
            await self._store.commit([Remove(key, expect=number)])
        except Conflict:
            pass  # it fired, or was made again: not ours to remove
        self._armed.asked.pop((path, mode), None)

    async def is_registered(self, watch: Watch) -> bool:
        """Whether whoever changes its node finds that somebody watches it."""
        (item,) = await self._store.get([layout.registration_key(self._ns, watch.path, watch.mode, self.inbox)])
        return item is not None

    async def add(self, path: str, mode: str) -> Watch:
        """A watch that stays: everything after the head as of now."""
        number = await self._register(path, mode)
        *pair, item = await self._store.get([*layout.node_keys(self._ns, path), layout.head_key(self._ns)])
        floor = 0 if item is None else await self.begun(layout.head_of(item))
        return Watch(path, mode, number, floor, layout.pair_of(pair) is not None)

    async def begun(self, head: Head) -> int:
        """The zxid after which everything is told to who registered before this head was read.

        A promise that is kept may have been told before that, and is not told again. One that is not kept yet will be.
        """
        while head.reserved is not None:
            node, item = await self._store.get(
                [layout.node_keys(self._ns, head.reserved.path)[0], layout.head_key(self._ns)]
            )
            now = head if item is None else layout.head_of(item)
            if now == head:
                kept = node is not None and layout.node_of(node).mzxid == head.zxid
                return head.zxid if kept else head.settled
            head = now  # another commit was made, or the promise is void
        return head.zxid

    async def remove(self, path: str, modes: Collection[str]) -> bool:
        """Removes the watches of these modes on the path; whether there was one."""
        found = [watch for watch in self._armed.on(path) if watch.mode in modes]
        for watch in found:
            await self._unregister(path, watch.mode, watch.number)
            self._armed.drop(watch)  # not before: if the other one fails, both are tried again
        return bool(found)

    async def register_again(self, watch: Watch) -> Tuple[Optional[Watch], int]:
        """A new registration for an armed watch, and the zxid that reading its node shows now."""
        if not watches.is_one_shot(watch.mode):
            return None, 0
        number = await self._register(watch.path, watch.mode)
        pair, head_zxid = await self._pair_and_head(watch.path)
        return watch._replace(number=number), shown(watch.mode, pair, head_zxid)

    async def look_again(self, path: str, mode: str) -> Tuple[int, Pair, int]:
        """For a watch of another connection: a registration, and then the node, with the zxid of that moment."""
        number = await self._register(path, mode)
        return (number, *await self._pair_and_head(path))

    async def forget(self, watch: Watch) -> None:
        """Removes the registration of a watch that is not armed."""
        await self._unregister(watch.path, watch.mode, watch.number)

    async def names(self, path: str) -> Optional[List[str]]:
        """The names of a node's children, whoever may read it; None if it is not there."""
        pair, names = await self._family(path)
        return None if pair is None else names

    async def leave(self) -> None:
        """Removes every registration, also one that was made after the writer had removed what it found."""
        left = sorted({*self._armed.asked, *((watch.path, watch.mode) for watch in self._armed.all())})
        capabilities = self._store.capabilities
        at_once = 1 if capabilities.transactions_cost_double else AT_ONCE
        parts = [left[first : first + at_once] for first in range(0, len(left), at_once)]
        together = AT_ONCE if capabilities.has_latency else 1
        for first in range(0, len(parts), together):
            await asyncio.gather(*map(self._forget_all, parts[first : first + together]))

    async def _forget_all(self, registered: Sequence[Tuple[str, str]]) -> None:
        await self._store.commit([Remove(layout.registration_key(self._ns, *each, self.inbox)) for each in registered])

    # --- catching up without the list -----------------------------------------------------------

    async def reconcile(self, zxid: int, trigger_log: TriggerLog) -> List[Event]:
        """The session's events up to ``zxid`` where the trigger log does not reach back far enough.

        A registration that is still there was not consumed: the trigger log covers it. One that is gone has fired
        or was consumed early: the trigger log tells which, or else its node.
        """
        triggers = [trigger for trigger in trigger_log.triggers() if trigger.zxid <= zxid]
        looked: List[Tuple[Watch, int, Optional[Event]]] = []
        deleted: Set[str] = set()
        for watch in self._armed.all():
            if not watches.is_one_shot(watch.mode) or watch.path in deleted:
                continue
            key = layout.registration_key(self._ns, watch.path, watch.mode, self.inbox)
            (item,) = await self._store.get([key])
            if item is not None and item.rev == watch.number:
                continue
            if any(t.zxid > watch.floor and watches.matches(watch.mode, watch.path, t) for t in triggers):
                continue  # by its node, which may be another one by now, it would be told of something else
            number = await self._register(watch.path, watch.mode) if item is None else item.rev
            pair, head_zxid = await self._pair_and_head(watch.path)
            event = missed(watch, pair, head_zxid, self._armed.identities)
            if event is not None and event.kind == EventType.DELETED:
                deleted.add(watch.path)
            looked.append((watch, number, event))
        # Nothing is changed before this: where a call fails, everything is looked at again.
        events = [fired for each in looked for fired in self._armed.looked_at(*each)]
        told = (self._armed.fire(trigger) for trigger in triggers)
        events.extend(event for event in told if event is not None)
        return sorted(events, key=lambda event: event.zxid)


def _evaluate(op: Op, pair: Pair, names: List[str], identities: Tuple[Id, ...]) -> Tuple[int, object]:
    try:
        if isinstance(op, Exists):
            return Error.OK, reads.exists(pair)
        if isinstance(op, GetData):
            return Error.OK, reads.get(pair, identities)
        if isinstance(op, GetChildren):
            return Error.OK, (names, reads.children(pair, identities))
        return Error.OK, reads.get_acl(pair, identities)
    except ZkError as error:
        return error.code, None
