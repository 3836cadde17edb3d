"""Stands in for kazoo's TCP socket: one end of a pair, which holds one byte exactly while replies wait."""

from __future__ import annotations

import socket
from typing import Any, Tuple

from fk_backend.providers.descriptors import Descriptor

from .loop_thread import end


class WakeupSocket:
    """The app's end of the pair, in place of kazoo's TCP socket: closing it hangs up, as closing that does."""

    def __init__(self, socket_: Any) -> None:
        self._end = socket_
        self._descriptor = Descriptor.of(socket_.fileno())
        self.peer = ("", 0)

    def getpeername(self) -> Tuple[str, int]:
        """The server that the app named; the deployment's name and port 0 if it gave a URL."""
        return self.peer

    def fileno(self) -> int:
        """For `select`."""
        return int(self._end.fileno())

    def close(self) -> None:
        """Wakes whoever selects on it; the descriptor goes when the connection has seen it."""
        try:
            if self.is_ours():
                self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def discard(self) -> None:
        """Closes it for good."""
        end(self._end, self._descriptor)

    def is_ours(self) -> bool:
        """Whether nobody else closed it."""
        return self._descriptor.is_ours()

    def __getattr__(self, name: str) -> Any:
        """Whatever else an app may ask of a socket."""
        return getattr(self._end, name)
