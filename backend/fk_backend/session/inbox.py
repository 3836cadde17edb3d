"""When a connection has an inbox, and what it looks for that nobody tells it there.

Where an inbox is paid for, it is made by the first thing that is told or answered there: a watch, or a write that goes
to the queue. A session without one hears of its end from its next write. One that does not write looks at its beat
counter now and then: who attaches to the session moves it, and it is removed with the session. Clients can write it,
so it proves nothing: if it is not what it should be, the writer is asked.
"""

from __future__ import annotations

import asyncio
from typing import List, Optional

from .. import layout
from ..core.requests import Multi
from ..core.watches import is_one_shot
from ..errors import BackendError, Unknown
from ..messages import trigger_log_of
from .beats import BEAT
from .direct import DirectWrites
from .listener import LOST
from .machine import NO_TAG
from .ops import Look
from .watchlist import Watch

LOOK_S = 30.0
"""So often a session looks for what nobody tells it."""
FAN_OUT_CHECK_S = (1.5, 4.5)
"""So long after its inbox was made a session with watches looks at the head as well: an inbox may not be there yet when
its name is known, and what is told meanwhile is lost (`providers.aws.queues.NEW_S`)."""
NEW_S = 1.0
"""So long an inbox may not be there yet after it was made, by what AWS promises: an answer would wait for it, and for
whoever tries it again and again. An invocation is answered without it."""
MAX_SINGLY = 16
"""So many writes that wait are done one after the other rather than wait for a new inbox. More are faster together."""
IDLE_BEAT_S = 3600.0
"""So often a session beats that nobody can ask for a sign of life: once a day those are ended that gave none."""


class Inbox(DirectWrites):
    """The part of `engine.Session` that has it."""

    __slots__ = ()

    _new_until = 0.0
    """Until when its inbox is new, on the gateway's clock: what was told at its beginning may be lost."""

    _making: "Optional[asyncio.Future[None]]" = None
    """Who makes the inbox, before anything needs it."""
    _there_at = 0.0
    """From when on its inbox is there, on the gateway's clock; 0.0 before it was made."""

    async def _listen(self) -> None:
        """Makes the inbox, unless it is there: before anything that is told or answered there. BackendError."""
        if self._making is not None and not self._making.done():
            await asyncio.wait((self._making,))
        if not self._listens:
            await self._make_inbox()

    def _sends_singly(self) -> bool:
        """Whether writes with company are invocations one after the other: while the inbox for answers is not there.

        It is made meanwhile.
        """
        if not self._invokes or len(self._machine.requested) > MAX_SINGLY:
            return False
        if not self._there_at and (self._making is None or self._making.done()):
            self._making = asyncio.ensure_future(self._make_inbox_early())
            self._tasks.append(self._making)
        return not self._there_at or self._gateway.clock.monotonic() < self._there_at

    async def _make_inbox_early(self) -> None:
        try:
            await self._make_inbox()
        except BackendError:
            pass  # whoever needs it tries again, and says what is wrong

    async def _make_inbox(self) -> None:
        await self._gateway.listen(self.inbox, self._receive, self._lost)
        self._listens = True
        self._there_at = self._there_at or self._gateway.clock.monotonic() + NEW_S
        if self._machine.has_begun and self._gateway.store.capabilities.charges_for_beats:
            self._new_until = self._gateway.clock.monotonic() + FAN_OUT_CHECK_S[-1] + 1.0
            under_way = [task for task in self._tasks if not task.done()]
            self._tasks = [
                *under_way,
                *(asyncio.ensure_future(self._look_after(pause_s)) for pause_s in FAN_OUT_CHECK_S),
            ]

    async def _need_no_more(self) -> None:
        """Stops listening, where nothing is waited for and nobody is told: until then the inbox is asked all the time.

        It stays, and `_listen` goes on with it.
        """
        if self._listens and self._invokes and not len(self._machine.watches):
            await self._gateway.unsubscribe(self.inbox, keep=True)
            self._listens = False

    # --- what nobody tells ----------------------------------------------------------------------

    def _passed_over(self, armed: List[Watch]) -> None:
        """Triggers were passed over that only a push can tell some of these watches; to a new inbox it may be lost.

        A watch that stays, or one whose registration was consumed though its node shows nothing: it may have come and
        gone. Then the connection ends, as ZooKeeper's does where such a watch may miss something, and the app is told.
        """
        if self._gateway.clock.monotonic() >= self._new_until:
            return
        if any(not is_one_shot(watch.mode) or self._is_registered_again(watch) for watch in armed):
            why = "events may have been told before its inbox was there"
            asyncio.get_running_loop().call_soon(self.end, LOST, why)

    async def _register_consumed(self) -> None:
        """What a watch's own read had shown may have consumed its registration. Of that, too, only a push tells."""
        for watch in self._machine.watches.all():
            if is_one_shot(watch.mode) and not await self._reader.is_registered(watch):
                await self._rearm(watch.path, watch.mode, watch.number)

    def _is_registered_again(self, watch: Watch) -> bool:
        now = self._machine.watches.get(watch.path, watch.mode)
        return now is not None and now.number != watch.number

    async def _look_after(self, pause_s: float) -> None:
        await self._gateway.clock.sleep(pause_s)
        if len(self._machine.watches):
            self._machine.ask(NO_TAG, Look())
            self._wake()

    async def _poll_head(self) -> None:
        beaten_s = self._gateway.clock.monotonic()
        while not self._machine.is_over:
            await self._gateway.clock.sleep(LOOK_S)
            if len(self._machine.watches) or self._invokes:
                self._machine.ask(NO_TAG, Look())
                self._wake()
            now_s = self._gateway.clock.monotonic()
            if not self._listens and now_s - beaten_s > IDLE_BEAT_S:
                beaten_s = now_s
                self._beat_once()

    async def _look(self) -> None:
        """For events that nobody told, and for the end of the session where nobody can tell it. BackendError.

        Nobody could tell either while its inbox was not there yet.
        """
        is_new = self._gateway.clock.monotonic() < self._new_until
        if len(self._machine.watches):
            head = await self._reader.head()
            trigger_log = trigger_log_of(head.zxid, head.since, head.triggers)
            await self._catch_up(await self._reader.begun(head), trigger_log)
            if is_new:
                await self._register_consumed()
        await self._need_no_more()
        if not self._listens or is_new:
            (item,) = await self._gateway.store.get([layout.beat_key(self._ns, self.id)])
            count = layout.count_of(item)
            if count == 0:
                self._beat_once()  # so that there is one that can go
            if count == 0 or count != self._beat_count:
                await self._probe_session()
            self._beat_count = count

    def _counted(self, count: int) -> None:
        """After a beat of its own, which moved the counter to this."""
        before, self._beat_count = self._beat_count, count
        if before and count != before + BEAT and not self._listens and self._machine.has_begun:
            self._machine.ask(NO_TAG, Look())
            self._beat_count = -1
            self._wake()

    async def _probe_session(self) -> None:
        """By a request of nothing, judged as every other one of this connection; its number is one that is over."""
        direct = self._gateway.direct
        assert direct is not None
        try:
            found = await self._written_directly(direct, Multi(()), 0)
        except Unknown:  # it changes nothing, whenever it is done
            return
        if found is not None:
            self._has_ended(found[0].code)
