"""Between the processes of a machine: length-prefixed values over a Unix socket, in order, bounded.

A frame is 4 bytes of length (big-endian) and a `codec` value, a list whose first entry names it:

| from the client | |
| --- | --- |
| ``hello [[inbox, last], …]`` | these inboxes are mine; I have everything up to ``last`` |
| ``send ns inbox first body`` | a message for the queue |
| ``got inbox last`` | I have everything of this inbox up to ``last`` |
| ``drop inbox`` | this inbox is not needed any more |
| ``slot ns`` | where is the namespace in `progress`? Asked of who has a stamp |
| ``tell ns`` | what was written there beside the host is to be fanned out |
| ``ping n`` | answered by ``pong n`` |

| from the host | |
| --- | --- |
| ``push inbox seq upto body`` | something for an inbox; requests numbered below ``upto`` are answered |
| ``lost inbox`` | the inbox is gone: its session moved, or it was given up |
| ``slot ns slot`` | -1: nowhere, all of it takes the queue |
| ``pong n stamp`` | the host's stamp in `progress`; 0: nobody writes beside it |
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional, cast

from ... import codec
from ..descriptors import Descriptor

MAX_FRAME_BYTES = 64 << 20
"""No message or answer comes near it; a longer one is not from us."""
MAX_UNSENT_BYTES = 64 << 20
"""What may wait for a peer that does not read; then it is cut off, and gets the rest when it is back."""


class Frames(asyncio.Protocol):
    """One end of a connection. ``received`` is called with each value, ``closed`` once at the end."""

    def __init__(self, received: Callable[["Frames", Any], None], closed: Callable[["Frames"], None]) -> None:
        self._received = received
        self._closed = closed
        self._buffer = bytearray()
        self.transport: Optional[asyncio.Transport] = None
        self.descriptor: Optional[Descriptor] = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """`asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        self.descriptor = Descriptor.of(self.transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """`asyncio.Protocol`."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if size > MAX_FRAME_BYTES:
                return self.hang_up()
            if len(buffer) - start - 4 < size:
                break
            frame = bytes(buffer[start + 4 : start + 4 + size])
            start += 4 + size
            try:
                value = codec.loads(frame)
            except codec.Malformed:
                return self.hang_up()
            self._received(self, value)
        del buffer[:start]

    def pause_writing(self) -> None:
        """`asyncio.Protocol`: too much waits."""
        self.hang_up()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """`asyncio.Protocol`."""
        self.transport = self.descriptor = None
        self._closed(self)

    def send(self, *value: Any) -> None:
        """Sends a value, if the connection still stands."""
        if self.transport is not None:
            body = codec.dumps(value)
            self.transport.write(len(body).to_bytes(4, "big") + body)

    def hang_up(self) -> None:
        """Ends the connection."""
        if self.transport is not None:
            self.transport.abort()
