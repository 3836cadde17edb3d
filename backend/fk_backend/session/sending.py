"""A session's writes that go by the queue: as one message, and the same again until the queue has it."""

from __future__ import annotations

from .. import messages
from ..errors import Unavailable, Unknown
from ..messages import Message, message_id
from .base import SessionBase, retry_s
from .uploads import with_uploads

MAX_TRIES_S = 240.0
"""So long a message may be sent again: a queue knows for five minutes that it has it already."""


class QueuedWrites(SessionBase):
    """The part of `engine.Session` that sends them."""

    __slots__ = ()

    async def _send(self) -> None:
        """Sends the writes that wait as one message."""
        first, requests = self._machine.next_message(self._gateway.blobs)
        begins = False
        for request in requests:
            begins = self._begins_to_own(request) or begins
        body, since_s = b"", self._gateway.clock.monotonic()
        while not self._machine.is_over:
            try:
                if begins:  # whoever saw its counter stand still must see it move before there is what it owns
                    await self._send_beat()
                    self._beat_wakeup.set()
                    begins = False
                if not body:
                    name = message_id(self.inbox, first)
                    sent = await with_uploads(self._gateway, self._ns, self.id, name, requests)
                    body = messages.encode(Message(self.inbox, self.id, first, tuple(sent), self._hint), self._key)
                await self._listen()
                await self._gateway.queue.send(self._ns, message_id(self.inbox, first), body)
                return
            except (Unavailable, Unknown) as error:
                await self._pause(since_s, error)

    async def _pause(self, since_s: float, why: Exception) -> None:
        """Between tries, the first of which was at ``since_s``. Raises when it is time to give up."""
        tried_s = self._gateway.clock.monotonic() - since_s
        if self.overdue() or (tried_s > min(self._lease.bound_s, MAX_TRIES_S) and not self._machine.read_only):
            raise Unavailable("the deployment can't be reached: %s" % why)
        await self._gateway.clock.sleep(retry_s(tried_s))
