"""Listening to an inbox. One queue serves a client's connections to a session, one after the other.

CreateQueue is a request of its own, and for a second after it the queue may not be there: who connects again after a
lost connection goes on with the queue that he has. What was sent to the connection before is dropped: each body says
for which connection it is (`queues.encoded`).
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Callable, List, Optional

from ...errors import Unavailable
from . import clients
from .failures import code_of, translated
from .queues import AT_ONCE, NEW_S, NO_QUEUE, Queues, decoded

LOST_AFTER_S = 5.0
"""So long an inbox may be out of reach before its session is told."""
RETRY_S = 0.1
MAX_RETRY_S = 1.0
DELETE_S = 2.0
"""So long what was taken may wait for more to be deleted with."""

MOVED = "the session moved to another connection"

pause = asyncio.sleep


class Poll:
    """Listens to one queue, for one connection at a time, until it is stopped.

    What was received is deleted ten at a time, because a deletion is paid for like a send, or after `DELETE_S`.
    """

    def __init__(self, queues: Queues, name: str, key: bytes = b"") -> None:
        """``name``: of the first connection's inbox. ``key``: of the session."""
        self.name, self.key = name, key
        self.is_gone = False
        """Whether the queue was removed. Its name can't be used again for a minute."""
        self._queues = queues
        self._url = ""
        self._connections = 0
        self._newest = name
        self._inbox = ""
        """Of the connection that is served; "" if there is none."""
        self._receive: Callable[[bytes], None]
        self._lost: Callable[[str], None]
        self._deletions: "set[asyncio.Task[None]]" = set()
        self._received: List[Any] = []
        self._alarm: Optional[asyncio.TimerHandle] = None
        self._made_s = 0.0
        self._task: Optional["asyncio.Task[None]"] = None

    @property
    def is_serving(self) -> bool:
        """Whether there is a connection that is not over."""
        return bool(self._inbox)

    @property
    def has_queue(self) -> bool:
        """Whether the queue was made."""
        return bool(self._url)

    def next_inbox(self) -> str:
        """The name of the inbox of one more connection."""
        self._connections += 1
        if self._connections > 1:
            self._newest = "%s-%d" % (self.name, self._connections - 1)
        return self._newest

    async def serve(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """From now on what comes is this connection's. BackendError.

        Makes the queue, unless it is made. ``lost`` is called when it is gone, or out of reach for long; and at once
        where the client has connected again.
        """
        if inbox != self._newest:
            lost(MOVED)
            raise Unavailable(MOVED)
        if not self._url:
            self._url, self._made_s = await self._queues.make(inbox), clients.now_s()
        self._inbox, self._receive, self._lost = inbox, receive, lost
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    def leave(self, inbox: str) -> bool:
        """That connection is over; whether the client has not connected again.

        The long poll that is under way goes on for its twenty seconds: SQS may hand a message to a request that was
        given up, and the next connection would wait for its first answer until it comes again.
        """
        if self._inbox == inbox:
            self._inbox = ""
        return inbox == self._newest

    def lose(self, why: str) -> None:
        """Tells whoever is served that the connection is lost."""
        if self._inbox:
            self._lost(why)

    async def stop(self) -> None:
        """Ends it; nothing is received any more."""
        self._inbox = ""
        self._received.clear()  # nobody listens there any more
        self._delete()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*self._deletions, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        # Since the first failure, not since the last answer: a long poll may well be quiet for longer.
        failing_since, retry_s = math.inf, RETRY_S
        while self._inbox:
            try:
                messages = await self._queues.receive(self._url)
            except Exception as error:
                new = clients.now_s() - self._made_s <= NEW_S
                if code_of(error) in NO_QUEUE and not new:
                    self.is_gone = True
                    return self.lose(MOVED + ", or its inbox was removed")
                now = loop.time()
                failing_since = min(failing_since, now)
                if now - failing_since > LOST_AFTER_S:
                    return self.lose(str(translated(error, writing=False)))
                await pause(retry_s)
                retry_s = min(2 * retry_s, MAX_RETRY_S)
                continue
            failing_since, retry_s = math.inf, RETRY_S
            self._hand_over(messages)

    def _hand_over(self, messages: List[Any]) -> None:
        for message in messages:
            body = decoded(self._inbox, message["Body"]) if self._inbox else None
            if body is not None:
                self._receive(body)
        self._received.extend(messages)
        if len(self._received) >= AT_ONCE:
            self._delete()
        elif self._received and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(DELETE_S, self._delete)

    def _delete(self) -> None:
        """Has everything deleted that was received."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._received:
            part, self._received = self._received[:AT_ONCE], self._received[AT_ONCE:]
            deletion = asyncio.ensure_future(self._queues.delete(self._url, part))
            self._deletions.add(deletion)
            deletion.add_done_callback(self._deletions.discard)
