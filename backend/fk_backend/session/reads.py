"""What is no write, in its turn: reads, watches that are added and removed, and what needs no store at all."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ..core.model import Error, Id
from ..core.requests import Result
from ..errors import BackendError, StorageFull, Unavailable, Unknown
from .base import SessionBase
from .ops import READS, AddWatch, Done, Fail, Look, Op, RemoveWatches, Sync


class Reads(SessionBase):
    """The part of `engine.Session` that does them."""

    __slots__ = ()

    @property
    def identities(self) -> Tuple[Id, ...]:
        """What its credentials and its address have proved, as of what was shown last."""
        return self._machine.watches.identities

    async def _read(self, tag: Any, op: Op) -> None:
        since_s = self._gateway.clock.monotonic()
        while not self._machine.is_over:
            try:
                return await self._try_read(tag, op)
            except StorageFull:  # no room for the watch's registration
                return await self._show(tag, Result(Error.STORAGE_FULL, None, self._machine.watermark))
            except (Unavailable, Unknown) as error:
                await self._pause(since_s, error)

    async def _try_read(self, tag: Any, op: Op) -> None:
        machine = self._machine
        if isinstance(op, Look):
            return await self._look()
        if isinstance(op, Done):
            return await self._show(tag, op.result, op.trigger_log)
        if isinstance(op, Fail):
            return await self._show(tag, Result(op.code, None, machine.watermark))
        if isinstance(op, Sync):
            return await self._show(tag, Result(Error.OK, op.path, machine.watermark))
        if isinstance(op, AddWatch):
            return await self._add_watch(tag, op)
        if isinstance(op, RemoveWatches):
            await self._catch_up((await self._reader.head()).settled)  # what has fired it and is on its way comes first
            found = await self._reader.remove(op.path, op.modes)
            return await self._show(tag, Result(Error.OK if found else Error.NO_WATCHER, None, machine.watermark))
        read = await self._reader.read(op, machine.watches.identities)
        await self._catch_up(read.result.zxid)
        if read.number:
            await self._reader.settle(read)
        self._reply(tag, read.result)

    async def _add_watch(self, tag: Any, op: AddWatch) -> None:
        watch = await self._reader.add(op.path, op.mode)
        await self._catch_up(watch.floor)
        # An answer that nobody asked for may have shown more than a head tells that still has a promise.
        watch = watch._replace(floor=max(watch.floor, self._machine.watermark))
        self._machine.watches.arm(watch)
        await self._show(tag, Result(Error.OK, None, watch.floor))

    def read_now(self, op: Op) -> Optional[Result]:
        """A read without a watch, where it can be shown at once. None if something comes before it: submit it.

        For whoever has the event loop to itself, in any thread, and a store whose reads don't wait.
        """
        machine = self._machine
        if machine.is_over or self.busy or len(machine.watches):
            return None
        if self.overdue() or not isinstance(op, READS):
            return None
        reading = self._reader.read(op, machine.watches.identities)
        try:
            reading.send(None)
        except StopIteration as done:
            result: Result = done.value.result
        except BackendError:  # `submit` finds out whether it passes; whatever a signal's handler raises is the caller's
            return None
        else:
            reading.close()  # it waits for something after all
            return None
        if self.overdue():
            return None
        machine.shown(result.zxid)
        return result
