"""A session with all that ZooKeeper's protocol asks for, and not only what kazoo's clients do."""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional, Tuple, cast

from .. import layout
from ..core import acls
from ..core.model import Error, Id, Perms
from ..core.paths import ROOT, join
from ..core.requests import Result, WatchSubtrees
from ..core.watches import CHILD, DATA, PERSISTENT, RECURSIVE
from ..errors import StorageFull, Unavailable
from ..ports import SESSIONS, Gateway
from .engine import Session
from .listener import Listener
from .machine import NO_TAG
from .ops import (
    CheckWatches,
    CountBelow,
    Fail,
    GetEphemerals,
    ReadAll,
    Reconfig,
    Resume,
    Served,
    SetWatches,
    Sync,
    WhoAmI,
)
from .watchlist import Watch, missed, shown

MAX_TRIES = 20
"""So often reads are done again that were of more than one moment, before they fail."""
PAGE = 1000
MAX_ANSWER_BYTES = 1 << 22
"""Of a multiRead, about: as much as clients take. It names a node in 15 bytes, as often as it likes."""
SLICE_S = 0.005
"""So long a session may go on with one request before others in the same loop have their turn."""


class ServedSession(Session):
    """As `Session`, with `ops.Served`."""

    _slice_started_s = 0.0

    def __init__(self, gateway: Gateway, ns: str, listener: Listener, subject: Optional[str] = None) -> None:
        """``subject``: of the certificate that the client has shown."""
        super().__init__(gateway, ns, listener)
        self._subject = subject

    def _from(self) -> Tuple[Optional[str], Optional[str]]:
        return self._gateway.address, self._subject

    @property
    def keeps(self) -> bool:
        """Whether the connection lasts, and the session may own something that goes with it."""
        return not self._machine.is_over and bool(self._lease.owned)

    def watched(self) -> Tuple[str, ...]:
        """The path of each armed watch."""
        return tuple(watch.path for watch in self._machine.watches.all())

    def submit(self, tag: Any, op: Served) -> None:
        """As `Session.submit`."""
        if isinstance(op, SetWatches):
            if op.recursive and not self._machine.read_only:
                self._machine.ask(NO_TAG, WatchSubtrees())
            for each in _resumed(op):
                self._machine.ask(NO_TAG, cast(Any, each))
            op = Sync(ROOT)
        super().submit(tag, cast(Any, op))

    async def _give_way(self) -> None:
        """Where reading never waits, one request that is many reads would keep everybody else waiting."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._slice_started_s > SLICE_S:
            await asyncio.sleep(0)
            self._slice_started_s = loop.time()

    async def _try_read(self, tag: Any, op: Any) -> None:
        await self._give_way()
        if isinstance(op, Resume):
            return await self._resume(op)
        if isinstance(op, Fail) and tag is NO_TAG:  # a client that was not told would believe in its watches
            raise Unavailable("a watch could not be left again: error %d" % op.code)
        if isinstance(op, CheckWatches):
            found = any(watch.mode in op.modes for watch in self._machine.watches.on(op.path))
            return await self._show(tag, Result(Error.OK if found else Error.NO_WATCHER, None, self._machine.watermark))
        if isinstance(op, WhoAmI):
            users = tuple(_user(identity) for identity in self._machine.watches.identities)
            return await self._show(tag, Result(Error.OK, users, self._machine.watermark))
        if isinstance(op, Reconfig):
            return await self._show(tag, Result(self._refusal(op), None, self._machine.watermark))
        if isinstance(op, ReadAll):
            return await self._show(tag, await self._read_all(op))
        if isinstance(op, (GetEphemerals, CountBelow)):
            return await self._show(tag, await self._of_one_moment(op))
        return await super()._try_read(tag, op)

    def _refusal(self, op: Reconfig) -> int:
        """As a server says it that may be reconfigured, for whom it may be, and that is alone."""
        members = ("%s,%s" % (op.joining, op.members)).split(",")
        if any("=" not in member for member in members if member.strip()):
            return Error.BAD_ARGUMENTS
        return Error.UNIMPLEMENTED if acls.SUPER in self._machine.watches.identities else Error.NO_AUTH

    # --- watches of another connection ----------------------------------------------------------

    async def _resume(self, op: Resume) -> None:
        """Leaves the watch again, or tells what it missed."""
        try:
            watch, event, zxid = await self._check_again(op)
        except StorageFull as error:
            raise Unavailable("no room for a watch that was there before: %s" % error) from error
        await self._catch_up(zxid)
        if event is None:
            # An answer that nobody asked for may have shown more than a head tells that still has a promise.
            floor = max(watch.floor, self._machine.watermark) if op.mode in _STAY else watch.floor
            return self._machine.watches.arm(watch._replace(floor=floor))
        older = self._machine.watches.get(op.path, op.mode)
        if older is None:
            await self._reader.forget(watch)
        else:
            self._machine.watches.arm(older._replace(number=watch.number))
        self._fire(event)

    async def _check_again(self, op: Resume) -> Any:
        if op.mode in _STAY:
            watch = await self._reader.add(op.path, op.mode)
            return watch, None, watch.floor
        identities = self._machine.watches.identities
        number, pair, head_zxid = await self._reader.look_again(op.path, op.mode)
        readable = pair is None or acls.allowed(pair[0].acl, Perms.READ, identities)
        watch = Watch(op.path, op.mode, number, shown(op.mode, pair, head_zxid), pair is not None, readable)
        before = watch._replace(floor=op.since, existed=op.existed, readable=True)
        return watch, missed(before, pair, head_zxid, identities), head_zxid

    # --- reads of more than one node ------------------------------------------------------------

    async def _read_all(self, op: ReadAll) -> Result:
        async def once() -> Tuple[Any, ...]:
            results: List[Result] = []
            size = 0
            for each in op.ops:
                await self._give_way()
                result = (await self._reader.read(each._replace(watch=False), self._machine.watches.identities)).result
                size += _size(result.value)
                if size > MAX_ANSWER_BYTES:
                    return ()
                results.append(result)
            return tuple(results)

        result = await self._stable(once)
        return result if result.value or not op.ops else result._replace(code=result.code or Error.TOO_LARGE)

    async def _of_one_moment(self, op: Any) -> Result:
        if isinstance(op, GetEphemerals):

            async def ephemerals() -> Tuple[str, ...]:
                return tuple(path for path in await self._own() if path.startswith(op.prefix))

            return await self._stable(ephemerals)

        async def count() -> Any:
            return await self._below(op.path)

        result = await self._stable(count)
        return result if result.value is not None else result._replace(code=Error.NO_NODE)

    async def _stable(self, read: Any) -> Result:
        """What is read while the head stays as it is."""
        before = (await self._reader.head()).zxid
        for _ in range(MAX_TRIES):
            value = await read()
            after = (await self._reader.head()).zxid
            if after == before:
                return Result(Error.OK, value, after)
            before = after
        return Result(Error.OPERATION_TIMEOUT, None, self._machine.watermark)

    async def _own(self) -> List[str]:
        partition = layout.ephemerals_partition(self._ns, self.id)
        paths: List[str] = []
        after = ""
        while True:
            page = await self._gateway.store.query(SESSIONS, partition, after, limit=PAGE)
            await self._give_way()
            paths += [sort for sort, _ in page.rows]
            if not page.more:
                return paths
            after = page.rows[-1][0] + "\0"

    async def _below(self, path: str) -> Any:
        """How many nodes are below; None if the node is not there."""
        count, left = 0, [path]
        while left:
            await self._give_way()
            above = left.pop()
            names = await self._reader.names(above)
            if names is None and above == path:
                return None
            count += len(names or ())
            left += [join(above, name) for name in names or ()]
        return count


_STAY = (PERSISTENT, RECURSIVE)


def _resumed(op: SetWatches) -> List[Resume]:
    kinds = ((op.data, DATA, True), (op.exist, DATA, False), (op.child, CHILD, True))
    found = [Resume(path, mode, op.since, existed) for paths, mode, existed in kinds for path in paths]
    stay = ((op.persistent, PERSISTENT), (op.recursive, RECURSIVE))
    return found + [Resume(path, mode, op.since, True) for paths, mode in stay for path in paths]


def _size(value: Any) -> int:
    """Of a read's result on the wire, about."""
    if value is None:
        return 0
    held = value[0] or b""
    return len(held) if isinstance(held, bytes) else sum(len(name) + 4 for name in held)


def _user(identity: Id) -> Tuple[str, str]:
    """``AuthenticationProvider.getUserName``: of a digest, what is in front of its hash."""
    scheme, name = identity
    return scheme, name.split(":", 1)[0] if scheme == "digest" else name
