"""What comes by NOTIFY, in order: ``head body``, the body in base64, or ``@number`` of a parcel, to be fetched."""

from __future__ import annotations

import asyncio
import binascii
import logging
from collections import deque
from typing import Callable, Deque, Optional, Tuple

from ...errors import BackendError
from .connections import Connections

log = logging.getLogger(__name__)

TRIES, RETRY_S = 5, 0.05
_FETCH = "DELETE FROM fk_kazoo.parcel WHERE id = $1 RETURNING body"

Handle = Callable[[str, bytes], None]
NOTHING = ""


class Incoming:
    """Hands on what came, one after the other. ``failed`` is called where a parcel can't be had."""

    def __init__(self, connections: Connections, failed: Callable[[], None]) -> None:
        self._connections = connections
        self._failed = failed
        self._waiting: Deque[Tuple[Handle, str, str]] = deque()
        self._task: Optional["asyncio.Future[None]"] = None

    def take(self, handle: Handle, payload: str) -> None:
        """Of anybody: what is no payload of ours is dropped."""
        head, _, body = payload.rpartition(" ")
        if self._waiting or body.startswith("@"):
            self._waiting.append((handle, head, body))
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._work())
        else:
            self._hand_on(handle, head, body)

    def then(self, handle: Callable[[], None]) -> None:
        """Calls it when everything that came before is handed on."""
        if self._waiting:
            self._waiting.append((lambda head, body: handle(), NOTHING, NOTHING))
        else:
            handle()

    def stop(self) -> None:
        """Nothing more is handed on."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def _hand_on(self, handle: Handle, head: str, body: str) -> None:
        try:
            handle(head, binascii.a2b_base64(body.encode()))
        except (ValueError, LookupError) as error:
            log.warning("dropped what is no message of ours: %s", error)

    async def _work(self) -> None:
        while self._waiting:
            handle, head, body = self._waiting[0]
            if not body.startswith("@"):
                self._hand_on(handle, head, body)
            elif body[1:].isdigit() and len(body) < 20:
                found = await self._fetch(int(body[1:]))
                if found is None:
                    self._waiting.clear()
                    return self._failed()
                handle(head, found)
            self._waiting.popleft()

    async def _fetch(self, number: int) -> Optional[bytes]:
        for _ in range(TRIES):
            try:
                rows = await self._connections.write(_FETCH, number)
                return bytes(rows[0][0]) if rows else None
            except BackendError as error:
                log.debug("parcel %d: %s", number, error)
            await asyncio.sleep(RETRY_S)
        return None
