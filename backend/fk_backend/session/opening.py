"""How a connection begins: with a new session, one that is gone on with, or none, for who only reads.

Where writes can be invocations and everything is paid for, so can be what opens a session, goes on with it and closes
it: then an inbox is made by the first thing that is told or answered there: see `inbox`.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, Optional, Tuple

from .. import layout, messages
from ..core.model import Error, Id
from ..core.requests import Attach, Open, Request, Result
from ..eager import begin
from ..errors import Conflict, Refused, Unavailable
from ..mac import key_of
from ..messages import Answers, Ended, Message, message_id
from ..ports import Key, Put, Remove
from .direct import DirectWrites


class Opened(NamedTuple):
    """What a connection starts with."""

    session: int
    password: bytes
    timeout_ms: int
    zxid: int = 0


class NoSession(Refused):
    """The session has expired, or the password is not its own."""


class Opening(DirectWrites):
    """The part of `engine.Session` that does that."""

    __slots__ = ()

    async def open(self, timeout_ms: int) -> Opened:
        """A new session. Unavailable or Unknown if the deployment can't be reached."""
        password = self._gateway.clock.random_bytes(16)
        self._identify(password)
        started_s = self._gateway.clock.monotonic()
        return await self._begin(Open(self._key, timeout_ms, self.inbox, *self._from()), password, started_s)

    async def attach(self, session: int, password: bytes) -> Optional[Opened]:
        """Goes on with a session. None if there is no such session or the password is not its own."""
        self._identify(password)
        key = layout.beat_key(self._ns, session)
        started_s = self._gateway.clock.monotonic()
        # An expiry that is under way was judged by a count that is over now.
        count = await self._gateway.store.increment(key)
        self._beat_count = count
        self._lease.owned.unknown()
        try:
            return await self._begin(Attach(session, password, self.inbox, *self._from()), password, started_s)
        except NoSession:
            if count == 1:  # nobody had beaten for it before; no beat ever comes to this count
                await self._take_back(key)
            return None

    def _identify(self, password: bytes) -> None:
        self._key = key_of(password)
        self.inbox = self._reader.inbox = self._gateway.inbox(self._ns, self._key, self._nonce)

    async def _take_back(self, key: Key) -> None:
        try:
            await self._gateway.store.commit([Remove(key, expect=1)])
        except Conflict:
            pass  # it is somebody's after all

    async def _begin(self, request: Request, password: bytes, contact_s: float) -> Opened:
        """``contact_s``: not later than what counts as a beat."""
        try:
            (code, value, zxid), answered = await self._first_answer(request)
            if code == Error.SESSION_EXPIRED:
                raise NoSession("there is no such session")
            if code:
                raise Refused("the session was not opened: error %d" % code)
            self.id, timeout_ms, identities = value
            self._lease.begin(timeout_ms / 1000.0, contact_s)
            if self.overdue():  # that took long; it is a beat that says whether the deployment is in reach now
                if self._gateway.clock.monotonic() - contact_s > self._lease.timeout_s:
                    # Not heard of for so long, it may be about to expire: the writer may have looked at its beats.
                    raise Unavailable("the session was opened or attached after its timeout")
                await self._send_beat()
        except BaseException:
            await self._gateway.unsubscribe(self.inbox, keep=False)
            raise
        self._machine.begin(zxid, answered, [Id(*each) for each in identities])
        self._tasks = [asyncio.ensure_future(self._beat_regularly())]
        if self._gateway.store.capabilities.charges_for_beats:
            self._tasks.append(asyncio.ensure_future(self._poll_head()))
        self._wake_soon()
        return Opened(self.id, password, timeout_ms, zxid)

    async def observe(self, timeout_ms: int) -> Opened:
        """No session, reads only: for a deployment whose functions can't be reached while its store can."""
        self._machine.observe((await self._reader.head()).settled)
        self._wake_soon()
        return Opened(0, bytes(16), timeout_ms)

    # --- the first request ----------------------------------------------------------------------

    async def _first_answer(self, request: Request) -> Tuple[Result, int]:
        """What opening or attaching came to, and the zxid of the head with which that is so. BackendError."""
        if self._gateway.store.capabilities.charges_for_beats:
            await self._gateway.store.commit([self._hello()])
        else:  # there it is free, and tells of the session's end, and of another connection that takes it over
            await self._listen()
        found = None if self._gateway.direct is None else await self._written_directly(self._gateway.direct, request, 0)
        return found or await self._queued(request)

    def _hello(self) -> Put:
        """It says when it was put: the inbox that would tell may never be made."""
        said_ms = self._gateway.clock.now_ms()
        return Put(layout.hello_key(self._ns, self.inbox), layout.hello_item(said_ms), owner=self.inbox)

    async def _queued(self, request: Request) -> Tuple[Result, int]:
        await self._listen()
        checked = begin(self._gateway.check())
        checked.add_done_callback(self._checked)
        try:
            if checked.done():
                checked.result()
            body = messages.encode(Message(self.inbox, 0, 0, (request,)), self._key)
            await self._gateway.queue.send(self._ns, message_id(self.inbox, 0), body)
            note = await self._first_note(request, checked)
        finally:
            checked.cancel()
        if isinstance(note, Ended):
            return Result(Error.SESSION_EXPIRED, None, 0), 0
        return Result(*note.results[0]), note.trigger_log.zxid

    async def _first_note(self, request: Request, checked: "asyncio.Future[None]") -> Any:
        """The answer; or that this very session expired meanwhile, which may be told before it."""
        ended = set()
        while True:
            while not self._machine.notes and not self._machine.is_over:
                self._note_wakeup.clear()
                await self._note_wakeup.wait()
                if checked.done() and not self._machine.notes:
                    checked.result()
            if not self._machine.notes:
                raise Unavailable("the deployment went out of reach")
            note = messages.decode_note(self._machine.notes.popleft())
            if isinstance(note, Ended):  # of any session: whoever sends messages can have that told
                ended.add(note.session)
            if isinstance(note, Answers):
                code, value, _ = note.results[0]
                return note if code or value[0] not in ended else Ended(value[0], True)
            if isinstance(request, Attach) and request.session in ended:
                return Ended(request.session, True)

    def _checked(self, checked: "asyncio.Future[None]") -> None:
        self._note_wakeup.set()
        if not checked.cancelled():
            checked.exception()  # whoever still waits for the answer raises it
